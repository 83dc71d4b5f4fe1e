//! Limits on memory that the system sets this process, below those of the profile.
//!
//! Beyond a control group's limit the system ends the process, and beyond `ulimit -v` allocations fail
//! anywhere: a model has to be refused before it comes to that.

use std::io;

use tritone_engine::{Head, LoadError, MemoryPlan, human_bytes};
use tritone_machine::{Limits, Machine, address_space_bytes};
use tritone_profile::Profile;

/// Address space beyond the plan: stacks of the threads, and what allocators hold ready.
const MARGIN: u64 = 32 << 20;

/// What the system sets, as it is told to the user.
pub(super) fn note(machine: &Machine, profile: &Profile) -> Option<String> {
    let limit = profile.memory_bytes();
    let of_profile = format!("the {} MiB of profile {}", profile.memory_mb, profile.name);
    let group = machine.memory.limit.as_ref();
    if let Some(group) = group.filter(|group| group.bytes < limit) {
        return Some(format!(
            "memory limit lowered from {of_profile} to {}, that of the control group ({})",
            human_bytes(group.bytes),
            group.source.display()
        ));
    }
    let Limits {
        address_space,
        data,
        ..
    } = machine.memory.process;
    let taken = address_space_bytes().unwrap_or(0);
    let room = address_space.map(|most| (most, most.saturating_sub(taken), "address space", "-v"));
    let room = room.or_else(|| data.map(|most| (most, most, "data", "-d")));
    let (most, _, what, flag) = room.filter(|room| room.1 < limit)?;
    Some(format!(
        "memory limit lowered from {of_profile}: this process may use {} of {what} (`ulimit {flag}`){}",
        human_bytes(most),
        match flag {
            "-v" => ", in which the model file counts as well",
            _ => "",
        }
    ))
}

/// The most that the parts of `plan` may take together, when the model is open and nothing is loaded;
/// `None` is no limit.
pub(super) fn bytes(machine: &Machine, plan: &MemoryPlan) -> Option<u64> {
    let group = machine.memory.limit.as_ref().map(|group| group.bytes);
    let Limits {
        address_space,
        data,
        ..
    } = machine.memory.process;
    let address_space = address_space.map(|most| {
        let taken = address_space_bytes().unwrap_or(0).saturating_add(MARGIN);
        // Program and model file are there already, and in the file a head that is used as it stands.
        let there = plan.program + of_file(plan);
        most.saturating_sub(taken).saturating_add(there)
    });
    // No file counts as data.
    let data = data.map(|most| most.saturating_add(of_file(plan)));
    [group, address_space, data].into_iter().flatten().min()
}

/// Bytes of the plan that are a part of the mapped model file.
fn of_file(plan: &MemoryPlan) -> u64 {
    match plan.forms.head {
        Head::F16 => plan.head,
        _ => 0,
    }
}

/// An error to open a model, with the limit that caused it if there is one.
pub(super) fn explained(error: LoadError, machine: &Machine) -> LoadError {
    let most = machine.memory.process.address_space;
    match (error, most) {
        (LoadError::Open { path, source }, Some(most))
            if source.kind() == io::ErrorKind::OutOfMemory =>
        {
            let length = std::fs::metadata(&path).map_or(0, |found| found.len());
            LoadError::Open {
                path,
                source: io::Error::new(
                    source.kind(),
                    format!(
                        "it takes {} of address space, and this process may use {} in all; raise \
                         `ulimit -v`",
                        human_bytes(length),
                        human_bytes(most)
                    ),
                ),
            }
        }
        (error, _) => error,
    }
}

#[cfg(test)]
mod tests {
    use tritone_engine::{Capacity, Forms, Model};
    use tritone_machine::{MemoryLimit, Roots};

    use super::*;

    fn machine() -> Machine {
        Machine::detect_at(&Roots {
            proc: "/nowhere".into(),
            sys: "/nowhere".into(),
        })
    }

    fn plan() -> MemoryPlan {
        let model = Model::open(&crate::cli::setup::source(None)).unwrap();
        let registry = crate::cli::setup::registry(&Default::default());
        let kernel = registry.best().unwrap();
        let capacity = Capacity::new(256, 1, 64);
        MemoryPlan::new(
            model.recipe(),
            &*kernel,
            1,
            capacity,
            Forms::default(),
            None,
        )
        .unwrap()
    }

    #[test]
    fn the_smallest_limit_counts() {
        let (mut machine, plan) = (machine(), plan());
        assert_eq!(bytes(&machine, &plan), None);
        machine.memory.limit = Some(MemoryLimit {
            bytes: 64 << 20,
            source: "/sys/x/memory.max".into(),
        });
        assert_eq!(bytes(&machine, &plan), Some(64 << 20));
        machine.memory.process.data = Some(32 << 20);
        let data = bytes(&machine, &plan).unwrap();
        assert_eq!(data, (32 << 20) + of_file(&plan));
        // What is taken already leaves nothing but what is counted twice.
        machine.memory.process.address_space = Some(1 << 20);
        if address_space_bytes().is_some() {
            let there = plan.program + of_file(&plan);
            assert_eq!(bytes(&machine, &plan), Some(data.min(there)));
        }
    }

    #[test]
    fn a_lower_limit_is_said_with_its_place() {
        let mut machine = machine();
        let profile = crate::cli::setup::Setup::new(&Default::default()).unwrap();
        let profile = profile.profile();
        assert_eq!(note(&machine, profile), None);
        machine.memory.process.address_space = Some(128 << 20);
        let said = note(&machine, profile).unwrap();
        assert!(
            said.contains("128 MiB of address space (`ulimit -v`)"),
            "{said}"
        );
        machine.memory.limit = Some(MemoryLimit {
            bytes: 256 << 20,
            source: "/sys/x/memory.max".into(),
        });
        let said = note(&machine, profile).unwrap();
        assert!(
            said.contains("to 256 MiB, that of the control group (/sys/x/memory.max)"),
            "{said}"
        );
    }
}

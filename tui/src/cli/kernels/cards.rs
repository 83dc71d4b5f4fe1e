//! The kernels as the terminal lists them.

use std::sync::Arc;

use tritone_engine::Model;
use tritone_loader::{Found, Origin, Refused, Registry, State};

use crate::app::backend::{KernelCard, KernelOption, SpeedCard, Unusable};
use crate::cli::date::date;
use crate::cli::setup::Setup;
use crate::race::run::bits;

/// The kernels that can be used, the best first, with what is known of them for `model`.
pub(crate) fn options(setup: &Setup, model: &Model) -> Vec<KernelOption> {
    let speeds = setup.speeds(model);
    let option = |found: &Found| {
        let facts = &found.facts;
        let kernel = Arc::clone(found.kernel()?);
        let measured = speeds.iter().find(|(name, _)| *name == facts.name);
        Some(KernelOption {
            name: facts.name.clone(),
            detail: format!("{}, score {}", facts.isa, found.score.rank),
            card: KernelCard {
                score: found.score.rank,
                reason: found.score.reason.clone(),
                isa: facts.isa.clone(),
                layout: facts.layout.name().to_owned(),
                bits: bits(model.recipe(), &*kernel),
                origin: found.origin.to_string(),
                base: found.base.clone(),
                measured: measured.map(|(_, speed)| SpeedCard {
                    decode: speed.decode,
                    prefill: speed.prefill,
                    date: date(speed.unix_time),
                }),
            },
            kernel,
        })
    };
    setup.registry.kernels().iter().filter_map(option).collect()
}

/// The others, with why.
pub(crate) fn unusable(registry: &Registry) -> Vec<Unusable> {
    let kernels = registry.kernels();
    let (twins, others): (Vec<&Found>, Vec<&Found>) = kernels
        .iter()
        .filter(|found| !found.is_usable())
        .partition(|found| is_twin(found, kernels));
    let found = others.into_iter().map(|found| {
        let (state, why) = super::state(found);
        Unusable {
            name: found.facts.name.clone(),
            origin: found.origin.to_string(),
            state,
            why,
        }
    });
    let refused = registry.refused().iter().map(|refused: &Refused| Unusable {
        name: match &refused.name {
            Some(name) => name.clone(),
            None => refused.path.file_name().map_or_else(
                || "unknown".to_owned(),
                |name| name.to_string_lossy().into_owned(),
            ),
        },
        origin: super::place(refused),
        state: "refused",
        why: refused.reason.to_string(),
    });
    twins_in_a_line(&twins)
        .into_iter()
        .chain(found)
        .chain(refused)
        .collect()
}

/// Whether a plugin is shadowed by a kernel that is built in and says the same of itself.
fn is_twin(found: &Found, kernels: &[Found]) -> bool {
    let State::Shadowed {
        by: Origin::BuiltIn,
    } = &found.state
    else {
        return false;
    };
    let same =
        |other: &&Found| other.origin == Origin::BuiltIn && other.facts.name == found.facts.name;
    let twin = kernels.iter().find(same);
    twin.is_some_and(|twin| twin.facts == found.facts)
}

/// What is shadowed by nothing but itself, as one line: a program is often beside its own plugins.
fn twins_in_a_line(twins: &[&Found]) -> Option<Unusable> {
    let names: Vec<&str> = twins
        .iter()
        .map(|found| found.facts.name.as_str())
        .collect();
    let origins: Vec<String> = twins.iter().map(|found| found.origin.to_string()).collect();
    (!twins.is_empty()).then(|| Unusable {
        name: names.join(", "),
        origin: origins.join(", "),
        state: "shadowed",
        why: "the same as what is built in".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loader_found_is_listed_with_the_model_in_mind() {
        let setup = Setup::new(&Default::default()).unwrap();
        let (model, _) = setup.open(&mut |_| true).unwrap();
        let options = options(&setup, &model);
        let scalar = options.iter().find(|option| option.name == "scalar");
        let card = &scalar.unwrap().card;
        assert!(card.bits >= 1.6 && card.bits <= 2.5, "{card:?}");
        assert!(
            !card.layout.is_empty() && !card.reason.is_empty(),
            "{card:?}"
        );
        assert!(
            options
                .windows(2)
                .all(|pair| pair[0].card.score >= pair[1].card.score)
        );
    }
}

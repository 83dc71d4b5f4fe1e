//! The profiles for the screen: what each says, what would change, what the model would take.

use tritone_abi::Kernel;
use tritone_engine::{Capacity, MemoryPlan, Model};
use tritone_machine::{Machine, choose_preset_threads, choose_threads};
use tritone_profile::{AUTO, Layers, Origin, PRESETS, Resolved, changes, resolve, user_profiles};

use super::layers;
use crate::app::backend::Backend;
use crate::app::host::Order;
use crate::app::profiles::{PlanCard, ProfileCard, ProfilesCard, Says};
use crate::cli::args::CommonArgs;
use crate::cli::setup::{context, forms, limit_is_ours, plan_under};

/// All profiles, seen from what runs now: `order`, with `backend`.
///
/// # Errors
/// When the profile in use cannot be put together any more, or the user's own cannot be listed.
pub(crate) fn cards(
    common: &CommonArgs,
    order: &Order,
    backend: &dyn Backend,
) -> Result<ProfilesCard, String> {
    let machine = Machine::detect();
    let asked = order.profile.as_ref().or(common.profile.as_ref());
    let now = layers(common, &order.settings, &machine);
    let now = resolve(asked.map(String::as_str), &now).map_err(|error| error.to_string())?;
    let then = layers(common, &[], &machine);
    let mut names = vec![AUTO.to_owned()];
    names.extend(PRESETS.iter().map(|preset| preset.name.to_owned()));
    if let Some(dir) = &then.profiles_dir {
        let own = user_profiles(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        names.extend(own.into_iter().map(|profile| profile.name));
    }
    let used = match now.is_automatic() {
        true => AUTO.to_owned(),
        // A file has no name that it could be asked for by.
        false => match now.lineage().last().filter(|name| names.contains(name)) {
            Some(name) => name.clone(),
            None => asked.cloned().unwrap_or_default(),
        },
    };
    if !names.contains(&used) {
        names.push(used.clone());
    }
    let rows = names
        .into_iter()
        .map(|name| ProfileCard {
            used: name == used,
            says: says(&name, &then, &now, backend),
            name,
        })
        .collect();
    Ok(ProfilesCard {
        rows,
        selection: then.auto,
        directory: then.profiles_dir.map(|dir| dir.display().to_string()),
    })
}

fn says(
    name: &str,
    layers: &Layers<'_>,
    now: &Resolved,
    backend: &dyn Backend,
) -> Result<Says, String> {
    let resolved = resolve(Some(name), layers).map_err(|error| error.to_string())?;
    Ok(Says {
        lineage: resolved.lineage().to_vec(),
        because: resolved.chosen().to_owned(),
        values: resolved.origins().to_vec(),
        tips: resolved.profile().tips.clone(),
        changes: changes(now, &resolved),
        plan: backend.what_if(&resolved),
    })
}

/// What `model` would take under a profile, for one conversation and `beside` bytes of a screen; `None`
/// if the kernel does not take it.
pub(crate) fn what_if(
    resolved: &Resolved,
    machine: &Machine,
    model: &Model,
    kernel: &dyn Kernel,
    beside: u64,
) -> Option<PlanCard> {
    let profile = resolved.profile();
    let of_preset = resolved
        .origin_of("threads")
        .is_none_or(|entry| matches!(entry.origin, Origin::Preset(_) | Origin::Automatic(_)));
    let choice = match of_preset {
        true => choose_preset_threads(profile.threads, machine),
        false => choose_threads(Some(profile.threads), machine),
    };
    let threads = choice.threads;
    let forms = forms(profile.kv_type, profile.head, model);
    let capacity = Capacity::new(context(resolved, model), 1, profile.prefill_chunk).beside(beside);
    let planned = plan_under(profile, machine, limit_is_ours(resolved), &|limit| {
        let recipe = model.recipe();
        MemoryPlan::new(recipe, kernel, threads, capacity, forms, Some(limit))
    });
    let plan = planned.plan?;
    let parts = [
        ("weights", plan.weights),
        ("head", plan.head),
        ("KV cache", plan.kv),
        ("states", plan.states),
        ("scratch", plan.scratch),
        ("program", plan.program),
    ];
    Some(PlanCard {
        parts: parts.into_iter().filter(|(_, bytes)| *bytes > 0).collect(),
        total: plan.total(),
        limit: planned.limit,
        context: capacity.context,
        threads,
        nearest: plan.nearest.map(|fit| fit.flags()),
        note: planned.note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::setup::Setup;

    #[test]
    fn the_plan_of_a_profile_is_the_one_it_would_be_loaded_under() {
        for (name, memory) in [("mobile", None), ("server", None), ("edge", Some(64))] {
            // The small model takes more than 64 MiB with a long context only.
            let common = CommonArgs {
                profile: Some(name.to_owned()),
                memory,
                ctx: memory.map(|_| 32_768),
                ..CommonArgs::default()
            };
            let setup = Setup::new(&common).unwrap();
            let (model, _) = setup.open(&mut |_| true).unwrap();
            let (options, _) = setup.options(&model, 1);
            let kernel = options.kernel;
            let real = MemoryPlan::new(
                model.recipe(),
                &*kernel,
                options.threads,
                Capacity::new(setup.context(&model), 1, options.prefill_chunk),
                options.forms,
                options.memory_limit,
            )
            .unwrap();
            let card = what_if(&setup.resolved, &setup.machine, &model, &*kernel, 0).unwrap();
            assert_eq!(
                (card.total, Some(card.limit)),
                (real.total(), options.memory_limit)
            );
            assert_eq!(
                card.parts.iter().map(|(_, bytes)| bytes).sum::<u64>(),
                card.total
            );
            assert_eq!(card.fits(), memory.is_none(), "{card:?}");
            assert!(card.nearest.is_some() || card.fits(), "{card:?}");
        }
    }
}

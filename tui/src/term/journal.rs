//! What happens to the screen, for the log.

use tritone_engine::Event;

use crate::app::host::NotLoaded;
use crate::app::msg::Msg;

/// Logs what is worth it.
pub(super) fn note(msg: &Msg) {
    match msg {
        Msg::Loaded(loaded) => loaded_model("model loaded", loaded),
        Msg::Applied(Ok(loaded)) => loaded_model("another model or profile is in use", loaded),
        Msg::LoadFailed(why) | Msg::Applied(Err(NotLoaded { why, .. })) => {
            tracing::error!(why = why.as_str(), "not loaded");
        }
        Msg::KernelSet(Ok(kernel)) => tracing::info!(kernel = kernel.as_str(), "kernel switched"),
        Msg::KernelSet(Err(why)) => tracing::warn!(why = why.as_str(), "kernel not switched"),
        Msg::RaceEnded(result) => {
            let leader = result.standing.leader();
            let leader = leader.map_or("nobody", |leader| leader.name.as_str());
            tracing::info!(
                leader,
                kernel = result.kernel.as_str(),
                complete = result.standing.is_complete(),
                "race over"
            );
            if let Some(why) = &result.not_kept {
                tracing::warn!(why = why.as_str(), "race not kept");
            }
        }
        Msg::Answer { id, event } => answer(*id, event),
        Msg::Notice(text) => tracing::info!("{text}"),
        Msg::Panicked(what) => tracing::error!(what = what.as_str(), "a thread failed"),
        Msg::Exported(Err(why)) => tracing::warn!(why = why.as_str(), "not exported"),
        Msg::Exported(Ok(place)) => tracing::info!(place = place.as_str(), "exported"),
        _ => {}
    }
}

fn loaded_model(what: &str, loaded: &crate::app::msg::Loaded) {
    tracing::info!(
        model = loaded.model.name.as_str(),
        profile = loaded.profile.as_str(),
        kernel = loaded.kernel.as_str(),
        threads = loaded.threads,
        context = loaded.model.context,
        "{what}"
    );
    for notice in &loaded.model.notices {
        tracing::warn!("{notice}");
    }
}

fn answer(id: u64, event: &Event) {
    match event {
        Event::Finished(finished) => {
            let timings = &finished.timings;
            tracing::info!(
                id,
                reason = ?finished.reason,
                prompt = timings.prompt_tokens,
                tokens = timings.generated_tokens,
                "answer done, {:.1} tok/s written, {:.1} tok/s read",
                timings.decode_rate(),
                timings.prefill_rate()
            );
        }
        Event::Failed(error) => tracing::warn!(id, %error, "answer failed"),
        Event::Prefill { done, total } => tracing::trace!(id, done, total, "prompt"),
        Event::Text { token, .. } => tracing::trace!(id, token, "token"),
    }
}

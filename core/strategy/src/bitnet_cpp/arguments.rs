//! The arguments of a server: everything is said, so that no default of a script or a version counts.

use std::ffi::OsString;
use std::path::Path;

use crate::child::Plan;

/// The arguments of `llama-server`. The key is in the environment.
pub(super) fn of_llama_server(
    model: &Path,
    plan: &Plan,
    embeddings: bool,
    port: u16,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--model".into(), model.into()];
    let threads = plan.threads.to_string();
    let context = plan.context.saturating_mul(plan.slots);
    for (name, value) in [
        ("--host", "127.0.0.1".to_owned()),
        ("--port", port.to_string()),
        // That of all slots together.
        ("--ctx-size", context.to_string()),
        ("--parallel", plan.slots.to_string()),
        ("--n-predict", plan.context.to_string()),
        ("--threads", threads.clone()),
        ("--threads-batch", threads),
        ("--n-gpu-layers", "0".to_owned()),
    ] {
        arguments.push(name.into());
        arguments.push(value.into());
    }
    // What does not fit is to be refused, not cut: an answer to something else is none.
    arguments.push("--no-context-shift".into());
    arguments.push("--cont-batching".into());
    if embeddings {
        arguments.push("--embeddings".into());
        // One vector a text, where the model does not say which.
        arguments.extend(["--pooling".into(), "mean".into()]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        context: 2048,
        threads: 3,
        slots: 2,
    };

    fn line(arguments: &[OsString]) -> String {
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        words.join(" ")
    }

    #[test]
    fn everything_is_said() {
        let arguments = of_llama_server(Path::new("/m/a b.gguf"), &PLAN, false, 4711);
        assert_eq!(
            line(&arguments),
            "--model /m/a b.gguf --host 127.0.0.1 --port 4711 --ctx-size 4096 --parallel 2 --n-predict 2048 \
             --threads 3 --threads-batch 3 --n-gpu-layers 0 --no-context-shift --cont-batching"
        );
        let arguments = of_llama_server(Path::new("m"), &PLAN, true, 1);
        assert!(line(&arguments).ends_with(" --embeddings --pooling mean"));
    }
}

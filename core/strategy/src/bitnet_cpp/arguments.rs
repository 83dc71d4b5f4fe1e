//! The arguments of a server: everything is said, so that no default of a script or a version counts.

use std::ffi::OsString;
use std::path::Path;

/// What a server is to run with.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Positions of one conversation.
    pub(super) context: usize,
    /// Threads.
    pub(super) threads: usize,
    /// Answers at once.
    pub(super) slots: usize,
    /// Whether it is to make vectors of texts.
    pub(super) embeddings: bool,
}

/// The arguments of `llama-server`. The key is in the environment.
pub(super) fn of_llama_server(model: &Path, plan: &Plan, port: u16) -> Vec<OsString> {
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
    if plan.embeddings {
        arguments.push("--embeddings".into());
    }
    arguments
}

/// The arguments of a configured command, with values in the place of their names.
pub(super) fn of_command(
    arguments: &[String],
    model: &Path,
    plan: &Plan,
    port: u16,
) -> Vec<OsString> {
    let put = |argument: &String| -> OsString {
        // As a path may be no text, it is only put where it stands alone.
        if argument == "{model}" {
            return model.into();
        }
        argument
            .replace("{host}", "127.0.0.1")
            .replace("{port}", &port.to_string())
            .replace("{context}", &plan.context.to_string())
            .replace("{threads}", &plan.threads.to_string())
            .replace("{slots}", &plan.slots.to_string())
            .replace("{model}", &model.to_string_lossy())
            .into()
    };
    arguments.iter().map(put).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        context: 2048,
        threads: 3,
        slots: 2,
        embeddings: false,
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
        let arguments = of_llama_server(Path::new("/m/a b.gguf"), &PLAN, 4711);
        assert_eq!(
            line(&arguments),
            "--model /m/a b.gguf --host 127.0.0.1 --port 4711 --ctx-size 4096 --parallel 2 --n-predict 2048 \
             --threads 3 --threads-batch 3 --n-gpu-layers 0 --no-context-shift --cont-batching"
        );
        let plan = Plan {
            embeddings: true,
            ..PLAN
        };
        assert!(line(&of_llama_server(Path::new("m"), &plan, 1)).ends_with(" --embeddings"));
    }

    #[test]
    fn names_in_a_command_become_values() {
        let command = [
            "-m",
            "{model}",
            "--at={host}:{port}",
            "{threads}/{slots}/{context}",
        ];
        let command = command.map(str::to_owned);
        let arguments = of_command(&command, Path::new("/m/a b.gguf"), &PLAN, 4711);
        assert_eq!(
            line(&arguments),
            "-m /m/a b.gguf --at=127.0.0.1:4711 3/2/2048"
        );
    }
}

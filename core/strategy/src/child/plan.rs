//! The values with which a server is called.

use std::ffi::OsString;
use std::path::Path;

/// What a server is to run with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Positions of one conversation.
    pub(crate) context: usize,
    /// Threads.
    pub(crate) threads: usize,
    /// Answers at once.
    pub(crate) slots: usize,
}

/// The arguments of a configured command, with values in the place of their names.
pub(crate) fn of_command(
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

    #[test]
    fn names_in_a_command_become_values() {
        let plan = Plan {
            context: 2048,
            threads: 3,
            slots: 2,
        };
        let command = [
            "-m",
            "{model}",
            "--at={host}:{port}",
            "{threads}/{slots}/{context}",
        ];
        let command = command.map(str::to_owned);
        let arguments = of_command(&command, Path::new("/m/a b.gguf"), &plan, 4711);
        let words = ["-m", "/m/a b.gguf", "--at=127.0.0.1:4711", "3/2/2048"];
        assert_eq!(arguments, words.map(OsString::from));
    }
}

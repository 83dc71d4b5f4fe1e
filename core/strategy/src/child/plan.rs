//! The values with which a server is called.

use std::ffi::OsString;
use std::path::Path;

use crate::deployment::{Deployment, on_threads};

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

/// Positions of a conversation, where nobody says how many and the model was made for more.
const CONTEXT: usize = 4096;

impl Plan {
    /// What is wanted, of a model that was made for `longest` positions, with what `server` will not do as it was wanted.
    pub(crate) fn of(
        wanted: &Deployment,
        longest: Option<usize>,
        server: &str,
    ) -> (Self, Vec<String>) {
        let mut notices = Vec::new();
        let longest = longest.unwrap_or(CONTEXT).max(1);
        let context = wanted.context.unwrap_or(longest.min(CONTEXT)).max(1);
        if wanted.context.is_none() && context < longest {
            notices.push(format!(
                "a conversation has {context} positions, and the model was made for {longest}: name a context for more"
            ));
        }
        if context > longest {
            notices.push(format!(
                "a conversation has {context} positions, and the model was made for {longest}"
            ));
        }
        if wanted.memory_limit.is_some() {
            notices.push(format!("{server} cannot be held to a memory limit"));
        }
        let threads = || tritone_machine::Machine::detect().default_threads;
        let plan = Self {
            context,
            threads: wanted.threads.unwrap_or_else(threads),
            slots: wanted.batch.max(1),
        };
        (plan, notices)
    }

    /// The server and its threads, for people.
    pub(crate) fn runs_on(&self, server: &str) -> String {
        on_threads(server, self.threads)
    }
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
    fn what_is_not_as_it_was_wanted_is_said() {
        let mut wanted = Deployment::of(crate::ModelRef::Embedded);
        wanted.threads = Some(1);
        let (plan, notices) = Plan::of(&wanted, Some(1024), "x");
        assert_eq!((plan.context, plan.slots, notices.len()), (1024, 1, 0));
        assert_eq!(plan.runs_on("x"), "x, 1 thread");
        let (plan, notices) = Plan::of(&wanted, Some(131_072), "x");
        assert_eq!(plan.context, 4096);
        assert!(
            notices[0].contains("4096") && notices[0].contains("131072"),
            "{notices:?}"
        );
        wanted.context = Some(2048);
        wanted.memory_limit = Some(1);
        let (plan, notices) = Plan::of(&wanted, Some(1024), "x");
        assert_eq!((plan.context, notices.len()), (2048, 2));
        wanted.context = Some(100_000);
        let (plan, notices) = Plan::of(&wanted, Some(131_072), "x");
        assert_eq!((plan.context, notices.len()), (100_000, 1));
    }

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

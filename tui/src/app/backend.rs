//! What the terminal needs of an engine.

use tritone_engine::text::{Message, Role};
use tritone_engine::{Cancel, EngineStatus, Event, GenerateError, LoadProgress, Request};

use tritone_monitor::Record;

use super::profiles::PlanCard;
use tritone_profile::Resolved;

pub use super::engine::{EngineBackend, Keep, KernelOption, Races};
pub use crate::race::{Entry, Standing, State};
pub use tritone_probe::Bounds;

/// The model, for the status strip and the first screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// Name.
    pub name: String,
    /// Architecture, as the file calls it.
    pub architecture: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Context in tokens.
    pub context: usize,
    /// Bytes of the model file.
    pub file_bytes: u64,
    /// Whether its chat template asks if it is to think.
    pub asks_for_thinking: bool,
    /// What was replaced, lowered or refused; shown to the user.
    pub notices: Vec<String>,
    /// How long loading took, in a sentence; empty if that is not known.
    pub ready: String,
}

/// Tokens of texts, and of what a chat puts around them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Of each text.
    pub tokens: Vec<usize>,
    /// Of the frame around all messages: the beginning, and the beginning of the answer.
    pub fixed: usize,
    /// Of the frame around one message.
    pub each: usize,
}

impl Counted {
    /// Counts `texts` where `chat` says how many tokens a chat has.
    ///
    /// # Errors
    /// What `chat` says.
    pub(crate) fn by(
        texts: &[String],
        chat: &dyn Fn(Vec<Message>) -> Result<usize, String>,
    ) -> Result<Self, String> {
        // Texts are counted where they stand, in a message, as what is around them decides how they
        // are split. The word stands for one token, so that a chat of one message comes out exactly.
        let count = |messages: &[(Role, &str)]| {
            let messages = messages.iter();
            let messages = messages.map(|(role, text)| Message::new(*role, *text));
            chat(messages.collect())
        };
        let (user, assistant) = ((Role::User, "word"), (Role::Assistant, "word"));
        let one = count(&[user])?;
        let three = count(&[user, assistant, user])?;
        let each = three
            .saturating_sub(one)
            .div_ceil(2)
            .saturating_sub(1)
            .max(1);
        let tokens = texts.iter().map(|text| match text.as_str() {
            "" => Ok(0),
            text => count(&[(Role::User, text)]).map(|sum| (sum + 1).saturating_sub(one)),
        });
        Ok(Self {
            tokens: tokens.collect::<Result<_, _>>()?,
            fixed: one.saturating_sub(each + 1),
            each,
        })
    }
}

/// A kernel that may be chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelChoice {
    /// Its name, with which it is chosen.
    pub name: String,
    /// What it is and how well it suits this machine, in a line.
    pub detail: String,
    /// What else is known of it.
    pub card: KernelCard,
}

/// What is known of a kernel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelCard {
    /// How well it suits this processor, by its own opinion.
    pub score: u32,
    /// Why it gives itself this score.
    pub reason: String,
    /// Instruction sets it needs.
    pub isa: String,
    /// Name of the layout of its packed weights.
    pub layout: String,
    /// Packed bits of a weight of the loaded model; 0 when it does not take the model.
    pub bits: f64,
    /// Where it comes from: built in, or a file.
    pub origin: String,
    /// The complete kernel that does what it does not do itself.
    pub base: Option<String>,
    /// What a race with this model on this machine found.
    pub measured: Option<SpeedCard>,
}

/// What a race found of a kernel, in tokens a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeedCard {
    /// While writing an answer.
    pub decode: f64,
    /// While reading a prompt.
    pub prefill: f64,
    /// Day of the race.
    pub date: String,
}

/// A kernel that was found and cannot be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Its name, or that of its file where it has told none.
    pub name: String,
    /// Where it comes from.
    pub origin: String,
    /// What it is instead of usable: `refused`, `cannot run`, `shadowed`, `off`.
    pub state: &'static str,
    /// Why.
    pub why: String,
}

/// What a race is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaceOrder {
    /// Nobody asked for it: about a second, between kernels that need no other packing.
    pub automatic: bool,
    /// The winner takes over.
    pub switch: bool,
}

/// What came of a race.
#[derive(Clone, Debug, PartialEq)]
pub struct RaceResult {
    /// How it ended.
    pub standing: Standing,
    /// The kernel in use now.
    pub kernel: String,
    /// Why the automatic choice is what it is now, in a line.
    pub choice: String,
    /// Why the result could not be kept, if so.
    pub not_kept: Option<String>,
}

/// How the kernel was chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChoiceCard {
    /// Why this one, in a line.
    pub explanation: String,
    /// Somebody named it, so that nothing else replaces it.
    pub named: bool,
    /// A short race would tell more than the scores do.
    pub unmeasured: bool,
    /// Kernels that were found and could not be chosen.
    pub unusable: Vec<Unusable>,
}

/// A running answer.
pub trait EventSource: Send {
    /// Waits for the next event; `None` after the last.
    fn next_event(&mut self) -> Option<Event>;

    /// A handle that ends the answer early.
    fn cancel_handle(&self) -> Cancel;
}

/// A loaded model that answers.
pub trait Backend: Send + Sync {
    /// The model.
    fn model(&self) -> ModelCard;

    /// Name of the profile it runs under.
    fn profile(&self) -> String;

    /// Name of the strategy that runs the model; `None` for the engine of this process.
    fn strategy(&self) -> Option<String> {
        None
    }

    /// Begins an answer. May take as long as it takes to tokenise the conversation.
    ///
    /// # Errors
    /// Why there will be no answer.
    fn generate(&self, request: Request) -> Result<Box<dyn EventSource>, GenerateError>;

    /// What the model would take under another profile; `None` if that is not known.
    fn what_if(&self, profile: &Resolved) -> Option<PlanCard> {
        let _ = profile;
        None
    }

    /// Counts the tokens of texts, and of what the model's chat puts around them.
    ///
    /// # Errors
    /// If this model cannot tell.
    fn count(&self, texts: &[String]) -> Result<Counted, String> {
        let _ = texts;
        Err("this model does not count tokens".to_owned())
    }

    /// What the engine is doing.
    fn status(&self) -> EngineStatus;

    /// What bounds it.
    fn bounds(&self) -> Bounds {
        Bounds::default()
    }

    /// What was measured of it since the last look, where it runs on another machine or in another process; `None`
    /// where this process measures itself.
    fn measured_elsewhere(&self) -> Option<Vec<Record>> {
        None
    }

    /// Threads of the team.
    fn threads(&self) -> usize;

    /// Name of the active kernel.
    fn kernel_name(&self) -> String;

    /// Kernels there are, the best first.
    fn kernels(&self) -> Vec<KernelChoice>;

    /// Switches to another kernel, between two tokens if an answer is running. Waits until it is
    /// done, and returns what there is to say. If weights have to be packed, `progress` is called
    /// meanwhile; when it returns `false`, the old kernel stays.
    ///
    /// # Errors
    /// Why the old kernel stays, and what to do.
    fn set_kernel(
        &self,
        name: &str,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Vec<String>, String>;

    /// How the kernel was chosen at first.
    fn choice(&self) -> ChoiceCard;

    /// Lets the kernels answer in turn, tells `report` how it stands, and stops when that returns
    /// `false`. Takes seconds.
    fn race(&self, order: RaceOrder, report: &mut dyn FnMut(&Standing) -> bool) -> RaceResult;

    /// Waits until packed weights are on disk and returns what there is to say about it; gives up
    /// when `go_on` says no.
    fn wait_for_packs(&self, go_on: &mut dyn FnMut() -> bool) -> Vec<String>;
}

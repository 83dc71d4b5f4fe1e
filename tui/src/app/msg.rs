//! What can happen, and what is then to be done.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use tritone_engine::{EngineStatus, Event, LoadProgress, Request};
use tritone_monitor::{Record, Sample};

use crate::chat::markdown::Colored;
use crate::view::theme::Background;

use super::backend::{
    Bounds, ChoiceCard, Counted, KernelChoice, ModelCard, RaceOrder, RaceResult, Standing,
};
use super::desk::{Ask, Told};
use super::host::{Deed, ModelList, NotLoaded, Order, StrategyRow};
use super::keep::{Keep, Kept};
use super::profiles::ProfilesCard;
use super::screen::View;
use super::views::monitor::Destination;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    /// A key went down.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The wheel was turned by so many lines; down is positive.
    Wheel(i32),
    /// The left button of the mouse was pressed at this column and row.
    Click(u16, u16),
    /// The terminal says what its background is.
    Background(Background),
    /// What came of copying, for people.
    Copied(Result<String, String>),
    /// The system's clipboard could not take this text.
    NotCopied {
        /// The text.
        text: String,
        /// Why.
        why: String,
    },
    /// The screen has this many columns and rows.
    Resize(u16, u16),
    /// Time passed.
    Tick,
    /// What was measured since the last time.
    Sample(Box<Sample>),
    /// Something happened where the model runs, and that is elsewhere.
    Happened(tritone_monitor::Event),
    /// What the monitor knows is in these files, or why not.
    Exported(Result<String, String>),
    /// Loading has come this far.
    Loading(LoadProgress),
    /// The model is there.
    Loaded(Box<Loaded>),
    /// There is no model, and why.
    LoadFailed(String),
    /// An answer said something.
    Answer {
        /// Which answer.
        id: u64,
        /// What it said.
        event: Event,
    },
    /// How far another model or profile is loaded.
    Applying(LoadProgress),
    /// Another model or profile is in use, or why the old one stays.
    Applied(Result<Box<Loaded>, NotLoaded>),
    /// How many models were looked at, and of how many.
    Looking {
        /// So many.
        done: usize,
        /// Of so many; 0 as long as they are not counted.
        of: usize,
    },
    /// The models of this machine, or why they are not known.
    Models(Result<ModelList, String>),
    /// The strategies there are, or why they cannot be shown.
    Strategies(Result<Vec<StrategyRow>, String>),
    /// How far something with a strategy has come.
    DeedGoesOn(LoadProgress),
    /// What came of it, or why nothing did.
    DeedDone(Result<String, String>),
    /// How far weights are packed for the kernel to switch to.
    Switching(LoadProgress),
    /// Switching the kernel ended: its name, or why the old one stays.
    KernelSet(Result<String, String>),
    /// How a race between kernels stands.
    Race(Standing),
    /// A race is over.
    RaceEnded(Box<RaceResult>),
    /// A view is to come to the front.
    Show(View),
    /// What came of keeping the conversation.
    Kept(Kept),
    /// What the engine was doing when it was asked.
    Status(EngineStatus),
    /// Files have something to say.
    Desk(Told),
    /// The person's own editor is closed: the text, or why it is as it was.
    Edited(Result<String, String>),
    /// Tokens of texts.
    Counted {
        /// Which texts.
        keys: Vec<u64>,
        /// Their tokens, or why they cannot be counted.
        result: Result<Counted, String>,
    },
    /// Colours of lines of code.
    Highlighted(Vec<Colored>),
    /// The profiles there are, or why they cannot be shown.
    Profiles(Result<Arc<ProfilesCard>, String>),
    /// What was logged since the last time.
    Logs(Vec<Arc<crate::logs::Record>>),
    /// Something the user should know.
    Notice(String),
    /// A thread other than that of the screen panicked.
    Panicked(String),
}

/// A model and what it runs on.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) model: ModelCard,
    /// Name of the profile.
    pub(crate) profile: String,
    pub(crate) bounds: Bounds,
    /// Name of the strategy, if it is not the engine of this process.
    pub(crate) strategy: Option<String>,
    pub(crate) threads: usize,
    pub(crate) kernel: String,
    pub(crate) kernels: Vec<KernelChoice>,
    pub(crate) choice: ChoiceCard,
}

/// Something to be done outside.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Begin an answer.
    Generate {
        /// Its number; what it says comes back under it.
        id: u64,
        /// What is asked.
        request: Box<Request>,
    },
    /// End the running answer.
    Cancel,
    /// Stop loading.
    CancelLoading,
    /// Run on something else.
    Apply(Order),
    /// Give that up.
    StopApply,
    /// Look for models.
    Look,
    /// End looking for models.
    StopLooking,
    /// Ask which strategies there are.
    AskStrategies,
    /// Start, end or test a strategy.
    Do(Deed),
    /// Give that up.
    StopDeed,
    /// Switch to the kernel of this name.
    SetKernel(String),
    /// Give that up.
    StopSwitch,
    /// Let the kernels race.
    Race(RaceOrder),
    /// End the race.
    StopRace,
    /// Ask the engine what it is doing.
    AskStatus,
    /// Ask which profiles there are.
    AskProfiles,
    /// Have the engine count the tokens of texts.
    Count {
        /// Which texts, for the answer.
        keys: Vec<u64>,
        texts: Vec<String>,
    },
    /// Read or write files of the input.
    Desk(Ask),
    /// Let the person edit this in an editor of their own.
    EditText(String),
    /// Put an event into the monitor's log.
    Record(tritone_monitor::Event),
    /// Write what the monitor knows to files.
    Export {
        records: Vec<Record>,
        to: Destination,
    },
    /// Keep something of the conversation, or find what was kept.
    Keep(Box<Keep>),
    /// Put text into the clipboard.
    Copy(String),
    /// Put text into the clipboard by way of the terminal, as the system could not.
    CopyOtherWay {
        /// The text.
        text: String,
        /// Why the system could not.
        why: String,
    },
    /// Draw every cell anew.
    Redraw,
    /// Stop the process as Ctrl+Z does.
    Suspend,
    /// Leave.
    Quit,
}

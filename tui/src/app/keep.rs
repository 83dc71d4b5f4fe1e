//! What is to be kept of a conversation, and what comes of it. Somebody else does it: the screen never
//! waits for the disk.

use tritone_store::{Details, Hit, Message, Number, Session, SessionId, State, Timings, Tree};

/// Which earlier session is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that was used last, other than this one.
    Last,
    /// By number, title, or a part of the title.
    Named(String),
    /// By number.
    Id(SessionId),
}

/// Something to be done with what is kept. What is about messages is about the session at hand, which
/// begins with its first message.
#[derive(Clone, Debug)]
pub(crate) enum Keep {
    /// Add a message.
    Add {
        /// What the session is held under now; the title is for a new one.
        details: Box<Details>,
        message: Box<Message>,
    },
    /// Add to an answer.
    Extend { number: Number, text: String },
    /// End an answer.
    Finish {
        number: Number,
        state: State,
        timings: Option<Timings>,
    },
    /// Go on with an answer that ended.
    Reopen(Number),
    /// Take a message out that nothing follows.
    Remove(Number),
    /// The conversation that is seen ends here.
    Active(Number),
    /// Delete a message and what follows it.
    DeleteBranch(Number),
    /// Bring it back.
    RestoreBranch(Number),
    /// The session at hand is over; the next message begins another.
    Close,
    /// Go on with an earlier session.
    Open(Which),
    /// List sessions, those in which the words are if there are any; the answer has the same turn.
    List { text: String, turn: u64 },
    /// Read a session to be looked at.
    Preview(SessionId),
    /// Give a session, or the one at hand, another title.
    Rename(Option<SessionId>, String),
    /// Give it these tags, separated by spaces.
    Tag(Option<SessionId>, String),
    /// Delete a session.
    Delete(SessionId),
    /// Bring it back.
    Restore(SessionId),
    /// Write a session, or the one at hand, into a file.
    Export(Option<SessionId>, String),
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// Where to go on, once at the start, if there is something.
    Last(Box<Session>),
    /// The session at hand is kept under this number and title.
    Began(SessionId, String),
    /// An earlier session is at hand.
    Opened(Box<Chat>),
    /// Sessions, as asked for in this turn.
    Listed { turn: u64, rows: Vec<Row> },
    /// A session to be looked at.
    Preview(SessionId, Box<Tree>),
    /// Titles or tags changed: the session at hand has these, if it was that one.
    Changed(Option<Box<Session>>, String),
    /// Something was done, in a sentence.
    Done(String),
    /// Something could not be done, in a sentence.
    Failed(String),
    /// Nothing is kept any more, and why. Said once.
    Lost(String),
}

/// An earlier session.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    pub(crate) session: Session,
    pub(crate) tree: Tree,
    /// What the user should know about it.
    pub(crate) notes: Vec<String>,
}

/// A session in a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) session: Session,
    /// When it was last used, in words.
    pub(crate) when: String,
    /// Where the words were found.
    pub(crate) hit: Option<Hit>,
    /// It is open in another process.
    pub(crate) elsewhere: bool,
}

//! What was said, as a tree of which one branch is read, and keeping it on disk.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use tritone_engine::text::Message as Turn;
use tritone_store::{Details, Message, Number, Role, State, Tree, title_of};

use crate::app::conversation::{counted, turns};
use crate::app::keep::{Chat, Keep, Kept};
use crate::cli::console::Console;
use crate::keep::{Keeper, Start};

/// An earlier conversation is read in less time than this, or the disk hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The conversation.
pub(super) struct Memory {
    tree: Tree,
    keeper: Option<Keeper>,
    kept: Receiver<Kept>,
    /// The answer that is being written.
    answer: Option<Number>,
}

impl Memory {
    /// A conversation that is kept, if there is a place for it; an earlier one if that was asked for,
    /// which is the second value.
    ///
    /// # Errors
    /// Why the earlier one cannot be gone on with.
    pub(super) fn start(
        start: Option<Start>,
        console: &Console,
    ) -> Result<(Self, Option<Chat>), String> {
        let (sender, kept) = channel();
        let wanted = start.as_ref().is_some_and(|start| start.open.is_some());
        let keeper = start.map(|start| {
            for note in &start.notes {
                console.note(note);
            }
            // Nobody listens once the conversation is over.
            Keeper::start(start, Box::new(move |kept| drop(sender.send(kept))))
        });
        let mut memory = Self {
            tree: Tree::default(),
            keeper,
            kept,
            answer: None,
        };
        let opened = if wanted {
            let mut chat = memory.opened()?;
            memory.tree = std::mem::take(&mut chat.tree);
            Some(chat)
        } else {
            None
        };
        Ok((memory, opened))
    }

    /// Waits for the conversation that was asked for.
    fn opened(&self) -> Result<Chat, String> {
        loop {
            match self.kept.recv_timeout(PATIENCE) {
                Ok(Kept::Opened(chat)) => return Ok(*chat),
                Ok(Kept::Failed(why) | Kept::Lost(why)) => return Err(why),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return Err(
                        "the earlier chat cannot be read: the disk does not answer".to_owned()
                    );
                }
            }
        }
    }

    fn keep(&self, what: Keep) {
        if let Some(keeper) = &self.keeper {
            keeper.order(what);
        }
    }

    /// Says what went wrong with keeping.
    pub(super) fn report(&self, console: &Console) {
        while let Ok(kept) = self.kept.try_recv() {
            match kept {
                Kept::Failed(why) => console.error(&why),
                Kept::Lost(why) => {
                    console.error(&format!("this chat is not saved from here on: {why}"));
                }
                _ => {}
            }
        }
    }

    /// The conversation for the model.
    pub(super) fn turns(&self, system: Option<&str>) -> Vec<Turn> {
        turns(&self.tree, system)
    }

    /// The branch that is read: who said it, and what.
    pub(super) fn said(&self) -> impl Iterator<Item = &Message> {
        let path = self.tree.path().into_iter();
        path.filter_map(|number| self.tree.get(number))
    }

    /// The person says something.
    pub(super) fn say(&mut self, text: &str, details: Details) {
        let number = self.tree.next_number();
        let message = Message::user(number, self.tree.active(), text);
        self.add(message, details);
    }

    /// An answer begins; the first seed from `seed` on is its that no other answer to this message has.
    pub(super) fn begin(
        &mut self,
        model: String,
        kernel: String,
        seed: u64,
        details: Details,
    ) -> u64 {
        let parent = self.tree.active();
        let used: Vec<Option<u64>> = self
            .tree
            .children(parent)
            .filter_map(|number| self.tree.get(number))
            .map(|message| message.seed)
            .collect();
        let mut seed = seed;
        while used.contains(&Some(seed)) {
            seed = seed.wrapping_add(1);
        }
        let number = self.tree.next_number();
        let message = Message {
            model: Some(model),
            kernel: Some(kernel),
            seed: Some(seed),
            ..Message::answer(number, parent)
        };
        self.add(message, details);
        self.answer = Some(number);
        seed
    }

    fn add(&mut self, message: Message, details: Details) {
        let details = Details {
            title: title_of(&message.text),
            ..details
        };
        // Numbers are given out by the tree itself.
        if self.tree.add(message.clone()).is_ok() {
            self.keep(Keep::Add {
                details: Box::new(details),
                message: Box::new(message),
            });
        }
    }

    /// The answer says more.
    pub(super) fn extend(&mut self, text: &str) {
        if let Some(number) = self.answer.filter(|_| !text.is_empty())
            && self.tree.extend(number, text).is_ok()
        {
            let text = text.to_owned();
            self.keep(Keep::Extend { number, text });
        }
    }

    /// The answer ends.
    pub(super) fn finish(&mut self, state: State, timings: Option<&tritone_engine::Timings>) {
        let timings = timings.map(counted);
        if let Some(number) = self.answer.take()
            && self.tree.finish(number, state, timings).is_ok()
        {
            self.keep(Keep::Finish {
                number,
                state,
                timings,
            });
        }
    }

    /// The answer never began; it goes, and what it was to answer with it unless that has another.
    pub(super) fn take_back(&mut self) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        let question = self.tree.get(answer).and_then(|message| message.parent);
        for number in [Some(answer), question].into_iter().flatten() {
            if self.tree.remove(number).is_ok() {
                self.keep(Keep::Remove(number));
            }
        }
    }

    /// Goes back to the last message of the person; false if there is none.
    pub(super) fn back_to_question(&mut self) -> bool {
        let question = self.tree.path().into_iter().rev().find(|&number| {
            self.tree
                .get(number)
                .is_some_and(|message| message.role == Role::User)
        });
        question.is_some_and(|number| self.tree.set_active(number).is_ok())
    }

    /// Another conversation begins.
    pub(super) fn close(&mut self) {
        self.tree = Tree::default();
        self.keep(Keep::Close);
    }
}

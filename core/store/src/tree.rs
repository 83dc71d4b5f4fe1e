//! A conversation with branches, in memory: the rules of branching in one place.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::{Message, Number, State, Timings};

/// Why a change of a tree makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// There is no such message.
    #[error("there is no message {0}")]
    NoMessage(Number),
    /// The number is taken, or not greater than the parent's.
    #[error(
        "message {0} cannot have that number: it is taken, or not after the message it follows"
    )]
    Number(Number),
    /// The answer is finished.
    #[error("message {0} is finished")]
    Finished(Number),
}

/// Messages that follow each other, several of them the same one: its *siblings*. One leaf is
/// active, and the way to it from the beginning is the conversation that is seen.
///
/// Deleted branches stay until they are purged, and can be brought back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    messages: BTreeMap<Number, Message>,
    /// Deleted messages, and the root of the branch with which each went.
    deleted: BTreeMap<Number, Number>,
    active: Option<Number>,
}

impl Tree {
    /// All messages that are not deleted, by number.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages
            .values()
            .filter(|message| !self.deleted.contains_key(&message.number))
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages().next().is_none()
    }

    /// A message that is not deleted.
    #[must_use]
    pub fn get(&self, number: Number) -> Option<&Message> {
        self.messages
            .get(&number)
            .filter(|_| !self.deleted.contains_key(&number))
    }

    /// The last message of the conversation that is seen.
    #[must_use]
    pub fn active(&self) -> Option<Number> {
        self.active
    }

    /// The number for the next message; numbers of deleted messages are not used again.
    #[must_use]
    pub fn next_number(&self) -> Number {
        let last = self.messages.last_key_value();
        last.map_or(1, |(number, _)| number.saturating_add(1))
    }

    /// Adds a message, which becomes the active leaf.
    ///
    /// # Errors
    /// When its parent is not there, or its number is taken or not greater than its parent's.
    pub fn add(&mut self, message: Message) -> Result<(), TreeError> {
        let number = message.number;
        if let Some(parent) = message.parent {
            self.get(parent).ok_or(TreeError::NoMessage(parent))?;
        }
        if number == 0 || message.parent >= Some(number) || self.messages.contains_key(&number) {
            return Err(TreeError::Number(number));
        }
        self.messages.insert(number, message);
        self.active = Some(number);
        Ok(())
    }

    /// Adds to an answer that is being written.
    ///
    /// # Errors
    /// When there is none with this number.
    pub fn extend(&mut self, number: Number, text: &str) -> Result<(), TreeError> {
        let message = self.writable(number)?;
        message.text.push_str(text);
        Ok(())
    }

    /// Ends an answer.
    ///
    /// # Errors
    /// When there is none being written with this number.
    pub fn finish(
        &mut self,
        number: Number,
        state: State,
        timings: Option<Timings>,
    ) -> Result<(), TreeError> {
        let message = self.writable(number)?;
        message.state = state;
        message.timings = timings.or(message.timings);
        Ok(())
    }

    /// Goes on with an answer that ended.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn reopen(&mut self, number: Number) -> Result<(), TreeError> {
        self.get(number).ok_or(TreeError::NoMessage(number))?;
        if let Some(message) = self.messages.get_mut(&number) {
            message.state = State::Partial;
        }
        Ok(())
    }

    fn writable(&mut self, number: Number) -> Result<&mut Message, TreeError> {
        self.get(number).ok_or(TreeError::NoMessage(number))?;
        match self.messages.get_mut(&number) {
            Some(message) if message.state == State::Partial => Ok(message),
            Some(_) => Err(TreeError::Finished(number)),
            None => Err(TreeError::NoMessage(number)),
        }
    }

    /// Takes a message that nothing follows out for good, such as an answer that never began; the
    /// message before it is the active leaf then.
    ///
    /// # Errors
    /// When it is not there, or something follows it.
    pub fn remove(&mut self, number: Number) -> Result<(), TreeError> {
        let parent = self.get(number).ok_or(TreeError::NoMessage(number))?.parent;
        if self
            .messages
            .values()
            .any(|other| other.parent == Some(number))
        {
            return Err(TreeError::Number(number));
        }
        self.messages.remove(&number);
        if self.active == Some(number) {
            self.active = parent.or_else(|| self.newest());
        }
        Ok(())
    }

    fn newest(&self) -> Option<Number> {
        self.messages().next_back().map(|message| message.number)
    }

    /// The messages that follow `parent`, or begin the conversation, by number.
    pub fn children(&self, parent: Option<Number>) -> impl DoubleEndedIterator<Item = Number> {
        self.messages()
            .filter(move |message| message.parent == parent)
            .map(|message| message.number)
    }

    /// The numbers of the conversation that is seen, from the first on.
    #[must_use]
    pub fn path(&self) -> Vec<Number> {
        let mut path = Vec::new();
        let mut next = self.active;
        while let Some(message) = next.and_then(|number| self.get(number)) {
            path.push(message.number);
            next = message.parent;
        }
        path.reverse();
        path
    }

    /// The place of a message among its siblings, from 1 on, and how many there are.
    #[must_use]
    pub fn place(&self, number: Number) -> (usize, usize) {
        let Some(message) = self.get(number) else {
            return (0, 0);
        };
        let before = self
            .children(message.parent)
            .filter(|&other| other <= number);
        (before.count(), self.children(message.parent).count())
    }

    /// The sibling so many places further on, if there is one.
    #[must_use]
    pub fn sibling(&self, number: Number, by: isize) -> Option<Number> {
        let parent = self.get(number)?.parent;
        let all: Vec<Number> = self.children(parent).collect();
        let at = all.iter().position(|&other| other == number)?;
        all.get(at.checked_add_signed(by)?).copied()
    }

    /// The leaf under a message that was written last on every turn.
    #[must_use]
    pub fn leaf_below(&self, number: Number) -> Number {
        let mut leaf = number;
        while let Some(child) = self.children(Some(leaf)).next_back() {
            leaf = child;
        }
        leaf
    }

    /// Makes the conversation that is seen go through this message, to the newest leaf under it; it
    /// is left alone if it does.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn select(&mut self, number: Number) -> Result<(), TreeError> {
        self.get(number).ok_or(TreeError::NoMessage(number))?;
        if !self.path().contains(&number) {
            self.active = Some(self.leaf_below(number));
        }
        Ok(())
    }

    /// Makes this message the end of the conversation that is seen.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn set_active(&mut self, leaf: Number) -> Result<(), TreeError> {
        self.get(leaf).ok_or(TreeError::NoMessage(leaf))?;
        self.active = Some(leaf);
        Ok(())
    }

    /// Deletes a message and all that follows it. If it was seen, the sibling before it is, or the
    /// one after it, or what stands before.
    ///
    /// # Errors
    /// When there is no such message.
    pub fn delete(&mut self, root: Number) -> Result<(), TreeError> {
        let parent = self.get(root).ok_or(TreeError::NoMessage(root))?.parent;
        let seen = self.path().contains(&root);
        let beside = self.sibling(root, -1).or_else(|| self.sibling(root, 1));
        for number in self.branch(root) {
            self.deleted.insert(number, root);
        }
        if seen {
            self.active = beside.map(|number| self.leaf_below(number)).or(parent);
        }
        Ok(())
    }

    /// Brings a deleted branch back, into view.
    ///
    /// # Errors
    /// When none was deleted under this number, or what it followed is gone.
    pub fn restore(&mut self, root: Number) -> Result<(), TreeError> {
        if self.deleted.get(&root) != Some(&root) {
            return Err(TreeError::NoMessage(root));
        }
        let parent = self.messages.get(&root).and_then(|message| message.parent);
        if let Some(parent) = parent {
            self.get(parent).ok_or(TreeError::NoMessage(parent))?;
        }
        self.deleted.retain(|_, with| *with != root);
        self.active = Some(self.leaf_below(root));
        Ok(())
    }

    /// A message and all that follows it and is not deleted.
    #[must_use]
    pub fn branch(&self, root: Number) -> BTreeSet<Number> {
        // A parent has a smaller number, so one way through is enough.
        let mut branch = BTreeSet::from([root]);
        for message in self.messages() {
            if message
                .parent
                .is_some_and(|parent| branch.contains(&parent))
            {
                branch.insert(message.number);
            }
        }
        branch
    }

    /// A message as it is stored, deleted or not.
    pub(crate) fn insert_stored(&mut self, message: Message, deleted: Option<Number>) {
        if let Some(root) = deleted {
            self.deleted.insert(message.number, root);
        }
        self.messages.insert(message.number, message);
    }

    /// What was stored as active, if it is there; the newest leaf otherwise.
    pub(crate) fn set_stored_active(&mut self, active: Option<Number>) {
        self.active = active.filter(|&number| self.get(number).is_some());
        if self.active.is_none() {
            self.active = self.newest();
        }
    }

    /// Answers that were being written are interrupted ones: nobody is writing them.
    pub fn interrupt(&mut self) -> Vec<Number> {
        let partial = self
            .messages
            .values_mut()
            .filter(|message| message.state == State::Partial);
        let interrupted = partial.map(|message| {
            message.state = State::Interrupted;
            message.number
        });
        interrupted.collect()
    }
}

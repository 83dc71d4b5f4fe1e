//! A pattern over a text that comes piece by piece.
//!
//! All places where a match may have begun are followed at once (Pike's construction), so it is known at any
//! moment from where on the text may still become part of a match. Everything before that place is released.

use std::sync::Arc;

use regex_automata::nfa::thompson::State;
use regex_automata::util::primitives::StateID;

use super::rule::{Action, Rule};

/// A match that is being followed.
#[derive(Clone, Copy, Debug)]
struct Thread {
    state: StateID,
    start: usize,
}

/// One rule over one text.
#[derive(Debug)]
pub(super) struct Matcher {
    rule: Arc<Rule>,
    window: usize,
    /// What is held, after the one character before it, which word boundaries and line starts look at.
    text: String,
    /// Everything before is released.
    released: usize,
    /// The next byte to look at.
    at: usize,
    /// Matches that go on at `at`, the preferred first; looks ahead are not resolved yet, as the next
    /// character may not have come.
    threads: Vec<Thread>,
    /// The best match so far.
    found: Option<(usize, usize)>,
    matched: bool,
    closed: Vec<Thread>,
    stack: Vec<StateID>,
    /// When a state was seen last, in steps.
    seen: Vec<u32>,
    step: u32,
}

/// The rule refuses the text from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl Matcher {
    pub(super) fn new(rule: Arc<Rule>, window: usize) -> Self {
        let states = rule.nfa.states().len();
        Self {
            rule,
            window,
            text: String::new(),
            released: 0,
            at: 0,
            threads: Vec::new(),
            found: None,
            matched: false,
            closed: Vec::new(),
            stack: Vec::new(),
            seen: vec![0; states],
            step: 0,
        }
    }

    pub(super) fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Whether the rule matched.
    pub(super) fn matched(&self) -> bool {
        self.matched
    }

    /// Takes a piece, and gives what no match can begin in any more.
    pub(super) fn push(&mut self, piece: &str, out: &mut String) -> Result<(), Refused> {
        self.text.push_str(piece);
        self.run(out)?;
        let followed = self.threads.iter().map(|thread| thread.start);
        let found = self.found.map(|(start, _)| start);
        let held = followed.chain(found).min().unwrap_or(self.at);
        out.push_str(&self.text[self.released..held]);
        self.forget(held);
        Ok(())
    }

    /// The text has ended: gives all the rest.
    pub(super) fn finish(&mut self, out: &mut String) -> Result<(), Refused> {
        loop {
            self.run(out)?;
            self.close();
            self.threads.clear();
            let end = self
                .closed
                .iter()
                .find(|thread| matches!(self.rule.nfa.state(thread.state), State::Match { .. }));
            if let Some(thread) = end {
                self.found = Some((thread.start, self.at));
            }
            let Some(found) = self.found.take() else {
                break;
            };
            self.settle(found, out)?;
        }
        out.push_str(&self.text[self.released..]);
        self.released = self.text.len();
        Ok(())
    }

    /// Goes on to the end of what has come.
    fn run(&mut self, out: &mut String) -> Result<(), Refused> {
        while let Some(byte) = self.text.as_bytes().get(self.at).copied() {
            self.step(byte);
            if self.threads.is_empty()
                && let Some(found) = self.found.take()
            {
                self.settle(found, out)?;
            }
        }
        Ok(())
    }

    /// Looks at one byte.
    fn step(&mut self, byte: u8) {
        self.close();
        self.threads.clear();
        let past = self.at + 1;
        for thread in &self.closed {
            let next = match self.rule.nfa.state(thread.state) {
                State::Match { .. } => {
                    // What comes later in the list is less preferred, whatever it may become.
                    self.found = Some((thread.start, self.at));
                    break;
                }
                State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
                State::Sparse(transitions) => transitions.matches_byte(byte),
                State::Dense(transitions) => transitions.matches_byte(byte),
                _ => None,
            };
            if let Some(state) = next
                && past - thread.start <= self.window
            {
                self.threads.push(Thread {
                    state,
                    start: thread.start,
                });
            }
        }
        self.at = past;
    }

    /// Resolves what needs no byte: alternatives, and looks around, for which the next character is there by
    /// now or will never come. A new match may begin here unless there is an earlier one.
    fn close(&mut self) {
        self.step = self.step.wrapping_add(1);
        if self.step == 0 {
            self.seen.fill(0);
            self.step = 1;
        }
        self.closed.clear();
        let begin = (self.found.is_none() && self.text.is_char_boundary(self.at)).then(|| Thread {
            state: self.rule.nfa.start_anchored(),
            start: self.at,
        });
        let nfa = &self.rule.nfa;
        for thread in self.threads.iter().copied().chain(begin) {
            self.stack.push(thread.state);
            while let Some(state) = self.stack.pop() {
                let seen = &mut self.seen[state.as_usize()];
                if std::mem::replace(seen, self.step) == self.step {
                    continue;
                }
                match nfa.state(state) {
                    State::Look { look, next } => {
                        if nfa
                            .look_matcher()
                            .matches(*look, self.text.as_bytes(), self.at)
                        {
                            self.stack.push(*next);
                        }
                    }
                    State::Union { alternates } => self.stack.extend(alternates.iter().rev()),
                    State::BinaryUnion { alt1, alt2 } => self.stack.extend([*alt2, *alt1]),
                    State::Capture { next, .. } => self.stack.push(*next),
                    State::Fail => {}
                    _ => self.closed.push(Thread {
                        state,
                        start: thread.start,
                    }),
                }
            }
        }
    }

    /// Does with a match what the rule says, and looks for the next one after it.
    fn settle(&mut self, (start, end): (usize, usize), out: &mut String) -> Result<(), Refused> {
        self.matched = true;
        out.push_str(&self.text[self.released..start]);
        match &self.rule.action {
            Action::Refuse => return Err(Refused),
            Action::Replace(with) => out.push_str(with),
            Action::Flag => out.push_str(&self.text[start..end]),
        }
        self.released = end;
        self.at = end;
        self.threads.clear();
        Ok(())
    }

    /// Drops what has been released, but for its last character.
    fn forget(&mut self, held: usize) {
        let keep = self.text[..held]
            .char_indices()
            .next_back()
            .map_or(0, |(at, _)| at);
        self.text.drain(..keep);
        self.released = held - keep;
        self.at -= keep;
        self.threads
            .iter_mut()
            .for_each(|thread| thread.start -= keep);
        self.found = self.found.map(|(start, end)| (start - keep, end - keep));
    }
}

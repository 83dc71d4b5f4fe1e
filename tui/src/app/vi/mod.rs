//! The keys of vi in the input: modes, orders, and what is remembered between them.
//!
//! [`Vi`] changes a [`Composer`] and knows nothing else; what keys mean beyond the input is in
//! [`keys`]. Edits are those of the composer, so undoing is the same as with the other keys.

mod act;
mod keys;
mod motion;
mod object;
mod order;
mod register;
mod units;

pub(super) use keys::{key, moved, pasted, sent, settle, switch, typed};

use crate::chat::composer::draft::Draft;
use crate::chat::composer::{Composer, Cover, Move};
use motion::Memory;
use order::{Command, Keys, Order, Place};
use register::Registers;

/// Most bytes that one order writes, however often it is to be repeated.
const MOST_WRITTEN: usize = 1 << 20;

/// What keys mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They write.
    Insert,
    /// They are orders.
    Normal,
    /// They select, and are orders for what is selected.
    Visual,
    /// The same with whole lines.
    VisualLine,
}

impl Mode {
    /// Its name on the screen.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Normal => "NORMAL",
            Self::Visual => "VISUAL",
            Self::VisualLine => "V-LINE",
        }
    }

    fn is_visual(self) -> bool {
        matches!(self, Self::Visual | Self::VisualLine)
    }
}

/// What an order wants beyond the input.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wish {
    Nothing,
    /// What was sent before, or after.
    Older,
    Newer,
    /// Search of what was sent.
    Search,
    /// The list of commands.
    Commands,
    /// Text for the clipboard.
    Copy(String),
    /// Something to be said.
    Remark(&'static str),
}

/// What was done in insert mode, to be done again.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stroke {
    Write(String),
    Paste(String),
    Put(Draft),
    Delete { back: bool },
    DeleteTo(Move),
}

impl Stroke {
    fn apply(&self, composer: &mut Composer) {
        match self {
            Self::Write(text) => composer.insert(text),
            Self::Paste(text) => composer.paste(text),
            Self::Put(draft) => {
                let at = composer.cursor();
                composer.put(at..at, draft);
            }
            Self::Delete { back: true } => composer.delete_back(),
            Self::Delete { back: false } => composer.delete_on(),
            Self::DeleteTo(to) => composer.delete_to(*to),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Write(text) | Self::Paste(text) => text.len(),
            Self::Put(draft) => draft.bytes(),
            Self::Delete { .. } | Self::DeleteTo(_) => 1,
        }
    }
}

/// What goes on in insert mode.
#[derive(Clone, Debug)]
struct Insertion {
    /// What began it; nothing did when the input was empty and new.
    order: Option<Order>,
    strokes: Vec<Stroke>,
}

/// What `.` does.
#[derive(Clone, Debug)]
struct Repeat {
    order: Order,
    strokes: Vec<Stroke>,
}

/// The state of the keys.
#[derive(Clone, Debug)]
pub(crate) struct Vi {
    /// What is being inserted, in insert mode.
    inserting: Option<Insertion>,
    keys: Keys,
    /// The next key in insert mode names a register.
    wants_register: bool,
    registers: Registers,
    memory: Memory,
    last: Option<Repeat>,
}

impl Vi {
    /// In insert mode, as a new line begins in a shell.
    pub(crate) fn new(composer: &mut Composer) -> Self {
        let mut vi = Self {
            inserting: None,
            keys: Keys::default(),
            wants_register: false,
            registers: Registers::default(),
            memory: Memory::default(),
            last: None,
        };
        vi.insert(composer, None);
        vi
    }

    /// What keys mean now.
    pub(crate) fn mode(&self, composer: &Composer) -> Mode {
        match composer.selected_from() {
            _ if self.inserting.is_some() => Mode::Insert,
            Some((_, Cover::Clusters)) => Mode::Visual,
            Some((_, Cover::Lines)) => Mode::VisualLine,
            Some((_, Cover::UpTo)) | None => Mode::Normal,
        }
    }

    /// Keys of an order that is not finished.
    pub(crate) fn pending(&self) -> &str {
        match self.wants_register {
            true => "\"",
            false => self.keys.typed(),
        }
    }

    /// Begins insert mode, by `order` if there was one.
    fn insert(&mut self, composer: &mut Composer, order: Option<Order>) {
        self.keys = Keys::default();
        if order.is_none() {
            composer.begin_step();
        }
        self.inserting = Some(Insertion {
            order,
            strokes: Vec::new(),
        });
    }

    /// Takes a key that is an order or a part of one.
    fn order(&mut self, composer: &mut Composer, c: char) -> Wish {
        let visual = self.mode(composer).is_visual();
        match self.keys.take(c, visual) {
            Some(Some(order)) => self.carry_out(composer, order),
            Some(None) | None => Wish::Nothing,
        }
    }

    /// Esc, where it is of concern here; says whether it was.
    fn escape(&mut self, composer: &mut Composer) -> bool {
        if self.inserting.is_some() {
            self.leave(composer);
            return true;
        }
        let pending = !self.keys.typed().is_empty();
        let visual = self.mode(composer).is_visual();
        self.keys = Keys::default();
        composer.deselect();
        pending || visual
    }

    /// Ends insert mode: what was written is written as often as it was wanted.
    fn leave(&mut self, composer: &mut Composer) {
        self.wants_register = false;
        let Some(Insertion { order, strokes }) = self.inserting.take() else {
            return;
        };
        composer.deselect();
        if let Some(order) = order {
            let times = match order.command {
                Command::Insert(_) => order.count.unwrap_or(1),
                _ => 1,
            };
            let once: usize = strokes.iter().map(Stroke::bytes).sum();
            let most = MOST_WRITTEN / once.max(1) + 1;
            for _ in 1..times.min(most) {
                if let Command::Insert(place @ (Place::LineBelow | Place::LineAbove)) =
                    order.command
                {
                    act::begin_at(composer, place);
                }
                strokes.iter().for_each(|stroke| stroke.apply(composer));
            }
        }
        let order = order.unwrap_or(HERE);
        if order != HERE || !strokes.is_empty() {
            self.last = Some(Repeat { order, strokes });
        }
        composer.end_step();
        composer.step_back_in_line();
    }

    /// Something was done in insert mode.
    fn note(&mut self, stroke: Stroke) {
        let Some(insertion) = &mut self.inserting else {
            return;
        };
        match (insertion.strokes.last_mut(), stroke) {
            (Some(Stroke::Write(text)), Stroke::Write(more)) => text.push_str(&more),
            (_, stroke) => insertion.strokes.push(stroke),
        }
    }

    /// The cursor went elsewhere in insert mode, so what is written now is another insertion.
    fn note_move(&mut self) {
        if let Some(insertion) = &mut self.inserting {
            insertion.order = Some(HERE);
            insertion.strokes.clear();
        }
    }
}

/// `i`
const HERE: Order = Order {
    count: None,
    register: None,
    command: Command::Insert(Place::Here),
};

#[cfg(test)]
mod tests;

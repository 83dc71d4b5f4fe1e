//! From keys to orders: `d2w`, `ci"`, `3.`.

use super::motion::{Edge, Find, Motion};
use super::object::Object;

/// The highest count; what is larger means this.
const MOST: usize = 9_999;

/// Letters in another case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Other,
    Lower,
    Upper,
}

/// What is done with a part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Delete,
    Change,
    Yank,
    Case(Case),
    Replace(char),
    Join,
}

impl Op {
    /// The key that means it; twice, it takes whole lines.
    fn key(self) -> Option<char> {
        Some(match self {
            Self::Delete => 'd',
            Self::Change => 'c',
            Self::Yank => 'y',
            Self::Case(Case::Other) => '~',
            Self::Case(Case::Lower) => 'u',
            Self::Case(Case::Upper) => 'U',
            Self::Replace(_) | Self::Join => return None,
        })
    }
}

/// How much of the text a visual selection held, so that it can be had again elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Lines beside the first one.
    pub(super) more_lines: usize,
    /// Units in the last line.
    pub(super) units: usize,
    /// Whole lines.
    pub(super) lines: bool,
}

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Motion(Motion),
    Object(Object),
    /// So many lines from here on.
    Lines,
    /// From here to the end of the line, and so many lines less one.
    LineEnd,
    /// What is selected; whole lines of it, if so.
    Selected {
        lines: bool,
    },
    /// As much as was selected then.
    Extent(Extent),
}

/// Where writing begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `i`
    Here,
    /// `I`
    LineInk,
    /// `a`
    Behind,
    /// `A`
    LineEnd,
    /// `o`
    LineBelow,
    /// `O`
    LineAbove,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Move(Motion),
    /// `gj` and `gk`, by what is a row on the screen.
    Row {
        down: bool,
    },
    Operate(Op, Target),
    Insert(Place),
    Put {
        before: bool,
    },
    /// `~` without a motion.
    Flip,
    /// `r`
    Replace(char),
    Undo,
    Redo,
    /// `.`
    Again,
    Visual {
        lines: bool,
    },
    /// `o` where something is selected: the cursor goes to its other end.
    OtherEnd,
    Select(Object),
    /// `/`
    Search,
    /// `:`
    Commands,
}

/// A command, how often, and with which register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) count: Option<usize>,
    pub(super) register: Option<char>,
    pub(super) command: Command,
}

/// What the next key is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    #[default]
    Command,
    /// `g`
    Second,
    Find {
        back: bool,
        till: bool,
    },
    Replace,
    Object {
        around: bool,
    },
    Register,
}

/// Keys that are no order yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    typed: String,
    register: Option<char>,
    count: Option<usize>,
    /// The operator and the count before it.
    op: Option<(Op, Option<usize>)>,
    wait: Wait,
}

impl Keys {
    /// What was typed of the order so far.
    pub(super) fn typed(&self) -> &str {
        &self.typed
    }

    /// Whether the next key is a character to be found or written, whatever it means otherwise.
    pub(super) fn wants_character(&self) -> bool {
        matches!(self.wait, Wait::Find { .. } | Wait::Replace)
    }

    /// Takes the next key. `Some` ends the order: with what is to be done, or with nothing if the
    /// keys mean nothing.
    pub(super) fn take(&mut self, c: char, visual: bool) -> Option<Option<Order>> {
        self.typed.push(c);
        let command = match std::mem::take(&mut self.wait) {
            Wait::Command => self.command(c, visual),
            Wait::Second => self.second(c, visual),
            Wait::Find { back, till } => self.motion(Motion::Find(Find { c, back, till })),
            Wait::Replace if visual => selected(Op::Replace(c), false),
            Wait::Replace => Next::Command(Command::Replace(c)),
            Wait::Object { around } => match (Object::named(c, around), self.op) {
                (None, _) => Next::Nothing,
                (Some(object), Some((op, _))) => {
                    Next::Command(Command::Operate(op, Target::Object(object)))
                }
                (Some(object), None) => Next::Command(Command::Select(object)),
            },
            Wait::Register => match c {
                'a'..='z' | 'A'..='Z' | '0' | '"' | '_' | '+' | '*' => {
                    self.register = Some(c);
                    Next::Wait(Wait::Command)
                }
                _ => Next::Nothing,
            },
        };
        match command {
            Next::Wait(wait) => {
                self.wait = wait;
                None
            }
            Next::Nothing => {
                *self = Self::default();
                Some(None)
            }
            Next::Command(command) => {
                let before = self.op.and_then(|(_, count)| count);
                let count = match (before, self.count) {
                    (None, None) => None,
                    (a, b) => Some(a.unwrap_or(1).saturating_mul(b.unwrap_or(1)).min(MOST)),
                };
                let order = Order {
                    count,
                    register: self.register,
                    command,
                };
                *self = Self::default();
                Some(Some(order))
            }
        }
    }

    fn motion(&self, motion: Motion) -> Next {
        Next::Command(match self.op {
            Some((op, _)) => Command::Operate(op, Target::Motion(motion)),
            None => Command::Move(motion),
        })
    }

    fn operator(&mut self, op: Op, visual: bool) -> Next {
        match self.op {
            _ if visual => selected(op, false),
            Some((pending, _)) if pending == op => {
                Next::Command(Command::Operate(op, Target::Lines))
            }
            Some(_) => Next::Nothing,
            None => {
                self.op = Some((op, self.count.take()));
                Next::Wait(Wait::Command)
            }
        }
    }

    fn command(&mut self, c: char, visual: bool) -> Next {
        if let Some(digit) = c.to_digit(10)
            && (digit > 0 || self.count.is_some())
        {
            // `as` is exact: a digit.
            let count = self.count.unwrap_or(0).saturating_mul(10) + digit as usize;
            self.count = Some(count.min(MOST));
            return Next::Wait(Wait::Command);
        }
        if let Some(motion) = motion(c) {
            return self.motion(motion);
        }
        let find = |back, till| Next::Wait(Wait::Find { back, till });
        match c {
            'g' => return Next::Wait(Wait::Second),
            'f' => return find(false, false),
            'F' => return find(true, false),
            't' => return find(false, true),
            'T' => return find(true, true),
            'i' | 'a' if visual || self.op.is_some() => {
                return Next::Wait(Wait::Object { around: c == 'a' });
            }
            'd' => return self.operator(Op::Delete, visual),
            'c' => return self.operator(Op::Change, visual),
            'y' => return self.operator(Op::Yank, visual),
            _ => {}
        }
        if let Some((op, _)) = self.op {
            // `guu`, `gUU`, `g~~`.
            return match op.key() == Some(c) {
                true => Next::Command(Command::Operate(op, Target::Lines)),
                false => Next::Nothing,
            };
        }
        if c == '"' {
            return Next::Wait(Wait::Register);
        }
        if visual { over(c) } else { plain(c) }
    }

    /// What follows a `g`.
    fn second(&mut self, c: char, visual: bool) -> Next {
        let word = |big| Motion::Word {
            edge: Edge::BackEnd,
            big,
        };
        match c {
            'g' => self.motion(Motion::FirstLine),
            'e' => self.motion(word(false)),
            'E' => self.motion(word(true)),
            '_' => self.motion(Motion::LineLastInk),
            'j' | 'k' if self.op.is_none() => Next::Command(Command::Row { down: c == 'j' }),
            '~' => self.operator(Op::Case(Case::Other), visual),
            'u' => self.operator(Op::Case(Case::Lower), visual),
            'U' => self.operator(Op::Case(Case::Upper), visual),
            _ => Next::Nothing,
        }
    }
}

/// What a key leads to.
enum Next {
    Wait(Wait),
    Nothing,
    Command(Command),
}

fn selected(op: Op, lines: bool) -> Next {
    Next::Command(Command::Operate(op, Target::Selected { lines }))
}

fn motion(c: char) -> Option<Motion> {
    let word = |edge, big| Motion::Word { edge, big };
    Some(match c {
        'h' => Motion::Left,
        'l' => Motion::Right,
        ' ' => Motion::On,
        '\u{8}' => Motion::Back,
        'j' => Motion::Down,
        'k' => Motion::Up,
        '0' => Motion::LineStart,
        '^' => Motion::LineInk,
        '$' => Motion::LineEnd,
        'w' => word(Edge::Next, false),
        'W' => word(Edge::Next, true),
        'e' => word(Edge::End, false),
        'E' => word(Edge::End, true),
        'b' => word(Edge::Back, false),
        'B' => word(Edge::Back, true),
        ';' => Motion::FindAgain { reverse: false },
        ',' => Motion::FindAgain { reverse: true },
        '{' => Motion::Paragraph { back: true },
        '}' => Motion::Paragraph { back: false },
        'G' => Motion::LastLine,
        '%' => Motion::Bracket,
        _ => return None,
    })
}

/// What a key does where nothing is selected.
fn plain(c: char) -> Next {
    let operate = |op, target| Command::Operate(op, target);
    Next::Command(match c {
        'x' => operate(Op::Delete, Target::Motion(Motion::Right)),
        'X' => operate(Op::Delete, Target::Motion(Motion::Left)),
        's' => operate(Op::Change, Target::Motion(Motion::Right)),
        'S' => operate(Op::Change, Target::Lines),
        'C' => operate(Op::Change, Target::LineEnd),
        'D' => operate(Op::Delete, Target::LineEnd),
        'Y' => operate(Op::Yank, Target::Lines),
        'J' => operate(Op::Join, Target::Lines),
        '~' => Command::Flip,
        'r' => return Next::Wait(Wait::Replace),
        'p' => Command::Put { before: false },
        'P' => Command::Put { before: true },
        'u' => Command::Undo,
        '\u{12}' => Command::Redo,
        '.' => Command::Again,
        'i' => Command::Insert(Place::Here),
        'I' => Command::Insert(Place::LineInk),
        'a' => Command::Insert(Place::Behind),
        'A' => Command::Insert(Place::LineEnd),
        'o' => Command::Insert(Place::LineBelow),
        'O' => Command::Insert(Place::LineAbove),
        'v' => Command::Visual { lines: false },
        'V' => Command::Visual { lines: true },
        '/' => Command::Search,
        ':' => Command::Commands,
        _ => return Next::Nothing,
    })
}

/// What a key does with what is selected.
fn over(c: char) -> Next {
    match c {
        'x' => selected(Op::Delete, false),
        'X' | 'D' => selected(Op::Delete, true),
        's' => selected(Op::Change, false),
        'S' | 'C' | 'R' => selected(Op::Change, true),
        'Y' => selected(Op::Yank, true),
        '~' => selected(Op::Case(Case::Other), false),
        'u' => selected(Op::Case(Case::Lower), false),
        'U' => selected(Op::Case(Case::Upper), false),
        'J' => selected(Op::Join, false),
        'r' => Next::Wait(Wait::Replace),
        'p' | 'P' => Next::Command(Command::Put { before: c == 'P' }),
        'v' => Next::Command(Command::Visual { lines: false }),
        'V' => Next::Command(Command::Visual { lines: true }),
        'o' | 'O' => Next::Command(Command::OtherEnd),
        ':' => Next::Command(Command::Commands),
        _ => Next::Nothing,
    }
}

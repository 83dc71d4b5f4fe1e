//! Where the cursor goes.

use super::units::{Class, Units};

/// A search for a character in the line: `f`, `F`, `t`, `T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Find {
    pub(super) c: char,
    pub(super) back: bool,
    /// It ends beside the character.
    pub(super) till: bool,
}

/// What is at the edge of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// `w`
    Next,
    /// `e`
    End,
    /// `b`
    Back,
    /// `ge`
    BackEnd,
}

/// A motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Motion {
    Left,
    Right,
    /// Space and Backspace, which go on to other lines.
    On,
    Back,
    Up,
    Down,
    LineStart,
    /// `^`
    LineInk,
    LineEnd,
    /// `g_`
    LineLastInk,
    Word {
        edge: Edge,
        big: bool,
    },
    Find(Find),
    /// `;` and `,`
    FindAgain {
        reverse: bool,
    },
    Paragraph {
        back: bool,
    },
    FirstLine,
    LastLine,
    /// `%`
    Bracket,
}

/// What an operator takes of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Up to before the place.
    Before,
    /// The place as well.
    Over,
    /// Whole lines.
    Lines,
}

/// Which column `j` and `k` look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Cells(usize),
    /// After `$`.
    End,
}

/// What motions remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) find: Option<Find>,
    pub(super) column: Option<Column>,
}

/// A place a motion comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Landing {
    pub(super) at: usize,
    pub(super) reach: Reach,
}

impl Motion {
    /// Where it comes to from `from`, `count` times; `None` if it cannot. `operator` says that
    /// something is done with the way, so that it may end behind the last character.
    pub(super) fn go(
        self,
        units: &Units<'_>,
        from: usize,
        count: Option<usize>,
        operator: bool,
        memory: &mut Memory,
    ) -> Option<Landing> {
        let times = count.unwrap_or(1);
        let before = |at| {
            Some(Landing {
                at,
                reach: Reach::Before,
            })
        };
        let over = |at| {
            Some(Landing {
                at,
                reach: Reach::Over,
            })
        };
        let lines = |at| {
            Some(Landing {
                at,
                reach: Reach::Lines,
            })
        };
        match self {
            Self::Left => {
                let at = from.saturating_sub(times).max(units.line_start(from));
                (at < from).then_some(before(at)?)
            }
            Self::Right => {
                let last = match operator {
                    true => units.line_end(from),
                    false => units.line_last(from),
                };
                let at = from.saturating_add(times).min(last);
                (at > from).then_some(before(at)?)
            }
            Self::On => {
                let at = repeated(from, times, |at| {
                    let next = at + 1;
                    // Only operators see the ends of lines.
                    let skips = !operator && is_break_after_ink(units, next);
                    let next = next + usize::from(skips);
                    (next <= units.count()).then_some(next)
                })?;
                before(at)
            }
            Self::Back => {
                let at = repeated(from, times, |at| {
                    let back = at.checked_sub(1)?;
                    let skips = !operator && is_break_after_ink(units, back);
                    back.checked_sub(usize::from(skips))
                })?;
                before(at)
            }
            Self::Up | Self::Down => {
                let by = isize::try_from(times).unwrap_or(isize::MAX);
                let by = if self == Self::Up { -by } else { by };
                let line = units.line_off(from, by)?;
                let column = memory
                    .column
                    .unwrap_or_else(|| Column::Cells(units.cells(from)));
                memory.column = Some(column);
                lines(match column {
                    Column::End => units.line_last(line),
                    Column::Cells(cells) => units.at_cells(line, cells),
                })
            }
            Self::LineStart => before(units.line_start(from)),
            Self::LineInk => before(units.line_ink(from)),
            Self::LineEnd => {
                let line = match times {
                    0 | 1 => from,
                    more => units.line_off(from, isize::try_from(more - 1).ok()?)?,
                };
                memory.column = Some(Column::End);
                before(match operator {
                    true => units.line_end(line),
                    false => units.line_last(line),
                })
            }
            Self::LineLastInk => {
                let line = units.line_start(from)..units.line_end(from);
                over(line.rev().find(|&at| !units.is_space(at))?)
            }
            Self::Word { edge, big } => {
                let at = words(units, from, times, edge, big);
                match edge {
                    Edge::Next if !operator => {
                        // Behind the last word there is only its last character.
                        let at = match at == units.count() && !units.is_empty_line(at) {
                            true => units.line_last(at),
                            false => at,
                        };
                        (at != from).then_some(before(at)?)
                    }
                    Edge::Next | Edge::Back => (at != from).then_some(before(at)?),
                    Edge::End | Edge::BackEnd => (at != from).then_some(over(at)?),
                }
            }
            Self::Find(find) => {
                memory.find = Some(find);
                landed(find, search(units, from, times, find, false)?)
            }
            Self::FindAgain { reverse } => {
                let found = memory.find?;
                let find = Find {
                    back: found.back != reverse,
                    ..found
                };
                landed(find, search(units, from, times, find, true)?)
            }
            Self::Paragraph { back } => {
                let at = paragraph(units, from, times, back);
                let at = match operator || at < units.count() {
                    true => at,
                    false => units.line_last(at),
                };
                (at != from).then_some(before(at)?)
            }
            Self::FirstLine => {
                let line = units.line_off(0, isize::try_from(times - 1).ok()?);
                lines(units.line_ink(line.unwrap_or(0)))
            }
            Self::LastLine => {
                let line = match count {
                    Some(count) => units.line_off(0, isize::try_from(count - 1).ok()?),
                    None => Some(units.line_start(units.count())),
                };
                lines(units.line_ink(line.unwrap_or(0)))
            }
            Self::Bracket => over(bracket(units, from)?),
        }
    }
}

/// The last step of a way of `times` steps that is possible; `None` if none is.
fn repeated(from: usize, times: usize, step: impl Fn(usize) -> Option<usize>) -> Option<usize> {
    let mut at = from;
    for _ in 0..times {
        match step(at) {
            Some(next) => at = next,
            None => break,
        }
    }
    (at != from).then_some(at)
}

/// Whether a place is the end of a line that has something in it.
fn is_break_after_ink(units: &Units<'_>, at: usize) -> bool {
    at < units.count() && units.class(at) == Class::Break && !units.is_empty_line(at)
}

fn landed(find: Find, at: usize) -> Option<Landing> {
    let reach = if find.back {
        Reach::Before
    } else {
        Reach::Over
    };
    Some(Landing { at, reach })
}

fn search(units: &Units<'_>, from: usize, times: usize, find: Find, again: bool) -> Option<usize> {
    // What stands beside the cursor already was found the last time.
    let skip = usize::from(again && find.till);
    let hit = |at: &usize| units.is(*at, find.c);
    let nth = times.saturating_sub(1);
    let till = usize::from(find.till);
    if find.back {
        let line = units.line_start(from)..from.saturating_sub(skip);
        line.rev().filter(hit).nth(nth).map(|at| at + till)
    } else {
        let line = from + 1 + skip..units.line_end(from);
        line.into_iter().filter(hit).nth(nth).map(|at| at - till)
    }
}

fn words(units: &Units<'_>, from: usize, times: usize, edge: Edge, big: bool) -> usize {
    let mut at = from;
    for _ in 0..times {
        let next = match edge {
            Edge::Next => next_word(units, at, big),
            Edge::End => word_end(units, at, big),
            Edge::Back => word_back(units, at, big),
            Edge::BackEnd => word_back_end(units, at, big),
        };
        if next == at {
            break;
        }
        at = next;
    }
    at
}

fn next_word(units: &Units<'_>, from: usize, big: bool) -> usize {
    let count = units.count();
    let mut at = from;
    if at < count && !units.is_space(at) {
        at += 1;
        while at < count && units.is_one_word(at - 1, at, big) {
            at += 1;
        }
    }
    while at < count && units.is_space(at) && (at == from || !units.is_empty_line(at)) {
        at += 1;
    }
    at
}

pub(super) fn word_end(units: &Units<'_>, from: usize, big: bool) -> usize {
    let count = units.count();
    let mut at = from + 1;
    while at < count && units.is_space(at) {
        at += 1;
    }
    while at + 1 < count && units.is_one_word(at, at + 1, big) {
        at += 1;
    }
    if at < count {
        at
    } else {
        units.line_last(count)
    }
}

fn word_back(units: &Units<'_>, from: usize, big: bool) -> usize {
    let Some(mut at) = from.checked_sub(1) else {
        return from;
    };
    while at > 0 && units.is_space(at) && !units.is_empty_line(at) {
        at -= 1;
    }
    while at > 0 && units.is_one_word(at - 1, at, big) {
        at -= 1;
    }
    at
}

fn word_back_end(units: &Units<'_>, from: usize, big: bool) -> usize {
    let mut at = from;
    while at > 0 && at < units.count() && units.is_one_word(at - 1, at, big) {
        at -= 1;
    }
    at = at.saturating_sub(1);
    while at > 0 && units.is_space(at) && !units.is_empty_line(at) {
        at -= 1;
    }
    at
}

/// The next line without anything, or the edge of the text.
fn paragraph(units: &Units<'_>, from: usize, times: usize, back: bool) -> usize {
    let by = if back { -1 } else { 1 };
    let mut line = units.line_start(from);
    for _ in 0..times {
        let mut ink = false;
        loop {
            ink |= units.line_end(line) > line;
            match units.line_off(line, by) {
                Some(next) => line = next,
                None if back => return 0,
                None => return units.count(),
            }
            if ink && units.line_end(line) == line {
                break;
            }
        }
    }
    line
}

/// Brackets that belong together.
pub(super) const BRACKETS: [(char, char); 4] = [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>')];

/// The partner of the first bracket at the cursor or behind it in the line.
fn bracket(units: &Units<'_>, from: usize) -> Option<usize> {
    let pair = |at: usize| {
        let of = |&(open, close): &(char, char)| units.is(at, open) || units.is(at, close);
        BRACKETS.into_iter().take(3).find(of)
    };
    let mut line = from..units.line_end(from);
    let (at, (open, close)) = line.find_map(|at| Some((at, pair(at)?)))?;
    match units.is(at, open) {
        true => closing(units, at + 1, open, close),
        false => opening(units, at, open, close),
    }
}

/// The bracket that closes what is open at `from`.
pub(super) fn closing(units: &Units<'_>, from: usize, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for at in from..units.count() {
        if units.is(at, open) {
            depth += 1;
        } else if units.is(at, close) {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Some(at),
            }
        }
    }
    None
}

/// The bracket that opened what is open before `from`.
pub(super) fn opening(units: &Units<'_>, from: usize, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for at in (0..from).rev() {
        if units.is(at, close) {
            depth += 1;
        } else if units.is(at, open) {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Some(at),
            }
        }
    }
    None
}

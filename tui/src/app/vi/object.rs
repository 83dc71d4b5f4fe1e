//! What can be named as a whole: a word, what stands in quotes or brackets, a paragraph.

use std::ops::Range;

use super::motion::{BRACKETS, closing, opening};
use super::units::{Class, Units};

/// A kind of text that has two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word {
        big: bool,
    },
    Quoted(char),
    /// By the bracket that opens it.
    Bracketed(char),
    Paragraph,
}

/// A text object; `around` takes what belongs to it: blanks, quotes, brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) around: bool,
}

impl Object {
    /// The object that a character names.
    pub(super) fn named(c: char, around: bool) -> Option<Self> {
        let kind = match c {
            'w' => Kind::Word { big: false },
            'W' => Kind::Word { big: true },
            '"' | '\'' | '`' => Kind::Quoted(c),
            'b' => Kind::Bracketed('('),
            'B' => Kind::Bracketed('{'),
            'p' => Kind::Paragraph,
            _ => {
                let of = |&(open, close): &(char, char)| c == open || c == close;
                Kind::Bracketed(BRACKETS.into_iter().find(of)?.0)
            }
        };
        Some(Self { kind, around })
    }

    /// Whether it is made of lines.
    pub(super) fn is_lines(self) -> bool {
        self.kind == Kind::Paragraph
    }

    /// The object at a place.
    pub(super) fn at(self, units: &Units<'_>, at: usize, count: usize) -> Option<Range<usize>> {
        match self.kind {
            Kind::Word { big } => word(units, at, count, big, self.around),
            Kind::Quoted(quote) => quoted(units, at, quote, self.around),
            Kind::Bracketed(open) => bracketed(units, at, count, open, self.around),
            Kind::Paragraph => Some(paragraph(units, at, count, self.around)),
        }
    }
}

/// The run of blanks or of a word around a place, within its line.
fn run(units: &Units<'_>, at: usize, big: bool) -> Range<usize> {
    let (first, end) = (units.line_start(at), units.line_end(at));
    let blank = units.class(at) == Class::Blank;
    let same = |a: usize, b: usize| match blank {
        true => units.class(a) == Class::Blank && units.class(b) == Class::Blank,
        false => units.is_one_word(a, b, big),
    };
    let mut start = at;
    while start > first && same(start - 1, start) {
        start -= 1;
    }
    let mut behind = (at + 1).min(end);
    while behind < end && same(behind - 1, behind) {
        behind += 1;
    }
    start..behind.max(start)
}

fn word(
    units: &Units<'_>,
    at: usize,
    count: usize,
    big: bool,
    around: bool,
) -> Option<Range<usize>> {
    let end = units.line_end(at);
    let Range {
        mut start,
        end: mut behind,
    } = run(units, at, big);
    if start == behind {
        return None;
    }
    let blank = |at: usize| units.class(at) == Class::Blank;
    let mut trailing = false;
    for time in 0..count {
        if time > 0 {
            if behind >= end {
                return None;
            }
            behind = run(units, behind, big).end;
        }
        if around {
            let began_blank = blank(behind - 1);
            if behind < end && (began_blank || blank(behind)) {
                behind = run(units, behind, big).end;
                trailing = true;
            } else {
                trailing = began_blank;
            }
        }
    }
    // Without blanks behind it, those before it belong to the word.
    if around && !trailing && start > units.line_start(at) && blank(start - 1) {
        start = run(units, start - 1, big).start;
    }
    Some(start..behind)
}

fn quoted(units: &Units<'_>, at: usize, quote: char, around: bool) -> Option<Range<usize>> {
    let (first, end) = (units.line_start(at), units.line_end(at));
    let mut pairs = Vec::new();
    let (mut open, mut escaped) = (None, false);
    for place in first..end {
        if escaped {
            escaped = false;
        } else if units.is(place, '\\') {
            escaped = true;
        } else if units.is(place, quote) {
            match open.take() {
                None => open = Some(place),
                Some(open) => pairs.push((open, place)),
            }
        }
    }
    // The one around the cursor, or else the next one.
    let (open, close) = pairs.into_iter().find(|&(_, close)| close >= at)?;
    if !around {
        return Some(open + 1..close);
    }
    let blank = |at: &usize| units.class(*at) == Class::Blank;
    let behind = (close + 1..end).take_while(blank).count();
    let before = (first..open).rev().take_while(blank).count();
    Some(match behind {
        0 => open - before..close + 1,
        behind => open..close + 1 + behind,
    })
}

fn bracketed(
    units: &Units<'_>,
    at: usize,
    count: usize,
    open: char,
    around: bool,
) -> Option<Range<usize>> {
    let close = BRACKETS.into_iter().find(|pair| pair.0 == open)?.1;
    let mut first = match units.is(at, open) {
        true => at,
        false => opening(units, at, open, close)?,
    };
    for _ in 1..count {
        first = opening(units, first, open, close)?;
    }
    let last = closing(units, first + 1, open, close)?;
    Some(match around {
        true => first..last + 1,
        false => first + 1..last,
    })
}

/// Lines up to where lines of blanks begin or end, and so on `count` times.
fn paragraph(units: &Units<'_>, at: usize, count: usize, around: bool) -> Range<usize> {
    let blank = |line: usize| (line..units.line_end(line)).all(|at| units.is_space(at));
    let mut start = units.line_start(at);
    let kind = blank(start);
    while let Some(line) = units
        .line_off(start, -1)
        .filter(|&line| blank(line) == kind)
    {
        start = line;
    }
    let run = |from: usize| {
        let kind = blank(from);
        let mut last = from;
        while let Some(line) = units.line_off(last, 1).filter(|&line| blank(line) == kind) {
            last = line;
        }
        last
    };
    let mut last = run(units.line_start(at));
    let more = count.saturating_sub(1) + if around { count } else { 0 };
    let mut missing = more;
    while missing > 0
        && let Some(next) = units.line_off(last, 1)
    {
        last = run(next);
        missing -= 1;
    }
    // Without blank lines behind it, those before it belong to the paragraph.
    if around && missing > 0 {
        while let Some(line) = units
            .line_off(start, -1)
            .filter(|&line| blank(line) != kind)
        {
            start = line;
        }
    }
    start..units.line_end(last)
}

//! What orders do.

use std::ops::Range;

use super::motion::{Edge, Motion, Reach, word_end};
use super::order::{Case, Command, Extent, Op, Order, Place, Target};
use super::register::Held;
use super::units::{Class, Units};
use super::{MOST_WRITTEN, Mode, Repeat, Vi, Wish};
use crate::chat::composer::draft::Draft;
use crate::chat::composer::{Composer, Cover, Move};

/// A part of the text: from a place to before another; whole lines without the last break if `lines`.
struct Part {
    start: usize,
    end: usize,
    lines: bool,
    /// Where the cursor goes if the part stays as it is.
    cursor: usize,
}

impl Part {
    fn bytes(&self, units: &Units<'_>) -> Range<usize> {
        units.byte(self.start)..units.byte(self.end)
    }
}

impl Vi {
    /// Does what an order says.
    pub(super) fn carry_out(&mut self, composer: &mut Composer, order: Order) -> Wish {
        if !matches!(order.command, Command::Move(Motion::Up | Motion::Down)) {
            self.memory.column = None;
        }
        let count = order.count.unwrap_or(1);
        match order.command {
            Command::Move(motion) => return self.go(composer, motion, order.count),
            Command::Row { down } => return self.row(composer, down, count),
            Command::Undo => {
                let undone = (0..count).take_while(|_| composer.undo()).count();
                if undone == 0 {
                    return Wish::Remark("there is nothing to take back");
                }
            }
            Command::Redo => {
                let redone = (0..count).take_while(|_| composer.redo()).count();
                if redone == 0 {
                    return Wish::Remark("nothing was taken back");
                }
            }
            Command::Again => self.again(composer, order.count),
            Command::Visual { lines } => self.visual(composer, lines),
            Command::OtherEnd => {
                if let Some((at, cover)) = composer.selected_from() {
                    let cursor = composer.cursor();
                    composer.place(at);
                    composer.select_from(cursor, cover);
                }
            }
            Command::Select(object) => {
                let units = Units::of(composer);
                let at = units.place(composer.cursor());
                if let Some(range) = object.at(&units, at, count).filter(|r| !r.is_empty()) {
                    let (from, to) = (units.byte(range.start), units.byte(range.end - 1));
                    let lines = object.is_lines() || self.mode(composer) == Mode::VisualLine;
                    composer.select_from(from, cover(lines));
                    composer.place(to);
                }
            }
            Command::Search => return Wish::Search,
            Command::Commands => return Wish::Commands,
            Command::Operate(..)
            | Command::Insert(_)
            | Command::Put { .. }
            | Command::Flip
            | Command::Replace(_) => {
                composer.begin_step();
                let wish = self.change(composer, order);
                if self.inserting.is_none() {
                    composer.end_step();
                }
                return wish;
            }
        }
        Wish::Nothing
    }

    fn go(&mut self, composer: &mut Composer, motion: Motion, count: Option<usize>) -> Wish {
        let units = Units::of(composer);
        let from = units.place(composer.cursor());
        match motion.go(&units, from, count, false, &mut self.memory) {
            Some(landing) => {
                let at = units.byte(landing.at);
                composer.place(at);
                Wish::Nothing
            }
            None => self.beyond(composer, motion == Motion::Up, motion == Motion::Down),
        }
    }

    /// At the edges of the text, `j` and `k` go through what was sent.
    fn beyond(&self, composer: &Composer, up: bool, down: bool) -> Wish {
        match self.mode(composer) {
            Mode::Normal if up => Wish::Older,
            Mode::Normal if down => Wish::Newer,
            _ => Wish::Nothing,
        }
    }

    pub(super) fn row(&mut self, composer: &mut Composer, down: bool, count: usize) -> Wish {
        let to = if down { Move::Down } else { Move::Up };
        let before = composer.cursor();
        for _ in 0..count {
            let at = composer.cursor();
            match self.mode(composer).is_visual() {
                true => composer.select(to),
                false => {
                    composer.go(to);
                }
            }
            if composer.cursor() == at {
                break;
            }
        }
        match composer.cursor() == before {
            true => self.beyond(composer, !down, down),
            false => Wish::Nothing,
        }
    }

    fn visual(&mut self, composer: &mut Composer, lines: bool) {
        let wanted = cover(lines);
        match composer.selected_from() {
            Some((_, now)) if now == wanted => composer.deselect(),
            Some((at, Cover::Clusters | Cover::Lines)) => composer.select_from(at, wanted),
            Some((_, Cover::UpTo)) | None => composer.select_from(composer.cursor(), wanted),
        }
    }

    fn again(&mut self, composer: &mut Composer, count: Option<usize>) {
        let Some(Repeat { mut order, strokes }) = self.last.clone() else {
            return;
        };
        order.count = count.or(order.count);
        self.carry_out(composer, order);
        if self.inserting.is_some() {
            for stroke in strokes {
                stroke.apply(composer);
                self.note(stroke);
            }
            self.leave(composer);
        }
    }

    /// Does what changes the text, and remembers it.
    fn change(&mut self, composer: &mut Composer, order: Order) -> Wish {
        let extent = extent(composer, order.command);
        let done = match order.command {
            Command::Operate(op, target) => self.operate(composer, op, target, order),
            Command::Insert(place) => {
                begin_at(composer, place);
                self.insert(composer, Some(order));
                Some(Wish::Nothing)
            }
            Command::Put { before } => self.put(composer, before, order).map(|()| Wish::Nothing),
            Command::Flip => flip(composer, order.count.unwrap_or(1)),
            Command::Replace(c) => replace(composer, c, order.count.unwrap_or(1)),
            _ => None,
        };
        let Some(wish) = done else {
            return Wish::Nothing;
        };
        let command = match (order.command, extent) {
            (Command::Operate(Op::Yank, _), _) => return wish,
            (Command::Operate(op, _), Some(extent)) => Command::Operate(op, Target::Extent(extent)),
            (command, _) => command,
        };
        let order = Order { command, ..order };
        match &mut self.inserting {
            Some(insertion) => insertion.order = Some(order),
            None => {
                let strokes = Vec::new();
                self.last = Some(Repeat { order, strokes });
            }
        }
        wish
    }

    fn operate(
        &mut self,
        composer: &mut Composer,
        op: Op,
        target: Target,
        order: Order,
    ) -> Option<Wish> {
        let units = Units::of(composer);
        let part = self.part(&units, composer, op, target, order.count)?;
        let bytes = part.bytes(&units);
        let held = || Held {
            draft: composer.piece(bytes.clone()),
            lines: part.lines,
        };
        match op {
            Op::Yank => {
                let (held, cursor) = (held(), units.byte(part.cursor));
                let text = held.draft.message();
                self.registers.keep(order.register, held, true);
                composer.deselect();
                composer.place(cursor);
                return Some(match order.register {
                    Some('+' | '*') => Wish::Copy(text),
                    _ => Wish::Nothing,
                });
            }
            Op::Delete => {
                self.registers.keep(order.register, held(), false);
                if !part.lines {
                    composer.put(bytes.clone(), &Draft::default());
                    composer.place(bytes.start);
                    return Some(Wish::Nothing);
                }
                // With the break behind them, or that before them where they are the last ones.
                let behind = part.end < units.count();
                let start = part.start.saturating_sub(usize::from(!behind));
                let end = part.end + usize::from(behind);
                let whole = units.byte(start)..units.byte(end);
                composer.put(whole, &Draft::default());
                let units = Units::of(composer);
                let at = units.place(bytes.start).min(units.count());
                composer.place(units.byte(units.line_ink(at)));
            }
            Op::Change => {
                self.registers.keep(order.register, held(), false);
                composer.put(bytes.clone(), &Draft::default());
                composer.place(bytes.start);
                self.insert(composer, Some(order));
            }
            Op::Case(_) | Op::Replace(_) => {
                let new = rewritten(composer, &units, part.start..part.end, op);
                let cursor = units.byte(part.cursor);
                let start = composer.put(bytes, &new);
                composer.place(if part.lines { cursor } else { start });
            }
            Op::Join => {
                let end = part.end;
                let lines = (part.start..end).filter(|&at| units.class(at) == Class::Break);
                let lines = lines.count();
                let start = bytes.start;
                composer.deselect();
                join(composer, start, lines.max(1))?;
            }
        }
        Some(Wish::Nothing)
    }

    /// The part of the text that an operator takes.
    fn part(
        &mut self,
        units: &Units<'_>,
        composer: &Composer,
        op: Op,
        target: Target,
        count: Option<usize>,
    ) -> Option<Part> {
        let from = units.place(composer.cursor());
        let times = count.unwrap_or(1);
        let off = |lines: usize| {
            let by = isize::try_from(lines).unwrap_or(isize::MAX);
            units.line_off(from, by).unwrap_or(from)
        };
        let lines = |first: usize, last: usize, cursor: usize| Part {
            start: units.line_start(first),
            end: units.line_end(last),
            lines: true,
            cursor,
        };
        let part = match target {
            Target::Motion(motion) => return self.way(units, op, motion, from, count),
            Target::Object(object) => {
                let range = object.at(units, from, times)?;
                match object.is_lines() {
                    true => lines(range.start, range.end, range.start),
                    false => chars(range),
                }
            }
            // Joining takes the line that follows.
            Target::Lines if op == Op::Join => lines(from, off(times.max(2) - 1), from),
            Target::Lines => lines(from, off(times - 1), from),
            Target::LineEnd => chars(from..units.line_end(off(times - 1))),
            Target::Selected { lines: whole } => {
                let (at, cover) = composer.selected_from()?;
                let at = units.place(at);
                let (first, last) = (at.min(from), at.max(from));
                match whole || cover == Cover::Lines {
                    true => lines(first, last, first),
                    false => chars(first..(last + 1).min(units.count())),
                }
            }
            Target::Extent(extent) => {
                let last = off(extent.more_lines);
                if extent.lines {
                    lines(from, last, from)
                } else {
                    let begin = match extent.more_lines {
                        0 => from,
                        _ => units.line_start(last),
                    };
                    let end = (begin + extent.units).min(units.line_end(begin) + 1);
                    chars(from..end.min(units.count()))
                }
            }
        };
        let empty = part.start == part.end && !part.lines;
        (!empty || op == Op::Change).then_some(part)
    }

    /// What a motion takes.
    fn way(
        &mut self,
        units: &Units<'_>,
        op: Op,
        motion: Motion,
        from: usize,
        count: Option<usize>,
    ) -> Option<Part> {
        let word = match motion {
            Motion::Word {
                edge: Edge::Next,
                big,
            } => Some(big),
            _ => None,
        };
        if let Some(big) = word
            && op == Op::Change
            && from < units.count()
            && !units.is_space(from)
        {
            // As `ce`, but the end of this word counts where the cursor is there already.
            let mut at = from;
            while at + 1 < units.count() && units.is_one_word(at, at + 1, big) {
                at += 1;
            }
            for _ in 1..count.unwrap_or(1) {
                at = word_end(units, at, big);
            }
            return Some(chars(from..at + 1));
        }
        let landing = motion.go(units, from, count, true, &mut self.memory);
        self.memory.column = None;
        let Some(landing) = landing else {
            // `s` and `cl` write on an empty line, too.
            let writes = op == Op::Change && motion == Motion::Right;
            return writes.then(|| chars(from..from));
        };
        let (start, mut end) = (from.min(landing.at), from.max(landing.at));
        if landing.reach == Reach::Lines {
            return Some(Part {
                start: units.line_start(start),
                end: units.line_end(end),
                lines: true,
                cursor: from.min(landing.at),
            });
        }
        end += usize::from(landing.reach == Reach::Over);
        let end = end.min(units.count());
        let mut part = chars(start..end);
        if word.is_some() {
            // The last word of a line ends with it.
            let spaces = (start..end).rev().take_while(|&at| units.is_space(at));
            let ink = end - spaces.count();
            if (ink..end).any(|at| units.class(at) == Class::Break) {
                part.end = if ink > start {
                    ink
                } else {
                    units.line_end(start)
                };
            }
        } else if landing.reach == Reach::Before
            && motion != Motion::LineEnd
            && units.line_start(start) < end
            && units.line_start(end) == end
        {
            // Up to the start of a line is up to the end of the one before.
            part.end = end - 1;
            part.lines = start <= units.line_ink(start) && op != Op::Change;
        }
        if op == Op::Delete && !part.lines && units.line_end(start) < part.end {
            // What leaves nothing of its lines but blanks is whole lines.
            let before = units.line_start(start)..start;
            let behind = part.end..units.line_end(part.end);
            part.lines = before.chain(behind).all(|at| units.is_space(at));
        }
        if part.lines {
            part.start = units.line_start(part.start);
            part.end = units.line_end(part.end);
        }
        (part.start < part.end || part.lines || op == Op::Change).then_some(part)
    }

    fn put(&mut self, composer: &mut Composer, before: bool, order: Order) -> Option<()> {
        let held = self.registers.get(order.register)?.clone();
        let times = order.count.unwrap_or(1);
        if held.draft.bytes().saturating_mul(times) > MOST_WRITTEN.max(held.draft.bytes()) {
            return None;
        }
        let mut draft = Draft::default();
        for time in 0..times {
            if time > 0 && held.lines {
                draft.append(&Draft::plain("\n"));
            }
            draft.append(&held.draft);
        }
        let units = Units::of(composer);
        let from = units.place(composer.cursor());
        if self.mode(composer).is_visual() {
            let target = Target::Selected { lines: false };
            let part = self.part(&units, composer, Op::Delete, target, None)?;
            let bytes = part.bytes(&units);
            let old = Held {
                draft: composer.piece(bytes.clone()),
                lines: part.lines,
            };
            if held.lines && !part.lines {
                let mut own = Draft::plain("\n");
                own.append(&draft);
                own.append(&Draft::plain("\n"));
                draft = own;
            }
            let start = composer.put(bytes, &draft);
            if !before {
                self.registers.keep(None, old, false);
            }
            stand(composer, start, &draft, held.lines);
            return Some(());
        }
        if held.lines {
            let mut own = Draft::default();
            let at = match before {
                true => units.line_start(from),
                false => units.line_end(from),
            };
            if before {
                own.append(&draft);
                own.append(&Draft::plain("\n"));
            } else {
                own.append(&Draft::plain("\n"));
                own.append(&draft);
            }
            let at = units.byte(at);
            let start = composer.put(at..at, &own) + usize::from(!before);
            let units = Units::of(composer);
            let ink = units.line_ink(units.place(start));
            composer.place(units.byte(ink));
            return Some(());
        }
        let at = match before {
            true => from,
            false => (from + 1).min(units.line_end(from)),
        };
        let at = units.byte(at);
        let start = composer.put(at..at, &draft);
        stand(composer, start, &draft, false);
        Some(())
    }
}

fn cover(lines: bool) -> Cover {
    if lines { Cover::Lines } else { Cover::Clusters }
}

fn chars(range: Range<usize>) -> Part {
    Part {
        start: range.start,
        end: range.end,
        lines: false,
        cursor: range.start,
    }
}

/// How much is selected, for an order that takes it.
fn extent(composer: &Composer, command: Command) -> Option<Extent> {
    let Command::Operate(_, Target::Selected { lines }) = command else {
        return None;
    };
    let (at, cover) = composer.selected_from()?;
    let units = Units::of(composer);
    let (at, cursor) = (units.place(at), units.place(composer.cursor()));
    let (first, last) = (at.min(cursor), at.max(cursor));
    let breaks = (first..last).filter(|&at| units.class(at) == Class::Break);
    let more_lines = breaks.count();
    let begin = match more_lines {
        0 => first,
        _ => units.line_start(last),
    };
    Some(Extent {
        more_lines,
        units: last + 1 - begin,
        lines: lines || cover == Cover::Lines,
    })
}

/// Puts the cursor on the last unit of what was put at `start`, or on the first one of several lines.
fn stand(composer: &mut Composer, start: usize, draft: &Draft, lines: bool) {
    let units = Units::of(composer);
    let first = units.place(start);
    let end = units.place(start + draft.text.len());
    let at = match lines || draft.text.contains('\n') {
        true => first + usize::from(draft.text.starts_with('\n')),
        false => end.saturating_sub(1).max(first),
    };
    composer.place(units.byte(at));
}

/// Goes where writing begins.
pub(super) fn begin_at(composer: &mut Composer, place: Place) {
    let units = Units::of(composer);
    let from = units.place(composer.cursor());
    let (first, end) = (units.line_start(from), units.line_end(from));
    let at = match place {
        Place::Here => from,
        Place::LineInk => (first..end).find(|&at| !units.is_space(at)).unwrap_or(end),
        Place::Behind => (from + 1).min(end),
        Place::LineEnd | Place::LineBelow => end,
        Place::LineAbove => first,
    };
    let at = units.byte(at);
    match place {
        Place::LineBelow => {
            composer.put(at..at, &Draft::plain("\n"));
            composer.place(at + 1);
        }
        Place::LineAbove => {
            composer.put(at..at, &Draft::plain("\n"));
            composer.place(at);
        }
        _ => composer.place(at),
    }
}

/// The units of a range as an operator writes them; chips stay as they are, if their letters change.
fn rewritten(composer: &Composer, units: &Units<'_>, range: Range<usize>, op: Op) -> Draft {
    let mut new = Draft::default();
    for at in range {
        let text = units.text(at);
        match (op, units.class(at)) {
            (_, Class::Break) => new.append(&Draft::plain(text)),
            (Op::Replace(c), _) => new.append(&Draft::plain(c)),
            (Op::Case(case), class) if class != Class::Chip => {
                new.append(&Draft::plain(in_case(text, case)));
            }
            _ => new.append(&composer.piece(units.byte(at)..units.byte(at + 1))),
        }
    }
    new
}

fn in_case(text: &str, case: Case) -> String {
    match case {
        Case::Lower => text.to_lowercase(),
        Case::Upper => text.to_uppercase(),
        Case::Other => text
            .chars()
            .flat_map(|c| match c.is_uppercase() {
                true => c.to_lowercase().collect::<Vec<char>>(),
                false => c.to_uppercase().collect(),
            })
            .collect(),
    }
}

/// `~`: so many letters in the other case.
fn flip(composer: &mut Composer, count: usize) -> Option<Wish> {
    let units = Units::of(composer);
    let from = units.place(composer.cursor());
    let end = from.saturating_add(count).min(units.line_end(from));
    if from == end {
        return None;
    }
    let new = rewritten(composer, &units, from..end, Op::Case(Case::Other));
    let bytes = units.byte(from)..units.byte(end);
    let start = composer.put(bytes, &new);
    composer.place(start + new.text.len());
    Some(Wish::Nothing)
}

/// `r`: another character in place of so many, if there are as many.
fn replace(composer: &mut Composer, c: char, count: usize) -> Option<Wish> {
    let units = Units::of(composer);
    let from = units.place(composer.cursor());
    let end = from.saturating_add(count);
    if end > units.line_end(from) {
        return None;
    }
    let bytes = units.byte(from)..units.byte(end);
    let new = match c {
        '\n' => Draft::plain("\n"),
        c => rewritten(composer, &units, from..end, Op::Replace(c)),
    };
    let start = composer.put(bytes, &new);
    match c {
        '\n' => composer.place(start + 1),
        _ => stand(composer, start, &new, false),
    }
    Some(Wish::Nothing)
}

/// `J`: joins the line at byte `start` with so many that follow, with one blank between.
fn join(composer: &mut Composer, start: usize, lines: usize) -> Option<()> {
    let mut any = None;
    for _ in 0..lines {
        let units = Units::of(composer);
        let first = units.place(start);
        let end = units.line_end(first);
        if end == units.count() {
            break;
        }
        let stop = units.line_end(end + 1);
        let ink = (end + 1..stop).find(|&at| units.class(at) != Class::Blank);
        let ink = ink.unwrap_or(stop);
        let bare = ink == stop
            || units.is(ink, ')')
            || end == units.line_start(first)
            || units.class(end - 1) == Class::Blank;
        let gap = Draft::plain(if bare { "" } else { " " });
        let (end, ink) = (units.byte(end), units.byte(ink));
        composer.put(end..ink, &gap);
        composer.place(end);
        any = Some(());
    }
    any
}

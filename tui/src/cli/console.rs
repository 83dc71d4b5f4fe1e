//! What goes to standard error, and how text of unknown origin goes to a terminal.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use tritone_engine::LoadProgress;

use super::args::{Color, CommonArgs};
use super::profile::ReportStyle;
use crate::app::meter::Meter;
use crate::view::format;

/// Standard error, and what may be written where.
#[derive(Clone)]
pub(crate) struct Console {
    color_err: bool,
    color_out: bool,
    /// Whether a line on standard error can be drawn over.
    live: bool,
    /// Whether the user wants ASCII characters only.
    ascii: bool,
}

impl Console {
    /// Looks at the streams of this process and at the environment.
    ///
    /// With `--plain` nothing is drawn over and nothing is coloured.
    pub(crate) fn new(common: &CommonArgs) -> Self {
        let plain = common.plain;
        let color = if plain { Color::Never } else { common.color };
        let err = io::stderr().is_terminal();
        let allowed = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && crate::term::color_wanted(),
        };
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            color_err: allowed(err),
            color_out: allowed(io::stdout().is_terminal()),
            live: err && !dumb && !plain,
            ascii: common.screen.ascii,
        }
    }

    /// Whether standard output gets colours.
    pub(crate) fn color(&self) -> bool {
        self.color_out
    }

    /// Whether standard error gets colours.
    pub(crate) fn color_err(&self) -> bool {
        self.color_err
    }

    /// Says what went wrong.
    pub(crate) fn error(&self, text: &str) {
        self.say("error", "31", text);
    }

    /// Says what was replaced, lowered or refused.
    pub(crate) fn note(&self, text: &str) {
        self.say("note", "33", text);
    }

    fn say(&self, word: &str, color: &str, text: &str) {
        let text = visible(text);
        let mut err = io::stderr().lock();
        // There is nobody to tell when standard error is closed.
        let _ = if self.color_err {
            writeln!(err, "\x1b[1;{color}m{word}:\x1b[0m {text}")
        } else {
            writeln!(err, "{word}: {text}")
        };
    }

    /// How reports with lines of a file are drawn on standard error; not at all on what is no
    /// terminal, or a simple one.
    pub(crate) fn report_style(&self) -> Option<ReportStyle> {
        self.live.then(|| ReportStyle {
            color: self.color_err,
            ascii: self.ascii || !utf8_locale(&|name| std::env::var(name).ok()),
            columns: crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns)),
        })
    }

    /// Writes a drawn report.
    pub(crate) fn raw(&self, text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Lines that change.
    pub(crate) fn block(&self) -> Block {
        let columns = crossterm::terminal::size().map_or(80, |(columns, _)| columns);
        Block {
            on: self.live,
            // The last cell stays free: some terminals wrap when it is written.
            columns: usize::from(columns.saturating_sub(1)),
            lines: 0,
        }
    }

    /// A line that says how far something has come.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            on: self.live,
            dim: self.color_err,
            shown: None,
            begin: Instant::now(),
            stage: "",
            meter: Meter::default(),
        }
    }
}

/// Lines on a terminal that are drawn over and go away; nothing elsewhere.
pub(crate) struct Block {
    on: bool,
    columns: usize,
    /// Lines on the screen now.
    lines: usize,
}

impl Block {
    /// Cells of a line.
    pub(crate) fn width(&self) -> usize {
        self.columns
    }

    /// Shows these lines in place of the last ones, cut at the edge of the screen.
    pub(crate) fn show(&mut self, lines: impl FnOnce() -> Vec<String>) {
        if !self.on {
            return;
        }
        let lines = lines();
        let mut text = self.away();
        for line in &lines {
            text.extend(visible(line).chars().take(self.columns));
            text.push('\n');
        }
        self.lines = lines.len();
        self.write(&text);
    }

    /// Takes the lines away.
    pub(crate) fn clear(&mut self) {
        if self.lines > 0 {
            let text = self.away();
            self.lines = 0;
            self.write(&text);
        }
    }

    /// Goes up to the first line and removes all from there on.
    fn away(&self) -> String {
        match self.lines {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r\x1b[J"),
        }
    }

    fn write(&self, text: &str) {
        let mut err = io::stderr().lock();
        let _ = err.write_all(text.as_bytes());
        let _ = err.flush();
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A line on a terminal that is drawn over and goes away; nothing elsewhere.
pub(crate) struct Progress {
    on: bool,
    dim: bool,
    shown: Option<Instant>,
    begin: Instant,
    /// The stage of loading that was shown last, and its bytes by time.
    stage: &'static str,
    meter: Meter,
}

impl Progress {
    /// Time between two changes of the line.
    const PAUSE: Duration = Duration::from_millis(100);

    /// Shows `text`, unless it would flicker.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        let fresh = self
            .shown
            .is_some_and(|shown| shown.elapsed() < Self::PAUSE);
        if !self.on || fresh {
            return;
        }
        self.shown = Some(Instant::now());
        let text = text();
        let line: String = visible(&text).chars().take(72).collect();
        let (dim, plain) = if self.dim {
            ("\x1b[2m", "\x1b[0m")
        } else {
            ("", "")
        };
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\x1b[K{dim}{line}{plain}");
        let _ = err.flush();
    }

    /// Shows how far loading has come: `packing weights: 43 %, 1.2 GiB/s, 3 s left`.
    pub(crate) fn loading(&mut self, progress: &LoadProgress) {
        if self.stage != progress.stage {
            self.stage = progress.stage;
            self.meter = Meter::default();
        }
        self.meter.record(self.begin.elapsed(), progress.done);
        let meter = std::mem::take(&mut self.meter);
        self.show(|| loading(progress, &meter));
        self.meter = meter;
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\x1b[K");
            let _ = err.flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// How far loading has come, how fast, and how long it will take, as far as that is known.
fn loading(progress: &LoadProgress, meter: &Meter) -> String {
    let percent = format::percent(progress.done, progress.total);
    let mut text = format!("{}: {percent} %", progress.stage);
    if let Some(rate) = meter.rate() {
        text += &format!(", {}/s", format::bytes(rate as u64));
    }
    if let Some(left) = meter.remaining(progress.total) {
        text += &format!(", {} left", format::duration(left));
    }
    text
}

/// Whether the user's locale has characters beyond ASCII.
fn utf8_locale(env: &dyn Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env(name).filter(|value| !value.is_empty()))
        .is_some_and(|locale| {
            let locale = locale.to_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
}

/// `text` as it may go to a terminal: control characters (but line breaks and tabs) and the
/// characters that turn the direction of text are escaped, so that a file or a model can neither
/// steer the terminal nor show one thing and mean another.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loading_says_how_fast_and_how_long() {
        let progress = |done| LoadProgress {
            stage: "packing weights",
            done,
            total: 400 << 20,
        };
        let mut meter = Meter::default();
        meter.record(Duration::ZERO, 0);
        assert_eq!(loading(&progress(0), &meter), "packing weights: 0 %");
        meter.record(Duration::from_millis(500), 100 << 20);
        assert_eq!(
            loading(&progress(100 << 20), &meter),
            "packing weights: 25 %, 200 MiB/s, 1.5 s left"
        );
    }

    #[test]
    fn steering_characters_are_escaped_and_nothing_else() {
        assert_eq!(
            visible("a\x1b[2Jb\u{9b}c\r\u{202e}d"),
            "a\\u{1b}[2Jb\\u{9b}c\\u{d}\\u{202e}d"
        );
        let harmless = "ä 汉字\tx\n👩‍👩‍👧";
        assert!(matches!(visible(harmless), Cow::Borrowed(text) if text == harmless));
    }
}

//! Taking the terminal and giving it back.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use crossterm::cursor::SetCursorStyle;
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture, KeyboardEnhancementFlags, PopKeyboardEnhancementFlags,
    PushKeyboardEnhancementFlags,
};
use crossterm::style::Print;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, queue};

/// Whether the terminal is taken. One process has one terminal, and the panic hook must know.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether that was with the alternate screen.
static ALTERNATE: AtomicBool = AtomicBool::new(false);

/// Whether the cursor has another shape than the person's own.
static SHAPED: AtomicBool = AtomicBool::new(false);

/// Gives the cursor a shape; `None` is the one the person chose.
pub(super) fn set_shape(out: &mut impl Write, shape: Option<SetCursorStyle>) -> io::Result<()> {
    if shape.is_none() && !SHAPED.load(Ordering::SeqCst) {
        return Ok(());
    }
    SHAPED.store(shape.is_some(), Ordering::SeqCst);
    queue!(out, shape.unwrap_or(SetCursorStyle::DefaultUserShape))?;
    out.flush()
}

/// The row behind the picture, counted from 1, where it is not on a screen of its own; 0 without one.
static BOTTOM: AtomicU16 = AtomicU16::new(0);

/// Says where the picture ends, so that whoever ends the program in a hurry knows.
pub(super) fn set_bottom(row: Option<u16>) {
    BOTTOM.store(row.unwrap_or(0), Ordering::SeqCst);
}

/// Takes the whole screen for a while, or gives it back with what was on it before.
pub(super) fn set_alternate(out: &mut impl Write, on: bool) -> io::Result<()> {
    ALTERNATE.store(on, Ordering::SeqCst);
    if on {
        queue!(out, EnterAlternateScreen)?;
    } else {
        queue!(out, LeaveAlternateScreen)?;
    }
    out.flush()
}

/// The wheel sends arrow keys on the alternate screen, which leaves selecting with the mouse to
/// the terminal. Most terminals do this anyway; it is not undone, because a terminal that did
/// would then scroll no pager any more, and has no effect outside the alternate screen.
const ALTERNATE_SCROLL: &str = "\x1b[?1007h";

/// What is wanted of the terminal beyond the input in raw form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modes {
    /// The whole screen, on the alternate one.
    pub(super) full: bool,
    /// Clicks and the wheel come to the program.
    pub(super) mouse: bool,
    /// It says when the window gets the focus.
    pub(super) focus: bool,
}

/// The taken terminal; dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Guard(Modes);

impl Guard {
    /// Takes the terminal: raw mode, what `modes` says, pastes in brackets, and keys that tell
    /// Shift+Enter from Enter where the terminal can.
    pub(super) fn enter(modes: Modes) -> io::Result<Self> {
        let guard = Self(modes);
        guard.take()?;
        Ok(guard)
    }

    /// Takes the terminal again after [`give_back`].
    pub(super) fn take(&self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        let mut out = io::stdout().lock();
        ALTERNATE.store(self.0.full, Ordering::SeqCst);
        if self.0.full {
            queue!(out, EnterAlternateScreen)?;
        }
        queue!(out, EnableBracketedPaste)?;
        if self.0.mouse {
            queue!(out, EnableMouseCapture)?;
        } else if self.0.full {
            queue!(out, Print(ALTERNATE_SCROLL))?;
        }
        if self.0.focus {
            queue!(out, EnableFocusChange)?;
        }
        queue!(
            out,
            PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES)
        )?;
        out.flush()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back if it is taken. Every step is tried, whatever became of the others:
/// where the terminal is gone there is nobody to tell.
pub(super) fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout().lock();
    let _ = queue!(out, PopKeyboardEnhancementFlags);
    let _ = queue!(out, DisableBracketedPaste);
    let _ = queue!(out, DisableMouseCapture);
    let _ = queue!(out, DisableFocusChange);
    if ALTERNATE.load(Ordering::SeqCst) {
        let _ = queue!(out, LeaveAlternateScreen);
    }
    if let bottom @ 1.. = BOTTOM.swap(0, Ordering::SeqCst) {
        // The shell goes on below the picture.
        let _ = queue!(out, cursor::MoveTo(0, bottom - 1), Print("\r\n"));
    }
    if SHAPED.swap(false, Ordering::SeqCst) {
        let _ = queue!(out, SetCursorStyle::DefaultUserShape);
    }
    let _ = queue!(out, cursor::Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}

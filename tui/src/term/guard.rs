//! Taking the terminal and giving it back.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{
    DisableBracketedPaste, EnableBracketedPaste, KeyboardEnhancementFlags,
    PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags,
};
use crossterm::style::Print;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, queue};

/// Whether the terminal is taken. One process has one terminal, and the panic hook must know.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The wheel sends arrow keys on the alternate screen, which leaves selecting with the mouse to
/// the terminal. Most terminals do this anyway; it is not undone, because a terminal that did
/// would then scroll no pager any more, and has no effect outside the alternate screen.
const ALTERNATE_SCROLL: &str = "\x1b[?1007h";

/// The taken terminal; dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Guard;

impl Guard {
    /// Takes the terminal: raw mode, alternate screen, pastes in brackets, and keys that tell
    /// Shift+Enter from Enter where the terminal can.
    pub(super) fn enter() -> io::Result<Self> {
        let guard = Self;
        guard.take()?;
        Ok(guard)
    }

    /// Takes the terminal again after [`give_back`].
    pub(super) fn take(&self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        let mut out = io::stdout().lock();
        queue!(
            out,
            EnterAlternateScreen,
            EnableBracketedPaste,
            Print(ALTERNATE_SCROLL),
            PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES),
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
    let _ = queue!(out, LeaveAlternateScreen);
    let _ = queue!(out, cursor::Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}

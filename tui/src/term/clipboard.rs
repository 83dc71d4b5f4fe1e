//! The clipboard, by way of the terminal (OSC 52, which works over SSH, too) and of the system.
//!
//! Over SSH the system's clipboard is that of another machine, so the terminal comes first; at the
//! machine itself the system does, as it says whether it worked. The system's part runs on a thread
//! of its own: a display server that does not answer must not stop the screen.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::sync::mpsc::UnboundedSender;

use super::manners::Clipboard as Way;
use crate::app::msg::Msg;

/// Most bytes that go by way of the terminal: many take no more than about 100 000 characters of
/// base64, which is four for three bytes.
const MOST: usize = 74_000;

/// Longest piece that GNU screen passes on at a time.
const PIECE: usize = 512;

/// What stands between the program and the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    Nothing,
    Tmux,
    Screen,
}

/// Puts text into the clipboard.
pub(super) struct Clipboard {
    way: Way,
    remote: bool,
    between: Between,
    sender: UnboundedSender<Msg>,
    /// The thread for the system's clipboard, once there is one.
    system: Option<Sender<String>>,
}

impl Clipboard {
    pub(super) fn new(
        way: Way,
        env: &dyn Fn(&str) -> Option<String>,
        sender: UnboundedSender<Msg>,
    ) -> Self {
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        Self {
            way,
            remote: set("SSH_CONNECTION") || set("SSH_TTY"),
            between: match () {
                () if set("TMUX") => Between::Tmux,
                () if set("STY") => Between::Screen,
                () => Between::Nothing,
            },
            sender,
            system: None,
        }
    }

    /// Puts `text` into the clipboard; what came of it arrives as a message.
    pub(super) fn copy(&mut self, out: &mut impl Write, text: String) -> io::Result<()> {
        match self.way {
            Way::Off => {
                let why = "copying is switched off: clipboard in the settings".to_owned();
                let _ = self.sender.send(Msg::Copied(Err(why)));
                Ok(())
            }
            Way::Terminal => self.by_terminal(out, &text, None),
            Way::System => {
                self.by_system(text);
                Ok(())
            }
            Way::Auto if self.remote && text.len() <= MOST => self.by_terminal(out, &text, None),
            Way::Auto => {
                self.by_system(text);
                Ok(())
            }
        }
    }

    /// The system could not; `why` says so.
    pub(super) fn other_way(
        &mut self,
        out: &mut impl Write,
        text: &str,
        why: String,
    ) -> io::Result<()> {
        if self.way == Way::System {
            let _ = self.sender.send(Msg::Copied(Err(why)));
            return Ok(());
        }
        self.by_terminal(out, text, Some(why))
    }

    fn by_terminal(&self, out: &mut impl Write, text: &str, why: Option<String>) -> io::Result<()> {
        let message = if text.len() > MOST {
            let size = text.len() >> 10;
            let most = MOST >> 10;
            let system = why.map_or_else(String::new, |why| format!("; and {why}"));
            Err(format!(
                "not copied: {size} KiB are too much for a terminal, which takes {most} KiB{system}"
            ))
        } else {
            out.write_all(&sequence(text, self.between))?;
            out.flush()?;
            Ok(format!("{} sent to the terminal's clipboard", count(text)))
        };
        let _ = self.sender.send(Msg::Copied(message));
        Ok(())
    }

    fn by_system(&mut self, text: String) {
        let thread = self.system.get_or_insert_with(|| {
            let (orders, work) = channel();
            let sender = self.sender.clone();
            // Without a thread the channel is closed, and the way by the terminal is left.
            let thread = thread::Builder::new().name("clipboard".to_owned());
            let _ = thread.spawn(move || serve(&work, &sender));
            orders
        });
        if let Err(unsent) = thread.send(text) {
            let why = "the system's clipboard cannot be reached".to_owned();
            let _ = self.sender.send(Msg::NotCopied {
                text: unsent.0,
                why,
            });
        }
    }
}

fn count(text: &str) -> String {
    match text.chars().count() {
        1 => "1 character".to_owned(),
        count => format!("{count} characters"),
    }
}

/// Keeps what it was given for whoever pastes, as the program that copied has to on Linux.
fn serve(work: &Receiver<String>, sender: &UnboundedSender<Msg>) {
    let mut clipboard = None;
    while let Ok(text) = work.recv() {
        let message = match put(&mut clipboard, &text) {
            Ok(()) => Msg::Copied(Ok(format!("{} copied", count(&text)))),
            Err(why) => Msg::NotCopied { text, why },
        };
        if sender.send(message).is_err() {
            return;
        }
    }
}

fn put(clipboard: &mut Option<arboard::Clipboard>, text: &str) -> Result<(), String> {
    let library = match clipboard.take().map_or_else(arboard::Clipboard::new, Ok) {
        Ok(mut open) => open.set_text(text).map(|()| *clipboard = Some(open)),
        Err(error) => Err(error),
    };
    let Err(error) = library else { return Ok(()) };
    let programs: &[&[&str]] = &[
        &["wl-copy"],
        &["xclip", "-selection", "clipboard"],
        &["xsel", "--clipboard", "--input"],
    ];
    for program in programs {
        if by_program(program, text).is_ok_and(|done| done) {
            return Ok(());
        }
    }
    Err(format!("the system has no clipboard here ({error})"))
}

/// Hands `text` to a program; nothing it prints reaches the screen.
fn by_program(program: &[&str], text: &str) -> io::Result<bool> {
    let Some((name, arguments)) = program.split_first() else {
        return Ok(false);
    };
    let needed = match *name {
        "wl-copy" => "WAYLAND_DISPLAY",
        _ => "DISPLAY",
    };
    if std::env::var_os(needed).is_none_or(|value| value.is_empty()) {
        return Ok(false);
    }
    let mut child = Command::new(name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    Ok(child.wait()?.success())
}

/// The sequence that asks the terminal to take `text`, in what is needed to get there. Whether the
/// terminal does is not known.
fn sequence(text: &str, between: Between) -> Vec<u8> {
    let plain = format!("\x1b]52;c;{}\x07", base64(text.as_bytes()));
    match between {
        Between::Nothing => plain.into_bytes(),
        // tmux takes the plain one where `set-clipboard` is on, and passes the other one on where
        // `allow-passthrough` is; both together do no harm.
        Between::Tmux => {
            let inner = plain.replace('\x1b', "\x1b\x1b");
            format!("{plain}\x1bPtmux;{inner}\x1b\\").into_bytes()
        }
        Between::Screen => {
            let mut wrapped = Vec::with_capacity(plain.len() * 2);
            for piece in plain.as_bytes().chunks(PIECE) {
                wrapped.extend_from_slice(b"\x1bP");
                wrapped.extend_from_slice(piece);
                wrapped.extend_from_slice(b"\x1b\\");
            }
            wrapped
        }
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= group.len() {
                let value = bits >> (18 - 6 * digit) & 63;
                text.push(char::from(DIGITS[value as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (text, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn the_sequence_holds_no_text_that_could_end_it() {
        let bytes = sequence("a\x07b\x1b\\", Between::Nothing);
        assert_eq!(
            bytes.iter().filter(|&&byte| byte < b' ').count(),
            2,
            "ESC at the start, BEL"
        );
    }

    #[test]
    fn tmux_and_screen_pass_it_on() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(
            text(sequence("foo", Between::Tmux)),
            "\x1b]52;c;Zm9v\x07\x1bPtmux;\x1b\x1b]52;c;Zm9v\x07\x1b\\"
        );
        let long = text(sequence(&"x".repeat(2000), Between::Screen));
        let pieces: Vec<&str> = long.split_terminator("\x1b\\").collect();
        assert!(pieces.len() > 4);
        let inner: String = pieces
            .iter()
            .map(|piece| piece.strip_prefix("\x1bP").unwrap())
            .inspect(|piece| assert!(piece.len() <= PIECE))
            .collect();
        assert_eq!(inner, text(sequence(&"x".repeat(2000), Between::Nothing)));
    }

    #[test]
    fn what_came_of_it_is_said() {
        let (sender, mut receiver) = unbounded_channel();
        let over_ssh = |name: &str| (name == "SSH_TTY").then(|| "/dev/pts/1".to_owned());
        let mut out = Vec::new();
        let mut clipboard = Clipboard::new(Way::Auto, &over_ssh, sender.clone());
        clipboard.copy(&mut out, "foo".to_owned()).unwrap();
        assert_eq!(out, b"\x1b]52;c;Zm9v\x07");
        let Some(Msg::Copied(Ok(said))) = receiver.blocking_recv() else {
            panic!("copied")
        };
        assert_eq!(said, "3 characters sent to the terminal's clipboard");

        let long = "x".repeat(MOST + 1);
        let mut clipboard = Clipboard::new(Way::Terminal, &over_ssh, sender.clone());
        clipboard.copy(&mut out, long.clone()).unwrap();
        let Some(Msg::Copied(Err(why))) = receiver.blocking_recv() else {
            panic!("too long")
        };
        assert!(why.contains("which takes 72 KiB"), "{why}");

        let mut clipboard = Clipboard::new(Way::Off, &|_| None, sender);
        clipboard.copy(&mut out, "foo".to_owned()).unwrap();
        assert!(matches!(
            receiver.blocking_recv(),
            Some(Msg::Copied(Err(_)))
        ));
        assert_eq!(
            out, b"\x1b]52;c;Zm9v\x07",
            "nothing was written after the first"
        );
    }
}

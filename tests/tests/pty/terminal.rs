//! A program in a terminal that the test can look at and type into.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, PtyPair, PtySize, native_pty_system};
use tempfile::TempDir;

/// Nothing here takes this long unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// With this an answer goes on for minutes, so that whatever is to happen in its middle does: the
/// tokens that end a turn of the built-in model are banned, and there is room. Left alone, its
/// longest answers take half a second.
pub(crate) const ENDLESS: [&str; 7] = [
    "chat",
    "--ctx",
    "32768",
    "--logit-bias",
    "2033=-inf",
    "--logit-bias",
    "2041=-inf",
];

/// What leaves the alternate screen, ends bracketed pastes and shows the cursor.
pub(crate) const LEAVE: [&str; 3] = ["\x1b[?1049l", "\x1b[?2004l", "\x1b[?25h"];

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

/// The terminal and the program in it.
pub(crate) struct Terminal {
    pair: PtyPair,
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    /// The terminal's modes before the program began.
    modes: String,
    /// What the program keeps.
    _home: Option<TempDir>,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

/// The directories of somebody who has started the program before.
pub(crate) fn used() -> TempDir {
    let home = TempDir::new().unwrap();
    let state = home.path().join("state/tritone");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("hint-shown"), "").unwrap();
    home
}

/// What the emulator is to have of `bytes`; a character that is not whole yet stays in them.
///
/// It draws no replacement characters, which terminals do and models write: everything behind one would
/// be a cell too far left. It gets another character for them.
fn with_replacements(bytes: &mut Vec<u8>) -> Vec<u8> {
    const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
    const SHOWN: &[u8] = "⍰".as_bytes();
    let cut = (1..REPLACEMENT.len())
        .find(|&count| bytes.ends_with(&REPLACEMENT[..count]))
        .unwrap_or(0);
    let rest = bytes.split_off(bytes.len() - cut);
    let mut ready = std::mem::replace(bytes, rest);
    let mut at = 0;
    while let Some(found) = ready[at..]
        .windows(3)
        .position(|three| three == REPLACEMENT)
    {
        at += found;
        ready[at..at + 3].copy_from_slice(SHOWN);
    }
    ready
}

fn nonzero(value: u16) -> NonZeroU16 {
    NonZeroU16::new(value).unwrap()
}

impl Terminal {
    /// Starts the program in a terminal of 80 columns and 24 rows.
    pub(crate) fn open() -> Self {
        Self::open_with(|_| {})
    }

    /// The same, after `change` has had its way with the command.
    pub(crate) fn open_with(change: impl FnOnce(&mut CommandBuilder)) -> Self {
        let mut command = CommandBuilder::new(tritone_tests::tritone());
        change(&mut command);
        Self::start(command, used())
    }

    /// The same where nobody has ever started the program.
    pub(crate) fn open_for_the_first_time() -> Self {
        let command = CommandBuilder::new(tritone_tests::tritone());
        Self::start(command, TempDir::new().unwrap())
    }

    /// The same with these settings, after `change` has had its way with the command.
    pub(crate) fn open_with_settings(
        settings: &str,
        change: impl FnOnce(&mut CommandBuilder),
    ) -> Self {
        let home = used();
        let directory = home.path().join("config/tritone");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config.toml"), settings).unwrap();
        let mut command = CommandBuilder::new(tritone_tests::tritone());
        change(&mut command);
        Self::start(command, home)
    }

    /// The same with a cache directory, to which `fill` has been before.
    pub(crate) fn open_after(fill: impl FnOnce(&Path)) -> Self {
        let cache = used();
        fill(cache.path());
        Self::start(CommandBuilder::new(tritone_tests::tritone()), cache)
    }

    /// Starts a shell with job control that runs the program; when the program is stopped, the
    /// shell says so, waits for a line, and lets it go on.
    pub(crate) fn open_in_shell() -> Self {
        let mut command = CommandBuilder::new("sh");
        let script = "\"$0\"; echo back in the shell; read go; fg; exit $?";
        command.args(["-m", "-c", script]);
        command.arg(tritone_tests::tritone());
        Self::start(command, used())
    }

    /// The same where the program has been before: it finds what it left in `home`.
    pub(crate) fn open_at(home: &Path, args: &[&str]) -> Self {
        let mut command = CommandBuilder::new(tritone_tests::tritone());
        command.args(args);
        Self::start_at(command, home, None)
    }

    fn start(command: CommandBuilder, home: TempDir) -> Self {
        let path = home.path().to_owned();
        Self::start_at(command, &path, Some(home))
    }

    fn start_at(mut command: CommandBuilder, home: &Path, kept: Option<TempDir>) -> Self {
        let pair = native_pty_system().openpty(size(80, 24)).unwrap();
        let modes = format!("{:?}", pair.master.get_termios());
        command.env("TERM", "xterm-256color");
        // Not as many as a busy machine leaves.
        command.env("TRITONE_THREADS", "2");
        command.env("XDG_CACHE_HOME", home);
        for (variable, below) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
        ] {
            command.env(variable, home.join(below));
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let writer = pair.master.take_writer().unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let parser = vt100::Parser::new(nonzero(24), nonzero(80), 1000);
        let seen = Arc::new(Mutex::new(Seen {
            parser,
            raw: Vec::new(),
        }));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            let mut held = Vec::new();
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut seen = shared.lock().unwrap();
                held.extend_from_slice(&buffer[..count]);
                let ready = with_replacements(&mut held);
                seen.parser.process(&ready);
                seen.raw.extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            pair,
            child,
            writer,
            seen,
            modes,
            _home: kept,
        }
    }

    /// Starts the program and waits until the model is there.
    pub(crate) fn ready() -> Self {
        let mut terminal = Self::open();
        terminal.wait_for("ctx 0/");
        terminal
    }

    /// The same, and no answer ends before it is stopped.
    pub(crate) fn endless() -> Self {
        let mut terminal = Self::open_with(|command| command.args(ENDLESS));
        terminal.wait_for("ctx 0/");
        terminal
    }

    /// Types `keys`.
    pub(crate) fn send(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// What is on the screen.
    pub(crate) fn screen(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// The lines that have gone up from the screen, and those on it.
    pub(crate) fn history(&self) -> String {
        let mut seen = self.seen.lock().unwrap();
        seen.parser.screen_mut().set_scrollback(1000);
        let above = seen.parser.screen().scrollback();
        let mut lines = Vec::new();
        for offset in (1..=above).rev() {
            seen.parser.screen_mut().set_scrollback(offset);
            let screen = seen.parser.screen();
            lines.extend(screen.rows(0, screen.size().1.into()).next());
        }
        seen.parser.screen_mut().set_scrollback(0);
        lines.push(seen.parser.screen().contents());
        lines.join("\n")
    }

    /// The colour in which `text` is on the screen, if it has one.
    pub(crate) fn color_of(&self, text: &str) -> Option<vt100::Color> {
        let seen = self.seen.lock().unwrap();
        let screen = seen.parser.screen();
        let (rows, columns) = screen.size();
        for (row, line) in (0..u16::from(rows)).zip(screen.rows(0, columns.into())) {
            if let Some(at) = line.find(text) {
                let column = line[..at].chars().count();
                let cell = screen.cell(row, u16::try_from(column).unwrap())?;
                return Some(cell.fgcolor());
            }
        }
        None
    }

    /// Everything the program wrote, from byte `start` on.
    pub(crate) fn raw(&self, start: usize) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().raw[start..]).into_owned()
    }

    /// How much the program wrote.
    pub(crate) fn written(&self) -> usize {
        self.seen.lock().unwrap().raw.len()
    }

    /// Waits until `text` is on the screen.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |terminal| terminal.screen().contains(text));
    }

    /// Waits until `text` is no longer on the screen.
    pub(crate) fn wait_gone(&mut self, text: &str) {
        self.wait_until(&format!("no {text}"), |terminal| {
            !terminal.screen().contains(text)
        });
    }

    /// Waits until no answer is being written. A remark stands in the place of `answering` for some
    /// seconds, and the keys beside it stay.
    pub(crate) fn wait_idle(&mut self) {
        self.wait_until("the end of the answer", |terminal| {
            let screen = terminal.screen();
            !screen.contains("answering") && !screen.contains("Esc stop")
        });
    }

    /// Waits until something holds.
    pub(crate) fn wait_until(&mut self, what: &str, holds: impl Fn(&mut Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(
                start.elapsed() < PATIENCE,
                "waited for {what}; on screen:\n{}",
                self.screen()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        let mut seen = self.seen.lock().unwrap();
        seen.parser
            .screen_mut()
            .set_size(nonzero(rows), nonzero(columns));
        drop(seen);
        self.pair.master.resize(size(columns, rows)).unwrap();
    }

    /// The program's process. In a shell it is the shell's only child.
    pub(crate) fn process(&self) -> u32 {
        let id = self.child.process_id().unwrap();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let first = children.split_whitespace().next();
        first.map_or(id, |child| child.parse().unwrap())
    }

    /// Ends the shell at once, with no time to tell its jobs.
    pub(crate) fn kill_shell(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends the program a signal, by name.
    pub(crate) fn signal(&mut self, name: &str) {
        let id = self.process().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(status.success(), "no signal {name} to {id}");
    }

    /// Waits until the program ends, and checks that it left the terminal as it was.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let status = self.status();
        // What the program wrote last may still be on its way.
        let entered = self.raw(0).rfind("\x1b[?1049h");
        for sequence in LEAVE {
            let alternate = sequence.contains("1049");
            if let Some(entered) = entered {
                self.wait_until("the way out", |t| t.raw(0)[entered..].contains(sequence));
            } else if !alternate {
                self.wait_until("the way out", |t| t.raw(0).contains(sequence));
            }
        }
        self.check_restored();
        status
    }

    /// Waits until the program ends.
    pub(crate) fn status(&mut self) -> ExitStatus {
        let mut status = None;
        let start = Instant::now();
        while status.is_none() {
            assert!(
                start.elapsed() < PATIENCE,
                "no end; on screen:\n{}",
                self.screen()
            );
            thread::sleep(Duration::from_millis(10));
            status = self.child.try_wait().unwrap();
        }
        status.unwrap()
    }

    /// Checks that the terminal is as it was before the program.
    pub(crate) fn check_restored(&self) {
        let seen = self.seen.lock().unwrap();
        let screen = seen.parser.screen();
        assert!(!screen.alternate_screen() && !screen.bracketed_paste() && !screen.hide_cursor());
        assert_eq!(format!("{:?}", self.pair.master.get_termios()), self.modes);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

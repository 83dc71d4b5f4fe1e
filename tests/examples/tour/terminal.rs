//! The program in a terminal that a script can look at and type into.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, PtyPair, PtySize, native_pty_system};

use crate::Outcome;

/// Nothing takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The terminal and the program in it.
pub(crate) struct Terminal {
    pair: PtyPair,
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        ..PtySize::default()
    }
}

fn parser(columns: u16, rows: u16) -> Outcome<vt100::Parser> {
    let rows = NonZeroU16::new(rows).ok_or("no rows")?;
    let columns = NonZeroU16::new(columns).ok_or("no columns")?;
    Ok(vt100::Parser::new(rows, columns, 0))
}

impl Terminal {
    /// Starts the program with `arguments` in a terminal of that size; everything it keeps is under `home`.
    pub(crate) fn open(
        home: &Path,
        arguments: &[&str],
        (columns, rows): (u16, u16),
    ) -> Outcome<Self> {
        let pair = native_pty_system().openpty(size(columns, rows))?;
        let mut command = CommandBuilder::new(tritone_tests::tritone());
        command.args(arguments);
        command.cwd(home);
        command.env("TERM", "xterm-256color");
        command.env("HOME", home);
        for (variable, directory) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
        ] {
            command.env(variable, home.join(directory));
        }
        let child = pair.slave.spawn_command(command)?;
        let screen = Arc::new(Mutex::new(parser(columns, rows)?));
        let mut reader = pair.master.try_clone_reader()?;
        let shared = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if let Ok(mut screen) = shared.lock() {
                    screen.process(&bytes[..count]);
                }
            }
        });
        let writer = pair.master.take_writer()?;
        Ok(Self {
            pair,
            child,
            writer,
            screen,
        })
    }

    /// Shows the screen to `see`.
    pub(crate) fn look<T>(&self, see: impl FnOnce(&vt100::Screen) -> T) -> Outcome<T> {
        let screen = self.screen.lock().map_err(|_| "the reader failed")?;
        Ok(see(screen.screen()))
    }

    /// Types `keys`.
    pub(crate) fn send(&mut self, keys: &str) -> Outcome<()> {
        self.writer.write_all(keys.as_bytes())?;
        Ok(self.writer.flush()?)
    }

    /// Waits until `text` is on the screen.
    pub(crate) fn wait_for(&self, text: &str) -> Outcome<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.look(|screen| screen.contents().contains(text))? {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        let seen = self.look(vt100::Screen::contents)?;
        Err(format!("{text:?} did not appear on:\n{seen}").into())
    }

    /// Lets the program show what it has to show.
    pub(crate) fn rest(&self, millis: u64) {
        thread::sleep(Duration::from_millis(millis));
    }

    /// Gives the screen another size.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) -> Outcome<()> {
        let mut screen = self.screen.lock().map_err(|_| "the reader failed")?;
        *screen = parser(columns, rows)?;
        drop(screen);
        self.pair.master.resize(size(columns, rows))?;
        self.rest(500);
        Ok(())
    }

    /// Waits until the program has ended.
    pub(crate) fn end(mut self) -> Outcome<()> {
        self.send("/quit\r")?;
        self.child.wait()?;
        Ok(())
    }
}

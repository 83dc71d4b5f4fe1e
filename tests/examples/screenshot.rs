//! Makes `docs/screen.svg`: runs the program in a pseudo-terminal, holds a short conversation, and draws what is
//! on the screen.
//!
//! `cargo build --release && cargo run --release -p tritone-tests --example screenshot`

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

const ROWS: u16 = 24;
const COLS: u16 = 90;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let path = tritone_tests::repository().join("docs/screen.svg");
    let pty = native_pty_system().openpty(PtySize {
        rows: ROWS,
        cols: COLS,
        ..PtySize::default()
    })?;
    let mut command = CommandBuilder::new(tritone_tests::tritone());
    command.env("TERM", "xterm-256color");
    command.args(["--profile", "server", "--threads", "2"]);
    let mut child = pty.slave.spawn_command(command)?;
    drop(pty.slave);

    let rows = NonZeroU16::new(ROWS).ok_or("no rows")?;
    let cols = NonZeroU16::new(COLS).ok_or("no columns")?;
    let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, cols, 0)));
    let mut reader = pty.master.try_clone_reader()?;
    let shared = screen.clone();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n) = reader.read(&mut bytes) {
            if n == 0 {
                break;
            }
            if let Ok(mut screen) = shared.lock() {
                screen.process(&bytes[..n]);
            }
        }
    });

    let mut writer = pty.master.take_writer()?;
    wait(&screen, "Enter sends it")?;
    let conversation = [
        ("What is the capital of Peru?", "Lima."),
        ("What is 23 + 45?", "= 68"),
        ("Tell me a story about a fox.", "."),
    ];
    for (question, answer) in conversation {
        write!(writer, "{question}\r")?;
        wait(&screen, answer)?;
        std::thread::sleep(Duration::from_millis(1500));
    }
    let svg = draw(screen.lock().map_err(|_| "the reader failed")?.screen());
    std::fs::write(&path, svg)?;
    write!(writer, "/quit\r")?;
    child.wait()?;
    Ok(())
}

fn wait(screen: &Mutex<vt100::Parser>, text: &str) -> Outcome<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let shown = screen
            .lock()
            .map_err(|_| "the reader failed")?
            .screen()
            .contents();
        if shown.contains(text) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(format!("{text:?} did not appear").into())
}

fn colour(colour: vt100::Color, default: &str) -> String {
    const ANSI: [&str; 16] = [
        "#484f58", "#ff7b72", "#7ee787", "#d29922", "#79c0ff", "#d2a8ff", "#76e3ea", "#c9d1d9",
        "#6e7681", "#ffa198", "#aff5b4", "#e3b341", "#a5d6ff", "#e2c5ff", "#b3f0ff", "#f0f6fc",
    ];
    match colour {
        vt100::Color::Default => default.to_owned(),
        vt100::Color::Idx(i) => ANSI
            .get(usize::from(i))
            .copied()
            .unwrap_or(default)
            .to_owned(),
        vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
    }
}

fn draw(screen: &vt100::Screen) -> String {
    let (w, h) = (8.4, 18.0);
    let (width, height) = (f64::from(COLS) * w + 24.0, f64::from(ROWS) * h + 24.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n"
    );
    for row in 0..ROWS {
        for col in 0..COLS {
            let Some(cell) = screen.cell(row, col).filter(|c| c.has_contents()) else {
                continue;
            };
            let text = cell.contents();
            if text.trim().is_empty() {
                continue;
            }
            let fill = colour(cell.fgcolor(), "#c9d1d9");
            let (x, y) = (12.0 + f64::from(col) * w, 12.0 + f64::from(row) * h + 14.0);
            let weight = if cell.bold() {
                " font-weight=\"bold\""
            } else {
                ""
            };
            let dim = if cell.dim() { " opacity=\"0.6\"" } else { "" };
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{fill}\"{weight}{dim}>{text}</text>"
            );
        }
    }
    svg + "</svg>\n"
}

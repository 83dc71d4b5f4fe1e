//! What the screen costs: scrolling a long transcript, and an answer of 4,000 tokens.
//!
//! `cargo bench -p tritone --features bench --bench screen`. The plain numbers come first: the
//! longest picture of a walk through 100,000 lines (to be below 10 ms), and the time on the
//! processor for a streamed answer, as a share of the time the answer takes (to be at most 2 %).

use std::error::Error;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use criterion::Criterion;
use tritone::screen::{Painter, Screen};

/// Lines of the long transcript.
const LINES: usize = 100_000;

/// Tokens of the answer, and how many come in a second.
const TOKENS: usize = 4_000;
const RATE: f64 = 30.0;

fn main() -> Result<(), Box<dyn Error>> {
    let mut screen = long_transcript()?;
    walk(&mut screen)?;
    for (name, frames) in [("30", 30.0), ("10", 10.0)] {
        stream(name, frames)?;
    }
    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("scroll a page of 100,000 lines", |bencher| {
        let mut down = false;
        bencher.iter(|| {
            down = !down;
            screen.scroll(if down { 40 } else { -40 });
            black_box(screen.draw().ok())
        });
    });
    let tokens = tokens();
    criterion.bench_function("a token and a picture", |bencher| {
        bencher.iter_batched_ref(
            || half_written(&tokens),
            |screen| {
                if let Ok(screen) = screen {
                    screen.token(" word");
                    black_box(screen.draw().ok());
                }
            },
            criterion::BatchSize::PerIteration,
        );
    });
    criterion.final_summary();
    Ok(())
}

/// A chat of 100,000 lines, seen from its end.
fn long_transcript() -> io::Result<Screen> {
    let mut screen = Screen::new(120, 40)?;
    let answer = answer();
    let begin = Instant::now();
    let mut exchanges = 0;
    while screen.lines() < LINES {
        exchanges += 1;
        screen.exchange(&format!("Question {exchanges}: what is it?"), &answer);
    }
    screen.draw()?;
    say(&format!(
        "{} lines in {exchanges} exchanges, first picture after {:.1} ms",
        screen.lines(),
        millis(begin.elapsed()),
    ))?;
    Ok(screen)
}

/// Scrolls from the end to the start and back, by pages and by single lines.
fn walk(screen: &mut Screen) -> io::Result<()> {
    for (name, step, most) in [
        ("pages up, all of it", -38, usize::MAX),
        ("pages down", 38, 1_000),
        ("lines up", -3, 1_000),
    ] {
        let mut times = Vec::new();
        let mut bytes = 0;
        let lines = LINES / 38 + 1;
        for _ in 0..most.min(lines + 300) {
            let begin = Instant::now();
            screen.scroll(step);
            bytes += screen.draw()?;
            times.push(begin.elapsed());
        }
        times.sort();
        let at = |share: f64| millis(times[((times.len() - 1) as f64 * share) as usize]);
        say(&format!(
            "scrolling {name}: {} pictures, median {:.2} ms, 99 % {:.2} ms, longest {:.2} ms, {} bytes each",
            times.len(),
            at(0.5),
            at(0.99),
            at(1.0),
            bytes / times.len() as u64,
        ))?;
    }
    let begin = Instant::now();
    screen.top();
    screen.draw()?;
    say(&format!(
        "to the first line: {:.2} ms",
        millis(begin.elapsed())
    ))
}

/// Streams the answer with so many pictures a second.
fn stream(name: &str, frames: f64) -> io::Result<()> {
    let tokens = tokens();
    let mut screen = Screen::new(120, 40)?;
    let mut painter = Painter::default();
    screen.ask("Tell me everything.");
    let took = TOKENS as f64 / RATE;
    let mut next_picture = 0.0;
    let mut next_tick = 0.0;
    let (mut drawing, mut painting) = (0.0, 0.0);
    let (mut pictures, mut bytes) = (0_u64, 0);
    for (number, token) in tokens.iter().enumerate() {
        let now = number as f64 / RATE;
        screen.wait(Duration::from_secs_f64(1.0 / RATE));
        let begin = processor_time()?;
        screen.token(token);
        if now >= next_tick {
            screen.tick();
            next_tick += 0.1;
        }
        if now >= next_picture {
            bytes += screen.draw()?;
            pictures += 1;
            next_picture += 1.0 / frames;
        }
        let middle = processor_time()?;
        drawing += middle - begin;
        screen.highlight(&mut painter);
        painting += processor_time()? - middle;
    }
    screen.finish();
    screen.draw()?;
    say(&format!(
        "{TOKENS} tokens at {RATE} tok/s ({took:.0} s), {name} pictures a second: {pictures} pictures, {bytes} bytes; \
         the screen {drawing:.3} s = {:.2} % of a core, colours of code {painting:.3} s = {:.2} %",
        drawing / took * 100.0,
        painting / took * 100.0,
    ))
}

fn half_written(tokens: &[String]) -> io::Result<Screen> {
    let mut screen = Screen::new(120, 40)?;
    screen.ask("Tell me everything.");
    screen.token(&tokens[..TOKENS / 2].concat());
    screen.draw()?;
    Ok(screen)
}

/// An answer with everything in it, of about 60 lines.
fn answer() -> String {
    let mut text =
        String::from("# An answer\n\nIt begins with a paragraph that is **bold** in parts, ");
    text.push_str("has `code` and [a link](https://example.org), and runs over more than one row of the screen, ");
    text.push_str("as paragraphs do.\n\n");
    for point in 1..=8 {
        text.push_str(&format!(
            "{point}. Point {point} is *important*, as it says something that the others do not.\n"
        ));
    }
    text.push_str("\n| Name | Size | What for |\n|---|--:|---|\n");
    for row in 1..=6 {
        text.push_str(&format!(
            "| row {row} | {} | a cell with some words in it |\n",
            row * 1000
        ));
    }
    text.push_str("\n```rust\n/// Adds.\nfn add(values: &[i64]) -> i64 {\n    let mut sum = 0;\n");
    for line in 0..18 {
        text.push_str(&format!("    sum += values[{line}] * 2; // \"{line}\"\n"));
    }
    text.push_str("    sum\n}\n```\n\n> A quote, and what it says.\n\n- one\n- two\n  - three\n\nAnd an end.\n\n");
    text
}

/// The answer of 4,000 tokens, token by token. A token has four bytes, as they have on average.
fn tokens() -> Vec<String> {
    let text = answer().repeat(TOKENS * 4 / answer().len() + 1);
    let text: Vec<char> = text.chars().collect();
    text.chunks(4)
        .take(TOKENS)
        .map(|token| token.iter().collect())
        .collect()
}

/// Seconds this thread was on a processor, if the system tells, or since some time.
fn processor_time() -> io::Result<f64> {
    static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat");
    let nanos = text
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    Ok(match nanos {
        Some(nanos) => nanos as f64 / 1e9,
        None => BEGIN.get_or_init(Instant::now).elapsed().as_secs_f64(),
    })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn say(text: &str) -> io::Result<()> {
    use io::Write as _;
    writeln!(io::stdout(), "{text}")
}

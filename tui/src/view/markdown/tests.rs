use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Modifier;
use tritone_engine::FinishReason;

use crate::app::headless::Headless;
use crate::view::theme::{Background, Look};

const SIZES: [(u16, u16); 3] = [(40, 12), (80, 24), (120, 40)];

const RICH: &str = "\
# A walk through Lima

Lima is **the capital** of *Peru*, ~~not~~ of Chile; `ls -la` is code. See
[the city](https://example.org/lima) or <https://example.org>.

1. First, the old town:
   - Plaza de Armas
   - Cathedral, *inside*
2. Then the coast
   1. by bus
   2. on foot

> A quote with **weight**
> > and one inside.

| City | People | Note |
|:-----|-------:|:----:|
| Lima | 10000000 | capital, on the coast |
| 漢字 | 7 | wide |

```rust
fn main() {
    // Greet.
    println!(\"Hello, {}!\", name(42));
}
```

- [x] read
- [ ] write

---

A note[^1] at the end.

[^1]: It is a footnote.
";

fn rich(columns: u16, rows: u16) -> Headless {
    let mut session = Headless::loaded(columns, rows);
    session.say("Tell me about Lima.").tokens(&[RICH]);
    session.finish(200, FinishReason::EndOfTurn).highlight();
    session
}

fn buffer(session: &Headless) -> Buffer {
    let (columns, rows) = session.state.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal
        .draw(|frame| crate::view::draw(&session.state, frame))
        .unwrap();
    terminal.backend().buffer().clone()
}

/// Each row as text, and under it the runs of cells that are not plain.
fn styled(session: &Headless) -> String {
    let buffer = buffer(session);
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut text = String::new();
        let mut runs: Vec<(u16, u16, String)> = Vec::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            if skip == 0 {
                text.push_str(cell.symbol());
                skip = crate::chat::glyph::width(cell.symbol()).saturating_sub(1);
            } else {
                skip -= 1;
            }
            let style = format!("{:?} {:?}", cell.fg, cell.modifier)
                .replace("Reset ", "")
                .replace("Modifier(", "")
                .replace("NONE", "")
                .replace("0x0", "")
                .replace(')', "");
            let style = style.trim().to_owned();
            match runs.last_mut() {
                Some((_, end, last)) if *end == x && *last == style => *end += 1,
                _ if style.is_empty() => {}
                _ => runs.push((x, x + 1, style)),
            }
        }
        out.push_str(text.trim_end());
        out.push('\n');
        for (start, end, style) in runs {
            out.push_str(&format!("      ^ {start}..{end} {style}\n"));
        }
    }
    out
}

#[test]
fn an_answer_in_markdown() {
    for (columns, rows) in SIZES {
        let mut session = rich(columns, rows);
        let mut screens = String::new();
        session.ctrl_home();
        loop {
            screens.push_str(&session.screen());
            if session.state.lines_below() == 0 {
                break;
            }
            session.key(crossterm::event::KeyCode::PageDown);
        }
        insta::assert_snapshot!(format!("rich_{columns}x{rows}"), screens);
    }
}

#[test]
fn styles_of_an_answer() {
    for (name, color, background) in [
        ("dark", true, Background::Dark),
        ("light", true, Background::Light),
        ("none", false, Background::Unknown),
    ] {
        let mut session = rich(80, 60);
        session.state.setting.look = Look {
            color,
            background,
            ascii: false,
        };
        insta::assert_snapshot!(format!("rich_styles_{name}"), styled(&session));
    }
}

#[test]
fn code_is_plain_until_its_colours_come() {
    let mut session = Headless::loaded(80, 24);
    session
        .say("code")
        .tokens(&["```rust\nfn ", "main() {}\n", "// rest"]);
    let plain = buffer(&session);
    assert_eq!(
        session.jobs.len(),
        1,
        "the whole line, once: {:?}",
        session.jobs
    );
    session.highlight();
    let colored = buffer(&session);
    let styles = |buffer: &Buffer| {
        let colored = |cell: &&ratatui::buffer::Cell| cell.fg == ratatui::style::Color::Magenta;
        buffer.content().iter().filter(colored).count()
    };
    assert_eq!(
        (styles(&plain), styles(&colored)),
        (0, 2),
        "`fn` is a keyword"
    );
    session.tokens(&[" of it"]);
    assert!(session.jobs.is_empty(), "no line was finished");
}

#[test]
fn what_is_found_across_two_rows_is_seen_in_both() {
    // The break is at a blank, at a blank behind a full row, in a list, and within a word.
    for (text, wanted, marked) in [
        (
            format!("{}red foxes jump", "word ".repeat(6)),
            "RED fox",
            ["red", "fox"],
        ),
        (
            format!("abc {}red foxes jump", "word ".repeat(6)),
            "red fox",
            ["red", "fox"],
        ),
        (
            format!("- {}green foxes", "word ".repeat(6)),
            "green fox",
            ["green", "fox"],
        ),
        (
            format!("{}fox{}", "x".repeat(35), "y".repeat(9)),
            "fox",
            ["fo", "x"],
        ),
    ] {
        let mut session = Headless::loaded(40, 24);
        session.say("Go on.").tokens(&[&text]);
        session.finish(1, FinishReason::EndOfTurn);
        session.say(&format!("/find {wanted}"));
        let buffer = buffer(&session);
        let reversed = |y: u16| -> String {
            let cells = (0..40).map(|x| &buffer[(x, y)]);
            let on = cells.filter(|cell| cell.modifier.contains(Modifier::REVERSED));
            on.map(|cell| cell.symbol()).collect()
        };
        let rows: Vec<String> = (0..19)
            .map(reversed)
            .filter(|row| !row.is_empty())
            .collect();
        assert_eq!(rows, marked, "{text}");
    }
}

#[test]
fn while_it_streams() {
    let states = [
        ("fence", "Look:\n\n```python\nfor x in y:\n    pri"),
        ("fence_begins", "Look:\n\n``"),
        ("table_head", "Cities:\n\n| Name | Peo"),
        (
            "table",
            "Cities:\n\n| Name | People |\n|---|--:|\n| Lima | 10",
        ),
        ("emphasis", "It is **very impor"),
        ("item", "Things:\n-"),
    ];
    for (name, text) in states {
        for (columns, rows) in SIZES {
            let mut session = Headless::loaded(columns, rows);
            session.say("Go on.").tokens(&[text]);
            insta::assert_snapshot!(format!("open_{name}_{columns}x{rows}"), session.screen());
        }
    }
}

#[test]
fn raw_text_and_back() {
    let mut session = Headless::loaded(80, 24);
    session.say("Go on.").tokens(&["**bold** and `code`"]);
    let rich = session.screen();
    session.say("/raw");
    session.wait(4000).send(crate::app::msg::Msg::Tick);
    let raw = session.screen();
    assert!(rich.contains("  bold and code") && raw.contains("**bold** and `code`"));
    session.say("/raw");
    session.wait(4000).send(crate::app::msg::Msg::Tick);
    let top = |screen: &str| {
        screen
            .lines()
            .take(20)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(top(&session.screen()), top(&rich));
}

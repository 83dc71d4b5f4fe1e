//! The Strategies view: the list above, everything about the selected one below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::theme::Theme;
use super::{cell, format, padded, paragraph, put};
use crate::app::host::StrategyRow;
use crate::app::state::State;
use crate::app::views::strategies::{Doing, Strategies};
use crate::chat::glyph::width;

/// Screens narrower than this show name and state only.
const WIDE: u16 = 64;

/// Draws it.
pub(super) fn draw(state: &State, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let strategies = &state.views.strategies;
    if strategies.rows.is_empty() {
        let text = match (&strategies.failed, strategies.looking) {
            (Some(why), _) => why.as_str(),
            (None, true) => "looking at the strategies",
            (None, false) => "there is no strategy; r looks again",
        };
        paragraph(buffer, area, 0, text, theme.dim());
        return;
    }
    let rows = &strategies.rows;
    let height = u16::try_from(rows.len())
        .unwrap_or(u16::MAX)
        .saturating_add(1)
        .min((area.height / 2).max(2));
    let names = rows.iter().map(|row| width(&row.name)).max().unwrap_or(0);
    let names = names.clamp(8, usize::from(area.width / 3).max(8));
    let mut head = format!("  {} {}", cell("STRATEGY", names), cell("STATE", 10));
    if area.width >= WIDE {
        head.push_str(" RUNS");
    }
    put(buffer, area, 0, 0, &head, theme.dim());
    let selected = strategies.selected;
    let top = selected.top(rows.len(), height - 1);
    for (line, (index, row)) in (1..height).zip(rows.iter().enumerate().skip(top)) {
        let style = match (index == selected.row(rows.len()), row.active, row.usable) {
            (true, ..) => theme.selected(),
            (false, true, _) => theme.ok(),
            (false, false, true) => theme.text(),
            (false, false, false) => theme.dim(),
        };
        let text = listed(row, names, area.width);
        put(buffer, area, 0, line, &padded(&text, area.width), style);
    }
    let below = Rect {
        y: area.y + height,
        height: area.height.saturating_sub(height),
        ..area
    };
    let line = "─".repeat(usize::from(area.width));
    put(buffer, below, 0, 0, &line, theme.dim());
    let hint = hint(strategies, area.width);
    let start = usize::from(area.width).saturating_sub(width(hint) + 2);
    let start = u16::try_from(start).unwrap_or(0);
    put(buffer, below, start, 0, hint, theme.dim());
    let mut line = 1;
    for (text, style) in about(strategies, theme) {
        line = paragraph(buffer, below, line, &text, style);
    }
}

/// What keys do, as much as there is room for.
fn hint(strategies: &Strategies, columns: u16) -> &'static str {
    match strategies.doing {
        Some(_) => " Esc stops ",
        None if columns >= WIDE => " Enter use  t test  h health  s start  x stop  r look again ",
        None => " Enter use  t test  h s x ",
    }
}

/// A line of the list.
fn listed(row: &StrategyRow, names: usize, columns: u16) -> String {
    let mark = if row.active { '*' } else { ' ' };
    let state = match row.usable || row.active {
        true => row.state.as_str(),
        false => "missing",
    };
    let mut text = format!("{mark} {} {}", cell(&row.name, names), cell(state, 10));
    if columns >= WIDE {
        text.push_str(&format!(" {}", row.kind));
        if row.leaves_machine {
            text.push_str(", another machine");
        }
    }
    text
}

/// The selected one in words, with what goes on and what came of the last.
fn about(strategies: &Strategies, theme: Theme) -> Vec<(String, Style)> {
    let mut lines = Vec::new();
    if let Some(doing) = &strategies.doing {
        lines.push((goes_on(doing), theme.active()));
    } else if let Some((well, said)) = &strategies.last {
        let style = if *well { theme.ok() } else { theme.error() };
        lines.push((said.clone(), style));
    }
    let Some(row) = strategies.row() else {
        return lines;
    };
    lines.push((row.summary.clone(), theme.strong()));
    for finding in &row.findings {
        let style = match finding.starts_with("missing") {
            true => theme.warning(),
            false => theme.text(),
        };
        lines.push((finding.clone(), style));
    }
    if !row.capabilities.is_empty() {
        let can = format!("can: {}", row.capabilities.join(", "));
        lines.push((can, theme.text()));
    }
    let tested = match &row.tested {
        Some(tested) => format!("last test: {tested}"),
        None => "not tested yet".to_owned(),
    };
    lines.push((tested, theme.dim()));
    lines
}

fn goes_on(doing: &Doing) -> String {
    let what = doing.deed.summary();
    match &doing.progress.last {
        _ if doing.stopping => format!("{what}: stopping"),
        Some(last) if last.total > 0 => {
            let percent = format::percent(last.done, last.total);
            format!("{what}: {} {percent} %", last.stage)
        }
        _ => what,
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyCode;
    use tritone_engine::LoadProgress;

    use crate::app::headless::{Headless, loaded};
    use crate::app::host::{Deed, NotLoaded, Order, StrategyRow};
    use crate::app::msg::{Effect, Loaded, Msg};
    use crate::app::screen::View;

    fn rows() -> Vec<StrategyRow> {
        let row = |name: &str, kind: &str, state: &str| StrategyRow {
            name: name.to_owned(),
            kind: kind.to_owned(),
            state: state.to_owned(),
            usable: true,
            ..StrategyRow::default()
        };
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        vec![
            StrategyRow {
                summary: "Tritone's own engine, in this process".to_owned(),
                findings: words(&["a kernel for this processor: kernel avx2 (AVX2+FMA)"]),
                capabilities: words(&["streaming", "logprobs", "kernel switch", "one answer"]),
                tested: Some("2026-11-26, works, 41.5 tok/s, 300 MiB".to_owned()),
                active: true,
                ..row("native", "in this process", "in use")
            },
            StrategyRow {
                summary: "bitnet.cpp's llama-server, started here".to_owned(),
                findings: words(&[
                    "missing: a server of llama.cpp's family: llama-server is missing; build bitnet.cpp",
                ]),
                usable: false,
                ..row("bitnet.cpp", "a program it starts", "off")
            },
            StrategyRow {
                summary: "the server at http://127.0.0.1:1234".to_owned(),
                findings: words(&["a server at http://127.0.0.1:1234: Ollama with 3 models"]),
                capabilities: words(&["streaming", "embeddings"]),
                ..row("studio", "a server", "off")
            },
            StrategyRow {
                summary: "the server at https://192.0.2.1".to_owned(),
                leaves_machine: true,
                ..row("far", "a server", "off")
            },
        ]
    }

    fn shown(columns: u16, height: u16) -> Headless {
        let mut session = Headless::loaded(columns, height);
        session.key(KeyCode::F(9));
        assert!(matches!(
            session.effects.last(),
            Some(Effect::AskStrategies)
        ));
        session.send(Msg::Strategies(Ok(rows())));
        session.effects.clear();
        session
    }

    #[test]
    fn it_fits_small_usual_and_large_screens() {
        for (columns, height) in [(40, 12), (80, 24), (120, 40)] {
            let mut session = shown(columns, height);
            insta::assert_snapshot!(format!("{columns}x{height}"), session.screen());
            session.key(KeyCode::Down);
            insta::assert_snapshot!(format!("{columns}x{height} missing"), session.screen());
        }
    }

    #[test]
    fn enter_goes_on_with_the_chat_in_another_one() {
        let mut session = shown(80, 24);
        session
            .key(KeyCode::Down)
            .key(KeyCode::Down)
            .key(KeyCode::Enter);
        let order = Order {
            strategy: Some("studio".to_owned()),
            ..Order::default()
        };
        let effects = session.take_effects();
        assert!(matches!(&effects[..], [Effect::Apply(found)] if *found == order));
        session.send(Msg::Applied(Ok(Box::new(Loaded {
            strategy: Some("studio".to_owned()),
            kernels: Vec::new(),
            ..loaded(&[])
        }))));
        session.key(KeyCode::Esc);
        assert_eq!(session.state.view, View::Chat);
        let screen = session.screen();
        assert!(screen.contains("from here on: strategy studio"), "{screen}");
        assert!(screen.contains("via studio"), "{screen}");
    }

    #[test]
    fn what_changes_while_it_is_looked_at_is_looked_at_again() {
        let mut session = shown(80, 24);
        session.key(KeyCode::Char('r'));
        session.take_effects();
        session.key(KeyCode::Down).key(KeyCode::Enter);
        session.send(Msg::Applied(Ok(Box::new(loaded(&[])))));
        session.take_effects();
        // What comes now was seen before the change.
        session.send(Msg::Strategies(Ok(rows())));
        assert!(matches!(
            session.take_effects()[..],
            [Effect::AskStrategies]
        ));
        session.send(Msg::Strategies(Ok(rows())));
        assert_eq!(session.take_effects().len(), 0);
    }

    #[test]
    fn what_fails_is_shown_with_what_to_do() {
        let mut session = shown(80, 24);
        session
            .key(KeyCode::Down)
            .key(KeyCode::Down)
            .key(KeyCode::Enter);
        let why = "studio: no connection; check that the server runs\nWhat was in use before studio still is.";
        session.send(Msg::Applied(Err(NotLoaded::from(why.to_owned()))));
        insta::assert_snapshot!(session.screen());
        session.key(KeyCode::Esc);
        assert!(
            session.screen().contains("still is"),
            "{}",
            session.screen()
        );
    }

    #[test]
    fn one_is_started_ended_and_tested_one_thing_at_a_time() {
        let mut session = shown(80, 24);
        session.key(KeyCode::Down).key(KeyCode::Down);
        session.key(KeyCode::Char('t'));
        let effects = session.take_effects();
        assert!(matches!(&effects[..], [Effect::Do(Deed::Test(name))] if name == "studio"));
        session.send(Msg::DeedGoesOn(LoadProgress {
            stage: "testing",
            done: 1,
            total: 4,
        }));
        let screen = session.screen();
        assert!(screen.contains("testing studio: testing 25 %"), "{screen}");
        session.key(KeyCode::Char('s'));
        assert_eq!(session.take_effects().len(), 0);
        session.key(KeyCode::Esc);
        assert!(matches!(session.take_effects()[..], [Effect::StopDeed]));
        session.send(Msg::DeedDone(Err("studio: it was given up".to_owned())));
        assert!(session.screen().contains("it was given up"));
        assert!(matches!(
            session.take_effects()[..],
            [Effect::AskStrategies]
        ));
        for (key, deed) in [
            ('s', Deed::Start("studio".to_owned())),
            ('x', Deed::Stop("studio".to_owned())),
            ('h', Deed::Health("studio".to_owned())),
        ] {
            session.key(KeyCode::Char(key));
            let effects = session.take_effects();
            assert!(
                matches!(&effects[..], [Effect::Do(found)] if *found == deed),
                "{effects:?}"
            );
            session.send(Msg::DeedDone(Ok("done".to_owned())));
        }
    }

    #[test]
    fn the_command_names_one_or_shows_them() {
        let mut session = Headless::loaded(80, 24);
        session.write("/strategy ");
        session.send(Msg::Strategies(Ok(rows())));
        let screen = session.screen();
        assert!(
            screen.contains("studio") && screen.contains("auto"),
            "{screen}"
        );
        session.write("studio").key(KeyCode::Enter);
        let effects = session.take_effects();
        assert!(
            matches!(effects.last(), Some(Effect::Apply(order)) if order.strategy.as_deref() == Some("studio")),
            "{effects:?}"
        );
    }
}

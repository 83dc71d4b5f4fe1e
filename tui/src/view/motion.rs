//! What moves by itself on the screen. It is all here, so that it can all be switched off: with
//! `animations = false` nothing moves, and progress is numbers.

use super::theme::Theme;
use crate::app::state::State;

/// How long the wheel stays as it is, in milliseconds: the time between two ticks.
const STEP: u128 = 100;

/// The wheel.
const WHEEL: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// The wheel in ASCII.
const WHEEL_ASCII: [&str; 4] = ["|", "/", "-", "\\"];

/// Cells of a bar.
const BAR: usize = 10;

/// A wheel that turns while something goes on, and a blank; nothing if nothing may move.
pub(super) fn wheel(state: &State, theme: Theme) -> String {
    if !state.setting.animations {
        return String::new();
    }
    let frames: &[&str] = match theme.ascii() {
        true => &WHEEL_ASCII,
        false => &WHEEL,
    };
    let step = usize::try_from(state.now.as_millis() / STEP).unwrap_or(0);
    let frame = frames.get(step % frames.len()).copied();
    format!("{} ", frame.unwrap_or_default())
}

/// A bar that fills up, with a blank before it; nothing if nothing may move.
pub(super) fn bar(state: &State, done: u64, total: u64) -> String {
    if !state.setting.animations || total == 0 {
        return String::new();
    }
    let share = u128::from(done.min(total)) * BAR as u128 / u128::from(total);
    let full = usize::try_from(share).unwrap_or(BAR);
    format!(" {}{}", "█".repeat(full), "░".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tritone_engine::LoadProgress;

    use crate::app::headless::Headless;
    use crate::app::msg::Msg;

    /// The line over the input, at several times.
    fn lines(session: &mut Headless, rows: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for _ in 0..6 {
            session.wait(100).send(Msg::Tick);
            let screen = session.screen();
            let line = screen.lines().nth(rows - 4).unwrap_or_default().to_owned();
            seen.push(line);
        }
        seen
    }

    /// What is left of a line without its digits: elapsed time may count.
    fn bare(line: &str) -> String {
        line.chars().filter(|c| !c.is_ascii_digit()).collect()
    }

    #[test]
    fn a_wheel_turns_while_an_answer_is_written_and_stands_still_if_nothing_may_move() {
        for (animations, ascii) in [(true, false), (true, true), (false, false)] {
            let mut session = Headless::loaded(80, 24);
            session.state.setting.animations = animations;
            session.state.setting.look.ascii = ascii;
            session.say("tell").tokens(&["Once"]).wait(5000);
            session.send(Msg::Tick);
            let lines = lines(&mut session, 24);
            let kinds: BTreeSet<String> = lines.iter().map(|line| bare(line)).collect();
            assert!(lines[0].contains("answering"), "{lines:?}");
            match animations {
                true => assert!(kinds.len() >= 4, "{kinds:?}"),
                false => assert_eq!(kinds.len(), 1, "{kinds:?}"),
            }
            assert!(
                !ascii || lines.iter().all(|line| line.is_ascii()),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn progress_is_a_bar_beside_the_number_or_the_number_alone() {
        for (animations, expected) in [(true, " 42 % ████░░░░░░ "), (false, " 42 % ─")]
        {
            let mut session = Headless::new(80, 24);
            session.state.setting.animations = animations;
            session.send(Msg::Loading(LoadProgress {
                stage: "packing weights",
                done: 42,
                total: 100,
            }));
            let screen = session.screen();
            assert!(screen.contains(expected), "{screen}");
        }
    }
}

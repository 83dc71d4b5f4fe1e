//! Where the tour goes.

use crate::terminal::Terminal;
use crate::{Outcome, Tour};

const ESC: &str = "\x1b";
const CTRL_P: &str = "\x10";
const CTRL_R: &str = "\x12";
const ALT_UP: &str = "\x1b[1;3A";
const F1: &str = "\x1bOP";
const F3: &str = "\x1bOR";
const F4: &str = "\x1bOS";
const F5: &str = "\x1b[15~";
const F6: &str = "\x1b[17~";
const F7: &str = "\x1b[18~";
const F8: &str = "\x1b[19~";
const F9: &str = "\x1b[20~";

/// Time for the screen to follow.
const MOMENT: u64 = 800;

/// Goes through the program and stops where there is something to see.
pub(crate) fn play(tour: &mut Tour) -> Outcome<()> {
    let home = tempfile::tempdir()?;
    let arguments = ["--profile", "server", "--threads", "2"];
    let mut terminal = Terminal::open(home.path(), &arguments, (100, 30))?;
    terminal.wait_for("Enter sends it")?;
    terminal.rest(MOMENT);
    tour.stop(
        &terminal,
        "start",
        "The first start: no set-up and no download, and a hint that comes only once.",
    )?;
    chat(tour, &mut terminal)?;
    views(tour, &mut terminal)?;
    terminal.resize(40, 12)?;
    terminal.rest(MOMENT);
    tour.stop(
        &terminal,
        "small",
        "Forty columns and twelve rows: the same conversation, and the numbers that matter most.",
    )?;
    terminal.end()
}

fn chat(tour: &mut Tour, terminal: &mut Terminal) -> Outcome<()> {
    for (question, answer) in [
        ("What is the capital of Peru?", "Lima."),
        ("What is 23 + 45?", "= 68"),
        ("Tell me a story about a fox.", "fox"),
    ] {
        terminal.send(question)?;
        terminal.send("\r")?;
        terminal.wait_for(answer)?;
        terminal.rest(2 * MOMENT);
    }
    tour.stop(
        terminal,
        "chat",
        "A conversation, and below it the model, the profile, the kernel, threads, speeds, context and memory.",
    )?;
    terminal.send(CTRL_R)?;
    terminal.wait_for("2/2")?;
    terminal.rest(MOMENT);
    terminal.send(ALT_UP)?;
    terminal.wait_for("version 2 of 2")?;
    tour.stop(
        terminal,
        "branches",
        "`Ctrl+R` answered again; the first answer is version 1. `Alt+Up` selects a message to edit, to answer \
         again, to go on with, to delete or to copy.",
    )?;
    terminal.send(ESC)?;
    terminal.rest(MOMENT);
    terminal.send("/")?;
    terminal.rest(MOMENT);
    tour.stop(
        terminal,
        "commands",
        "`/` lists the commands; their arguments (kernels, models, files) are completed, too.",
    )?;
    terminal.send("\x15")?;
    terminal.send(CTRL_P)?;
    terminal.rest(MOMENT);
    terminal.send("copy")?;
    terminal.rest(MOMENT);
    tour.stop(
        terminal,
        "palette",
        "`Ctrl+P` finds any command or key by some of its letters.",
    )?;
    terminal.send(ESC)?;
    terminal.rest(MOMENT);
    Ok(())
}

fn views(tour: &mut Tour, terminal: &mut Terminal) -> Outcome<()> {
    let stops = [
        (
            F3,
            "monitor",
            "`F3`, the monitor: speeds, memory and CPU on one time axis, what changed, and what takes the time \
             of a step.",
        ),
        (
            F4,
            "kernels",
            "`F4`, the kernels: why each has its score, how fast it was here, and what was refused. `Enter` \
             switches, also in the middle of an answer.",
        ),
        (
            F5,
            "profiles",
            "`F5`, the profiles: where every value comes from, what the model would take under each, and why \
             this one was chosen.",
        ),
        (
            F6,
            "models",
            "`F6`, the models on this machine, and whether they fit.",
        ),
        (
            F7,
            "sessions",
            "`F7`, earlier chats, with a search over all their messages.",
        ),
        (F8, "logs", "`F8`, what the program says about itself."),
        (
            F9,
            "strategies",
            "`F9`, other ways to run the model, and what they need.",
        ),
    ];
    for (key, name, caption) in stops {
        terminal.send(key)?;
        terminal.rest(4 * MOMENT);
        tour.stop(terminal, name, caption)?;
    }
    terminal.send(F1)?;
    terminal.rest(MOMENT);
    tour.stop(
        terminal,
        "help",
        "`F1`, the help, made from the table of commands, with the keys in force; typing searches it.",
    )?;
    terminal.send(ESC)?;
    terminal.rest(MOMENT);
    terminal.send(ESC)?;
    terminal.rest(MOMENT);
    Ok(())
}

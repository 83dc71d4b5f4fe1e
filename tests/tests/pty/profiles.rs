//! The Profiles view in a terminal, with the real program behind it.

use portable_pty::CommandBuilder;

use crate::terminal::Terminal;

const F5: &str = "\x1b[15~";
const HOME: &str = "\x1b[H";
const DOWN: &str = "\x1b[B";
const ENTER: &str = "\r";
const ESC: &str = "\x1b";

#[test]
fn another_profile_takes_over_and_the_conversation_stays() {
    let mut terminal = Terminal::open_with(|command| {
        command.args(["--profile", "mobile"]);
    });
    terminal.wait_for("ctx 0/");
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    terminal.send(F5);
    terminal.wait_for("* mobile");
    terminal.wait_for("in use");
    // What the model would take under each is known.
    terminal.wait_for("fits: ");
    terminal.send(DOWN);
    terminal.wait_for("memory_mb 512 -> 1024");
    terminal.wait_for("after the running answer: context 2048 -> 4096");
    terminal.wait_for("Enter runs under it, and the conversation stays:");
    terminal.send(ENTER);
    terminal.wait_for("* edge");
    terminal.wait_for("profile edge");
    terminal.send(ESC);
    terminal.wait_for("from here on: profile edge");
    assert!(terminal.screen().contains("Lima"), "{}", terminal.screen());
    terminal.send("What is the capital of France?\r");
    terminal.wait_for("Paris");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

#[test]
fn the_automatic_choice_explains_itself_and_is_made_again() {
    let mut terminal = Terminal::ready();
    terminal.send(F5);
    terminal.wait_for("* auto");
    terminal.send(HOME);
    terminal.wait_for("why it suits this machine now");
    terminal.wait_for("cores: ");
    terminal.send("e");
    terminal.wait_for("for this machine: still ");
    // Each size is seen before the next key: input that comes together with a change of the size
    // waits for more.
    terminal.resize(40, 12);
    terminal.wait_gone("PRIORITY");
    terminal.resize(120, 40);
    terminal.wait_for("PRIORITY");
    terminal.resize(40, 12);
    terminal.wait_gone("PRIORITY");
    terminal.resize(80, 24);
    terminal.wait_for("PRIORITY");
    terminal.send(ESC);
    terminal.wait_for("write a message");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

/// The first time the editor makes a mistake, the second time it puts it right.
const EDITOR: &str = "\
if grep -q thraeds \"$1\"; then echo 'threads = 3' > \"$1\"; else echo 'thraeds = 3' > \"$1\"; fi";

#[test]
fn a_mistake_in_the_editor_is_shown_and_the_editor_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let profiles = home.path().join("tritone/profiles");
    std::fs::create_dir_all(&profiles).unwrap();
    std::fs::write(profiles.join("lab.toml"), "base = \"edge\"\n").unwrap();
    let script = home.path().join("editor.sh");
    std::fs::write(&script, EDITOR).unwrap();
    let run = || {
        let (home, script) = (home.path(), script.display());
        let mut terminal = Terminal::open_with(|command| {
            *command = CommandBuilder::new("sh");
            command.args(["-c", "XDG_CONFIG_HOME=\"$1\" exec \"$0\" profile edit lab"]);
            command.arg(tritone_tests::tritone());
            command.arg(home);
            command.env("EDITOR", format!("sh {script}"));
            command.env("LANG", "C.UTF-8");
        });
        terminal.wait_for("Open the editor again? [Y/n]");
        let screen = terminal.screen();
        for words in [
            "thraeds = 3",
            "lab.toml:1:1]",
            "no setting",
            "help: did you mean `threads`?",
        ] {
            assert!(screen.contains(words), "no {words:?}:\n{screen}");
        }
        terminal
    };
    let text = || std::fs::read_to_string(profiles.join("lab.toml")).unwrap();
    let mut terminal = run();
    terminal.send("n\r");
    terminal.wait_for("is as it was; what you wrote is kept in");
    assert_eq!(terminal.status().exit_code(), 2);
    assert_eq!(text(), "base = \"edge\"\n");
    let mut terminal = run();
    terminal.send("\r");
    terminal.wait_for("lab.toml: saved");
    assert_eq!(terminal.status().exit_code(), 0);
    assert_eq!(text(), "threads = 3\n");
}

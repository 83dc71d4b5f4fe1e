//! Completions and the manual.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::program::run;

const SHELLS: [&str; 6] = ["bash", "zsh", "fish", "powershell", "elvish", "nushell"];

#[test]
fn every_shell_has_a_script_with_all_commands() {
    let help = run(&["--help"]).ok();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // A line that goes on with an explanation is indented further.
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|word| !word.is_empty())
        .collect();
    assert!(commands.len() > 12, "{commands:?}");
    for shell in SHELLS {
        let script = run(&["completions", shell]).ok();
        for command in &commands {
            assert!(script.contains(command), "{shell}: no {command}");
        }
    }
    run(&["completions", "sh"]).fails(2, &["'sh'", "possible values", "nushell"]);
}

/// Gives `text` to a program that says whether it is right.
fn accepted(program: &str, args: &[&str], text: &str) {
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return left_out(program);
    };
    let mut input = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{program}: {said}"
    );
}

#[expect(clippy::print_stdout, reason = "a test says what it left out")]
fn left_out(program: &str) {
    println!("not tested: there is no {program} here");
}

#[test]
fn shells_that_are_here_take_their_script() {
    for (shell, args) in [
        ("bash", &["-n"][..]),
        ("zsh", &["-n"]),
        ("fish", &["--no-execute"]),
    ] {
        accepted(shell, args, &run(&["completions", shell]).ok());
    }
}

#[test]
fn bash_completes_commands_and_values() {
    let Ok(bash) = Command::new("bash").arg("--version").output() else {
        return left_out("bash");
    };
    assert!(bash.status.success());
    let script = run(&["completions", "bash"]).ok();
    let complete = |words: &str, current: usize| {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={current}\n\
             _tritone tritone \"${{COMP_WORDS[$COMP_CWORD]}}\" \"${{COMP_WORDS[$COMP_CWORD-1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("ask");
        fs::write(&file, ask).unwrap();
        let output = Command::new("bash").arg(file).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(complete("tritone doc", 1).contains("doctor"));
    let kernels = complete("tritone run --kernel ''", 3);
    assert!(
        kernels.contains("auto") && kernels.contains("scalar"),
        "{kernels}"
    );
    let profiles = complete("tritone --profile c", 2);
    assert_eq!(profiles.trim(), "cloud");
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let page = run(&["man"]).ok();
    assert!(page.contains(".TH tritone 1"), "{page}");
    assert!(page.contains("tritone\\-doctor"), "{page}");
    let directory = TempDir::new().unwrap();
    let below = directory.path().join("share/man1");
    let said = run(&["man", "--dir", below.to_str().unwrap()]).ok();
    let pages = fs::read_dir(&below).unwrap().count();
    assert!(
        said.contains(&format!("{pages} pages")) && pages > 15,
        "{said}"
    );
    assert_eq!(fs::read_to_string(below.join("tritone.1")).unwrap(), page);
    for name in ["run", "profile-show", "config-init", "completions", "man"] {
        assert!(below.join(format!("tritone-{name}.1")).is_file(), "{name}");
    }
    for name in ["tritone", "tritone-eval"] {
        let text = fs::read_to_string(below.join(format!("{name}.1"))).unwrap();
        accepted("groff", &["-man", "-Tutf8", "-ww", "-z"], &text);
    }
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    run(&["man", "--dir", file.to_str().unwrap()]).fails(1, &["cannot write the manual to"]);
}

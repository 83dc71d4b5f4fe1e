//! A terminal attached to a running server.

use crate::LONG;
use crate::server::{SLOW, Server};
use crate::terminal::{ENDLESS, Terminal};

const F3: &str = "\x1bOR";
const ESC: &str = "\x1b";
const ADMIN: &str = "sk-admin-0123456789abcdef";

fn attached(server: &Server, admin: bool) -> Terminal {
    attached_with(server, admin, &["--temp", "0"])
}

fn attached_with(server: &Server, admin: bool, flags: &[&str]) -> Terminal {
    let url = format!("http://{}", server.address);
    Terminal::open_with(|command| {
        command.args(["--attach", &url]);
        command.args(flags);
        if admin {
            command.env("TRITONE_ADMIN_KEY", ADMIN);
        }
    })
}

#[test]
fn the_model_the_monitor_and_the_kernels_are_the_servers() {
    let server = Server::start_with(
        &["--slots", "1", "--profile", "edge"],
        &[("TRITONE_ADMIN_KEY", ADMIN)],
    );
    let mut terminal = attached(&server, true);
    terminal.resize(120, 40);
    terminal.wait_for(&format!("via {}", server.address));
    terminal.wait_for("profile edge");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    terminal.send(F3);
    // What the server began with, before anybody was attached; and its counts.
    terminal.wait_for("tritone-tiny");
    terminal.wait_for("1 finished");
    terminal.wait_for("matmul");
    let screen = terminal.screen();
    let changed = screen.lines().find(|line| line.contains("what changed"));
    assert_eq!(changed.unwrap().matches("edge").count(), 1, "{screen}");
    terminal.send(ESC);
    terminal.wait_for("Enter send");
    terminal.send("/kernel scalar\r");
    terminal.wait_for("kernel scalar");
    terminal.send("/profile mobile\r");
    terminal.wait_for("profile mobile");
    terminal.send("/race\r");
    terminal.wait_for("kernels race where they run");
    let key = format!("authorization: Bearer {ADMIN}");
    let status = server.ask("GET /admin/status", &[&key], "").json(200);
    assert_eq!(status["kernel"], "scalar");
    assert_eq!(status["profile"], "mobile");
    // Somebody else changes it.
    let body = r#"{"name": "edge"}"#;
    server.ask("POST /admin/profile", &[&key], body).json(200);
    terminal.wait_for("profile edge");
    terminal.send("\x04");
    assert!(terminal.end().success());
}

#[test]
fn without_the_admin_key_the_chat_is_there_and_the_rest_is_told() {
    let server = Server::start(&["--slots", "1"]);
    let mut terminal = attached(&server, false);
    terminal.wait_for("TRITONE_ADMIN_KEY");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    terminal.send("/kernel scalar\r");
    terminal.wait_for("are for its admin key");
    terminal.send("\x04");
    assert!(terminal.end().success());
}

#[test]
fn a_server_that_is_gone_is_told_and_the_next_one_answers() {
    let server = Server::start(&["--slots", "1"]);
    let port = server.address.port().to_string();
    let mut terminal = attached(&server, false);
    terminal.wait_for("ctx 0/");
    drop(server);
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("check that the server runs");
    let _again = Server::start(&["--slots", "1", "--port", &port]);
    // The message is back in the input.
    terminal.send("\r");
    terminal.wait_for("Lima");
    terminal.send("\x04");
    assert!(terminal.end().success());
}

#[test]
fn the_kernel_is_switched_and_the_server_killed_in_the_middle_of_answers() {
    let variables = [("TRITONE_ADMIN_KEY", ADMIN)];
    let server = Server::start_with(&SLOW, &variables);
    let port = server.address.port().to_string();
    let mut terminal = attached_with(&server, true, &ENDLESS[3..]);
    terminal.resize(120, 40);
    terminal.wait_for("kernel scalar");
    let key = format!("authorization: Bearer {ADMIN}");
    let kernels = server.ask("GET /admin/kernel", &[&key], "").json(200);
    let other = kernels["kernels"].as_array().unwrap().iter();
    let other = other.filter(|kernel| kernel["usable"] == true && kernel["active"] == false);
    let mut other = other.map(|kernel| kernel["name"].as_str().unwrap().to_owned());
    let other = other.next_back().unwrap();

    terminal.send(&format!("{LONG}\r"));
    terminal.wait_for("answering");
    terminal.send(&format!("/kernel {other}\r"));
    terminal.wait_for(&format!("kernel {other}"));
    terminal.wait_for("answering");
    let status = server.ask("GET /admin/status", &[&key], "").json(200);
    assert_eq!(status["kernel"], other.as_str());
    assert_eq!(status["requests"]["running"], 1);

    drop(server);
    // What came of the answer stays, and is marked.
    terminal.wait_for("(failed)");
    terminal.wait_for("/regen");
    assert!(!terminal.screen().contains("back in the input"));
    let _again = Server::start_with(&["--slots", "1", "--port", &port], &variables);
    terminal.send("/clear\r");
    terminal.wait_for("Enter sends it");
    terminal.send("/temp 0\r");
    terminal.wait_for("the temperature is 0 now");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("Lima");
    terminal.send(ESC);
    terminal.wait_idle();
    terminal.send("\x04");
    assert!(terminal.end().success());
}

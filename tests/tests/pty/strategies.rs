//! A chat that goes on in another strategy and back.

use crate::server::Server;
use crate::terminal::Terminal;
use crate::{ENTER, ESC};

const F9: &str = "\x1b[20~";
const DOWN: &str = "\x1b[B";

fn settings(url: &str) -> String {
    format!(
        "[strategies.remote.studio]\nurl = \"{url}\"\n\
         [strategies.remote.gone]\nurl = \"http://127.0.0.1:9\"\n"
    )
}

#[test]
fn a_running_chat_goes_on_with_a_server_and_back_with_its_history() {
    let mut server = Server::start(&["--slots", "1"]);
    let url = format!("http://{}", server.address);
    let mut terminal = Terminal::open_with_settings(&settings(&url), |command| {
        command.args(["--temp", "0"]);
    });
    terminal.wait_for("ctx 0/");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("The capital of Peru is Lima.");

    // By the view: what is there, what is missing, and the chat goes on with the server.
    terminal.send(F9);
    terminal.wait_for("* native");
    terminal.wait_for("missing");
    for _ in 0..3 {
        terminal.send(DOWN);
    }
    terminal.wait_for("tritone with 1 model");
    terminal.send("t");
    terminal.wait_for("studio: 20");
    terminal.wait_for("works");
    terminal.send(ENTER);
    terminal.wait_for("via studio");
    terminal.send(ESC);
    terminal.wait_for("from here on: strategy studio");
    terminal.wait_for("The capital of Peru is Lima.");
    terminal.send("And of Chile?\r");
    terminal.wait_for("And of Chile?");
    terminal.wait_idle();

    // One that is not there: said, with what to do, and nothing changes.
    terminal.send("/strategy gone\r");
    terminal.wait_for("check that the server");
    terminal.wait_for("still is.");
    terminal.wait_for("via studio");

    // The server ends: the answer fails, and how to go on is said.
    server.signal("KILL");
    server.wait();
    terminal.send("What is the capital of France?\r");
    terminal.wait_for("/strategy native goes on with native");
    terminal.send("\x15");
    terminal.send("/strategy native\r");
    terminal.wait_for("from here on: strategy native");
    terminal.wait_for("kernel ");
    terminal.send("/clear\r");
    terminal.send("What is the capital of Peru?\r");
    terminal.wait_for("The capital of Peru is Lima.");
    terminal.send("/quit\r");
    assert_eq!(terminal.end().exit_code(), 0);
}

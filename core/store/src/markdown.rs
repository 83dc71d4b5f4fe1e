//! Sessions as Markdown, to read.

use std::fmt::Write as _;

use crate::message::{Role, State};
use crate::session::Session;
use crate::tree::Tree;

/// The conversation that is seen, as Markdown; other branches are counted only.
#[must_use]
pub fn markdown(session: &Session, tree: &Tree, date: &str) -> String {
    let details = &session.details;
    let mut text = format!("# {}\n\n", line(&details.title));
    let _ = write!(text, "- Date: {date}");
    if let Some(model) = &details.model {
        let _ = write!(text, "\n- Model: {}", line(model));
    }
    if !details.tags.is_empty() {
        let _ = write!(text, "\n- Tags: {}", details.tags.join(", "));
    }
    let path = tree.path();
    let others = tree.messages().count().saturating_sub(path.len());
    if others > 0 {
        let _ = write!(
            text,
            "\n- On other branches: {others} messages, which the JSON has"
        );
    }
    text.push('\n');
    if let Some(system) = &details.system {
        let _ = write!(text, "\n## System\n\n{}\n", system.trim_end());
    }
    for message in path.iter().filter_map(|&number| tree.get(number)) {
        let who = match message.role {
            Role::User => "You",
            Role::Assistant => message.model.as_deref().unwrap_or("Assistant"),
        };
        let _ = write!(text, "\n## {}\n\n{}\n", line(who), message.text.trim_end());
        // An open block of code would take in everything after it.
        if message
            .text
            .lines()
            .filter(|line| line.trim_start().starts_with("```"))
            .count()
            % 2
            == 1
        {
            text.push_str("```\n");
        }
        if message.state != State::Complete {
            let _ = write!(text, "\n*({})*\n", message.state.name());
        }
    }
    text
}

fn line(text: &str) -> String {
    text.split(['\n', '\r']).collect::<Vec<_>>().join(" ")
}

//! Search in what was said.

use std::collections::BTreeSet;

use rusqlite::params_from_iter;
use rusqlite::types::Value;
use serde::Serialize;

use crate::error::StoreError;
use crate::list::{COLUMNS, containing, session};
use crate::message::Number;
use crate::open::Store;
use crate::query::Query;
use crate::session::Session;

/// What SQLite puts around words that were found; they are not text.
const OPEN: char = '\u{2}';
const CLOSE: char = '\u{3}';

/// Characters around a part that was found without the index.
const AROUND: usize = 40;

/// A session in which something was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// The session.
    pub session: Session,
    /// The best message; `None` if it is the title.
    pub message: Option<Number>,
    /// Some words of it.
    pub snippet: Vec<Piece>,
}

/// A part of a snippet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it is what was looked for.
    pub found: bool,
}

impl Store {
    /// Sessions whose title or messages contain every word of `text`, or words that begin so; titles
    /// first, then the best. Nothing in `text` is syntax. An empty `text` finds nothing.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, text: &str, most: usize) -> Result<Vec<Hit>, StoreError> {
        let query = Query::new(text);
        let mut hits = Vec::new();
        if query.is_empty() {
            return Ok(hits);
        }
        let mut seen = BTreeSet::new();
        let titles = self.matches(&query, Where::Titles)?;
        let messages = self.matches(&query, Where::Messages)?;
        for hit in titles.into_iter().chain(messages) {
            if hits.len() < most && seen.insert(hit.session.id) {
                hits.push(hit);
            }
        }
        Ok(hits)
    }

    fn matches(&self, query: &Query, place: Where) -> Result<Vec<Hit>, StoreError> {
        let (table, column, from, number) = match place {
            Where::Titles => ("sessions_fts", "s.title", "sessions s", "NULL"),
            Where::Messages => (
                "messages_fts",
                "m.text",
                "messages m JOIN sessions s ON s.id = m.session",
                "m.number",
            ),
        };
        let row = if place == Where::Titles {
            "s.id"
        } else {
            "m.id"
        };
        let mut values: Vec<Value> = Vec::new();
        let mut wanted = String::from("s.deleted_at IS NULL");
        let (join, snippet, order) = match &query.index {
            Some(index) => {
                values.push(index.clone().into());
                wanted.push_str(&format!(" AND {table} MATCH ?1"));
                (
                    format!("JOIN {table} ON {table}.rowid = {row}"),
                    format!("snippet({table}, 0, char(2), char(3), '…', 16)"),
                    format!("{table}.rank, s.updated DESC"),
                )
            }
            None => {
                if place == Where::Messages {
                    wanted.push_str(" AND m.state <> 'partial' AND m.deleted_with IS NULL");
                }
                (
                    String::new(),
                    column.to_owned(),
                    "s.updated DESC".to_owned(),
                )
            }
        };
        for part in &query.parts {
            values.push(containing(part).into());
            wanted.push_str(&format!(" AND {column} LIKE ?{} ESCAPE '\\'", values.len()));
        }
        let text = format!(
            "SELECT {COLUMNS}, {number}, {snippet} FROM {from} {join}
             WHERE {wanted} ORDER BY {order} LIMIT 500"
        );
        let rows = || {
            let mut statement = self.connection.prepare_cached(&text)?;
            let rows = statement.query_map(params_from_iter(values), |row| {
                Ok((session(row)?, row.get(12)?, row.get::<_, String>(13)?))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let hit = |(session, message, snippet): (Session, Option<Number>, String)| Hit {
            session,
            message,
            snippet: match &query.index {
                Some(_) => marked(&snippet),
                None => around(&snippet, &query.parts),
            },
        };
        Ok(self.sql(rows())?.into_iter().map(hit).collect())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Titles,
    Messages,
}

/// The pieces of a snippet of SQLite's, on one line.
fn marked(snippet: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut found = false;
    let mut text = String::new();
    for c in snippet.chars() {
        if matches!(c, OPEN | CLOSE) {
            push(&mut pieces, std::mem::take(&mut text), found);
            found = c == OPEN;
        } else {
            text.push(if c.is_whitespace() { ' ' } else { c });
        }
    }
    push(&mut pieces, text, found);
    pieces
}

/// What stands around the first of `parts` in `text`.
fn around(text: &str, parts: &[String]) -> Vec<Piece> {
    let at = parts
        .iter()
        .find_map(|part| Some((text.find(part)?, part.len())));
    let (start, length) = at.unwrap_or((0, 0));
    let (before, rest) = text.split_at(start);
    let (found, after) = rest.split_at(length);
    let skipped = before.chars().count().saturating_sub(AROUND);
    let mut left: String = before.chars().skip(skipped).collect();
    if skipped > 0 {
        left.insert(0, '…');
    }
    let mut right: String = after.chars().take(AROUND).collect();
    if right.len() < after.len() {
        right.push('…');
    }
    let line = |text: &str| text.replace(char::is_whitespace, " ");
    let mut pieces = Vec::new();
    push(&mut pieces, line(&left), false);
    push(&mut pieces, line(found), true);
    push(&mut pieces, line(&right), false);
    pieces
}

fn push(pieces: &mut Vec<Piece>, text: String, found: bool) {
    if !text.is_empty() {
        pieces.push(Piece { text, found });
    }
}

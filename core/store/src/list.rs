//! Lists of sessions, and finding one by its number or title.

use rusqlite::{Row, params};

use crate::error::StoreError;
use crate::open::Store;
use crate::session::{Details, Session, SessionId};

/// Which sessions are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// With this tag.
    pub tag: Option<String>,
    /// Held with a model whose name contains this.
    pub model: Option<String>,
    /// Deleted ones instead of the others.
    pub deleted: bool,
    /// At most so many, the last used first; 0 for all.
    pub most: usize,
}

pub(crate) const COLUMNS: &str = "s.id, s.title, s.model, s.profile, s.system, s.sampling,
    (SELECT group_concat(tag, ' ' ORDER BY tag) FROM tags WHERE session = s.id),
    s.created, s.updated, s.deleted_at,
    (SELECT count(*) FROM messages WHERE session = s.id AND deleted_with IS NULL),
    EXISTS (SELECT 1 FROM messages WHERE session = s.id AND deleted_with IS NULL
        AND state = 'partial')";

/// Reads [`COLUMNS`].
pub(crate) fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let number = |at| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0));
    let (sampling, tags): (Option<String>, Option<String>) = (row.get(5)?, row.get(6)?);
    let deleted: Option<i64> = row.get(9)?;
    let tags = tags.unwrap_or_default();
    Ok(Session {
        id: row.get(0)?,
        details: Details {
            title: row.get(1)?,
            model: row.get(2)?,
            profile: row.get(3)?,
            system: row.get(4)?,
            sampling: sampling.and_then(|text| serde_json::from_str(&text).ok()),
            tags: tags.split_whitespace().map(str::to_owned).collect(),
        },
        created: number(7)?,
        updated: number(8)?,
        deleted: deleted.map(|time| u64::try_from(time).unwrap_or(0)),
        messages: number(10)?,
        unfinished: row.get(11)?,
    })
}

/// Text for `LIKE` that matches itself anywhere, with `\` as the escape.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

impl Store {
    /// The sessions that `filter` lets through, the last used first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Session>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS} FROM sessions s
             WHERE (s.deleted_at IS NOT NULL) = ?1
                AND (?2 IS NULL OR EXISTS (SELECT 1 FROM tags WHERE session = s.id AND tag = ?2))
                AND (?3 IS NULL OR s.model LIKE ?3 ESCAPE '\\')
             ORDER BY s.updated DESC, s.id DESC LIMIT ?4"
        );
        let most = match filter.most {
            0 => -1,
            most => i64::try_from(most).unwrap_or(-1),
        };
        let model = filter.model.as_deref().map(containing);
        let tag = filter.tag.as_deref().map(|tag| tag.trim_start_matches('#'));
        let rows = || {
            let mut statement = self.connection.prepare_cached(&text)?;
            let rows = statement.query_map(params![filter.deleted, tag, model, most], session)?;
            rows.collect()
        };
        self.sql(rows())
    }

    /// A session, deleted or not.
    ///
    /// # Errors
    /// When there is no such session, or the file cannot be read.
    pub fn session(&self, id: SessionId) -> Result<Session, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM sessions s WHERE s.id = ?1");
        match self.connection.query_row(&text, params![id], session) {
            Err(rusqlite::Error::QueryReturnedNoRows) => Err(StoreError::NoSession(id.to_string())),
            other => self.sql(other),
        }
    }

    /// The session that is meant: by its number, its title, or a part of its title that no other has.
    ///
    /// # Errors
    /// When there is none or there are several, or the file cannot be read.
    pub fn named(&self, wanted: &str, deleted: bool) -> Result<Session, StoreError> {
        let wanted = wanted.trim();
        let all = self.list(&Filter {
            deleted,
            ..Filter::default()
        })?;
        if let Ok(id) = wanted.trim_start_matches('#').parse::<SessionId>()
            && let Some(session) = all.iter().find(|session| session.id == id)
        {
            return Ok(session.clone());
        }
        let folded = wanted.to_lowercase();
        let title = |session: &Session| session.details.title.to_lowercase();
        let ways: [&dyn Fn(&str) -> bool; 3] = [
            &|title| title == folded,
            &|title| title.starts_with(&folded),
            &|title| title.contains(&folded),
        ];
        for way in ways {
            let mut found = all.iter().filter(|session| way(&title(session)));
            let Some(first) = found.next().filter(|_| !folded.is_empty()) else {
                continue;
            };
            let others: Vec<&Session> = found.take(9).collect();
            if others.is_empty() {
                return Ok(first.clone());
            }
            let line =
                |session: &&Session| format!("\n  {}  {}", session.id, session.details.title);
            let list = std::iter::once(&first).chain(&others).map(line).collect();
            return Err(StoreError::Ambiguous {
                wanted: wanted.to_owned(),
                list,
            });
        }
        Err(StoreError::NoSession(wanted.to_owned()))
    }
}

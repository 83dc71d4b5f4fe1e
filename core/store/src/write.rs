//! Changes, each one whole.

use rusqlite::{OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::clock;
use crate::error::StoreError;
use crate::message::{Message, Number, Role, State, Timings};
use crate::open::Store;
use crate::session::{Details, SessionId, checked_tags, checked_title};
use crate::tree::{Tree, TreeError};

impl Store {
    /// Does several things as one.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failed>,
    ) -> Result<T, StoreError> {
        let path = &self.path;
        let sql = |error| StoreError::sql(path, error);
        let change = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sql)?;
        let done = work(&change).map_err(|failed| match failed {
            Failed::Sql(error) => StoreError::sql(path, error),
            Failed::Store(error) => error,
        })?;
        change.commit().map_err(sql)?;
        Ok(done)
    }

    /// Begins a session.
    ///
    /// # Errors
    /// When its title or a tag is refused, or the file cannot be written.
    pub fn create(&mut self, details: &Details) -> Result<SessionId, StoreError> {
        let now = clock::now();
        self.change(|change| insert_session(change, details, now, now))
    }

    /// Adds a message, which becomes the active leaf.
    ///
    /// # Errors
    /// When its number or parent is none, or the file cannot be written.
    pub fn add(&mut self, session: SessionId, message: &Message) -> Result<(), StoreError> {
        self.change(|change| {
            if let Some(parent) = message.parent {
                exists(change, session, parent)?;
            }
            let taken = change
                .query_row(
                    "SELECT 1 FROM messages WHERE session = ?1 AND number = ?2",
                    params![session, message.number],
                    |_| Ok(()),
                )
                .optional()?;
            if taken.is_some() || message.number == 0 || message.parent >= Some(message.number) {
                return Err(TreeError::Number(message.number).into());
            }
            insert_message(change, session, message)?;
            touch(change, session, Some(Some(message.number)))?;
            Ok(())
        })
    }

    /// Adds to an answer that is being written.
    ///
    /// # Errors
    /// When there is none with this number, or the file cannot be written.
    pub fn extend(
        &mut self,
        session: SessionId,
        number: Number,
        text: &str,
    ) -> Result<(), StoreError> {
        self.change(|change| {
            writable(change, session, number)?;
            change.execute(
                "UPDATE messages SET text = text || ?3 WHERE session = ?1 AND number = ?2",
                params![session, number, text],
            )?;
            Ok(())
        })
    }

    /// Ends an answer.
    ///
    /// # Errors
    /// When none is being written with this number, or the file cannot be written.
    pub fn finish(
        &mut self,
        session: SessionId,
        number: Number,
        state: State,
        timings: Option<Timings>,
    ) -> Result<(), StoreError> {
        self.change(|change| {
            writable(change, session, number)?;
            change.execute(
                "UPDATE messages SET state = ?3, timings = coalesce(?4, timings)
                 WHERE session = ?1 AND number = ?2",
                params![session, number, state.name(), json(timings.as_ref())],
            )?;
            touch(change, session, None)?;
            Ok(())
        })
    }

    /// Goes on with an answer that ended.
    ///
    /// # Errors
    /// When there is no such message, or the file cannot be written.
    pub fn reopen(&mut self, session: SessionId, number: Number) -> Result<(), StoreError> {
        self.change(|change| {
            exists(change, session, number)?;
            change.execute(
                "UPDATE messages SET state = 'partial' WHERE session = ?1 AND number = ?2",
                params![session, number],
            )?;
            Ok(())
        })
    }

    /// Takes a message out for good that nothing follows; see [`Tree::remove`].
    ///
    /// # Errors
    /// When it is not there, something follows it, or the file cannot be written.
    pub fn remove(&mut self, session: SessionId, number: Number) -> Result<(), StoreError> {
        let mut tree = self.tree(session)?;
        tree.remove(number)?;
        self.change(|change| {
            change.execute(
                "DELETE FROM messages WHERE session = ?1 AND number = ?2",
                params![session, number],
            )?;
            touch(change, session, Some(tree.active()))?;
            Ok(())
        })
    }

    /// Makes this message the end of the conversation that is seen.
    ///
    /// # Errors
    /// When there is no such message, or the file cannot be written.
    pub fn set_active(&mut self, session: SessionId, leaf: Number) -> Result<(), StoreError> {
        self.change(|change| {
            exists(change, session, leaf)?;
            change.execute(
                "UPDATE sessions SET active = ?2 WHERE id = ?1",
                params![session, leaf],
            )?;
            Ok(())
        })
    }

    /// Deletes a message and all that follows it; see [`Tree::delete`].
    ///
    /// # Errors
    /// When there is no such message, or the file cannot be written.
    pub fn delete_branch(&mut self, session: SessionId, root: Number) -> Result<(), StoreError> {
        let mut tree = self.tree(session)?;
        let branch = tree.branch(root);
        tree.delete(root)?;
        let now = clock::now();
        self.change(|change| {
            let mut mark = change.prepare(
                "UPDATE messages SET deleted_with = ?3, deleted_at = ?4
                 WHERE session = ?1 AND number = ?2",
            )?;
            for number in branch {
                mark.execute(params![session, number, root, time(now)])?;
            }
            touch(change, session, Some(tree.active()))?;
            Ok(())
        })
    }

    /// Brings a deleted branch back; see [`Tree::restore`].
    ///
    /// # Errors
    /// When there is none, or the file cannot be written.
    pub fn restore_branch(&mut self, session: SessionId, root: Number) -> Result<(), StoreError> {
        let mut tree = self.tree(session)?;
        tree.restore(root)?;
        self.change(|change| {
            change.execute(
                "UPDATE messages SET deleted_with = NULL, deleted_at = NULL
                 WHERE session = ?1 AND deleted_with = ?2",
                params![session, root],
            )?;
            touch(change, session, Some(tree.active()))?;
            Ok(())
        })
    }

    /// Marks answers that nobody writes any more; only for who holds the session.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn interrupt(&mut self, session: SessionId) -> Result<usize, StoreError> {
        self.change(|change| {
            Ok(change.execute(
                "UPDATE messages SET state = 'interrupted'
                 WHERE session = ?1 AND state = 'partial'",
                params![session],
            )?)
        })
    }

    /// Gives a session another title.
    ///
    /// # Errors
    /// When the title is refused, there is no such session, or the file cannot be written.
    pub fn rename(&mut self, session: SessionId, title: &str) -> Result<(), StoreError> {
        let title = checked_title(title)?;
        self.change(|change| {
            let count = change.execute(
                "UPDATE sessions SET title = ?2 WHERE id = ?1",
                params![session, title],
            )?;
            one(count, session)
        })
    }

    /// Gives a session these tags in place of the ones it has.
    ///
    /// # Errors
    /// When a tag is refused, there is no such session, or the file cannot be written.
    pub fn set_tags(&mut self, session: SessionId, tags: &[String]) -> Result<(), StoreError> {
        let tags = checked_tags(tags.iter().map(String::as_str))?;
        self.change(|change| {
            one(touch(change, session, None)?, session)?;
            change.execute("DELETE FROM tags WHERE session = ?1", params![session])?;
            insert_tags(change, session, &tags)?;
            Ok(())
        })
    }

    /// Keeps what a session is held under from now on; its title and tags stay.
    ///
    /// # Errors
    /// When there is no such session, or the file cannot be written.
    pub fn set_details(&mut self, session: SessionId, details: &Details) -> Result<(), StoreError> {
        self.change(|change| {
            let count = change.execute(
                "UPDATE sessions SET model = ?2, profile = ?3, system = ?4, sampling = ?5
                 WHERE id = ?1",
                params![
                    session,
                    details.model,
                    details.profile,
                    details.system,
                    json(details.sampling.as_ref())
                ],
            )?;
            one(count, session)
        })
    }

    /// Deletes a session, so that it can be brought back until it is purged.
    ///
    /// # Errors
    /// When there is no such session, or the file cannot be written.
    pub fn delete(&mut self, session: SessionId) -> Result<(), StoreError> {
        let now = clock::now();
        self.change(|change| {
            let count = change.execute(
                "UPDATE sessions SET deleted_at = coalesce(deleted_at, ?2) WHERE id = ?1",
                params![session, time(now)],
            )?;
            one(count, session)
        })
    }

    /// Brings a deleted session back.
    ///
    /// # Errors
    /// When there is no such session, or the file cannot be written.
    pub fn restore(&mut self, session: SessionId) -> Result<(), StoreError> {
        self.change(|change| {
            let count = change.execute(
                "UPDATE sessions SET deleted_at = NULL WHERE id = ?1",
                params![session],
            )?;
            one(count, session)
        })
    }

    /// Takes out for good what was deleted more than `age` milliseconds ago, sessions and branches, and
    /// returns how many sessions that were.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn purge(&mut self, age: u64) -> Result<usize, StoreError> {
        let before = time(clock::now().saturating_sub(age));
        self.change(|change| {
            change.execute(
                "DELETE FROM messages WHERE deleted_at <= ?1",
                params![before],
            )?;
            Ok(change.execute(
                "DELETE FROM sessions WHERE deleted_at <= ?1",
                params![before],
            )?)
        })
    }

    /// Takes a session without any message, deleted ones included, out for good, and says whether it was
    /// one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn discard_empty(&mut self, session: SessionId) -> Result<bool, StoreError> {
        self.change(|change| {
            let count = change.execute(
                "DELETE FROM sessions WHERE id = ?1
                    AND NOT EXISTS (SELECT 1 FROM messages WHERE session = ?1)",
                params![session],
            )?;
            Ok(count > 0)
        })
    }

    /// A copy of a session, with every branch that is not deleted, under its title with "(copy)".
    ///
    /// # Errors
    /// When there is no such session, or the file cannot be written.
    pub fn copy(&mut self, session: SessionId) -> Result<SessionId, StoreError> {
        let mut document = self.document(session)?;
        let title: String = document.details.title.chars().take(190).collect();
        document.details.title = format!("{title} (copy)");
        document.updated = clock::now();
        self.import(&document)
    }

    /// Adds a session with its whole tree under a number of its own.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn insert(
        &mut self,
        details: &Details,
        tree: &Tree,
        created: u64,
        updated: u64,
    ) -> Result<SessionId, StoreError> {
        self.change(|change| {
            let session = insert_session(change, details, created, updated)?;
            for message in tree.messages() {
                insert_message(change, session, message)?;
            }
            change.execute(
                "UPDATE sessions SET active = ?2 WHERE id = ?1",
                params![session, tree.active()],
            )?;
            Ok(session)
        })
    }

    /// The tree of a session.
    ///
    /// # Errors
    /// When there is no such session, or the file cannot be read.
    pub fn tree(&self, session: SessionId) -> Result<Tree, StoreError> {
        let active: Option<Option<Number>> = self.sql(
            self.connection
                .query_row(
                    "SELECT active FROM sessions WHERE id = ?1",
                    params![session],
                    |row| row.get(0),
                )
                .optional(),
        )?;
        let active = active.ok_or_else(|| StoreError::NoSession(session.to_string()))?;
        let mut tree = Tree::default();
        let rows = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT number, parent, role, text, state, model, kernel, seed, timings, created,
                    deleted_with
                 FROM messages WHERE session = ?1 ORDER BY number",
            )?;
            let rows = statement.query_map(params![session], stored)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        for (message, deleted) in self.sql(rows())? {
            tree.insert_stored(message, deleted);
        }
        tree.set_stored_active(active);
        Ok(tree)
    }
}

/// Why a change was given up.
enum Failed {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<TreeError> for Failed {
    fn from(error: TreeError) -> Self {
        Self::Store(error.into())
    }
}

/// SQLite has no numbers without a sign.
fn time(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

fn json<T: serde::Serialize>(value: Option<&T>) -> Option<String> {
    value.and_then(|value| serde_json::to_string(value).ok())
}

fn one(count: usize, session: SessionId) -> Result<(), Failed> {
    if count == 0 {
        return Err(StoreError::NoSession(session.to_string()).into());
    }
    Ok(())
}

/// Something was said now; with `active`, the leaf is another one.
fn touch(
    change: &Transaction<'_>,
    session: SessionId,
    active: Option<Option<Number>>,
) -> rusqlite::Result<usize> {
    let now = time(clock::now());
    match active {
        Some(active) => change.execute(
            "UPDATE sessions SET updated = ?2, active = ?3 WHERE id = ?1",
            params![session, now, active],
        ),
        None => change.execute(
            "UPDATE sessions SET updated = ?2 WHERE id = ?1",
            params![session, now],
        ),
    }
}

fn state_of(
    change: &Transaction<'_>,
    session: SessionId,
    number: Number,
) -> rusqlite::Result<Option<String>> {
    change
        .prepare_cached(
            "SELECT state FROM messages
             WHERE session = ?1 AND number = ?2 AND deleted_with IS NULL",
        )?
        .query_row(params![session, number], |row| row.get(0))
        .optional()
}

fn exists(change: &Transaction<'_>, session: SessionId, number: Number) -> Result<(), Failed> {
    match state_of(change, session, number)? {
        Some(_) => Ok(()),
        None => Err(TreeError::NoMessage(number).into()),
    }
}

fn writable(change: &Transaction<'_>, session: SessionId, number: Number) -> Result<(), Failed> {
    match state_of(change, session, number)? {
        Some(state) if state == State::Partial.name() => Ok(()),
        Some(_) => Err(TreeError::Finished(number).into()),
        None => Err(TreeError::NoMessage(number).into()),
    }
}

fn insert_session(
    change: &Transaction<'_>,
    details: &Details,
    created: u64,
    updated: u64,
) -> Result<SessionId, Failed> {
    let title = checked_title(&details.title)?;
    let tags = checked_tags(details.tags.iter().map(String::as_str))?;
    change.execute(
        "INSERT INTO sessions(title, created, updated, model, profile, system, sampling)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            title,
            time(created),
            time(updated),
            details.model,
            details.profile,
            details.system,
            json(details.sampling.as_ref())
        ],
    )?;
    let session = change.last_insert_rowid();
    insert_tags(change, session, &tags)?;
    Ok(session)
}

fn insert_tags(
    change: &Transaction<'_>,
    session: SessionId,
    tags: &[String],
) -> rusqlite::Result<()> {
    let mut insert = change.prepare_cached("INSERT INTO tags(session, tag) VALUES (?1, ?2)")?;
    for tag in tags {
        insert.execute(params![session, tag])?;
    }
    Ok(())
}

fn insert_message(
    change: &Transaction<'_>,
    session: SessionId,
    message: &Message,
) -> rusqlite::Result<()> {
    let created = match message.created {
        0 => clock::now(),
        created => created,
    };
    change
        .prepare_cached(
            "INSERT INTO messages(session, number, parent, role, text, state, model, kernel, seed,
                timings, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            session,
            message.number,
            message.parent,
            message.role.name(),
            message.text,
            message.state.name(),
            message.model,
            message.kernel,
            message.seed.map(u64::cast_signed),
            json(message.timings.as_ref()),
            time(created),
        ])?;
    Ok(())
}

fn stored(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Message, Option<Number>)> {
    let (role, state): (String, String) = (row.get(2)?, row.get(4)?);
    let timings: Option<String> = row.get(8)?;
    let message = Message {
        number: row.get(0)?,
        parent: row.get(1)?,
        role: Role::of(&role).unwrap_or(Role::User),
        text: row.get(3)?,
        // A state of a later version is at least not unfinished.
        state: State::of(&state).unwrap_or_default(),
        model: row.get(5)?,
        kernel: row.get(6)?,
        seed: row.get::<_, Option<i64>>(7)?.map(i64::cast_unsigned),
        timings: timings.and_then(|text| serde_json::from_str(&text).ok()),
        created: u64::try_from(row.get::<_, i64>(9)?).unwrap_or(0),
    };
    Ok((message, row.get(10)?))
}

//! The tables, and how older files become like new ones.

use rusqlite::{Connection, TransactionBehavior};

/// One step after the other; the number of steps a file has gone through is its `user_version`. A step
/// that has been released never changes.
pub(crate) const STEPS: &[&str] = &[
    // 1: sessions and their messages.
    "CREATE TABLE sessions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        model TEXT,
        profile TEXT,
        system TEXT,
        sampling TEXT,
        active INTEGER,
        deleted_at INTEGER
    ) STRICT;
    CREATE INDEX sessions_updated ON sessions(updated DESC);
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        session INTEGER NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
        number INTEGER NOT NULL CHECK (number > 0),
        parent INTEGER CHECK (parent < number),
        role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
        text TEXT NOT NULL,
        state TEXT NOT NULL,
        model TEXT,
        kernel TEXT,
        seed INTEGER,
        timings TEXT,
        created INTEGER NOT NULL,
        deleted_with INTEGER,
        deleted_at INTEGER,
        UNIQUE (session, number),
        FOREIGN KEY (session, parent) REFERENCES messages(session, number) ON DELETE CASCADE
    ) STRICT;
    CREATE TABLE tags (
        session INTEGER NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
        tag TEXT NOT NULL COLLATE NOCASE,
        PRIMARY KEY (session, tag)
    ) STRICT, WITHOUT ROWID;",
    // 2: search. What is being written is not in the index until it is finished: it would be taken
    // out and put in again with every word.
    "CREATE INDEX messages_parent ON messages(session, parent);
    CREATE VIEW searchable(id, text) AS
        SELECT id, text FROM messages WHERE state <> 'partial' AND deleted_with IS NULL;
    CREATE VIRTUAL TABLE messages_fts USING fts5(
        text, content = 'searchable', content_rowid = 'id',
        tokenize = 'unicode61 remove_diacritics 2');
    CREATE TRIGGER messages_added AFTER INSERT ON messages
        WHEN new.state <> 'partial' AND new.deleted_with IS NULL BEGIN
        INSERT INTO messages_fts(rowid, text) VALUES (new.id, new.text);
    END;
    CREATE TRIGGER messages_gone AFTER DELETE ON messages
        WHEN old.state <> 'partial' AND old.deleted_with IS NULL BEGIN
        INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.id, old.text);
    END;
    CREATE TRIGGER messages_changed AFTER UPDATE OF text, state, deleted_with ON messages BEGIN
        INSERT INTO messages_fts(messages_fts, rowid, text)
            SELECT 'delete', old.id, old.text
            WHERE old.state <> 'partial' AND old.deleted_with IS NULL;
        INSERT INTO messages_fts(rowid, text)
            SELECT new.id, new.text
            WHERE new.state <> 'partial' AND new.deleted_with IS NULL;
    END;
    CREATE VIRTUAL TABLE sessions_fts USING fts5(
        title, content = 'sessions', content_rowid = 'id',
        tokenize = 'unicode61 remove_diacritics 2');
    CREATE TRIGGER sessions_added AFTER INSERT ON sessions BEGIN
        INSERT INTO sessions_fts(rowid, title) VALUES (new.id, new.title);
    END;
    CREATE TRIGGER sessions_gone AFTER DELETE ON sessions BEGIN
        INSERT INTO sessions_fts(sessions_fts, rowid, title) VALUES ('delete', old.id, old.title);
    END;
    CREATE TRIGGER sessions_renamed AFTER UPDATE OF title ON sessions BEGIN
        INSERT INTO sessions_fts(sessions_fts, rowid, title) VALUES ('delete', old.id, old.title);
        INSERT INTO sessions_fts(rowid, title) VALUES (new.id, new.title);
    END;
    INSERT INTO messages_fts(messages_fts) VALUES ('rebuild');
    INSERT INTO sessions_fts(sessions_fts) VALUES ('rebuild');",
];

/// The format of files that are up to date.
pub(crate) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// The format of a file.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings an older file up to date, all of it or nothing.
pub(crate) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    if version(connection)? == newest() {
        return Ok(());
    }
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    let done = usize::try_from(version(&change)?).unwrap_or(usize::MAX);
    for step in STEPS.iter().skip(done) {
        change.execute_batch(step)?;
    }
    if done < STEPS.len() {
        change.pragma_update(None, "user_version", newest())?;
    }
    change.commit()
}

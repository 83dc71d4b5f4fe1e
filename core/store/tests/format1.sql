CREATE TABLE sessions (
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
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
INSERT INTO sessions VALUES (1, 'Old sums', 1000, 2000, 'tiny', 'edge', NULL, NULL, 3, NULL);
INSERT INTO messages(session, number, parent, role, text, state, created) VALUES
    (1, 1, NULL, 'user', 'What is 7 + 5?', 'complete', 1000),
    (1, 2, 1, 'assistant', 'eleven', 'complete', 1500),
    (1, 3, 1, 'assistant', 'twelve', 'complete', 2000);
INSERT INTO tags VALUES (1, 'maths');

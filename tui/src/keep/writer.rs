//! The thread that owns the store.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tritone_store::{
    Access, Details, Filter, Held, Message, Number, Session, SessionId, State, Store, StoreError,
    markdown, write_documents,
};

use super::{MONTH, Named, Say, ago};
use crate::app::keep::{Chat, Keep, Kept, Row, Which};
use crate::cli::date::date;

/// Time between two writes of an answer that is coming; a process that is killed loses no more.
const INTERVAL: Duration = Duration::from_millis(250);

/// How often a file that another process is writing is tried again; each time waits for seconds.
const TRIES: u32 = 6;

/// Most sessions of a list.
const MOST: usize = 1000;

/// The session at hand.
struct Current {
    id: SessionId,
    details: Details,
    /// The answer that is being written.
    writing: Option<Number>,
    _held: Held,
}

/// Text of an answer that is not written yet.
struct Pending {
    number: Number,
    text: String,
    since: Instant,
}

/// Keeps conversations until its orders end.
pub(super) struct Writer {
    store: Option<Store>,
    /// What is said is written; not once that has failed.
    saves: bool,
    current: Option<Current>,
    pending: Option<Pending>,
    /// Comes before what the first session that is opened was held under.
    named: Named,
    say: Say,
}

impl Writer {
    /// Opens the store, or says why there is none.
    pub(super) fn open(path: &Path, say: Say, named: Named) -> Self {
        let mut writer = Self {
            store: None,
            saves: false,
            current: None,
            pending: None,
            named,
            say,
        };
        let opened = Store::open(path).or_else(|error| match Store::open_existing(path) {
            Ok(Some(opened)) if matches!(error, StoreError::ReadOnly { .. }) => Ok(opened),
            _ => Err(error),
        });
        match opened {
            Ok(opened) => {
                writer.saves = opened.store.access() == Access::Write;
                if !writer.saves {
                    let why = StoreError::ReadOnly {
                        path: path.to_owned(),
                    };
                    writer.say(Kept::Lost(why.to_string()));
                }
                for notice in opened.notices.into_iter().filter(|_| writer.saves) {
                    writer.say(Kept::Failed(notice));
                }
                writer.store = Some(opened.store);
            }
            Err(error) => writer.say(Kept::Lost(error.to_string())),
        }
        if writer.saves {
            let _ = writer.change(|store| store.purge(MONTH));
        }
        writer
    }

    fn say(&self, what: Kept) {
        (self.say)(what);
    }

    /// Says where one could go on.
    pub(super) fn hint(&self) {
        let Some(store) = &self.store else { return };
        let most = Filter {
            most: 20,
            ..Filter::default()
        };
        let sessions = store.list(&most).unwrap_or_default();
        let last = sessions
            .into_iter()
            .find(|session| session.messages > 0 && !store.is_held(session.id));
        if let Some(last) = last {
            self.say(Kept::Last(Box::new(last)));
        }
    }

    /// Carries out orders until there are no more; then everything is on disk.
    pub(super) fn work(&mut self, orders: &Receiver<Keep>) {
        loop {
            let due = self.pending.as_ref().map(|pending| {
                let past = pending.since.elapsed();
                INTERVAL.saturating_sub(past)
            });
            let order = match due {
                Some(due) => orders.recv_timeout(due),
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(order) => self.carry_out(order),
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.flush();
        let unfinished = self.current.as_ref().and_then(|current| current.writing);
        if let Some(number) = unfinished {
            self.save(|store, id| store.finish(id, number, State::Interrupted, None));
        }
    }

    /// Changes the store; tries again while another process is writing.
    fn change<T>(
        &mut self,
        mut work: impl FnMut(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(store) = &mut self.store else {
            return Err(StoreError::Refused("nothing is kept here".to_owned()));
        };
        let mut tries = 1;
        loop {
            match work(store) {
                Err(StoreError::Busy { .. }) if tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    /// Changes the session at hand. When that fails, nothing is saved from then on, and it is said once.
    fn save(&mut self, mut work: impl FnMut(&mut Store, SessionId) -> Result<(), StoreError>) {
        let Some(id) = self.current.as_ref().map(|current| current.id) else {
            return;
        };
        let result = self.change(|store| work(store, id));
        self.settle(result);
    }

    fn settle(&mut self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            self.saves = false;
            self.current = None;
            self.pending = None;
            self.say(Kept::Lost(error.to_string()));
        }
    }

    /// Writes what has come of the answer.
    fn flush(&mut self) {
        if let Some(Pending { number, text, .. }) = self.pending.take() {
            self.save(|store, id| store.extend(id, number, &text));
        }
    }

    /// Carries out an order.
    pub(super) fn carry_out(&mut self, order: Keep) {
        if let Keep::Extend { number, text } = order {
            self.extend(number, &text);
            return;
        }
        self.flush();
        match order {
            Keep::Extend { .. } => {}
            Keep::Add { details, message } => self.add(*details, &message),
            Keep::Finish {
                number,
                state,
                timings,
            } => {
                self.writes(None);
                self.save(|store, id| store.finish(id, number, state, timings));
            }
            Keep::Reopen(number) => {
                self.writes(Some(number));
                self.save(|store, id| store.reopen(id, number));
            }
            Keep::Remove(number) => self.remove(number),
            Keep::Active(number) => self.save(|store, id| store.set_active(id, number)),
            Keep::DeleteBranch(number) => {
                self.save(|store, id| store.delete_branch(id, number));
            }
            Keep::RestoreBranch(number) => {
                self.save(|store, id| store.restore_branch(id, number));
            }
            Keep::Close => self.current = None,
            Keep::Open(which) => {
                if let Err(error) = self.resume(&which) {
                    self.say(Kept::Failed(error.to_string()));
                }
            }
            Keep::List { text, turn } => match self.list(&text) {
                Ok(rows) => self.say(Kept::Listed { turn, rows }),
                Err(error) => self.say(Kept::Failed(error.to_string())),
            },
            Keep::Preview(id) => {
                if let Some(Ok(tree)) = self.store.as_ref().map(|store| store.tree(id)) {
                    self.say(Kept::Preview(id, Box::new(tree)));
                }
            }
            other => {
                let said = match self.manage(other) {
                    Ok(said) => said,
                    Err(error) => Kept::Failed(error.to_string()),
                };
                self.say(said);
            }
        }
    }

    fn writes(&mut self, number: Option<Number>) {
        if let Some(current) = &mut self.current {
            current.writing = number;
        }
    }

    fn extend(&mut self, number: Number, text: &str) {
        if self.current.is_none() {
            return;
        }
        match &mut self.pending {
            Some(pending) if pending.number == number => pending.text.push_str(text),
            _ => {
                self.flush();
                self.pending = Some(Pending {
                    number,
                    text: text.to_owned(),
                    since: Instant::now(),
                });
            }
        }
        // Orders may come faster than the thread waits for them.
        let due = |pending: &Pending| pending.since.elapsed() >= INTERVAL;
        if self.pending.as_ref().is_some_and(due) {
            self.flush();
        }
    }

    fn add(&mut self, details: Details, message: &Message) {
        if !self.saves {
            return;
        }
        if self.current.is_none() {
            let begun = self.change(|store| {
                let id = store.create(&details)?;
                Ok((id, store.hold(id)?))
            });
            match begun {
                Ok((id, held)) => {
                    self.say(Kept::Began(id, details.title.clone()));
                    self.current = Some(Current {
                        id,
                        details: details.clone(),
                        writing: None,
                        _held: held,
                    });
                }
                Err(error) => return self.settle(Err(error)),
            }
        }
        let known = self.current.as_ref().map(|current| &current.details);
        if known.is_some_and(|known| differs(known, &details)) {
            self.save(|store, id| store.set_details(id, &details));
            if let Some(current) = &mut self.current {
                current.details = details;
            }
        }
        if message.state == State::Partial {
            self.writes(Some(message.number));
        }
        self.save(|store, id| store.add(id, message));
    }

    /// Takes a message out; a session without any is none.
    fn remove(&mut self, number: Number) {
        self.writes(None);
        let mut empty = false;
        self.save(|store, id| {
            store.remove(id, number)?;
            empty = store.discard_empty(id)?;
            Ok(())
        });
        if empty {
            self.current = None;
        }
    }

    /// Goes on with an earlier session, or with a copy if another process holds it.
    fn resume(&mut self, which: &Which) -> Result<(), StoreError> {
        let Some(store) = &mut self.store else {
            return Err(StoreError::Refused("nothing is kept here".to_owned()));
        };
        let now = self.current.as_ref().map(|current| current.id);
        let session = match which {
            Which::Id(id) => store.session(*id)?,
            Which::Named(name) => store.named(name, false)?,
            Which::Last => {
                let mut all = store.list(&Filter::default())?.into_iter();
                let last = all.find(|session| Some(session.id) != now && session.messages > 0);
                last.ok_or_else(|| StoreError::Refused("there is no earlier chat".to_owned()))?
            }
        };
        if now == Some(session.id) {
            return Err(StoreError::Refused("this chat is open already".to_owned()));
        }
        let mut notes = Vec::new();
        let mut id = session.id;
        let held = match store.hold(id) {
            _ if !self.saves => None,
            Err(error @ StoreError::OpenElsewhere { .. }) => {
                id = store.copy(id)?;
                notes.push(format!("{error}; this is a copy of it"));
                Some(store.hold(id)?)
            }
            other => Some(other?),
        };
        if held.is_some() {
            store.interrupt(id)?;
        }
        let (mut session, mut tree) = (store.session(id)?, store.tree(id)?);
        tree.interrupt();
        if held.is_none() {
            notes.push("what is said from here on is not saved".to_owned());
        }
        self.current = held.map(|held| Current {
            id,
            details: session.details.clone(),
            writing: None,
            _held: held,
        });
        let named = std::mem::take(&mut self.named);
        if named.sampling {
            session.details.sampling = None;
        } else if named.max_tokens
            && let Some(kept) = &mut session.details.sampling
            && let Some(kept) = kept.as_object_mut()
        {
            kept.remove("max_tokens");
        }
        session.details.system = named.system.or(session.details.system);
        let chat = Chat {
            session,
            tree,
            notes,
        };
        self.say(Kept::Opened(Box::new(chat)));
        Ok(())
    }

    fn list(&self, text: &str) -> Result<Vec<Row>, StoreError> {
        let Some(store) = &self.store else {
            return Ok(Vec::new());
        };
        let now = self.current.as_ref().map(|current| current.id);
        let row = |session: Session, hit| Row {
            when: ago(session.updated),
            elsewhere: now != Some(session.id) && store.is_held(session.id),
            session,
            hit,
        };
        if text.trim().is_empty() {
            let most = Filter {
                most: MOST,
                ..Filter::default()
            };
            let all = store.list(&most)?;
            return Ok(all.into_iter().map(|session| row(session, None)).collect());
        }
        let hits = store.find(text, MOST)?;
        let found = hits.into_iter();
        Ok(found
            .map(|hit| row(hit.session.clone(), Some(hit)))
            .collect())
    }

    /// What is done with a session as a whole.
    fn manage(&mut self, order: Keep) -> Result<Kept, StoreError> {
        let now = self.current.as_ref().map(|current| current.id);
        let this = |id: Option<SessionId>| {
            id.or(now)
                .ok_or_else(|| StoreError::Refused("this chat is not saved".to_owned()))
        };
        match order {
            Keep::Rename(id, title) => {
                let id = this(id)?;
                self.change(|store| store.rename(id, &title))?;
                let session = self.change(|store| store.session(id))?;
                let said = format!("the title is \"{}\" now", session.details.title);
                Ok(changed(session, now, said))
            }
            Keep::Tag(id, tags) => {
                let id = this(id)?;
                let tags: Vec<String> = tags
                    .split([' ', ','])
                    .filter(|tag| !tag.is_empty())
                    .map(str::to_owned)
                    .collect();
                self.change(|store| store.set_tags(id, &tags))?;
                let session = self.change(|store| store.session(id))?;
                let said = match session.details.tags.join(" ") {
                    none if none.is_empty() => "there are no tags now".to_owned(),
                    tags => format!("the tags are {tags} now"),
                };
                Ok(changed(session, now, said))
            }
            Keep::Delete(id) => {
                // Not under the hands of another process.
                let _held = self.change(|store| store.hold(id))?;
                self.change(|store| store.delete(id))?;
                Ok(Kept::Changed(
                    None,
                    "deleted; u in Sessions brings it back".to_owned(),
                ))
            }
            Keep::Restore(id) => {
                self.change(|store| store.restore(id))?;
                Ok(Kept::Changed(None, "it is back".to_owned()))
            }
            Keep::Export(id, file) => {
                let id = this(id)?;
                let path = home(&file);
                self.change(|store| export(store, id, &path))?;
                Ok(Kept::Done(format!("written to {}", path.display())))
            }
            _ => Err(StoreError::Refused("no such order".to_owned())),
        }
    }
}

fn changed(session: Session, now: Option<SessionId>, said: String) -> Kept {
    let this = (now == Some(session.id)).then(|| Box::new(session));
    Kept::Changed(this, said)
}

/// Whether a session is held under something else now.
fn differs(known: &Details, now: &Details) -> bool {
    (&known.model, &known.profile, &known.system, &known.sampling)
        != (&now.model, &now.profile, &now.system, &now.sampling)
}

/// A path, with `~` as shells have it.
fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

/// Writes a session into a new file: JSON if its name says so, else Markdown.
fn export(store: &Store, id: SessionId, path: &Path) -> Result<(), StoreError> {
    let text = if path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("json"))
    {
        write_documents(&[store.document(id)?])?
    } else {
        let session = store.session(id)?;
        markdown(&session, &store.tree(id)?, &date(session.created / 1000))
    };
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|error: std::io::Error| {
        let path = path.display();
        StoreError::Refused(match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                format!("{path} is there already: give another name")
            }
            _ => format!("cannot write {path}: {error}"),
        })
    })
}

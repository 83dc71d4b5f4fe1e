//! `tritone sessions`: earlier chats, without the screen.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;
use tritone_store::{
    Document, Filter, MOST_BYTES, Role, Session, State, Store, StoreError, Tree, markdown,
    read_documents, write_documents,
};

use super::console::Console;
use super::date::date;
use super::failure::{BadRequest, Usage};
use crate::chat::glyph::{fit, width};
use crate::keep::{MONTH, Named, Start, ago, default_path};

const EXAMPLES: &str = "\
Examples:
  tritone sessions list --tag work
  tritone sessions search capital peru
  tritone sessions show 12
  tritone sessions export --all > chats.json
  tritone sessions export 12 --format md --output chat.md
  tritone sessions import chats.json
  tritone chat --resume 12

A session is named by its number, its title, or a part of its title that no other has.";

/// `tritone sessions`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SessionsArgs {
    /// What to do; `list` if nothing is said.
    #[command(subcommand)]
    command: Option<SessionsCommand>,
}

#[derive(Debug, Subcommand)]
enum SessionsCommand {
    /// List sessions, the last used first.
    List(ListArgs),
    /// Print the conversation of a session.
    Show(OneArgs),
    /// Find sessions by what was said: every word, or a word that begins so.
    Search(SearchArgs),
    /// Give a session another title.
    Rename(RenameArgs),
    /// Give a session these tags in place of the ones it has; none takes them away.
    Tag(TagArgs),
    /// Delete sessions; for 30 days `restore` brings them back.
    Delete(SeveralArgs),
    /// Bring deleted sessions back; `list --deleted` shows them.
    Restore(SeveralArgs),
    /// Write sessions as JSON, with all their branches, or as Markdown to read.
    Export(ExportArgs),
    /// Add the sessions of a JSON export; they get numbers of their own.
    Import(ImportArgs),
}

#[derive(Debug, Default, Args)]
struct ListArgs {
    /// Only those with this tag.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Only those held with a model whose name contains this; `--model` names the one to load.
    #[arg(long, value_name = "NAME")]
    with_model: Option<String>,
    /// Deleted ones instead of the others.
    #[arg(long)]
    deleted: bool,
    /// At most so many.
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct OneArgs {
    /// The session.
    #[arg(value_name = "NUMBER|TITLE")]
    session: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SearchArgs {
    /// Words to look for; nothing in them is syntax.
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
    /// At most so many.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RenameArgs {
    /// The session.
    #[arg(value_name = "NUMBER|TITLE")]
    session: String,
    /// Its new title.
    title: String,
}

#[derive(Debug, Args)]
struct TagArgs {
    /// The session.
    #[arg(value_name = "NUMBER|TITLE")]
    session: String,
    /// Its tags, each one word.
    tags: Vec<String>,
}

#[derive(Debug, Args)]
struct SeveralArgs {
    /// The sessions.
    #[arg(required = true, value_name = "NUMBER|TITLE")]
    sessions: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// The whole tree; `import` reads it.
    Json,
    /// The conversation that is seen, to read.
    Md,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// The sessions.
    #[arg(value_name = "NUMBER|TITLE", required_unless_present = "all")]
    sessions: Vec<String>,
    /// All of them.
    #[arg(long, conflicts_with = "sessions")]
    all: bool,
    /// How to write them [default: by the ending of the file, else json].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// File to write, which must not be there yet; standard output if there is none.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// A file of `tritone sessions export`; `-` is standard input.
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Does what is asked for.
pub(crate) fn run(args: &SessionsArgs, console: &Console) -> anyhow::Result<ExitCode> {
    let list = SessionsCommand::List(ListArgs::default());
    match args.command.as_ref().unwrap_or(&list) {
        SessionsCommand::List(args) => print_list(args, console)?,
        SessionsCommand::Show(args) => print_one(args, console)?,
        SessionsCommand::Search(args) => print_hits(args, console)?,
        SessionsCommand::Rename(args) => {
            let mut store = open(console)?;
            let id = named(&store, &args.session, false)?.id;
            store.rename(id, &args.title).map_err(refused)?;
        }
        SessionsCommand::Tag(args) => {
            let mut store = open(console)?;
            let id = named(&store, &args.session, false)?.id;
            let tags: Vec<String> = args
                .tags
                .iter()
                .flat_map(|tag| tag.split([',', ' ']))
                .filter(|tag| !tag.is_empty())
                .map(str::to_owned)
                .collect();
            store.set_tags(id, &tags).map_err(refused)?;
        }
        SessionsCommand::Delete(args) => {
            let mut store = open(console)?;
            for session in all_named(&store, &args.sessions, false)? {
                // Not under the hands of another process.
                let _held = store.hold(session.id)?;
                store.delete(session.id)?;
                let title = &session.details.title;
                console.note(&format!(
                    "deleted {} \"{title}\"; for {} days `tritone sessions restore {}` brings it back",
                    session.id,
                    MONTH / (24 * 60 * 60 * 1000),
                    session.id,
                ));
            }
        }
        SessionsCommand::Restore(args) => {
            let mut store = open(console)?;
            for session in all_named(&store, &args.sessions, true)? {
                store.restore(session.id)?;
            }
        }
        SessionsCommand::Export(args) => export(args, console)?,
        SessionsCommand::Import(args) => import(args, console)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What chats of the terminal are kept with.
///
/// # Errors
/// When the session that is wanted is not there.
pub(crate) fn start(
    resume: Option<&str>,
    go_on: bool,
    over: Named,
) -> anyhow::Result<Result<Start, &'static str>> {
    const NOWHERE: &str = "this chat is not saved: neither XDG_DATA_HOME nor HOME says where";
    let Some(path) = default_path() else {
        return Ok(Err(NOWHERE));
    };
    let mut start = Start {
        path,
        open: None,
        named: over,
        notes: Vec::new(),
    };
    let name = resume.filter(|name| !name.is_empty());
    if name.is_none() && !go_on {
        return Ok(Ok(start));
    }
    let store = match Store::open_existing(&start.path)? {
        Some(opened) => {
            start.notes = opened.notices;
            Some(opened.store)
        }
        None => None,
    };
    match (name, store) {
        (Some(name), Some(store)) => start.open = Some(named(&store, name, false)?.id),
        (Some(name), None) => {
            return Err(BadRequest(StoreError::NoSession(name.to_owned()).to_string()).into());
        }
        (None, store) => {
            let all = store.map(|store| store.list(&Filter::default()));
            let last = all.transpose()?.unwrap_or_default().into_iter();
            start.open = last.map(|session| session.id).next();
            if start.open.is_none() {
                let note = "there is no earlier chat to go on with; this is a new one";
                start.notes.push(note.to_owned());
            }
        }
    }
    Ok(Ok(start))
}

fn path() -> anyhow::Result<PathBuf> {
    let none = || Usage("neither XDG_DATA_HOME nor HOME says where sessions are kept".to_owned());
    Ok(default_path().ok_or_else(none)?)
}

/// Opens the store, and makes it if there is none.
fn open(console: &Console) -> anyhow::Result<Store> {
    let opened = Store::open(&path()?)?;
    for notice in opened.notices {
        console.note(&notice);
    }
    Ok(opened.store)
}

/// Opens the store to read, if there is one.
fn existing(console: &Console) -> anyhow::Result<Option<Store>> {
    let Some(opened) = Store::open_existing(&path()?)? else {
        return Ok(None);
    };
    for notice in opened.notices {
        console.note(&notice);
    }
    Ok(Some(opened.store))
}

/// A title or a name that is not acceptable is the request's fault.
fn refused(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::Refused(_) | StoreError::NoSession(_) | StoreError::Ambiguous { .. } => {
            BadRequest(error.to_string()).into()
        }
        other => other.into(),
    }
}

fn named(store: &Store, name: &str, deleted: bool) -> anyhow::Result<Session> {
    store.named(name, deleted).map_err(refused)
}

/// All of them, before anything is done to one.
fn all_named(store: &Store, names: &[String], deleted: bool) -> anyhow::Result<Vec<Session>> {
    names
        .iter()
        .map(|name| named(store, name, deleted))
        .collect()
}

fn print_list(args: &ListArgs, console: &Console) -> anyhow::Result<()> {
    let filter = Filter {
        tag: args.tag.clone(),
        model: args.with_model.clone(),
        deleted: args.deleted,
        most: args.limit.unwrap_or(0),
    };
    let store = existing(console)?;
    let sessions = store.map(|store| store.list(&filter)).transpose()?;
    let sessions = sessions.unwrap_or_default();
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json!({ "sessions": sessions }))?;
        return Ok(());
    }
    if sessions.is_empty() {
        console.note("there are no sessions");
    }
    for session in &sessions {
        writeln!(out, "{}", line(session))?;
    }
    Ok(())
}

/// A session in a line: number, when, title, messages, model, tags.
fn line(session: &Session) -> String {
    let details = &session.details;
    let title = clean(&details.title);
    let title = match width(&title) {
        0..=40 => format!("{title}{}", " ".repeat(40 - width(&title))),
        _ => format!("{}…", fit(&title, 39)),
    };
    let mut line = format!(
        "{:>4}  {:<11}  {title}  {:>4} msgs  {}",
        session.id,
        ago(session.updated),
        session.messages,
        clean(details.model.as_deref().unwrap_or("-")),
    );
    for tag in &details.tags {
        line.push_str(&format!("  #{}", clean(tag)));
    }
    if session.unfinished {
        line.push_str("  (unfinished)");
    }
    line
}

/// Text of a file is freed of control characters before it reaches a terminal.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The same for text of several lines.
fn clean_lines(text: &str) -> String {
    let keep = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().filter(keep).collect()
}

fn print_one(args: &OneArgs, console: &Console) -> anyhow::Result<()> {
    let missing = || BadRequest(StoreError::NoSession(args.session.clone()).to_string());
    let store = existing(console)?.ok_or_else(missing)?;
    let session = named(&store, &args.session, false)?;
    let tree = store.tree(session.id)?;
    let mut out = io::stdout().lock();
    if args.json {
        let path: Vec<_> = tree
            .path()
            .iter()
            .filter_map(|&n| tree.get(n).cloned())
            .collect();
        writeln!(out, "{}", json!({ "session": session, "messages": path }))?;
        return Ok(());
    }
    let text = markdown(&session, &tree, &date(session.created / 1000));
    out.write_all(clean_lines(&text).as_bytes())?;
    Ok(())
}

fn print_hits(args: &SearchArgs, console: &Console) -> anyhow::Result<()> {
    let text = args.words.join(" ");
    let store = existing(console)?;
    let hits = store
        .map(|store| store.find(&text, args.limit))
        .transpose()?;
    let hits = hits.unwrap_or_default();
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json!({ "hits": hits }))?;
        return Ok(());
    }
    if hits.is_empty() {
        console.note("nothing was found");
    }
    for hit in &hits {
        writeln!(out, "{}", line(&hit.session))?;
        let snippet: String = hit
            .snippet
            .iter()
            .map(|piece| match piece.found {
                true => format!("[{}]", clean(&piece.text)),
                false => clean(&piece.text),
            })
            .collect();
        writeln!(out, "      {}", snippet.trim())?;
    }
    Ok(())
}

fn export(args: &ExportArgs, console: &Console) -> anyhow::Result<()> {
    let ending = args.output.as_deref().and_then(Path::extension);
    let format = args.format.unwrap_or(match ending {
        Some(ending) if ending.eq_ignore_ascii_case("md") => Format::Md,
        _ => Format::Json,
    });
    let store = match existing(console)? {
        Some(store) => store,
        None if args.all => open(console)?,
        None => {
            let name = args.sessions.first().cloned().unwrap_or_default();
            return Err(BadRequest(StoreError::NoSession(name).to_string()).into());
        }
    };
    let sessions = match args.all {
        true => store.list(&Filter::default())?,
        false => all_named(&store, &args.sessions, false)?,
    };
    let text = match format {
        Format::Json => {
            let documents: Vec<Document> = sessions
                .iter()
                .map(|session| store.document(session.id))
                .collect::<Result<_, _>>()?;
            write_documents(&documents)? + "\n"
        }
        Format::Md => {
            let one = |session: &Session| -> Result<String, StoreError> {
                let tree: Tree = store.tree(session.id)?;
                Ok(markdown(session, &tree, &date(session.created / 1000)))
            };
            let all: Vec<String> = sessions.iter().map(one).collect::<Result<_, _>>()?;
            all.join("\n---\n\n")
        }
    };
    match &args.output {
        Some(path) => {
            let mut file = std::fs::File::create_new(path)
                .with_context(|| format!("cannot write {}", path.display()))?;
            file.write_all(text.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            console.note(&format!(
                "{} sessions are in {}",
                sessions.len(),
                path.display()
            ));
        }
        None => io::stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(())
}

fn import(args: &ImportArgs, console: &Console) -> anyhow::Result<()> {
    let name = args.file.display();
    let mut text = String::new();
    let mut read = |from: &mut dyn io::Read| from.take(MOST_BYTES + 1).read_to_string(&mut text);
    if args.file == Path::new("-") {
        read(&mut io::stdin().lock())
    } else {
        std::fs::File::open(&args.file).and_then(|mut file| read(&mut file))
    }
    .with_context(|| format!("cannot read {name}"))?;
    let documents =
        read_documents(&text).map_err(|error| BadRequest(format!("{name}: {error}")))?;
    let mut store = open(console)?;
    let mut numbers = Vec::new();
    for document in &documents {
        numbers.push(store.import(document)?);
    }
    if args.json {
        writeln!(io::stdout().lock(), "{}", json!({ "imported": numbers }))?;
    } else {
        let unfinished = |document: &&Document| {
            let last = document.messages.last();
            last.is_some_and(|m| m.role == Role::Assistant && m.state == State::Partial)
        };
        let cut = documents.iter().filter(unfinished).count();
        console.note(&format!(
            "{} sessions were added{}",
            numbers.len(),
            match cut {
                0 => String::new(),
                cut => format!(", {cut} of them with an answer that was never finished"),
            }
        ));
    }
    Ok(())
}

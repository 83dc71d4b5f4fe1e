//! `tritone pull`: models from Hugging Face, or a server that speaks as it does.
//!
//! The client is ureq with rustls: blocking, no runtime of its own, a few small crates. The crate
//! `hf-hub` would bring a larger client and keeps no promise that is needed here: where the token
//! goes, what a redirect may do, what is checked before a file gets its name.

mod choose;
mod digest;
mod fetch;
mod http;
mod listing;
mod part;
mod progress;
mod stream;
mod target;
mod token;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use tritone_engine::human_bytes;
use tritone_profile::process_environment;

use self::choose::{Choice, choose};
use self::digest::{Digest, agrees};
use self::fetch::{Fetch, Outcome};
use self::http::{Client, Fault, HttpError};
use self::listing::{Listing, RemoteFile, list};
use self::progress::Meter;
use self::target::Target;
use super::console::{Console, visible};
use super::failure::{CANCELLED, Usage};
use super::interrupt::Interrupt;
use super::models::facts::{Runs, of_config};
use super::models::places::{places, store};
use super::models::scan::scan;
use super::output::check_space;

/// Where models are fetched from, unless somebody says otherwise.
const ENDPOINT: &str = "https://huggingface.co";

const EXAMPLES: &str = "\
Without FILE, the best file that runs here is chosen, and that is said. FILE is a path in the
repository, or a type such as PQ2_0. What was received is kept when a download ends early; the same
command goes on from there. Files are compared with the checksums of the repository, and a model that
would not run is refused as soon as its header is there. Only this command uses the network.

Examples:
  tritone pull microsoft/bitnet-b1.58-2B-4T-gguf
  tritone pull prism-ml/Ternary-Bonsai-1.7B-gguf:PQ2_0
  tritone pull tiiuae/Falcon-E-1B-Instruct-GGUF@main:ggml-model-i2_s.gguf
  tritone pull https://huggingface.co/microsoft/bitnet-b1.58-2B-4T-gguf

Environment:
  TRITONE_MODELS            where models are put [default: tritone/models in your data directory]
  HF_ENDPOINT               another server, as --endpoint
  HF_TOKEN, HF_TOKEN_PATH   for private repositories; sent to the endpoint only, and only over https
  HTTPS_PROXY, NO_PROXY     the way to it
  SSL_CERT_FILE             certificates to trust instead of the compiled ones";

/// `tritone pull`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PullArgs {
    /// Repository, and a file of it; @REVISION behind the repository names a branch, tag or commit.
    #[arg(value_name = "REPO[:FILE]")]
    target: String,
    /// Server to ask.
    #[arg(long, value_name = "URL", env = "HF_ENDPOINT")]
    endpoint: Option<String>,
    /// Show what is in the repository and fetch nothing.
    #[arg(long)]
    list: bool,
    /// Replace files that are there, and fetch what does not run.
    #[arg(long)]
    force: bool,
    /// Failures in a row that are borne.
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: u32,
    /// Seconds of silence after which a server is asked again.
    #[arg(long, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &PullArgs, console: &Console) -> anyhow::Result<ExitCode> {
    let target = Target::parse(&args.target)?;
    let client = client(args, &target)?;
    if client.withholds_token() {
        console.note("your token is not sent: everybody on the way could read it; use https");
    }
    let listing = listing(args, &client, &target, console)?;
    if args.list {
        return show(&target, &listing, args.json);
    }
    let choice = choose(&target.repo, &listing.files, target.file.as_deref())?;
    if let Some(why) = &choice.why {
        console.note(why);
    }
    let store = store(&process_environment).context(
        "there is no place for models: set TRITONE_MODELS, XDG_DATA_HOME or HOME to a directory",
    )?;
    let job = Job {
        args,
        client: &client,
        target: &target,
        revision: &listing.revision,
        directory: store.join(&target.repo),
        console,
    };
    job.run(&choice)
}

fn client(args: &PullArgs, target: &Target) -> anyhow::Result<Client> {
    let named = args
        .endpoint
        .as_deref()
        .filter(|endpoint| !endpoint.is_empty());
    let endpoint = named.unwrap_or(ENDPOINT).trim_end_matches('/');
    if let Some(origin) = &target.origin
        && !origin.eq_ignore_ascii_case(endpoint)
    {
        let why = format!(
            "'{}' is an address of another server than {endpoint}; `--endpoint {origin}` asks that one",
            args.target
        );
        return Err(Usage(why).into());
    }
    let patience = Duration::from_secs(args.timeout);
    let client = Client::new(endpoint, token::token(&process_environment), patience);
    Ok(client.map_err(Usage)?)
}

/// Lists the repository; failures that pass are borne.
fn listing(
    args: &PullArgs,
    client: &Client,
    target: &Target,
    console: &Console,
) -> Result<Listing, HttpError> {
    let mut pause = Duration::from_millis(500);
    for _ in 0..args.retries {
        let error = match list(client, &target.repo, &target.revision) {
            Ok(listing) => return Ok(listing),
            Err(error) => error,
        };
        let wait = match error.fault {
            Fault::Final | Fault::Offline => return Err(error),
            Fault::Passing => pause,
            Fault::Later(wait) => wait,
        };
        console.note(&format!(
            "{error}; trying again in {:.1} s",
            wait.as_secs_f64()
        ));
        std::thread::sleep(wait);
        pause *= 2;
    }
    list(client, &target.repo, &target.revision)
}

/// What is in the repository.
fn show(target: &Target, listing: &Listing, json: bool) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    if json {
        let file = |file: &RemoteFile| {
            let checksum = file.checksum.as_ref().map(listing::Checksum::tag);
            json!({ "path": file.path, "bytes": file.size, "checksum": checksum })
        };
        let object = json!({
            "repository": target.repo,
            "revision": listing.revision,
            "files": listing.files.iter().map(file).collect::<Vec<_>>(),
        });
        writeln!(out, "{object:#}")?;
        return Ok(ExitCode::SUCCESS);
    }
    for file in &listing.files {
        let line = format!("{:>9}  {}", human_bytes(file.size), file.path);
        writeln!(out, "{}", visible(&line))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Files of one repository on their way.
struct Job<'a> {
    args: &'a PullArgs,
    client: &'a Client,
    target: &'a Target,
    revision: &'a str,
    /// The repository's in the store.
    directory: PathBuf,
    console: &'a Console,
}

/// What became of a file.
struct Done {
    there_already: bool,
    checked: Option<&'static str>,
    resumed: u64,
}

impl Job<'_> {
    fn run(&self, choice: &Choice) -> anyhow::Result<ExitCode> {
        let begin = Instant::now();
        let total = choice.files.iter().map(|file| file.size).sum();
        self.make_room(choice)?;
        let interrupt = Interrupt::listen()?;
        let fetch = Fetch {
            client: self.client,
            repo: &self.target.repo,
            revision: self.revision,
            retries: self.args.retries,
            patience: Duration::from_secs(self.args.timeout),
            force: self.args.force,
            interrupt: &interrupt,
        };
        let mut meter = Meter::new(self.console, total);
        let mut done = Vec::new();
        for file in &choice.files {
            meter.name(&file.path);
            let path = self.directory.join(&file.path);
            if self.is_there(file, &path)? {
                meter.skip(file.size);
                done.push(Done {
                    there_already: true,
                    checked: file.checksum.as_ref().map(listing::Checksum::name),
                    resumed: 0,
                });
                continue;
            }
            match fetch.file(file, &path, &mut meter)? {
                Outcome::Interrupted => {
                    drop(meter);
                    self.console.note(
                        "stopped; what was received is kept, and the same command goes on from there",
                    );
                    return Ok(ExitCode::from(CANCELLED));
                }
                Outcome::Done { checked, resumed } => done.push(Done {
                    there_already: false,
                    checked,
                    resumed,
                }),
            }
            if choice.is_directory && file.path == "config.json" {
                self.check_config(&path)?;
            }
        }
        drop(meter);
        self.report(choice, &done, begin.elapsed())?;
        Ok(ExitCode::SUCCESS)
    }

    /// Makes the directories, and says at once what would fail after a while.
    fn make_room(&self, choice: &Choice) -> anyhow::Result<()> {
        let mut missing = 0_u64;
        for file in &choice.files {
            let path = self.directory.join(&file.path);
            let parent = path.parent().unwrap_or(&self.directory);
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make the directory '{}'", parent.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let part = path.with_file_name(format!(".{name}.part"));
            let len = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
            let have = len(&path).max(len(&part));
            missing = missing.saturating_add(file.size.saturating_sub(have));
        }
        check_space(&self.directory.join("model"), missing)
    }

    /// Whether the file is there as the repository has it.
    fn is_there(&self, file: &RemoteFile, path: &Path) -> anyhow::Result<bool> {
        let meta = match path.symlink_metadata() {
            Ok(meta) => meta,
            Err(_) => return Ok(false),
        };
        if meta.is_file() && meta.len() == file.size {
            let Some(checksum) = &file.checksum else {
                return Ok(true);
            };
            let sum = sum(path, Digest::new(Some(checksum), file.size));
            if agrees(
                checksum,
                &sum.with_context(|| format!("cannot read '{}'", path.display()))?,
            ) {
                return Ok(true);
            }
        }
        anyhow::ensure!(
            self.args.force && meta.is_file(),
            "'{}' is there with other content; --force replaces it",
            path.display()
        );
        Ok(false)
    }

    /// Refuses a directory that does not run before its weights are fetched.
    fn check_config(&self, path: &Path) -> anyhow::Result<()> {
        let text = fs::read_to_string(path)?;
        let why = match of_config(&text).map(|facts| facts.runs) {
            Ok(Runs::Yes) => return Ok(()),
            Ok(Runs::NotTernary) => {
                "config.json does not say that its weights are ternary".to_owned()
            }
            Ok(Runs::No(why)) => why,
            Err(error) => format!("config.json: {error}"),
        };
        if self.args.force {
            return Ok(());
        }
        let _ = fs::remove_file(path);
        anyhow::bail!(
            "'{}' is not fetched: {why}; --force fetches it all the same",
            self.target.repo
        )
    }

    fn report(&self, choice: &Choice, done: &[Done], time: Duration) -> anyhow::Result<()> {
        let first = choice.files.first().map_or("", |file| file.path.as_str());
        let path = match choice.is_directory {
            true => self.directory.clone(),
            false => self.directory.join(first),
        };
        let bytes: u64 = choice.files.iter().map(|file| file.size).sum();
        let received: u64 = choice
            .files
            .iter()
            .zip(done)
            .filter(|(_, done)| !done.there_already)
            .map(|(file, done)| file.size.saturating_sub(done.resumed))
            .sum();
        let (entries, _) = scan(&places(&process_environment, std::env::current_dir().ok()));
        let entry = entries.iter().find(|entry| entry.path == path);
        let id = entry.map(|entry| entry.id.as_str());
        let unchecked = done.iter().any(|done| done.checked.is_none());
        let mut out = io::stdout().lock();
        if self.args.json {
            let file = |(file, done): (&RemoteFile, &Done)| {
                json!({
                    "path": file.path,
                    "bytes": file.size,
                    "checksum": file.checksum.as_ref().map(listing::Checksum::tag),
                    "compared": done.checked.is_some(),
                    "there_already": done.there_already,
                    "resumed_at": done.resumed,
                })
            };
            let object = json!({
                "repository": self.target.repo,
                "revision": self.revision,
                "path": path,
                "id": id,
                "bytes": bytes,
                "received": received,
                "seconds": time.as_secs_f64(),
                "files": choice.files.iter().zip(done).map(file).collect::<Vec<_>>(),
            });
            writeln!(out, "{object:#}")?;
            return Ok(());
        }
        let seconds = time.as_secs_f64();
        let how = match received {
            0 => "was there already".to_owned(),
            _ => {
                let rate = human_bytes((received as f64 / seconds.max(1e-3)) as u64);
                format!(
                    "{} received in {seconds:.1} s ({rate}/s)",
                    human_bytes(received)
                )
            }
        };
        let compared = match unchecked {
            true => "; the repository has no checksum for it",
            false => ", checksum compared",
        };
        writeln!(
            out,
            "{}: {}, {how}{compared}",
            path.display(),
            human_bytes(bytes)
        )?;
        if let Some(id) = id {
            writeln!(out, "run it with: tritone --model {id}")?;
        }
        Ok(())
    }
}

/// The checksum of a file.
fn sum(path: &Path, mut digest: Digest) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(bytes) if !bytes.is_empty() => digest.update(bytes),
            _ => return Ok(digest.finish()),
        }
    }
}

//! The settings of the terminal program (`config.toml`), and `tritone config`.
//!
//! They are apart from profiles: those say how a model is run, these how the program behaves at the
//! terminal. Whatever is wrong with the file, the program starts and says so.

mod fault;
mod parse;
mod schema;
mod write;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tritone_profile::process_environment;

use super::args::{Color, CommonArgs, ThemeArg};
use super::atomic;
use super::console::{Console, visible};
use super::editor;
use super::failure::{USAGE, Usage};
use super::paths;
use super::profile::{self, ReportStyle};
use fault::Fault;
pub(crate) use schema::Config;
use schema::Origin;

/// Longest file that is read.
const MOST_BYTES: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  tritone config init             writes a file in which everything is explained
  tritone config edit             opens it in $VISUAL or $EDITOR, and says what is wrong with it
  tritone config show --origin    what is in force, and why
  tritone config validate         what is wrong with the file

The file is $XDG_CONFIG_HOME/tritone/config.toml, or ~/.config/tritone/config.toml. It holds [ui] (colours,
mouse, frames, clipboard), [keys] (every command can have other keys), [sampling.NAME] (named ways to
choose tokens) and [strategies] (other ways to run a model: servers, programs). How a model is run is said by profiles.";

/// `tritone config`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Print where the file is, or would be.
    Path,
    /// Print the settings in force.
    Show {
        /// Say of every setting where it comes from.
        #[arg(long)]
        origin: bool,
    },
    /// Open the file in $VISUAL or $EDITOR, and check it.
    Edit,
    /// Say what is wrong with the file; exit code 2 if something is.
    Validate,
    /// Write a file in which everything is explained and nothing is changed.
    Init {
        /// Replace a file that is there.
        #[arg(long)]
        force: bool,
    },
}

/// The settings, and what is to be said about them.
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) notes: Vec<String>,
    /// Whether a flag named the colours.
    colors_named: bool,
}

impl Settings {
    /// Reads the file; flags and the environment come before it.
    pub(crate) fn load(common: &CommonArgs) -> Self {
        let mut notes = Vec::new();
        let mut config = Config::default();
        if let Some(path) = path() {
            match read(&path) {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    let (read, faults) = parse::parse(&path, &bytes);
                    config = read;
                    notes.extend(note(&faults));
                }
                Err(error) => notes.push(format!(
                    "the settings in {} cannot be read ({error}); the defaults hold",
                    visible(&path.display().to_string())
                )),
            }
        }
        let colors_named = over(&mut config, common, &process_environment);
        Self {
            config,
            notes,
            colors_named,
        }
    }

    /// Whether colours may be used on the screen.
    pub(crate) fn color(&self, console: &Console) -> bool {
        self.config.manners().theme != crate::term::Theme::None
            && (self.colors_named || console.color())
    }
}

/// Lays flags and the environment over the file's settings; says whether a flag named the colours.
fn over(config: &mut Config, common: &CommonArgs, env: paths::Env<'_>) -> bool {
    let no_color = env("NO_COLOR").is_some_and(|value| !value.is_empty());
    if common.color == Color::Never {
        config.set("theme", "\"none\"".to_owned(), Origin::Flag("--color"));
    } else if no_color && common.color == Color::Auto {
        config.set("theme", "\"none\"".to_owned(), Origin::Variable("NO_COLOR"));
    }
    let screen = &common.screen;
    if let Some(theme) = screen.theme {
        let word = match theme {
            ThemeArg::Auto => "auto",
            ThemeArg::Dark => "dark",
            ThemeArg::Light => "light",
            ThemeArg::None => "none",
        };
        config.set("theme", format!("\"{word}\""), Origin::Flag("--theme"));
    }
    if screen.ascii {
        config.set("ascii", "true".to_owned(), Origin::Flag("--ascii"));
    }
    if screen.inline {
        config.set("screen", "\"inline\"".to_owned(), Origin::Flag("--inline"));
    }
    screen.theme.is_some()
}

/// What to say of faults when the program starts.
fn note(faults: &[Fault]) -> Option<String> {
    let more = match faults.len() {
        0 => return None,
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let first = faults.first()?.sentence();
    Some(format!(
        "settings: {first}{more}. What is wrong is left out; `tritone config validate` shows it"
    ))
}

/// Where the file is, or would be.
fn path() -> Option<PathBuf> {
    Some(paths::config(&process_environment)?.join("config.toml"))
}

/// The content of the file; `None` if there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if bytes.len() as u64 > MOST_BYTES {
        let why = format!("it is longer than {} KiB", MOST_BYTES >> 10);
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(Some(bytes))
}

/// Carries out `tritone config`.
pub(crate) fn run(
    args: &ConfigArgs,
    common: &CommonArgs,
    console: &Console,
) -> anyhow::Result<ExitCode> {
    let path = path().ok_or_else(|| {
        Usage("there is no place for settings: set XDG_CONFIG_HOME or HOME to a directory".into())
    })?;
    let shown = visible(&path.display().to_string()).into_owned();
    let mut out = io::stdout().lock();
    match args.action {
        ConfigAction::Path => writeln!(out, "{shown}")?,
        ConfigAction::Show { origin } => {
            let settings = Settings::load(common);
            for note in &settings.notes {
                console.note(note);
            }
            if origin {
                let exists = if path.exists() {
                    ""
                } else {
                    ", which is not there"
                };
                writeln!(out, "# {shown}{exists}")?;
            }
            write!(out, "{}", write::in_force(&settings.config, origin))?;
        }
        ConfigAction::Validate => return validate(&path, console),
        ConfigAction::Init { force } => {
            anyhow::ensure!(
                force || !path.exists(),
                Usage(format!("{shown} is there already; --force replaces it"))
            );
            init(&path)?;
            writeln!(out, "{shown}: written; nothing in it is switched on")?;
        }
        ConfigAction::Edit => {
            drop(out);
            if !path.exists() {
                init(&path)?;
            }
            edit(&path)?;
            return validate(&path, console);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn init(path: &Path) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    atomic::write(path, write::sample().as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

fn validate(path: &Path, console: &Console) -> anyhow::Result<ExitCode> {
    let shown = visible(&path.display().to_string()).into_owned();
    let bytes = read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let Some(bytes) = bytes else {
        writeln!(
            io::stdout(),
            "{shown} is not there; all settings are the defaults"
        )?;
        return Ok(ExitCode::SUCCESS);
    };
    let (config, faults) = parse::parse(path, &bytes);
    for taken in config.keymap().1 {
        use crate::app::keymap::name;
        let (from, by) = (name(taken.from), name(taken.by));
        console.note(&format!("{} calls {by} now, no longer {from}", taken.chord));
    }
    if faults.is_empty() {
        writeln!(io::stdout(), "{shown}: nothing is wrong")?;
        return Ok(ExitCode::SUCCESS);
    }
    for fault in &faults {
        let style = console.report_style().map(|style| ReportStyle {
            ascii: style.ascii || config.manners().ascii,
            ..style
        });
        match style.and_then(|style| profile::draw(fault, style)) {
            Some(text) => console.raw(&text),
            None => console.error(&fault.sentence()),
        }
    }
    Ok(ExitCode::from(USAGE))
}

/// Opens the file in the person's editor and waits for it.
fn edit(path: &Path) -> anyhow::Result<()> {
    let editor = editor::named()?;
    let status = editor::open(&editor, path)?;
    anyhow::ensure!(status.success(), "the editor '{editor}' failed ({status})");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::args::ScreenArgs;
    use super::*;
    use crate::term::Theme;

    #[test]
    fn flags_come_before_the_environment_and_that_before_the_file() {
        let theme = |common: &CommonArgs, no_color: bool| {
            let (mut config, _) = parse::parse(Path::new("c"), b"[ui]\ntheme = \"light\"\n");
            over(&mut config, common, &|name| {
                (name == "NO_COLOR" && no_color).then(|| "1".to_owned())
            });
            config.manners().theme
        };
        let plain = CommonArgs::default();
        assert_eq!(theme(&plain, false), Theme::Light);
        assert_eq!(theme(&plain, true), Theme::None);
        let always = CommonArgs {
            color: Color::Always,
            ..CommonArgs::default()
        };
        assert_eq!(theme(&always, true), Theme::Light);
        let dark = CommonArgs {
            screen: ScreenArgs {
                theme: Some(ThemeArg::Dark),
                ..ScreenArgs::default()
            },
            ..CommonArgs::default()
        };
        assert_eq!(theme(&dark, true), Theme::Dark);
    }

    #[test]
    fn a_report_shows_the_place_and_what_was_meant() {
        let (_, faults) = parse::parse(Path::new("config.toml"), b"[ui]\ntheme = \"drak\"\n");
        let style = ReportStyle {
            columns: 80,
            color: false,
            ascii: true,
        };
        let text = profile::draw(&faults[0], style).unwrap();
        insta::assert_snapshot!(text);
        assert!(text.is_ascii());
    }
}

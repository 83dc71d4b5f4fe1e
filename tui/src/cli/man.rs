//! `tritone man`: the manual.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use super::args::Cli;
use super::atomic::AtomicFile;

const EXAMPLES: &str = "\
Examples:
  tritone man | man -l -
  tritone man --dir ~/.local/share/man/man1      then `man tritone` and `man tritone-run` find them";

/// `tritone man`
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// Directory to write a page for every command to; it is made if it is not there. Left out, the page
    /// of the program is printed.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let all = pages()?;
    match &args.dir {
        Some(dir) => {
            let failed = || format!("cannot write the manual to {}", dir.display());
            fs::create_dir_all(dir).with_context(failed)?;
            for page in &all {
                page.write(dir).with_context(failed)?;
            }
            let shown = super::console::visible(&dir.display().to_string()).into_owned();
            writeln!(io::stdout(), "{shown}: {} pages", all.len())?;
        }
        None => {
            if let Some(first) = all.first() {
                io::stdout().lock().write_all(&first.roff)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One page.
struct Page {
    /// Name of the file: `tritone-profile-show.1`.
    file: String,
    roff: Vec<u8>,
}

impl Page {
    fn write(&self, dir: &Path) -> io::Result<()> {
        let mut file = AtomicFile::create(&dir.join(&self.file))?;
        file.write_all(&self.roff)?;
        file.finish()
    }
}

/// All pages, that of the program first.
fn pages() -> io::Result<Vec<Page>> {
    // What is set in the environment of whoever prints the manual is no part of it.
    let mut cli = Cli::command()
        .disable_help_subcommand(true)
        .mut_args(|argument| argument.hide_env_values(true));
    cli.build();
    let mut pages = Vec::new();
    add(&cli, cli.get_name(), &mut pages)?;
    Ok(pages)
}

/// Adds the page of `command`, whose page is called `name`, and those of its commands.
fn add(command: &clap::Command, name: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let page = Man::new(command.clone())
        .title(name)
        .source(format!("tritone {version}"))
        .manual("Tritone");
    let mut roff = Vec::new();
    page.render_title(&mut roff)?;
    page.render_name_section(&mut roff)?;
    page.render_synopsis_section(&mut roff)?;
    page.render_description_section(&mut roff)?;
    page.render_options_section(&mut roff)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut roff)?;
    }
    if let Some(help) = command.get_after_help() {
        roff.extend(notes(&help.to_string()).into_bytes());
    }
    if command.get_version().is_some() {
        page.render_version_section(&mut roff)?;
    }
    pages.push(Page {
        file: format!("{name}.1"),
        roff,
    });
    for sub in command.get_subcommands() {
        if !sub.is_hide_set() {
            add(sub, &format!("{name}-{}", sub.get_name()), pages)?;
        }
    }
    Ok(())
}

/// The examples and explanations at the end of a help text, line by line as they stand.
fn notes(text: &str) -> String {
    let mut roff = ".SH NOTES\n.nf\n".to_owned();
    for line in text.lines() {
        // A point or an apostrophe in front would be a command.
        if line.starts_with(['.', '\'']) {
            roff.push_str("\\&");
        }
        roff.push_str(&line.replace('\\', "\\e").replace('-', "\\-"));
        roff.push('\n');
    }
    roff.push_str(".fi\n");
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_every_command_and_it_names_its_options() {
        let pages = pages().unwrap();
        let text = |file: &str| {
            let page = pages.iter().find(|page| page.file == file);
            let page = page.unwrap_or_else(|| panic!("no {file}"));
            String::from_utf8(page.roff.clone()).unwrap()
        };
        let root = text("tritone.1");
        assert!(
            root.contains("Exit codes") && root.contains("\\-\\-threads"),
            "{root}"
        );
        let root_command = Cli::command();
        let shown = root_command.get_subcommands();
        for command in shown.filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            let page = text(&format!("tritone-{name}.1"));
            assert!(page.starts_with(".ie") || page.contains(".TH"), "{page}");
            for argument in command.get_arguments() {
                if let Some(long) = argument.get_long() {
                    let long = format!("\\-\\-{}", long.replace('-', "\\-"));
                    assert!(page.contains(&long), "{name}: no {long}");
                }
            }
            assert!(
                root.contains(&format!("tritone\\-{}", name.replace('-', "\\-"))),
                "{name}"
            );
        }
        assert!(text("tritone-profile-show.1").contains("TH tritone-profile-show"));
    }
}

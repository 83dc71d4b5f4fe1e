//! What is wrong with a profile, as a report with the lines in question.

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, ThemeCharacters, ThemeStyles};
use tritone_profile::ProfileError;

use crate::cli::console::Console;

/// Says what is wrong: on a terminal with the lines in question and the place in them, elsewhere one
/// line for every mistake.
pub(crate) fn report(error: &ProfileError, console: &Console) {
    match error {
        ProfileError::File(mistakes) => {
            for mistake in mistakes.iter() {
                let drawn = console
                    .report_style()
                    .and_then(|style| draw(mistake, style));
                match drawn {
                    Some(text) => console.raw(&text),
                    None => console.error(&said(&mistake.sentence(), mistake.advice())),
                }
            }
        }
        error => {
            let help = error.help().map(|help| help.to_string());
            console.error(&said(&error.to_string(), help.as_deref()));
        }
    }
}

/// A sentence and, in a second line, what to do.
fn said(sentence: &str, help: Option<&str>) -> String {
    match help {
        Some(help) => format!("{sentence}\n  help: {help}"),
        None => sentence.to_owned(),
    }
}

/// How a report is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReportStyle {
    pub(crate) color: bool,
    pub(crate) ascii: bool,
    pub(crate) columns: usize,
}

/// Draws what is wrong in a file; `None` if that fails.
pub(crate) fn draw(diagnostic: &dyn Diagnostic, style: ReportStyle) -> Option<String> {
    let theme = GraphicalTheme {
        characters: match style.ascii {
            true => ThemeCharacters::ascii(),
            false => ThemeCharacters::unicode(),
        },
        // The terminal's own palette.
        styles: match style.color {
            true => ThemeStyles::ansi(),
            false => ThemeStyles::none(),
        },
    };
    let mut text = String::new();
    GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(style.columns.max(20))
        .render_report(&mut text, diagnostic)
        .ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tritone_profile::{Layers, check_text};

    use super::*;

    fn drawn(style: ReportStyle) -> String {
        let text = b"base = \"edge\"\nthraeds = 4\n";
        let error = check_text(Path::new("lab.toml"), text, &Layers::none()).unwrap_err();
        let ProfileError::File(mistakes) = error else {
            panic!("{error:?}");
        };
        draw(mistakes.iter().next().unwrap(), style).unwrap()
    }

    #[test]
    fn a_report_shows_the_line_and_the_nearest_setting() {
        let plain = ReportStyle {
            color: false,
            ascii: true,
            columns: 70,
        };
        let text = drawn(plain);
        assert!(text.is_ascii(), "{text}");
        insta::assert_snapshot!(text);
        let color = drawn(ReportStyle {
            color: true,
            ascii: false,
            ..plain
        });
        assert!(
            color.contains('\u{1b}') && color.contains('\u{2500}'),
            "{color}"
        );
    }
}

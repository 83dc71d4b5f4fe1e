//! The list for people: eighty columns.

use tritone_engine::human_bytes;

use super::Listed;
use crate::view::format;

const WIDTH: usize = 80;
/// Cells of all columns but the first, with the two spaces before each.
const REST: usize = 11 + 9 + 10 + 7 + 14;

/// The table with its head. A name that is too long for its column has a line of its own.
pub(super) fn table(models: &[Listed]) -> String {
    let names = models.iter().map(|model| model.entry_id().chars().count());
    let widest = names.max().unwrap_or(0);
    let first = widest.clamp(5, WIDTH - REST);
    let row = |name: &str, [ty, weights, size, runs, place]: [&str; 5]| {
        let rest = format!("  {ty:<9}  {weights:>7}  {size:>8}  {runs:<5}  {place}");
        match name.chars().count() > first {
            true => format!("{name}\n{:first$}{rest}\n", ""),
            false => format!("{name:<first$}{rest}\n"),
        }
    };
    let mut text = row("MODEL", ["TYPE", "WEIGHTS", "SIZE", "RUNS", "WHERE"]);
    for model in models {
        let facts = &model.facts;
        let weights = facts.parameters.map_or("-".to_owned(), format::parameters);
        let why = facts.why_not();
        let runs = if why.is_none() { "yes" } else { "no" };
        let size = human_bytes(model.bytes);
        let cells = [&facts.ty, &weights, &size, runs, model.kind.name()];
        text += &row(model.entry_id(), cells);
        if let Some(why) = why {
            text += &wrapped(why);
        }
    }
    text
}

/// Words in lines of at most eighty columns, set in.
pub(crate) fn wrapped(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && 5 + line.chars().count() + word.chars().count() > WIDTH {
            lines += &format!("    {line}\n");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        // A word that is longer than a line is a file's doing.
        line.extend(word.chars().take(WIDTH - 4));
    }
    lines + &format!("    {line}\n")
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Facts, Runs};
    use super::super::places::Kind;
    use super::*;

    #[test]
    fn the_table_fits_eighty_columns() {
        let model = |id: &str, kind, ty: &str, parameters, bytes, runs| Listed {
            id: id.to_owned(),
            kind,
            repo: None,
            path: None,
            files: 1,
            bytes,
            facts: Facts {
                architecture: None,
                ty: ty.to_owned(),
                parameters,
                runs,
            },
        };
        let why = "architecture 'gemma4' is not supported; this version runs 'bitnet-b1.58' (BitNet \
                   b1.58 2B4T), 'llama' (Falcon3-1.58bit, Falcon-E, Llama3-8B-1.58, TriLM)";
        let text = table(&[
            model(
                "tritone-tiny",
                Kind::BuiltIn,
                "I2_S",
                Some(5_244_160),
                2 << 20,
                Runs::Yes,
            ),
            model(
                "bitnet-b1.58-2b-4t-i2_s",
                Kind::HuggingFace,
                "I2_S",
                Some(2_412_820_480),
                1_187_801_280,
                Runs::Yes,
            ),
            model(
                "a-name-that-is-much-longer-than-its-column-and-stays-whole",
                Kind::LmStudio,
                "IQ2_BN_R4",
                Some(27_000_000_000),
                7_206_168_928,
                Runs::No(why.to_owned()),
            ),
            model(
                "falcon3-1b-instruct-1.58bit",
                Kind::Store,
                "packed",
                None,
                1_400_000_000,
                Runs::Yes,
            ),
            model(
                "llama3:8b",
                Kind::Ollama,
                "Q4_K",
                Some(8_030_000_000),
                5 << 30,
                Runs::NotTernary,
            ),
        ]);
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        insta::assert_snapshot!(text);
    }
}

//! Which files of a repository to fetch.

use std::collections::BTreeMap;

use tritone_engine::human_bytes;

use super::listing::RemoteFile;
use crate::cli::failure::Usage;
use crate::cli::models::scan::split_stem;

/// Ternary types by their names in file names, the one to take first: as published, then those that
/// hold the same weights in finer or coarser blocks, then those that are slower to read. A false
/// `runs` is a type that no version reads.
const TYPES: [(&str, bool); 12] = [
    ("i2_s", true),
    ("pq2_0", true),
    ("q2_0", true),
    ("ptq1_0", true),
    ("tq2_0", true),
    ("iq2_bn", true),
    ("iq2_bn_r4", true),
    ("tq1_0", true),
    ("iq1_bn", true),
    ("q1_0", true),
    ("tl1", false),
    ("tl2", false),
];

/// Files of a directory that are used.
const DIRECTORY: [&str; 8] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "model.safetensors.index.json",
];

/// What is fetched.
#[derive(Debug)]
pub(crate) struct Choice {
    /// In the order of fetching: what shows that a model does not run comes first.
    pub(crate) files: Vec<RemoteFile>,
    pub(crate) is_directory: bool,
    /// Why this and nothing else, if somebody might have expected something else.
    pub(crate) why: Option<String>,
}

/// A model of the repository: a file, or several that belong together.
struct Group<'a> {
    name: String,
    files: Vec<&'a RemoteFile>,
    /// Parts there should be.
    parts: usize,
}

impl Group<'_> {
    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    fn shown(&self) -> String {
        format!("{} ({})", self.name, human_bytes(self.bytes()))
    }

    fn choice(&self, why: Option<String>) -> Result<Choice, Usage> {
        if self.files.len() != self.parts {
            return Err(Usage(format!(
                "{} has {} parts, but {} are there",
                self.name,
                self.parts,
                self.files.len()
            )));
        }
        let mut files: Vec<_> = self.files.iter().map(|&file| file.clone()).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Choice {
            files,
            is_directory: false,
            why,
        })
    }
}

/// Position of the ternary type in a file's name, if there is one.
fn rank(name: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    let named = |ty: &str| {
        name.match_indices(ty).any(|(at, _)| {
            let whole = |c: Option<u8>| !c.is_some_and(|c| c.is_ascii_alphanumeric());
            let before = at.checked_sub(1).and_then(|at| name.as_bytes().get(at));
            whole(before.copied()) && whole(name.as_bytes().get(at + ty.len()).copied())
        })
    };
    // The longest name that fits: `iq2_bn_r4` is no `iq2_bn`.
    let fits = TYPES.iter().enumerate().filter(|(_, (ty, _))| named(ty));
    Some(fits.max_by_key(|(_, (ty, _))| ty.len())?.0)
}

/// GGUF files by name, parts together. Projectors and drafters are no models.
fn groups(files: &[RemoteFile]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
    for file in files {
        let lower = file.path.to_ascii_lowercase();
        let Some(stem) = lower.strip_suffix(".gguf") else {
            continue;
        };
        if ["mmproj", "dspark", "draft"]
            .iter()
            .any(|word| stem.contains(word))
        {
            continue;
        }
        let (key, parts) = split_stem(stem).map_or((stem, 1), |(stem, parts)| (stem, parts));
        let group = groups.entry(key.to_owned()).or_insert_with(|| Group {
            name: file.path.clone(),
            files: Vec::new(),
            parts,
        });
        group.files.push(file);
    }
    groups.into_values().collect()
}

/// Chooses among `files`; `wanted` is a path, or a part of the name of one model.
///
/// # Errors
/// When nothing fits, or several models do.
pub(crate) fn choose(
    repo: &str,
    files: &[RemoteFile],
    wanted: Option<&str>,
) -> Result<Choice, Usage> {
    let groups = groups(files);
    if let Some(wanted) = wanted {
        return named(repo, files, &groups, wanted);
    }
    let ternary: Vec<_> = groups
        .iter()
        .filter_map(|group| Some((rank(&group.name)?, group)))
        .filter(|(rank, _)| TYPES.get(*rank).is_some_and(|(_, runs)| *runs))
        .collect();
    if let Some(best) = ternary.iter().map(|(rank, _)| *rank).min() {
        let first: Vec<_> = ternary.iter().filter(|(rank, _)| *rank == best).collect();
        return match first[..] {
            [(_, group)] => {
                let others = groups.iter().filter(|other| other.name != group.name);
                let others: Vec<_> = others.map(Group::shown).collect();
                let ty = TYPES.get(best).map_or("", |(ty, _)| ty).to_uppercase();
                let why = (!others.is_empty()).then(|| {
                    format!(
                        "taken is {} for its type {ty}; there is also {}; `tritone pull {repo}:FILE` \
                         takes another",
                        group.shown(),
                        limited(&others)
                    )
                });
                group.choice(why)
            }
            _ => Err(several(repo, first.iter().map(|(_, group)| *group))),
        };
    }
    match &groups[..] {
        [] => directory(repo, files),
        [group] => group.choice(None),
        _ => Err(several(repo, groups.iter())),
    }
}

/// At most eight names.
fn limited(names: &[String]) -> String {
    let mut text = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = names.len().checked_sub(8) {
        text += &format!(" and {more} more");
    }
    text
}

fn several<'a>(repo: &str, groups: impl Iterator<Item = &'a Group<'a>>) -> Usage {
    let names: Vec<_> = groups.map(Group::shown).collect();
    Usage(format!(
        "'{repo}' holds several models: {}; choose one with `tritone pull {repo}:FILE`",
        limited(&names)
    ))
}

fn named(
    repo: &str,
    files: &[RemoteFile],
    groups: &[Group<'_>],
    wanted: &str,
) -> Result<Choice, Usage> {
    let in_group = |group: &&Group<'_>| group.files.iter().any(|file| file.path == wanted);
    if let Some(group) = groups.iter().find(in_group) {
        return group.choice(None);
    }
    if let Some(file) = files.iter().find(|file| file.path == wanted) {
        return Ok(Choice {
            files: vec![file.clone()],
            is_directory: false,
            why: None,
        });
    }
    let lower = wanted.to_ascii_lowercase();
    let exact_type = |group: &&Group<'_>| {
        rank(&group.name)
            .and_then(|rank| TYPES.get(rank))
            .is_some_and(|(ty, _)| *ty == lower)
    };
    let part = |group: &&Group<'_>| group.name.to_ascii_lowercase().contains(&lower);
    let mut found: Vec<_> = groups.iter().filter(exact_type).collect();
    if found.is_empty() {
        found = groups.iter().filter(part).collect();
    }
    match found[..] {
        [group] => group.choice(None),
        [] => {
            let names: Vec<_> = groups.iter().map(Group::shown).collect();
            let there = match names.is_empty() {
                true => "no GGUF file".to_owned(),
                false => limited(&names),
            };
            Err(Usage(format!(
                "'{repo}' has no '{wanted}'; there is {there}"
            )))
        }
        _ => Err(several(repo, found.into_iter())),
    }
}

/// A model in the layout of the transformers library, at the top of the repository.
fn directory(repo: &str, files: &[RemoteFile]) -> Result<Choice, Usage> {
    let at = |name: &str| files.iter().find(|file| file.path == name);
    let weights: Vec<_> = files
        .iter()
        .filter(|file| file.path.ends_with(".safetensors") && !file.path.contains('/'))
        .collect();
    let has_index = at("model.safetensors.index.json").is_some();
    let used = |file: &&&RemoteFile| match has_index {
        true => file.path.starts_with("model-"),
        false => file.path == "model.safetensors",
    };
    let weights: Vec<RemoteFile> = weights
        .iter()
        .filter(used)
        .map(|&file| file.clone())
        .collect();
    if at("config.json").is_none() || weights.is_empty() {
        return Err(Usage(format!(
            "'{repo}' holds no model: there is no GGUF file, and no config.json with safetensors files"
        )));
    }
    let mut chosen: Vec<_> = DIRECTORY
        .iter()
        .filter_map(|name| at(name).cloned())
        .collect();
    chosen.extend(weights);
    Ok(Choice {
        files: chosen,
        is_directory: true,
        why: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str], wanted: Option<&str>) -> Result<String, String> {
        let file = |path: &&str| RemoteFile {
            path: (*path).to_owned(),
            size: 1 << 20,
            checksum: None,
        };
        let files: Vec<_> = names.iter().map(file).collect();
        let choice = choose("a/b", &files, wanted).map_err(|error| error.to_string())?;
        let paths: Vec<_> = choice.files.iter().map(|file| file.path.as_str()).collect();
        let why = choice.why.map(|_| " (said)").unwrap_or_default();
        Ok(format!("{}{why}", paths.join(" ")))
    }

    #[test]
    fn the_best_file_that_runs_is_taken() {
        let ok = |names: &[&str], expected: &str| {
            assert_eq!(chosen(names, None).as_deref(), Ok(expected));
        };
        ok(
            &["README.md", "ggml-model-i2_s.gguf"],
            "ggml-model-i2_s.gguf",
        );
        ok(
            &[
                "B-F16.gguf",
                "B-PTQ1_0.gguf",
                "B-PQ2_0.gguf",
                "B-Q2_0_g64.gguf",
                "mmproj-Q8_0.gguf",
            ],
            "B-PQ2_0.gguf (said)",
        );
        ok(
            &["m-iq2_bn_r4.gguf", "m-TL2.gguf"],
            "m-iq2_bn_r4.gguf (said)",
        );
        ok(&["only.gguf", "config.json"], "only.gguf");
        ok(
            &["m-TQ2_0-00002-of-00002.gguf", "m-TQ2_0-00001-of-00002.gguf"],
            "m-TQ2_0-00001-of-00002.gguf m-TQ2_0-00002-of-00002.gguf",
        );
        ok(
            &[
                "model.safetensors",
                "config.json",
                "tokenizer.json",
                "onnx/model.onnx",
                "x.safetensors",
            ],
            "config.json tokenizer.json model.safetensors",
        );
        ok(
            &[
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "config.json",
                "model.safetensors.index.json",
                "consolidated.safetensors",
            ],
            "config.json model.safetensors.index.json model-00001-of-00002.safetensors \
             model-00002-of-00002.safetensors",
        );
        let fails = |names: &[&str], wanted: Option<&str>, word: &str| {
            let error = chosen(names, wanted).unwrap_err();
            assert!(error.contains(word), "{error}");
        };
        fails(
            &["a-i2_s.gguf", "b-i2_s.gguf"],
            None,
            "a-i2_s.gguf (1 MiB), b-i2_s.gguf (1 MiB)",
        );
        fails(&["a-Q4_K.gguf", "b-Q8_0.gguf"], None, "several models");
        fails(&["README.md"], None, "holds no model");
        fails(
            &["m-TQ2_0-00001-of-00002.gguf"],
            None,
            "has 2 parts, but 1 are there",
        );
        let two = ["B-PTQ1_0.gguf", "B-PQ2_0.gguf", "README.md"];
        assert_eq!(chosen(&two, Some("ptq1_0")).as_deref(), Ok("B-PTQ1_0.gguf"));
        assert_eq!(chosen(&two, Some("README.md")).as_deref(), Ok("README.md"));
        fails(&two, Some("Q4_K"), "there is B-PQ2_0.gguf");
        fails(&two, Some("B-"), "several models");
        // A type inside another's name is not that type.
        assert_eq!(rank("x-pq2_0.gguf"), Some(1));
        assert_eq!(rank("x-eq2_0x.gguf"), None);
    }
}

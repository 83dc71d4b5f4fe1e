//! Weights that were folded with a Hadamard transform: what a file says of them.
//!
//! PrismML's Bonsai 2 multiplies the inputs of its matrices with signs and a blockwise Walsh-Hadamard
//! matrix, which spreads outliers, and stores the matrices multiplied with the inverse. A program
//! that leaves the transform out computes fluent nonsense, so that anything unknown is refused.

use std::collections::BTreeSet;

use tritone_formats::{FromValue, GgufFile, StrArray};

use super::Recipe;

/// The contract of a file with folded weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Hadamard {
    /// Values that are transformed together; a power of two.
    pub block: usize,
    /// Signs in front of the transform by width of the input; none where all are +1.
    pub signs: Vec<(usize, Vec<f32>)>,
    /// Names of the folded tensors.
    pub folded: BTreeSet<String>,
    /// Rows of the embedding are stored transformed.
    pub embedding: bool,
    /// The input of the head is to be transformed.
    pub head: bool,
    /// The input of `ssm_out` was folded with the value heads of one key head side by side.
    pub grouped: bool,
}

const PREFIX: &str = "prism.hadamard.";
const EMBEDDING: &str = "token_embd.weight";
const HEAD: &str = "output.weight";
const TRANSFORM: &str = "normalized-sylvester-walsh-hadamard";
const AXIS: &str = "input-last-dimension";

/// Matrices of a layer that can be folded.
const FOLDABLE: [&str; 10] = [
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "attn_qkv",
    "attn_gate",
    "ssm_out",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
];

/// Matrices of a layer that read the same input, so that all of them are folded or none.
const TOGETHER: [&[&str]; 3] = [
    &["attn_q", "attn_k", "attn_v"],
    &["attn_qkv", "attn_gate"],
    &["ffn_gate", "ffn_up"],
];

/// Metadata of a file, by the end of the key.
struct Keys<'a, B>(&'a GgufFile<B>);

impl<'a, B: AsRef<[u8]>> Keys<'a, B> {
    fn optional<T: FromValue<'a>>(&self, name: &str) -> Result<Option<T>, String> {
        let value = self.0.value(&format!("{PREFIX}{name}"));
        value.map_err(|e| e.to_string())
    }

    fn require<T: FromValue<'a>>(&self, name: &str) -> Result<T, String> {
        let value = self.0.require(&format!("{PREFIX}{name}"));
        value.map_err(|e| e.to_string())
    }

    /// A text that has one known value.
    fn one(&self, name: &str, known: &str) -> Result<(), String> {
        let value: &str = self.require(name)?;
        if value == known {
            return Ok(());
        }
        Err(format!(
            "{PREFIX}{name} is '{}'; this version computes '{known}' only",
            value.escape_default()
        ))
    }

    fn names(&self, name: &str) -> Result<BTreeSet<String>, String> {
        let names: Option<StrArray<'a>> = self.optional(name)?;
        let mut set = BTreeSet::new();
        for entry in names.iter().flat_map(StrArray::iter) {
            let entry = std::str::from_utf8(entry)
                .map_err(|_| format!("{PREFIX}{name} holds a name that is not UTF-8"))?;
            set.insert(entry.to_owned());
        }
        Ok(set)
    }
}

impl Hadamard {
    /// The contract of `file`, which holds the model `recipe`; `None` when nothing is folded.
    pub(super) fn from_gguf<B: AsRef<[u8]>>(
        file: &GgufFile<B>,
        recipe: &Recipe,
    ) -> Result<Option<Self>, String> {
        let keys = Keys(file);
        let Some(version) = keys.optional::<u32>("version")? else {
            let mut left = file.metadata().map(|(key, _)| key);
            return match left.find(|key| key.starts_with(PREFIX)) {
                None => Ok(None),
                Some(key) => Err(format!(
                    "there is {}, but no {PREFIX}version, so that nobody knows how weights were folded",
                    key.escape_default()
                )),
            };
        };
        let tied: bool = keys.optional("tied_output")?.unwrap_or(false);
        match (version, tied) {
            (1, false) | (2, true) => {}
            (1 | 2, _) => {
                return Err(format!(
                    "{PREFIX}version {version} with tied_output {tied}: version 2 is the one with a \
                     tied output"
                ));
            }
            _ => {
                return Err(format!(
                    "{PREFIX}version is {version}; this version of Tritone knows 1 and 2"
                ));
            }
        }
        if tied && !recipe.tied_head {
            return Err(format!(
                "{PREFIX}tied_output is set, but there is an '{HEAD}'"
            ));
        }
        let block: usize = keys.require("block_size")?;
        if !block.is_power_of_two() || block > 1 << 20 {
            return Err(format!(
                "{PREFIX}block_size is {block}; expected a power of two"
            ));
        }
        keys.one("transform", TRANSFORM)?;
        keys.one("axis", AXIS)?;
        let explicit = match keys.require("sign_mode")? {
            "identity" => false,
            "explicit" => true,
            other => {
                return Err(format!(
                    "{PREFIX}sign_mode is '{}'; this version knows 'identity' and 'explicit'",
                    other.escape_default()
                ));
            }
        };
        let names = keys.names("weight_names")?;
        let inverse = keys.names("inverse_weight_names")?;
        if let Some(other) = inverse.iter().find(|name| *name != EMBEDDING) {
            return Err(format!(
                "{PREFIX}inverse_weight_names holds '{}'; only '{EMBEDDING}' is looked up",
                other.escape_default()
            ));
        }
        let embedding = !inverse.is_empty();
        if tied && !embedding {
            return Err(format!(
                "{PREFIX}tied_output is set, but '{EMBEDDING}' is not in inverse_weight_names"
            ));
        }
        if embedding && recipe.tied_head && !tied {
            return Err(format!(
                "the folded embedding is the head too, which {PREFIX}version 1 does not provide for"
            ));
        }
        let hadamard = Self {
            block,
            signs: if explicit { signs(&keys)? } else { Vec::new() },
            head: tied || names.contains(HEAD),
            folded: folded(names, recipe)?,
            embedding,
            grouped: keys.optional("gdn_v_grouped")?.unwrap_or(false),
        };
        hadamard.check_widths(recipe, explicit)?;
        Ok(Some(hadamard))
    }

    /// Every width that is transformed is whole blocks and has signs.
    fn check_widths(&self, recipe: &Recipe, explicit: bool) -> Result<(), String> {
        let tensors = recipe.layers.iter().enumerate().flat_map(|(layer, kind)| {
            let matrices = recipe.matrices(*kind).into_iter();
            matrices.map(move |(name, _, columns)| (format!("blk.{layer}.{name}.weight"), columns))
        });
        let widths = tensors.filter(|(name, _)| self.folded.contains(name));
        let tables = [(EMBEDDING, self.embedding), (HEAD, self.head)];
        let tables = tables.into_iter().filter(|(_, is)| *is);
        for (name, width) in widths.chain(tables.map(|(name, _)| (name.to_owned(), recipe.hidden)))
        {
            let block = self.block;
            if !width.is_multiple_of(block) {
                return Err(format!(
                    "'{name}' has {width} columns, which are not whole Hadamard blocks of {block}"
                ));
            }
            if explicit && self.signs(width).is_none() {
                return Err(format!(
                    "{PREFIX}sign_widths has no signs for the {width} columns of '{name}'"
                ));
            }
        }
        Ok(())
    }

    /// Signs of inputs of `width` values; `None` where all are +1.
    pub(crate) fn signs(&self, width: usize) -> Option<&[f32]> {
        let signs = self.signs.iter().find(|(known, _)| *known == width);
        signs.map(|(_, signs)| signs.as_slice())
    }
}

/// The tensors of `names` that are matrices of the model's layers.
fn folded(names: BTreeSet<String>, recipe: &Recipe) -> Result<BTreeSet<String>, String> {
    let known: BTreeSet<String> = recipe.ternary_tensors().collect();
    let mut folded = BTreeSet::new();
    for name in names {
        let shown = name.escape_default();
        let part = || {
            let (number, rest) = name.strip_prefix("blk.")?.split_once('.')?;
            Some((number.parse::<usize>().ok()?, rest.strip_suffix(".weight")?))
        };
        match part() {
            _ if name == HEAD && recipe.tied_head => {
                return Err(format!(
                    "{PREFIX}weight_names holds '{HEAD}', which is not there"
                ));
            }
            _ if name == HEAD => {}
            Some((_, matrix)) if !FOLDABLE.contains(&matrix) => {
                return Err(format!(
                    "{PREFIX}weight_names holds '{shown}', whose input is not transformed"
                ));
            }
            Some(_) if known.contains(&name) => _ = folded.insert(name),
            // Layers that only guess tokens ahead are left out.
            Some((number, _)) if number >= recipe.layers.len() => {}
            Some(_) => {
                return Err(format!(
                    "{PREFIX}weight_names holds '{shown}', which layers of this kind do not have"
                ));
            }
            None => {
                return Err(format!(
                    "{PREFIX}weight_names holds '{shown}', which cannot be folded"
                ));
            }
        }
    }
    for layer in 0..recipe.layers.len() {
        for together in TOGETHER {
            let name = |matrix: &&str| format!("blk.{layer}.{matrix}.weight");
            let mut all = together
                .iter()
                .map(name)
                .filter(|name| known.contains(name));
            let Some(first) = all.next() else { continue };
            let is = folded.contains(&first);
            if let Some(other) = all.find(|name| folded.contains(name) != is) {
                return Err(format!(
                    "of '{first}' and '{other}', which have one input, only one is folded"
                ));
            }
        }
    }
    Ok(folded)
}

/// `sign_values`, taken apart as `sign_widths` says.
fn signs<B: AsRef<[u8]>>(keys: &Keys<'_, B>) -> Result<Vec<(usize, Vec<f32>)>, String> {
    let widths: Vec<usize> = keys.require("sign_widths")?;
    let values: Vec<i32> = keys.require("sign_values")?;
    if let Some(other) = values.iter().find(|value| !matches!(value, 1 | -1)) {
        return Err(format!(
            "{PREFIX}sign_values holds {other}; expected 1 and -1"
        ));
    }
    let mut rest = values.as_slice();
    let mut signs: Vec<(usize, Vec<f32>)> = Vec::new();
    for width in widths {
        let part = rest.split_off(..width).ok_or_else(|| {
            format!(
                "{PREFIX}sign_values has {} values, fewer than sign_widths asks for",
                values.len()
            )
        })?;
        if signs.iter().any(|(known, _)| *known == width) {
            return Err(format!("{PREFIX}sign_widths holds {width} twice"));
        }
        signs.push((width, part.iter().map(|sign| *sign as f32).collect()));
    }
    if !rest.is_empty() {
        return Err(format!(
            "{PREFIX}sign_values has {} values more than sign_widths asks for",
            rest.len()
        ));
    }
    Ok(signs)
}

//! The vocabulary of a synthetic model: a real one, filled up with tokens nobody uses.

use anyhow::Context as _;
use tritone_formats::write::{GgufWriter, Strings};
use tritone_formats::{GgufFile, StrArray};

/// `tokenizer.ggml.token_type` of a token that never occurs.
const UNUSED: i32 = 5;

/// Plans the tokenizer's keys of `base`, with its tokens first and `size` tokens in all.
///
/// # Errors
/// When `base` has no vocabulary, or a larger one.
pub(super) fn plan<B: AsRef<[u8]>>(
    base: &GgufFile<B>,
    size: usize,
    plan: &mut GgufWriter,
) -> anyhow::Result<()> {
    let tokens: StrArray<'_> = base.require("tokenizer.ggml.tokens")?;
    let known = tokens.len();
    anyhow::ensure!(
        known <= size,
        "the vocabulary has {known} tokens, but the shape has room for {size} only; choose another \
         shape or another file for --vocab-from"
    );

    for key in ["ggml.model", "ggml.pre", "chat_template"] {
        let key = format!("tokenizer.{key}");
        if let Some(text) = base.value::<&str>(&key)? {
            plan.metadata(&key, text)?;
        }
    }
    for key in ["add_bos_token", "add_eos_token", "add_space_prefix"] {
        let key = format!("tokenizer.ggml.{key}");
        if let Some(flag) = base.value::<bool>(&key)? {
            plan.metadata(&key, flag)?;
        }
    }
    for key in ["bos", "eos", "eot", "padding"] {
        let key = format!("tokenizer.ggml.{key}_token_id");
        if let Some(id) = base.value::<u32>(&key)? {
            plan.metadata(&key, id)?;
        }
    }
    if let Some(merges) = base.value::<StrArray<'_>>("tokenizer.ggml.merges")? {
        let merges: Vec<&[u8]> = merges.iter().collect();
        plan.metadata("tokenizer.ggml.merges", Strings(&merges))?;
    }

    let fillers: Vec<String> = (known..size).map(|id| format!("<|filler_{id}|>")).collect();
    let all: Vec<&[u8]> = tokens
        .iter()
        .chain(fillers.iter().map(String::as_bytes))
        .collect();
    plan.metadata("tokenizer.ggml.tokens", Strings(&all))?;
    let mut types = base
        .value::<Vec<i32>>("tokenizer.ggml.token_type")?
        .context("the vocabulary has no `tokenizer.ggml.token_type`, so its special tokens are not known")?;
    types.resize(size, UNUSED);
    plan.metadata("tokenizer.ggml.token_type", types.as_slice())?;
    if let Some(mut scores) = base.value::<Vec<f32>>("tokenizer.ggml.scores")? {
        scores.resize(size, 0.0);
        plan.metadata("tokenizer.ggml.scores", scores.as_slice())?;
    }
    Ok(())
}

//! The user's token, where Hugging Face's programs keep it.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use super::http::Token;
use crate::cli::models::places::{Env, hugging_face};

/// Longest file that is read; tokens have forty characters.
const MOST_BYTES: u64 = 4096;

/// The token of `HF_TOKEN`, of the file of `HF_TOKEN_PATH`, or of the file that `hf auth login` writes.
pub(super) fn token(env: Env<'_>) -> Option<Token> {
    let sound = |secret: &str| {
        let secret = secret.trim();
        let sound = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
        sound.then(|| secret.to_owned())
    };
    if let Some(secret) = env("HF_TOKEN").as_deref().and_then(sound) {
        let from = "HF_TOKEN".to_owned();
        return Some(Token { secret, from });
    }
    let off = env("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|off| off != "0" && !off.is_empty());
    if off {
        return None;
    }
    let named = env("HF_TOKEN_PATH").filter(|path| !path.is_empty());
    let path = named.map(PathBuf::from);
    let path = path.or_else(|| Some(hugging_face(env)?.join("token")))?;
    let mut text = String::new();
    let file = File::open(&path).ok()?.take(MOST_BYTES);
    { file }.read_to_string(&mut text).ok()?;
    Some(Token {
        secret: sound(&text)?,
        from: path.display().to_string(),
    })
}

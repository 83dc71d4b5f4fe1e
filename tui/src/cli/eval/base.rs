//! What a model is compared with.

use std::path::Path;

use anyhow::Context as _;
use safetensors::{Dtype, SafeTensors};
use tritone_engine::{ModelBytes, ModelSource};

use super::score::Scorer;
use crate::cli::failure::BadRequest;

/// What a model is compared with.
pub(super) enum Base {
    /// Nothing.
    None,
    /// Another model, or other forms of the same one.
    Model(Box<Scorer>),
    /// Logits that were written before.
    Logits(Logits),
}

/// A file of `tritone logits`.
pub(super) struct Logits {
    bytes: ModelBytes,
    /// Where the rows lie.
    rows: std::ops::Range<usize>,
    vocab: usize,
    tokens: Vec<u32>,
}

impl Logits {
    /// Opens and checks a file.
    ///
    /// # Errors
    /// When it is not there, or not what `tritone logits` writes.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let bytes = ModelBytes::open(&ModelSource::File(path.to_owned()))?;
        let found = find(bytes.as_ref());
        let (rows, vocab, tokens) =
            found.with_context(|| format!("cannot read '{}'", path.display()))?;
        Ok(Self {
            bytes,
            rows,
            vocab,
            tokens,
        })
    }

    /// The tokens the logits were written for.
    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Tokens of the vocabulary.
    pub(super) fn vocab(&self) -> usize {
        self.vocab
    }

    /// What is said after token `position`.
    pub(super) fn row(&self, position: usize, into: &mut Vec<f32>) {
        into.clear();
        let rows = self.bytes.as_ref().get(self.rows.clone());
        let row = rows.and_then(|rows| rows.chunks_exact(4 * self.vocab).nth(position));
        let (values, _) = row.unwrap_or_default().as_chunks::<4>();
        into.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
    }
}

/// Place of the rows, their width, and the tokens.
fn find(bytes: &[u8]) -> anyhow::Result<(std::ops::Range<usize>, usize, Vec<u32>)> {
    let file = SafeTensors::deserialize(bytes)?;
    let get = |name: &str, dtype: Dtype| {
        let tensor = file.tensor(name).ok().filter(|t| t.dtype() == dtype);
        tensor.ok_or_else(|| {
            let what = format!(
                "it has no tensor '{name}' of type {dtype:?}, as `tritone logits` writes it"
            );
            anyhow::Error::new(BadRequest(what))
        })
    };
    let (logits, tokens) = (get("logits", Dtype::F32)?, get("tokens", Dtype::U32)?);
    let (positions, vocab) = match (logits.shape(), tokens.shape()) {
        (&[positions, vocab], &[count]) if positions == count && count > 1 && vocab > 0 => {
            (positions, vocab)
        }
        (rows, count) => anyhow::bail!(
            "its tensors 'logits' {rows:?} and 'tokens' {count:?} do not belong to one text of two \
             tokens or more"
        ),
    };
    let (header, places) = SafeTensors::read_metadata(bytes)?;
    let place = places.info("logits").context("it has no place")?;
    let start = 8 + header + place.data_offsets.0;
    let (ids, _) = tokens.data().as_chunks::<4>();
    let ids = ids.iter().map(|id| u32::from_le_bytes(*id)).collect();
    Ok((start..start + 4 * positions * vocab, vocab, ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn a_file_of_logits_is_checked() {
        let header = r#"{"logits":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"tokens":{"dtype":"U32","shape":[2],"data_offsets":[24,32]}}"#;
        let mut data: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        data.extend([7, 0, 0, 0, 8, 0, 0, 0]);
        let bytes = file(header, &data);
        let (rows, vocab, tokens) = find(&bytes).unwrap();
        assert_eq!((rows.len(), vocab, tokens), (24, 3, vec![7, 8]));
        assert_eq!(bytes[rows][4..8], 1.0_f32.to_le_bytes());
        let error = |header: &str| find(&file(header, &data)).unwrap_err().to_string();
        assert!(error(&header.replace("logits", "probs")).contains("'logits'"));
        assert!(error(&header.replace("[2,3]", "[3,2]")).contains("one text"));
        assert!(find(b"no").is_err());
    }
}

//! `/v1/embeddings`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::field::Fields;
use crate::{ApiError, Limits};

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Numbers.
    Float,
    /// Little-endian binary32, in base64: what OpenAI's Python client asks for by itself.
    Base64,
}

/// A request for vectors.
#[derive(Clone, Debug)]
pub struct EmbeddingsRequest {
    /// The model's name, if one is given.
    pub model: Option<String>,
    /// The texts.
    pub texts: Vec<String>,
    /// How to write the vectors.
    pub encoding: Encoding,
    /// Length of a vector, if the request names one.
    pub dimensions: Option<usize>,
}

impl EmbeddingsRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// A 400 that names the field at fault.
    pub fn parse(body: &Value, limits: &Limits) -> Result<Self, ApiError> {
        let fields = Fields::of(body)?;
        let encoding = match fields.text("encoding_format")? {
            None | Some("float") => Encoding::Float,
            Some("base64") => Encoding::Base64,
            Some(_) => {
                return Err(ApiError::invalid(
                    "encoding_format",
                    "'encoding_format' has to be float or base64",
                ));
            }
        };
        let texts = texts(&fields)?;
        if texts.len() > limits.embeddings {
            let text = format!(
                "'input' has {} texts; {} are allowed",
                texts.len(),
                limits.embeddings
            );
            return Err(ApiError::invalid("input", text));
        }
        Ok(Self {
            model: fields.text("model")?.map(str::to_owned),
            texts,
            encoding,
            dimensions: fields.count("dimensions", 1, usize::MAX)?,
        })
    }

    /// Tokens that all texts may have.
    #[must_use]
    pub fn tokens_estimate(&self) -> u64 {
        self.texts
            .iter()
            .map(|text| (text.len() / 3 + 1) as u64)
            .sum()
    }
}

fn texts(fields: &Fields<'_>) -> Result<Vec<String>, ApiError> {
    let expected = "a string, or an array of strings that are not empty";
    let value = fields.get("input").unwrap_or(&Value::Null);
    let texts = match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(all)
            if all
                .first()
                .is_some_and(|first| first.is_number() || first.is_array()) =>
        {
            return Err(ApiError::invalid(
                "input",
                "'input' has token ids, which would be those of another model: send text \
                 (LangChain: `check_embedding_ctx_length=False`)",
            ));
        }
        Value::Array(all) => all
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    let texts =
        texts.filter(|texts| !texts.is_empty() && texts.iter().all(|text| !text.is_empty()));
    texts.ok_or_else(|| fields.wrong("input", expected, value))
}

/// The answer: one vector for every text, in their order.
#[must_use]
pub fn embeddings(model: &str, vectors: &[Vec<f32>], encoding: Encoding, tokens: usize) -> Value {
    let data = vectors.iter().enumerate().map(|(index, vector)| {
        let embedding = match encoding {
            Encoding::Float => json!(vector),
            Encoding::Base64 => {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                json!(STANDARD.encode(bytes))
            }
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    json!({
        "object": "list",
        "model": model,
        "data": data.collect::<Vec<_>>(),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

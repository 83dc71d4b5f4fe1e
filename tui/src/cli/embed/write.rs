//! How vectors are written.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;
use tritone_engine::{Embedding, Pooling};

use super::args::EmbedArgs;
use crate::cli::atomic::AtomicFile;

/// One vector in JSON.
#[derive(Serialize)]
struct Line<'a> {
    index: usize,
    tokens: usize,
    /// Tokens of the text that did not fit.
    cut: usize,
    embedding: &'a [f32],
}

/// What is said about all vectors.
pub(super) struct About<'a> {
    pub(super) model: &'a str,
    pub(super) pooling: Pooling,
    pub(super) normalized: bool,
    pub(super) notices: &'a [String],
}

/// Prints one vector, if vectors are printed as they come.
pub(super) fn one(args: &EmbedArgs, index: usize, embedding: &Embedding) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if args.jsonl {
        serde_json::to_writer(&mut out, &line(index, embedding)).map_err(io::Error::from)?;
    } else if args.json || args.npy.is_some() || args.safetensors.is_some() {
        return Ok(());
    } else {
        let mut text = String::new();
        for (i, x) in embedding.vector.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            let _ = write!(text, "{space}{x}");
        }
        out.write_all(text.as_bytes())?;
    }
    writeln!(out)?;
    Ok(())
}

fn line(index: usize, embedding: &Embedding) -> Line<'_> {
    Line {
        index,
        tokens: embedding.tokens,
        cut: embedding.cut,
        embedding: &embedding.vector,
    }
}

/// Writes what is written at the end: an object, or a file.
pub(super) fn all(
    args: &EmbedArgs,
    about: &About<'_>,
    embeddings: &[Embedding],
) -> anyhow::Result<()> {
    if args.json {
        let lines = embeddings.iter().enumerate();
        let lines: Vec<_> = lines.map(|(i, embedding)| line(i, embedding)).collect();
        #[derive(Serialize)]
        struct Object<'a> {
            model: &'a str,
            pooling: &'static str,
            normalized: bool,
            dimensions: usize,
            embeddings: &'a [Line<'a>],
            notices: &'a [String],
        }
        let object = Object {
            model: about.model,
            pooling: about.pooling.name(),
            normalized: about.normalized,
            dimensions: embeddings.first().map_or(0, |first| first.vector.len()),
            embeddings: &lines,
            notices: about.notices,
        };
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    let shape = [
        embeddings.len(),
        embeddings.first().map_or(0, |first| first.vector.len()),
    ];
    if let Some(path) = &args.npy {
        file(path, &npy(shape), embeddings)?;
    }
    if let Some(path) = &args.safetensors {
        file(path, &safetensors(shape, about), embeddings)?;
    }
    Ok(())
}

/// A header and the values of all vectors.
fn file(path: &Path, header: &[u8], embeddings: &[Embedding]) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let mut out = AtomicFile::create(path)?;
        out.write_all(header)?;
        for x in embeddings.iter().flat_map(|embedding| &embedding.vector) {
            out.write_all(&x.to_le_bytes())?;
        }
        out.finish()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// The header of NumPy's format, version 1.0: magic, length, and a dictionary padded to 64 bytes.
fn npy([rows, columns]: [usize; 2]) -> Vec<u8> {
    let mut text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    const BEFORE: usize = 10;
    let length = (BEFORE + text.len() + 1).next_multiple_of(64) - BEFORE;
    while text.len() + 1 < length {
        text.push(' ');
    }
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((length as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}

/// Length and JSON of a safetensors file, padded so that the data is aligned to 8 bytes.
fn safetensors(shape: [usize; 2], about: &About<'_>) -> Vec<u8> {
    let tensors = json!({
        "__metadata__": {
            "model": about.model,
            "pooling": about.pooling.name(),
            "program": concat!("tritone ", env!("CARGO_PKG_VERSION")),
        },
        "embeddings": {
            "dtype": "F32",
            "shape": shape,
            "data_offsets": [0, 4 * shape[0] * shape[1]],
        },
    });
    let mut text = tensors.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numpy_header_is_aligned_and_says_its_length() {
        for shape in [[1, 256], [100_000, 1024]] {
            let header = npy(shape);
            let length = u16::from_le_bytes([header[8], header[9]]);
            assert_eq!(header.len(), 10 + usize::from(length));
            assert!(header.len().is_multiple_of(64) && header.ends_with(b"\n"));
            let text = String::from_utf8(header[10..].to_vec()).unwrap();
            assert!(text.contains(&format!("'shape': ({}, {})", shape[0], shape[1])));
        }
    }
}

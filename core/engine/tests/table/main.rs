//! The table of model families and stored types in `docs/models.md`: everything in it is run here.
//!
//! `TRITONE_WRITE_FIXTURES=1 cargo test -p tritone-engine --test table` writes the file anew.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

#[path = "../common/mod.rs"]
mod common;
mod directory;
mod families;
#[path = "../reference/mod.rs"]
mod reference;
mod trial;

use std::fmt::Write as _;
use std::path::Path;

use families::{FAMILIES, Stored};
use trial::{Outcome, trial};
use tritone_formats::TensorType;

const HEAD: &str = "\
# Models and types that run

This page is written by a test (`core/engine/tests/table`), which fails when it says something else than
what was found. For every cell a small random model of the family is written in the type, loaded, and run
on every kernel of the machine, with one and two threads and prompts in one chunk and in several: all have
to give the same bits, and the logits have to be those of a decoder in plain binary64 that was written from
the papers. A model directory (of the transformers library, `convert --type safetensors`) is written, read
again, and has to give the same bits; it holds one scale a matrix.

## Families

";

const TYPES: &str = "
## Types of ternary weights

Bits are those of a matrix of 4096 by 4096, scales included. That each type is decoded exactly is checked
against encoders of their own (`core/formats/tests/independent.rs`).

| type | number | bits a weight | scales | runs |
|---|---|---|---|---|
";

/// Types, and columns under one scale: 0 for one a tensor, 1 for one a row.
const ALL: [(TensorType, usize); 11] = [
    (TensorType::I2S, 0),
    (TensorType::Tq1_0, 256),
    (TensorType::Tq2_0, 256),
    (TensorType::Q1_0, 128),
    (TensorType::Q2_0, 64),
    (TensorType::Q2_0G128, 128),
    (TensorType::Pq2_0, 128),
    (TensorType::Ptq1_0, 128),
    (TensorType::Iq1Bn, 1),
    (TensorType::Iq2Bn, 1),
    (TensorType::Iq2BnR4, 1),
];

/// A type as people write it.
fn name(ty: TensorType) -> String {
    match ty {
        TensorType::Q2_0G128 => "Q2_0 (blocks of 128)".to_owned(),
        ty => ty.name().to_owned(),
    }
}

fn scales(group: usize) -> String {
    match group {
        0 => "matrix".to_owned(),
        1 => "row".to_owned(),
        columns => format!("{columns} columns"),
    }
}

/// The page, as found.
fn page() -> String {
    let mut page = HEAD.to_owned();
    page +=
        "| models | architecture | types of their files | model directory |\n|---|---|---|---|\n";
    for family in FAMILIES {
        let mut works = Vec::new();
        for Stored { ty, group } in family.stored {
            let shape = (family.shape)();
            let outcome = trial(reference::Shape {
                ty: *ty,
                group: *group,
                ..shape
            });
            let name = name(*ty);
            works.push(match outcome {
                Outcome::Runs => name,
                Outcome::Fails(why) => format!("**{name}: {why}**"),
            });
        }
        let directory = family.stored.first().map(|Stored { ty, group }| {
            directory::trial(reference::Shape {
                ty: *ty,
                group: *group,
                ..(family.shape)()
            })
        });
        let directory = directory.unwrap_or_default();
        let (models, arch) = (family.models, (family.shape)().arch);
        writeln!(
            page,
            "| {models} | `{arch}` | {} | {directory} |",
            works.join(", ")
        )
        .unwrap();
    }
    page += TYPES;
    for (ty, group) in ALL {
        let bits = 8.0 * ty.tensor_bytes(&[4096, 4096]).unwrap() as f64 / (4096.0 * 4096.0);
        let outcome = trial(reference::Shape {
            ty,
            group,
            ..reference::shapes::qwen3()
        });
        let works = match outcome {
            Outcome::Runs => "yes".to_owned(),
            Outcome::Fails(why) => format!("**{why}**"),
        };
        let (name, number, scales) = (name(ty), ty.id(), scales(group));
        writeln!(
            page,
            "| {name} | {number} | {bits:.3} | {scales} | {works} |"
        )
        .unwrap();
    }
    page
}

#[test]
fn the_page_says_what_runs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/models.md");
    let found = page();
    if std::env::var_os("TRITONE_WRITE_FIXTURES").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let said = std::fs::read_to_string(&path).unwrap_or_default();
    for (said, found) in said.lines().zip(found.lines()) {
        assert_eq!(said, found, "docs/models.md is not what was found");
    }
    assert_eq!(said, found, "docs/models.md is not what was found");
    assert!(!found.contains("**"), "something does not run:\n{found}");
}

//! `tritone kernels`.

use std::fs;

use serde_json::Value;

use crate::program::{command, finish, run};

/// The kernels that are built in for this architecture alone.
const SIMD: &[&str] = if cfg!(target_arch = "x86_64") {
    &["avx2", "avx512"]
} else if cfg!(target_arch = "aarch64") {
    &["neon"]
} else {
    &[]
};

fn named<'a>(listing: &'a Value, name: &str) -> &'a Value {
    let kernels = listing["kernels"].as_array().unwrap();
    kernels
        .iter()
        .find(|kernel| kernel["name"] == name)
        .unwrap()
}

#[test]
fn the_listing_has_every_kernel_with_its_state() {
    let listing = run(&["kernels", "--json"]).json();
    let scalar = named(&listing, "scalar");
    assert_eq!(scalar["state"], "usable");
    assert_eq!(scalar["score"], 1);
    assert_eq!(scalar["origin"], "built in");
    assert_eq!(scalar["layout"], "T2R32");
    for name in SIMD {
        let kernel = named(&listing, name);
        assert_eq!(
            kernel["state"] == "usable",
            kernel["score"].as_u64() > Some(0),
            "{kernel}"
        );
        assert!(!kernel["reason"].as_str().unwrap().is_empty());
    }
    let best = listing["best"].as_str().unwrap();
    assert_eq!(named(&listing, best)["state"], "usable");
    let table = run(&["kernels"]).ok();
    assert!(table.lines().next().unwrap().contains("SCORE"));
    for name in [&["scalar"], SIMD].concat() {
        assert!(table.lines().any(|line| line.starts_with(name)), "{table}");
    }
}

#[test]
fn kernels_can_be_left_out() {
    let run = finish(command(&["kernels", "--json"]).env("TRITONE_DISABLE_KERNELS", "scalar"));
    let listing = run.json();
    assert_eq!(named(&listing, "scalar")["state"], "disabled");
    let mut refused = command(&["run", "--kernel", "scalar", "Hello"]);
    let refused = refused
        .env("TRITONE_DISABLE_KERNELS", "scalar")
        .stdin(std::process::Stdio::null());
    finish(refused).fails(2, &["kernel `scalar` is disabled"]);
}

#[test]
fn refused_plugins_are_listed_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let name = format!(
        "{}tritone_odd{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    fs::write(dir.path().join(&name), "no library").unwrap();
    let path = dir.path().to_str().unwrap();
    let listing = run(&["kernels", "--json", "--plugin-dir", path]).json();
    let refused = listing["refused"].as_array().unwrap();
    let odd = refused
        .iter()
        .find(|refused| refused["name"] == "odd")
        .unwrap();
    assert_eq!(odd["reason"], "not a shared library");
    let table = run(&["kernels", "--plugin-dir", path]).ok();
    assert!(
        table.contains("Refused:") && table.contains(&name),
        "{table}"
    );
    let order = run(&["run", "--plugin-dir", path, "--kernel", "odd", "Hello"]);
    order.fails(2, &["kernel `odd` was refused", "not a shared library"]);
    let answer = run(&["run", "--plugin-dir", path, "What is the capital of Peru?"]);
    assert!(
        answer.err.contains("was refused: not a shared library"),
        "{}",
        answer.err
    );
    assert_eq!(answer.ok(), "The capital of Peru is Lima.\n");
}

#[test]
fn the_check_reports_every_operation() {
    let report = run(&["kernels", "--check", "scalar", "--json", "--seed", "3"]).json();
    let reports = report["reports"].as_array().unwrap();
    assert_eq!(reports.len(), 1);
    let scalar = &reports[0];
    assert_eq!(scalar["kernel"], "scalar");
    assert_eq!(scalar["ok"], true);
    assert_eq!(scalar["seed"], 3);
    let ops = scalar["ops"].as_array().unwrap();
    for name in ["matmul", "head", "attend", "rms_norm"] {
        let op = ops.iter().find(|op| op["op"] == name).unwrap();
        assert!(op["cases"].as_u64().unwrap() > 0, "{op}");
    }
    run(&["kernels", "--check", "nope"]).fails(2, &["nope"]);
}

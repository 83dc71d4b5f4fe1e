//! `tritone kernels`.

use std::fs;

use serde_json::Value;

use crate::program::{command, finish, run};

/// The kernels that are built in besides the scalar one.
const OTHERS: &[&str] = if cfg!(target_arch = "x86_64") {
    &["avx2", "avx512", "lut"]
} else if cfg!(target_arch = "aarch64") {
    &["neon", "lut"]
} else {
    &["lut"]
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
    for name in OTHERS {
        let kernel = named(&listing, name);
        assert_eq!(
            kernel["state"] == "usable",
            kernel["score"].as_u64() > Some(0),
            "{kernel}"
        );
        assert!(!kernel["reason"].as_str().unwrap().is_empty());
    }
    let lut = named(&listing, "lut");
    assert_eq!(lut["state"], "usable");
    assert_eq!(lut["layout"], "T5R128");
    let best = listing["best"].as_str().unwrap();
    assert_eq!(named(&listing, best)["state"], "usable");
    let table = run(&["kernels"]).ok();
    assert!(table.lines().next().unwrap().contains("SCORE"));
    for name in [&["scalar"], OTHERS].concat() {
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

#[test]
fn a_long_check_draws_shapes_by_seed() {
    let check = |seed: &str| {
        let args = [
            "kernels",
            "--check=scalar",
            "--minutes=0.01",
            "--json",
            seed,
        ];
        run(&args).json()
    };
    let once = check("--seed=5");
    assert_eq!(once["first_seed"], 5);
    assert!(once["seeds"].as_u64() > Some(0));
    let report = &once["reports"][0];
    assert_eq!(report["ok"], true);
    assert!(report["cases"].as_u64() > Some(1000), "{report}");
    run(&["kernels", "--check", "--minutes=0"]).fails(2, &["--minutes"]);
    run(&["kernels", "--minutes=1"]).fails(2, &["--check"]);
}

/// Runs the program with a cache directory of its own.
fn cached(cache: &std::path::Path, args: &[&str]) -> crate::program::Run {
    finish(
        command(args)
            .env("XDG_CACHE_HOME", cache)
            // As many in every run, whatever a busy machine leaves: a race is kept under them.
            .env("TRITONE_THREADS", "2")
            .stdin(std::process::Stdio::null()),
    )
}

#[test]
fn a_race_is_kept_explained_and_forgotten() {
    let cache = tempfile::tempdir().unwrap();
    let before = cached(cache.path(), &["kernels"]).ok();
    assert!(
        before.contains("not measured with this model here"),
        "{before}"
    );

    let race = cached(
        cache.path(),
        &["kernels", "--race", "--seconds=0.2", "--json"],
    )
    .json();
    let kernels = race["kernels"].as_array().unwrap();
    assert!(kernels.iter().any(|kernel| kernel["name"] == "scalar"));
    for kernel in kernels {
        assert!(
            kernel["decode_tokens_per_s"].as_f64() > Some(0.0),
            "{kernel}"
        );
        assert!(
            kernel["prefill_tokens_per_s"].as_f64() > Some(0.0),
            "{kernel}"
        );
        assert!(kernel["bits_per_weight"].as_f64() > Some(1.5), "{kernel}");
    }
    let winner = race["winner"].as_str().unwrap();
    let file = cache.path().join("tritone/kernels.json");
    assert_eq!(race["kept_in"].as_str(), file.to_str());

    let listing = cached(cache.path(), &["kernels", "--json"]).json();
    let chosen = listing["chosen"].as_str().unwrap();
    let expected = format!("{winner}: measured ");
    assert!(chosen.contains(&expected), "{chosen}");
    assert!(
        chosen.contains(" tok/s on this machine and model on 2"),
        "{chosen}"
    );
    let other = cached(cache.path(), &["kernels", "--threads=1"]).ok();
    let threads = race["threads"].as_u64().unwrap();
    assert_eq!(other.contains("not measured"), threads != 1, "{other}");
    // An order wins over a measurement.
    let ordered = cached(cache.path(), &["kernels", "--kernel=scalar"]).ok();
    assert!(
        ordered.contains("scalar: named by flag --kernel"),
        "{ordered}"
    );

    let table = cached(cache.path(), &["kernels", "--race", "--seconds=0.2"]).ok();
    for word in [
        "decode", "prefill", "of read", "bits", "first", "scalar", "kept in",
    ] {
        assert!(table.contains(word), "{word}: {table}");
    }
    let forgotten = cached(cache.path(), &["kernels", "--forget"]).ok();
    assert!(forgotten.starts_with("forgot 1 race in"), "{forgotten}");
    assert!(!file.exists());
    let again = cached(cache.path(), &["kernels", "--forget", "--json"]).json();
    assert_eq!(again["forgotten"], 0);
}

#[test]
fn a_faster_kernel_of_a_race_is_used_and_said() {
    let cache = tempfile::tempdir().unwrap();
    let kernels = run(&["kernels", "--json"]).json();
    let best = kernels["best"].as_str().unwrap().to_owned();
    if best == "scalar" {
        return; // No other kernel to be chosen against it.
    }
    cached(cache.path(), &["kernels", "--race", "--seconds=0.2"]).ok();
    let file = cache.path().join("tritone/kernels.json");
    let mut stored: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    for kernel in stored["races"][0]["kernels"].as_array_mut().unwrap() {
        let rate = if kernel["name"] == "scalar" { 2e6 } else { 1.0 };
        kernel["decode"] = rate.into();
        kernel["prefill"] = rate.into();
    }
    fs::write(&file, stored.to_string()).unwrap();
    let answer = cached(
        cache.path(),
        &["run", "--json", "What is the capital of Peru?"],
    )
    .json();
    assert_eq!(answer["kernel"], "scalar");
    let notices = answer["notices"].to_string();
    assert!(
        notices.contains("kernel scalar: measured 2000000.0 tok/s"),
        "{notices}"
    );
    // Every command goes by it, and none when another is named.
    let inspected = cached(cache.path(), &["inspect", "--json"]).json();
    assert_eq!(inspected["model"]["kernel"], "scalar", "{inspected:#}");
    let used = |more: &[&str]| {
        let small = [
            "bench",
            "--prompt=0",
            "--generate=1",
            "--repeat=1",
            "--read-buffer=16",
            "--json",
        ];
        cached(cache.path(), &[&small, more].concat()).json()["kernel"]["name"].clone()
    };
    assert_eq!(used(&[]), "scalar");
    assert_eq!(used(&["--kernel=auto"]), "scalar");
    assert_eq!(used(&[&format!("--kernel={best}")]), *best);
    // Switched off, it is not used, whatever it measured.
    let mut without = command(&["run", "--json", "What is the capital of Peru?"]);
    let without = without
        .env("XDG_CACHE_HOME", cache.path())
        .env("TRITONE_DISABLE_KERNELS", "scalar")
        .stdin(std::process::Stdio::null());
    assert_eq!(
        finish(without).json()["kernel"].as_str(),
        Some(best.as_str())
    );

    // What was measured of another build is said, and does not decide.
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("\"build_id\":\"", "\"build_id\":\"old "),
    )
    .unwrap();
    let outdated = cached(
        cache.path(),
        &["run", "--json", "What is the capital of Peru?"],
    )
    .json();
    assert_eq!(outdated["kernel"].as_str(), Some(best.as_str()));
    let notices = outdated["notices"].to_string();
    assert!(notices.contains("of another build"), "{notices}");

    fs::write(&file, "{").unwrap();
    let damaged = cached(cache.path(), &["run", "What is the capital of Peru?"]);
    assert!(damaged.err.contains("kernels.json"), "{}", damaged.err);
    assert!(damaged.err.contains("--forget"), "{}", damaged.err);
    assert_eq!(damaged.ok(), "The capital of Peru is Lima.\n");
}

//! `tritone synth` and `tritone bench`: files that load, numbers that are there. No time is judged.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tritone_formats::{GgufFile, StrArray, TensorType};
use tritone_tests::tritone;

/// Runs the program in a directory of its own, without settings from outside.
fn run<S: AsRef<OsStr>>(directory: &Path, args: &[S]) -> Output {
    Command::new(tritone())
        .args(args)
        .current_dir(directory)
        .env("HOME", directory)
        .env("XDG_CONFIG_HOME", directory)
        .env("XDG_CACHE_HOME", directory)
        .env_remove("TRITONE_MODEL")
        .env_remove("TRITONE_PROFILE")
        .env_remove("TRITONE_DISABLE_KERNELS")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Runs the program and returns what it printed.
fn good(directory: &Path, args: &[&str]) -> String {
    let output = run(directory, args);
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    text(&output.stdout).to_owned()
}

/// Runs the program, which must fail, and returns what it said.
fn bad(directory: &Path, args: &[&str]) -> String {
    let output = run(directory, args);
    let errors = text(&output.stderr).to_owned();
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(errors.contains("error:"), "{args:?}: {errors}");
    assert!(!errors.contains("panicked"), "{args:?}: {errors}");
    errors
}

fn synth(directory: &Path, name: &str, more: &[&str]) -> Vec<u8> {
    let args = [&["synth", "--shape", "tiny", "--out", name], more].concat();
    good(directory, &args);
    fs::read(directory.join(name)).unwrap()
}

#[test]
fn a_synthetic_model_is_inspected_and_answers() {
    let directory = TempDir::new().unwrap();
    let bytes = synth(directory.path(), "m.gguf", &[]);
    let file = GgufFile::new(bytes).unwrap();
    assert_eq!(
        file.require::<&str>("general.architecture").unwrap(),
        "bitnet-b1.58"
    );
    let embedding = file.require_tensor("token_embd.weight").unwrap();
    assert_eq!(embedding.ty(), TensorType::F16);
    assert_eq!((embedding.rows(), embedding.columns()), (2048, 256));

    let shown = good(directory.path(), &["inspect", "m.gguf"]);
    assert!(shown.contains("bitnet-b1.58"), "{shown}");
    let args = [
        "run",
        "--model",
        "m.gguf",
        "--max-tokens",
        "4",
        "--ignore-eos",
        "--json",
        "Hello",
    ];
    let answer: Value = serde_json::from_str(&good(directory.path(), &args)).unwrap();
    assert_eq!(answer["usage"]["completion_tokens"], 4);
    // Activations that blow up or vanish would give one token for ever, or no number at all.
    let args = [
        "logits",
        "--model",
        "m.gguf",
        "--prompt",
        "Hello there",
        "--out",
        "l.safetensors",
    ];
    good(directory.path(), &args);
    let stored = fs::read(directory.path().join("l.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&stored).unwrap();
    let logits = tensors.tensor("logits").unwrap();
    let values: Vec<f32> = logits
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    assert!(values.iter().all(|value| value.is_finite()));
    let spread = values
        .iter()
        .fold(0.0f32, |most, value| most.max(value.abs()));
    assert!((0.1..100.0).contains(&spread), "{spread}");
}

#[test]
fn small_models_of_every_layout_run_and_are_measured() {
    let directory = TempDir::new().unwrap();
    let good = |args: &[&str]| good(directory.path(), args);
    for shape in ["tiny-gemma3", "tiny-minicpm", "tiny-maple", "tiny-hybrid"] {
        let file = format!("{shape}.gguf");
        good(&["synth", "--shape", shape, "--layers", "3", "--out", &file]);
        let args = [
            "run",
            "--model",
            &file,
            "--raw",
            "--max-tokens",
            "4",
            "--ignore-eos",
            "--json",
        ];
        let answer = |kernel: &str| {
            let args = [
                &args[..],
                &["--kernel", kernel, "Hello there, this is a longer text"],
            ];
            let answer: Value = serde_json::from_str(&good(&args.concat())).unwrap();
            assert_eq!(answer["usage"]["completion_tokens"], 4, "{shape}");
            answer["text"].clone()
        };
        assert_eq!(answer("scalar"), answer("auto"), "{shape}");
        let vector = good(&["embed", "--model", &file, "a text"]);
        assert_eq!(vector.trim().split(' ').count(), 256, "{shape}");
    }
    let model: Value =
        serde_json::from_str(&good(&["inspect", "--json", "tiny-maple.gguf"])).unwrap();
    let recipe = &model["model"];
    assert_eq!(
        (&recipe["experts"], &recipe["experts_used"]),
        (&16.into(), &4.into())
    );
    let all = recipe["parameters"].as_u64().unwrap();
    let unused = 3 * 12 * 3 * 256 * 256;
    assert_eq!(recipe["active_parameters"], all - unused);
    let shown = good(&["inspect", "tiny-maple.gguf"]);
    assert!(
        shown.contains("16 experts, of which a token uses 4"),
        "{shown}"
    );
}

#[test]
fn a_vocabulary_is_filled_up_and_keeps_its_special_tokens() {
    let directory = TempDir::new().unwrap();
    synth(directory.path(), "small.gguf", &[]);
    let args = "synth --shape 2b4t-2layer --layers 1 --head q4_0 --vocab-from small.gguf --out m";
    good(directory.path(), &args.split(' ').collect::<Vec<_>>());
    let file = GgufFile::new(fs::read(directory.path().join("m")).unwrap()).unwrap();
    let tokens: StrArray<'_> = file.require("tokenizer.ggml.tokens").unwrap();
    assert_eq!(tokens.len(), 128_256);
    let types: Vec<i32> = file.require("tokenizer.ggml.token_type").unwrap();
    assert_eq!(types.len(), 128_256);
    assert_eq!(types[128_255], 5);
    let eot: u32 = file.require("tokenizer.ggml.eot_token_id").unwrap();
    assert_eq!(tokens.iter().nth(eot as usize).unwrap(), b"<|eot_id|>");
    assert_eq!(types[eot as usize], 3);
    let embedding = file.require_tensor("token_embd.weight").unwrap();
    assert_eq!(embedding.ty(), TensorType::Q4_0);
    // 1 layer of 11 tensors, embedding and last norm.
    assert_eq!(file.tensors().len(), 13);
    assert_eq!(file.require::<u32>("bitnet-b1.58.block_count").unwrap(), 1);

    let refused = bad(
        directory.path(),
        &["synth", "--shape", "tiny", "--vocab-from", "m"],
    );
    assert!(refused.contains("128256 tokens"), "{refused}");
}

#[test]
fn every_type_is_written_and_answers() {
    let directory = TempDir::new().unwrap();
    for ty in [
        "tq1_0",
        "tq2_0",
        "q2_0",
        "pq2_0",
        "ptq1_0",
        "iq1_bn",
        "iq2_bn",
        "iq2_bn_r4",
    ] {
        let name = format!("{ty}.gguf");
        let bytes = synth(directory.path(), &name, &["--type", ty, "--layers", "1"]);
        let file = GgufFile::new(bytes).unwrap();
        let query = file.require_tensor("blk.0.attn_q.weight").unwrap();
        assert!(query.ty().name().eq_ignore_ascii_case(ty));
        let args = [
            "run",
            "--model",
            &name,
            "--max-tokens",
            "3",
            "--ignore-eos",
            "Hello",
        ];
        let shown = good(directory.path(), &args);
        assert!(!shown.is_empty(), "{ty}");
    }
}

#[test]
fn the_seed_decides_the_bytes() {
    let directory = TempDir::new().unwrap();
    let first = synth(directory.path(), "a", &["--seed", "1"]);
    let again = synth(directory.path(), "b", &["--seed", "1"]);
    let other = synth(directory.path(), "c", &["--seed", "2"]);
    assert!(first == again, "the same seed gave other bytes");
    assert_eq!(first.len(), other.len());
    let differing = first.iter().zip(&other).filter(|(a, b)| a != b).count();
    assert!(differing > first.len() / 4, "{differing} bytes differ");
}

#[test]
fn fewer_layers_are_the_first_ones() {
    let directory = TempDir::new().unwrap();
    let all = GgufFile::new(synth(directory.path(), "all", &[])).unwrap();
    let two = GgufFile::new(synth(directory.path(), "two", &["--layers", "2"])).unwrap();
    let bytes = |file: &GgufFile<Vec<u8>>, name: &str| {
        let range = file.require_tensor(name).unwrap().byte_range();
        file.part(0).unwrap().bytes()[range].to_vec()
    };
    let name = "blk.1.ffn_down.weight";
    assert!(bytes(&all, name) == bytes(&two, name));
    assert!(bytes(&all, name) != bytes(&all, "blk.0.ffn_down.weight"));
    assert!(two.tensor("blk.2.ffn_down.weight").is_none());
}

#[test]
fn a_file_is_replaced_only_when_forced() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("m.gguf"), "mine").unwrap();
    let args = ["synth", "--shape", "tiny", "--out", "m.gguf"];
    let refused = bad(directory.path(), &args);
    assert!(refused.contains("--force"), "{refused}");
    assert_eq!(fs::read(directory.path().join("m.gguf")).unwrap(), b"mine");

    synth(directory.path(), "m.gguf", &["--force"]);
    assert!(fs::metadata(directory.path().join("m.gguf")).unwrap().len() > 1 << 20);
    let left: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("part"))
        .collect();
    assert!(left.is_empty(), "left over: {left:?}");

    let refused = bad(
        directory.path(),
        &["synth", "--shape", "tiny", "--out", "no/such/dir/m"],
    );
    assert!(refused.contains("no/such/dir/m"), "{refused}");
}

/// Options that keep a measurement short.
const SHORT: [&str; 7] = [
    "bench",
    "--prompt=24",
    "--generate=4",
    "--repeat=2",
    "--read-buffer=16",
    "--context=0,16",
    "--threads=1",
];

/// Median of a measured number.
fn median(value: &Value) -> f64 {
    let median = value["median"].as_f64();
    let median = median.unwrap_or_else(|| panic!("not measured: {value}"));
    assert_eq!(value["samples"].as_array().unwrap().len(), 2, "{value}");
    assert!(value["min"].as_f64().unwrap() <= median, "{value}");
    assert!(value["max"].as_f64().unwrap() >= median, "{value}");
    median
}

#[test]
fn a_benchmark_gives_rates_limits_and_shares() {
    let directory = TempDir::new().unwrap();
    let report: Value =
        serde_json::from_str(&good(directory.path(), &[&SHORT[..], &["--json"]].concat())).unwrap();
    assert_eq!(report["model"]["ternary_macs_per_token"], 4_718_592);
    assert_eq!(report["model"]["layers"], 6);
    assert_eq!(report["interrupted"], false);
    assert!(report["unix_time"].as_u64().unwrap() > 0);
    assert!(report["machine"]["logical_cpus"].as_u64().unwrap() > 0);
    for key in ["name", "version", "build_id", "isa", "layout"] {
        assert!(!report["kernel"][key].as_str().unwrap().is_empty(), "{key}");
    }

    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    let result = &results[0];
    assert_eq!(result["threads"], 1);
    let prefill = &result["prefill"];
    assert_eq!(prefill["tokens"], 24);
    let work = median(&prefill["gmac_per_s"]) / median(&prefill["tokens_per_s"]);
    assert!((work / 4_718_592e-9 - 1.0).abs() < 1e-6, "{work}");

    let streamed = report["model"]["weights_bytes"].as_f64().unwrap()
        + report["model"]["head_bytes"].as_f64().unwrap();
    let decode = result["decode"].as_array().unwrap();
    let contexts: Vec<_> = decode
        .iter()
        .map(|decode| decode["context"].as_u64())
        .collect();
    assert_eq!(contexts, [Some(0), Some(16)]);
    for decode in decode {
        // 3072 bytes of keys and values a position; four tokens see 2.5 more than the context.
        let seen = decode["context"].as_f64().unwrap() + 2.5;
        let bytes = decode["bytes_per_token"].as_f64().unwrap();
        assert_eq!(bytes, streamed + 3072.0 * seen);
        let moved = median(&decode["gb_per_s"]) / median(&decode["tokens_per_s"]);
        assert!((moved / bytes * 1e9 - 1.0).abs() < 1e-6, "{moved}");
    }

    // A kernel may lack the measuring loops; then the reason stands where the share would.
    let probes = [
        (&result["read_gb_per_s"], &decode[0]["share_of_read"]),
        (&result["int8_gmac_per_s"], &prefill["share_of_int8"]),
    ];
    for (limit, share) in probes {
        match limit["missing"].as_str() {
            Some(why) => assert_eq!(share["missing"].as_str(), Some(why)),
            None => assert!(
                median(limit) > 0.0 && median(share) > 0.0,
                "{limit} {share}"
            ),
        }
    }
}

#[test]
fn the_scalar_kernel_measures_both_limits() {
    let directory = TempDir::new().unwrap();
    let more = ["--kernel", "scalar", "--json", "out.json"];
    let table = good(directory.path(), &[&SHORT[..], &more].concat());
    let stored = fs::read_to_string(directory.path().join("out.json")).unwrap();
    let report: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(report["kernel"]["name"], "scalar");
    let result = &report["results"][0];
    assert!(median(&result["read_gb_per_s"]) > 0.0);
    assert!(median(&result["int8_gmac_per_s"]) > 0.0);
    let share = median(&result["prefill"]["share_of_int8"]);
    let rate = median(&result["prefill"]["gmac_per_s"]);
    assert!(share > 0.0 && rate > 0.0);
    assert!(median(&result["decode"][1]["share_of_read"]) > 0.0);
    assert_eq!(result["best_prefetch_bytes"].as_array().unwrap().len(), 2);
    for word in [
        "1 thread",
        "read",
        "int8 peak",
        "prefill 24",
        "decode at 0",
        "decode at 16",
    ] {
        assert!(table.contains(word), "{word} is missing in:\n{table}");
    }
}

#[test]
fn everything_is_swept_in_turn() {
    let directory = TempDir::new().unwrap();
    let args = [
        "bench",
        "--prompt=20",
        "--generate=2",
        "--repeat=2",
        "--read-buffer=4",
        "--context=3",
        "--threads=1,2",
        "--kernel=scalar,all",
        "--head=q6,f16,q6",
        "--batch=3",
        "--mixed=2",
        "--chunk=8",
        "--json=out.json",
    ];
    let table = good(directory.path(), &args);
    let stored = fs::read_to_string(directory.path().join("out.json")).unwrap();
    let report: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(report["schema"], "tritone-bench/2");
    assert!(!report["machine"]["os"].as_str().unwrap().is_empty());
    assert_eq!(report["date"].as_str().unwrap().len(), 10);
    assert_eq!(report["model"]["content_id"].as_str().unwrap().len(), 16);
    assert_eq!(report["kernels"][0]["name"], "scalar");
    assert_eq!(report["pinned"].as_array().unwrap().len(), 0);
    assert!(table.contains("not pinned"), "{table}");

    let kernels = report["kernels"].as_array().unwrap().len();
    let threads = report["settings"]["threads"].as_array().unwrap().len();
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), kernels * threads * 2, "every way once");
    for result in results {
        let macs = 4_718_592e-9;
        assert_eq!(result["decode"][0]["context"], 3);
        median(&result["decode"][0]["tokens_per_s"]);
        // One sequence is measured, too, for the comparison.
        let batch = result["batch"].as_array().unwrap();
        let sizes: Vec<_> = batch.iter().map(|one| one["sequences"].as_u64()).collect();
        assert_eq!(sizes, [Some(1), Some(3)]);
        let (all, each) = (
            median(&batch[1]["tokens_per_s"]),
            median(&batch[1]["tokens_per_s_each"]),
        );
        assert!((all / each - 3.0).abs() < 1e-6, "{all} {each}");
        assert_eq!(median(&batch[0]["times_one"]), 1.0);
        assert!(median(&batch[1]["times_one"]) > 0.0);
        if result["int8_gmac_per_s"]["missing"].is_null() {
            let sample = |value: &Value| value["samples"][0].as_f64().unwrap();
            let share =
                sample(&batch[1]["tokens_per_s"]) * macs / sample(&result["int8_gmac_per_s"]);
            assert!((sample(&batch[1]["share_of_int8"]) / share - 1.0).abs() < 1e-6);
        }
        let mixed = &result["mixed"];
        assert_eq!(
            (&mixed["decoders"], &mixed["chunk"]),
            (&2.into(), &8.into())
        );
        // Two steps without the prompt, and three pieces of it.
        for (part, steps) in [("alone", 2), ("reading", 3)] {
            let gaps = mixed[part]["ms"].as_array().unwrap();
            assert!(
                gaps.iter()
                    .all(|gaps| gaps.as_array().unwrap().len() == steps)
            );
            assert!(median(&mixed[part]["p95_ms"]) >= median(&mixed[part]["p50_ms"]));
        }
    }
    let head = |result: &Value| result["head"].as_str().unwrap().to_owned();
    assert_eq!(head(&results[0]), "q6");
    let q6 = results[0]["head_bytes"].as_u64().unwrap();
    let f16 = results.iter().find(|result| head(result) == "f16").unwrap();
    assert!(q6 < f16["head_bytes"].as_u64().unwrap());
    for word in ["scalar, q6 head", "decode of 3", "gap p95 reading"] {
        assert!(table.contains(word), "{word} is missing in:\n{table}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn threads_can_be_kept_on_processors() {
    let directory = TempDir::new().unwrap();
    let args = [&SHORT[..], &["--pin", "--json", "out.json"]].concat();
    let table = good(directory.path(), &args);
    assert!(table.contains("pinned, in order, to CPUs"), "{table}");
    let stored = fs::read_to_string(directory.path().join("out.json")).unwrap();
    let report: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(report["pinned"].as_array().unwrap().len(), 1);
    median(&report["results"][0]["decode"][0]["tokens_per_s"]);
}

#[test]
fn a_report_is_taken_up_compared_and_drawn() {
    let directory = TempDir::new().unwrap();
    let args = [&SHORT[..], &["--json=then.json"]].concat();
    good(directory.path(), &args);
    let mut faster: Value =
        serde_json::from_str(&fs::read_to_string(directory.path().join("then.json")).unwrap())
            .unwrap();
    let samples = &mut faster["results"][0]["decode"][1]["tokens_per_s"]["samples"];
    for sample in samples.as_array_mut().unwrap() {
        *sample = (sample.as_f64().unwrap() * 1000.0).into();
    }
    faster["machine"]["cpu"] = "Another Processor".into();
    fs::write(directory.path().join("now.json"), faster.to_string()).unwrap();

    let args = "bench --from now.json --compare then.json --plot p.svg --json out.json";
    let text = good(directory.path(), &args.split(' ').collect::<Vec<_>>());
    let line = |name: &str| {
        let mut lines = text
            .lines()
            .skip_while(|line| !line.starts_with("compared with"));
        lines.find(|line| line.trim().starts_with(name)).unwrap()
    };
    assert!(line("decode at 16").ends_with("faster"), "{text}");
    assert!(line("decode at 0").ends_with("within noise"), "{text}");
    assert!(text.contains("another machine: processor"), "{text}");
    let stored = fs::read_to_string(directory.path().join("out.json")).unwrap();
    let report: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(report["comparison"]["with"], "then.json");
    let picture = fs::read_to_string(directory.path().join("p.svg")).unwrap();
    let parsed = roxmltree::Document::parse(&picture).unwrap();
    assert!(
        parsed
            .descendants()
            .any(|node| node.text() == Some("decode at 0, by threads"))
    );
    // A run is compared as well.
    let args = [&SHORT[..], &["--compare=then.json"]].concat();
    assert!(good(directory.path(), &args).contains("compared with then.json"));
}

#[test]
fn what_is_no_report_is_refused_before_anything_is_measured() {
    let directory = TempDir::new().unwrap();
    let long = format!(
        "{{\"schema\": \"tritone-bench/2\", \"results\": [{}1]}}",
        "[".repeat(500)
    );
    for (content, word) in [
        ("", "EOF"),
        ("{\"results\": []}", "schema"),
        (
            "{\"schema\": \"tritone-bench/1\"}",
            "expected 'tritone-bench/2'",
        ),
        (
            "{\"schema\": \"tritone-bench/2\", \"results\": 7}",
            "no report",
        ),
        (&long, "no report"),
        ("\u{1b}[2J", "no report"),
    ] {
        fs::write(directory.path().join("x.json"), content).unwrap();
        for flag in ["--compare", "--from"] {
            let output = run(directory.path(), &["bench", flag, "x.json", "--ctx", "1"]);
            let errors = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{content}: {errors}");
            assert!(
                errors.contains(word) && errors.contains("x.json"),
                "{errors}"
            );
            assert!(!errors.contains('\u{1b}'));
        }
    }
    let missing = bad(directory.path(), &["bench", "--compare", "none.json"]);
    assert!(missing.contains("cannot read none.json"), "{missing}");
    let both = run(
        directory.path(),
        &["bench", "--from", "x.json", "--threads", "1"],
    );
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn the_product_alone_is_measured_of_every_kernel() {
    let directory = TempDir::new().unwrap();
    let args = "bench kernels --time=3 --repeat=2 --read-buffer=4 --threads=1 --tokens=4 --json=k";
    let args: Vec<_> = args.split(' ').collect();
    let table = good(directory.path(), &args);
    let stored = fs::read_to_string(directory.path().join("k")).unwrap();
    let report: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(report["schema"], "tritone-bench-kernels/1");
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), report["kernels"].as_array().unwrap().len());
    assert!(results.iter().any(|one| one["kernel"] == "scalar"));
    for result in results {
        // q, o: 256 x 256; k, v: 128 x 256; gate, up: 768 x 256; down: 256 x 768.
        let shapes = result["shapes"].as_array().unwrap();
        assert_eq!(shapes.len(), 4);
        assert_eq!(shapes[0]["names"], "attn_q, attn_output");
        assert_eq!(
            (&shapes[3]["rows"], &shapes[3]["cols"]),
            (&256.into(), &768.into())
        );
        for shape in shapes {
            let bits = shape["bits_per_weight"].as_f64().unwrap();
            assert!((1.58..8.0).contains(&bits), "{bits}");
            let together = &shape["together"][0];
            assert_eq!(together["tokens"], 4);
            for (product, tokens) in [
                (&shape["memory"], 1.0),
                (&shape["cache"], 1.0),
                (together, 4.0),
            ] {
                let (gmac, gb) = (median(&product["gmac_per_s"]), median(&product["gb_per_s"]));
                assert!(
                    (gmac * bits / 8.0 / tokens / gb - 1.0).abs() < 1e-6,
                    "{product}"
                );
            }
        }
    }
    for word in [
        "1 thread, scalar",
        "1 token, memory",
        "1 token, cache",
        "4 tokens",
        "768 x 256",
    ] {
        assert!(table.contains(word), "{word} is missing in:\n{table}");
    }
    let again = [&args[..args.len() - 1], &["--kernel=scalar", "--compare=k"]].concat();
    let again = good(directory.path(), &again);
    assert!(
        again.contains("compared with k") && again.contains("256x256 from memory"),
        "{again}"
    );
    // A report of the other kind.
    let refused = bad(directory.path(), &["bench", "--compare", "k"]);
    assert!(refused.contains("expected 'tritone-bench/2'"), "{refused}");
}

#[test]
fn sweeps_that_make_no_sense_are_refused() {
    let directory = TempDir::new().unwrap();
    let refused = |more: &[&str], word: &str| {
        let output = run(directory.path(), &[&["bench"], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        let errors = text(&output.stderr);
        assert!(errors.contains(word), "{more:?}: {errors}");
    };
    refused(&["--kernel", "scalar,nothing"], "nothing");
    refused(&["--head", "f16,q5"], "there are f16, q8, q6, q4");
    refused(&["--mixed", "2", "--prompt", "0"], "--prompt 0");
    refused(&["--batch", "0"], "--batch");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let directory = TempDir::new().unwrap();
    let refused = bad(
        directory.path(),
        &["bench", "--ctx", "64", "--prompt", "65"],
    );
    assert!(refused.contains("65 tokens"), "{refused}");
    let refused = bad(directory.path(), &["bench", "--model", "no-such-file.gguf"]);
    assert!(refused.contains("no-such-file.gguf"), "{refused}");
    let args = [
        "bench",
        "--context",
        "4000000",
        "--memory",
        "512",
        "--read-buffer",
        "1",
    ];
    let refused = bad(directory.path(), &args);
    assert!(refused.contains("limit"), "{refused}");
}

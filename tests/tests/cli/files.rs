//! `tritone inspect` and `tritone logits`.

use std::fs;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;
use tritone_formats::TensorType;
use tritone_formats::write::GgufWriter;

use crate::program::{Run, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn tiny() -> std::path::PathBuf {
    tritone_tests::tiny().join("tritone-tiny-i2_s.gguf")
}

#[test]
fn inspect_shows_metadata_tensors_and_the_memory_plan() {
    let object = run(&["inspect", "--json", "--kernel", "scalar", text(&tiny())]).json();
    assert_eq!(object["gguf_version"], 3);
    assert_eq!(object["metadata"]["general.architecture"], "bitnet-b1.58");
    let vocab = object["metadata"]["tokenizer.ggml.tokens"]["length"]
        .as_u64()
        .unwrap();
    assert_eq!(object["model"]["vocab"], vocab);
    let tensors = object["tensors"].as_array().unwrap();
    let down = tensors
        .iter()
        .find(|tensor| tensor["name"] == "blk.0.ffn_down.weight")
        .unwrap();
    assert_eq!(down["type"], "I2_S");
    let bytes = |tensor: &serde_json::Value| tensor["bytes"].as_u64().unwrap();
    let (ffn, hidden) = (&object["model"]["ffn"], &object["model"]["hidden"]);
    assert_eq!(down["shape"], serde_json::json!([ffn, hidden]));
    let elements = ffn.as_u64().unwrap() * hidden.as_u64().unwrap();
    assert_eq!(bytes(down), elements / 4 + 32);
    let memory = &object["model"]["memory"];
    let part = |name: &str| memory[name].as_u64().unwrap();
    let sum: u64 = ["weights", "head", "kv", "states", "scratch", "program"]
        .map(part)
        .iter()
        .sum();
    assert_eq!(part("total"), sum);
    assert_eq!(memory["fits"], true);
    assert_eq!(object["cannot_run"], serde_json::Value::Null);

    let people = run(&["inspect", "--tensors", text(&tiny())]).ok();
    for word in [
        "GGUF version 3",
        "general.architecture",
        "blk.0.ffn_down.weight",
        "KV cache",
    ] {
        assert!(people.contains(word), "no {word} in {people}");
    }
    assert!(
        !run(&["inspect", text(&tiny())])
            .ok()
            .contains("blk.0.ffn_down.weight")
    );
    assert_eq!(
        run(&["inspect"]).ok().lines().nth(1),
        people.lines().nth(1),
        "the built-in model"
    );
}

/// A preset that nobody asked for must not keep a model from running that the machine has room
/// for; the presets take at most half of the memory.
#[test]
fn the_limit_of_a_preset_nobody_asked_for_is_raised_and_that_is_said() {
    let memory = |args: &[&str]| {
        let object = run(&[&["inspect", "--json"], args].concat()).json();
        let limit = object["model"]["memory"]["limit"].as_u64().unwrap();
        (
            limit,
            object["model"]["memory"]["fits"] == true,
            object["notices"].to_string(),
        )
    };
    let (limit, fits, notices) = memory(&[]);
    assert!(fits && !notices.contains("memory limit"), "{notices}");
    // The cache takes 3072 bytes a token: a little more than the limit. The largest preset has
    // room for the longest context there is.
    let context = limit / 3000;
    if context > 1 << 20 {
        return;
    }
    let context = context.to_string();
    let (raised, fits, notices) = memory(&["--ctx", &context]);
    assert!(fits && raised > limit, "{raised} {limit}");
    assert!(notices.contains("memory limit raised from"), "{notices}");
    let mib = (limit >> 20).to_string();
    let (kept, fits, _) = memory(&["--ctx", &context, "--memory", &mib]);
    assert!(!fits && kept == limit);
}

#[test]
fn inspect_shows_a_model_it_cannot_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.gguf");
    let mut plan = GgufWriter::new();
    plan.metadata("general.architecture", "no\x1bsuch").unwrap();
    plan.metadata("general.name", "evil \x1b[2J\nname").unwrap();
    plan.tensor("some.weight", TensorType::F32, &[2, 3])
        .unwrap();
    let mut body = plan.begin(Vec::new()).unwrap();
    body.write("some.weight", &[0; 24]).unwrap();
    fs::write(&path, body.finish().unwrap()).unwrap();
    let people = run(&["inspect", "--tensors", text(&path)]).ok();
    assert!(
        people.contains("cannot be run") && people.contains("not supported"),
        "{people}"
    );
    assert!(
        people.contains("some.weight") && people.contains("2 x 3"),
        "{people}"
    );
    assert!(people.contains(r#""evil \u{1b}[2J\nname""#), "{people}");
    assert!(!people.contains('\x1b'));
    let object = run(&["inspect", "--json", text(&path)]).json();
    assert_eq!(object["model"], serde_json::Value::Null);
    assert!(
        object["cannot_run"]
            .as_str()
            .unwrap()
            .contains("not supported")
    );
    run(&["run", "--model", text(&path), "Hello"]).fails(3, &["not supported", "bitnet-b1.58"]);
}

#[test]
fn a_file_that_is_cut_off_is_refused_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.gguf");
    let whole = fs::read(tiny()).unwrap();
    for (length, words) in [
        (5, "incomplete"),
        (1000, "bytes that are left"),
        (whole.len() / 2, "incomplete"),
        (whole.len() - 1, "incomplete"),
    ] {
        fs::write(&path, &whole[..length]).unwrap();
        run(&["inspect", text(&path)]).fails(3, &["cut.gguf", words]);
    }
    run(&["run", "--model", text(&path), "Hello"]).fails(3, &["cut.gguf", "incomplete"]);
}

/// Everything in a file of logits.
struct Logits {
    tokens: Vec<u32>,
    rows: Vec<Vec<f32>>,
}

fn words<T>(bytes: &[u8], word: impl Fn([u8; 4]) -> T) -> Vec<T> {
    bytes
        .chunks_exact(4)
        .map(|bytes| word(bytes.try_into().unwrap()))
        .collect()
}

fn logits(path: &Path) -> Logits {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (logits, tokens) = (
        file.tensor("logits").unwrap(),
        file.tensor("tokens").unwrap(),
    );
    assert_eq!((logits.dtype(), tokens.dtype()), (Dtype::F32, Dtype::U32));
    assert_eq!(logits.shape().len(), 2);
    assert_eq!(tokens.shape(), &logits.shape()[..1]);
    let values = words(logits.data(), f32::from_le_bytes);
    let rows = values
        .chunks(logits.shape()[1])
        .map(<[f32]>::to_vec)
        .collect();
    Logits {
        tokens: words(tokens.data(), u32::from_le_bytes),
        rows,
    }
}

fn write_logits(out: &Path, more: &[&str]) -> Run {
    let mut args = vec!["logits", "--out", text(out)];
    args.extend(more);
    run(&args)
}

/// A ternary network rounds its activations, so that a last bit can flip a rounding and no two
/// programs agree to the last digit: right is a relative L2 error of at most 2 % and the same best
/// token wherever the two best differ by more than 1.5. A wrong scale, norm or rotation is off by
/// 30 % and more.
#[test]
fn logits_agree_with_the_transformers_library() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(tritone_tests::tiny().join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |index: usize, name: &str| expected.tensor(&format!("{index}.{name}")).unwrap();
    let (mut positions, mut sure) = (0, 0);
    for index in 0..4 {
        let ids = words(tensor(index, "input_ids").data(), u32::from_le_bytes);
        let json = dir.path().join("ids.json");
        fs::write(&json, serde_json::to_string(&ids).unwrap()).unwrap();
        let out = dir.path().join("out.safetensors");
        assert_eq!(write_logits(&out, &["--tokens", text(&json)]).ok(), "");
        let got = logits(&out);
        assert_eq!(got.tokens, ids);

        let wanted = words(tensor(index, "logits").data(), f32::from_le_bytes);
        let gaps = words(tensor(index, "top2_gap").data(), f32::from_le_bytes);
        let all = got.rows.concat();
        assert_eq!(all.len(), wanted.len());
        let square = |x: f32| f64::from(x) * f64::from(x);
        let error: f64 = all.iter().zip(&wanted).map(|(a, b)| square(a - b)).sum();
        let norm: f64 = wanted.iter().map(|&b| square(b)).sum();
        let relative = (error / norm).sqrt();
        assert!(relative <= 0.02, "sequence {index}: {relative}");
        let vocab = wanted.len() / ids.len();
        for (position, (row, wanted)) in got.rows.iter().zip(wanted.chunks(vocab)).enumerate() {
            positions += 1;
            if gaps[position] > 1.5 {
                sure += 1;
                assert_eq!(
                    best(row),
                    best(wanted),
                    "sequence {index}, position {position}"
                );
            }
        }
    }
    assert_eq!(positions, 19 + 31 + 41 + 21);
    assert!(sure > 50, "{sure} positions could be compared");
}

fn best(row: &[f32]) -> Option<usize> {
    (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]))
}

#[test]
fn logits_depend_on_nothing_but_the_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("a.safetensors");
    let data = |more: &[&str]| {
        let mut args = vec!["--prompt", "The capital of Peru is Lima. The capital of"];
        args.extend(more);
        write_logits(&out, &args).ok();
        let bits = |row: &Vec<f32>| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let logits = logits(&out);
        (
            logits.tokens,
            logits.rows.iter().map(bits).collect::<Vec<_>>(),
        )
    };
    let first = data(&["--kernel", "scalar", "--threads", "1"]);
    assert!(first.0.len() > 8);
    assert!(first == data(&["--chunk", "1"]), "chunks of 1");
    assert!(
        first == data(&["--chunk", "7", "--threads", "2"]),
        "chunks of 7, 2 threads"
    );
    assert!(data(&["--chat"]).0.len() > first.0.len());
}

#[test]
fn logits_of_bad_input_leave_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let ids = dir.path().join("ids.json");
    let out = dir.path().join("out.safetensors");
    let fails = |content: &str, words: &[&str]| {
        fs::write(&ids, content).unwrap();
        write_logits(&out, &["--tokens", text(&ids)]).fails(4, words);
        assert!(!out.exists());
    };
    fails("[[1, 2], [3]]", &["one sequence a file"]);
    fails("[1, \"a\"]", &["element 1"]);
    fails("{", &["no JSON"]);
    fails("[]", &["empty"]);
    fails("[1, 99999999]", &["token 99999999 at position 1"]);
    let nowhere = dir.path().join("none/out.safetensors");
    write_logits(&nowhere, &["--prompt", "a"]).fails(1, &["cannot write"]);
    // Refused when the file has been begun.
    fs::write(&ids, format!("{:?}", [1; 4096])).unwrap();
    let large = ["--tokens", text(&ids), "--chunk", "4096", "--memory", "64"];
    write_logits(&out, &large).fails(3, &["does not fit the memory limit"]);
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["ids.json"]);
}

#[test]
fn a_packed_cache_is_written_said_and_used() {
    let home = tempfile::tempdir().unwrap();
    let (model, dir) = (tiny(), home.path().join("packs"));
    let asked = |command: &[&str]| {
        let common = [
            "--model",
            text(&model),
            "--pack-cache",
            text(&dir),
            "--json",
            // On a busy machine fewer threads are used, and that is said.
            "--threads=1",
        ];
        run(&[command, &common].concat())
    };
    let inspected = || {
        let packs = asked(&["inspect"]).json()["model"]["packs"].clone();
        packs.as_array().unwrap().clone()
    };
    assert!(inspected().is_empty());

    let answer = ["run", "--max-tokens", "4", "What is the capital of Peru?"];
    let first = asked(&answer);
    assert!(
        first.err.contains("wrote the packed cache"),
        "{}",
        first.err
    );
    assert!(first.err.contains(text(&dir)), "{}", first.err);
    let first = first.json();
    assert_eq!(first["load"]["weights"]["from"], "packed");
    assert_eq!(first["load"]["head"]["from"], "model");

    let second = asked(&answer);
    assert_eq!(second.err, "");
    let second = second.json();
    assert_eq!(second["load"]["weights"]["from"], "cache");
    assert_eq!(second["text"], first["text"]);
    let packs = inspected();
    assert_eq!(packs.len(), 1);
    assert_eq!(packs[0]["valid"], true);
    let path = packs[0]["path"].as_str().unwrap();
    assert_eq!(second["load"]["weights"]["pack"], path);

    fs::write(path, "no pack").unwrap();
    let verified = ["inspect", "--verify-cache"];
    assert!(asked(&verified).json()["model"]["packs"][0]["why_not"].is_string());
    let third = asked(&answer);
    assert!(third.err.contains("is not used"), "{}", third.err);
    assert_eq!(third.json()["text"], first["text"]);
    assert!(inspected()[0]["valid"] == true, "written anew");
}

#[test]
fn the_start_says_what_it_consisted_of() {
    let stats = run(&[
        "run",
        "--stats",
        "--pack-cache",
        "off",
        "--max-tokens",
        "2",
        "Hello",
    ]);
    let said = stats.err.lines().last().unwrap().to_owned();
    assert!(said.contains("ready in "), "{said}");
    assert!(said.contains("(packed 1 MiB at "), "{said}");
}

/// A head that the file stores in a ternary type stays ternary unless something else is asked for.
#[test]
fn a_ternary_head_is_used_as_it_is_stored() {
    let directory = TempDir::new().unwrap();
    let at = directory.path().join("bonsai.gguf");
    let model = text(&at);
    run(&[
        "synth", "--shape", "tiny", "--type", "pq2_0", "--head", "pq2_0", "--layers", "1", "--out",
        model,
    ])
    .ok();
    let shown = |args: &[&str]| {
        let shown = run(&[&["inspect", "--json", model], args].concat()).json();
        let head = shown["model"]["head_type"].as_str().map(str::to_owned);
        (head, shown["model"]["memory"]["head"].as_u64())
    };
    let (auto, ternary) = shown(&[]);
    assert_eq!(auto.as_deref(), Some("ternary"));
    assert_eq!(shown(&["--head", "ternary"]).1, ternary);
    let (half, full) = shown(&["--head", "f16"]);
    assert_eq!(half.as_deref(), Some("f16"));
    assert!(ternary.unwrap() * 4 < full.unwrap(), "{ternary:?} {full:?}");
    let answer = |args: &[&str]| {
        let run_it = ["run", "--model", model, "--ignore-eos", "--max-tokens", "8"];
        run(&[&run_it, args, &["Hello"]].concat()).ok()
    };
    let want = answer(&["--kernel", "scalar"]);
    assert_eq!(answer(&["--head", "ternary"]), want);

    let auto = run(&["inspect", "--json", text(&tiny())]).json();
    assert_eq!(auto["model"]["head_type"], "f16");
    let words = ["token_embd.weight", "F16", "not ternary", "--head f16"];
    run(&["run", "--head", "ternary", "Hello"]).fails(3, &words);
    run(&["bench", "--head", "ternary,f16"]).fails(3, &words);
}

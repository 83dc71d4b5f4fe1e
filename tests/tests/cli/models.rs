//! `tritone models`, and models by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tritone_formats::TensorType;
use tritone_formats::write::GgufWriter;

use crate::program::{Run, command, finish};

fn tiny() -> Vec<u8> {
    fs::read(tritone_tests::tiny().join("tritone-tiny-i2_s.gguf")).unwrap()
}

/// A home directory with models of several programs.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(TempDir::new().unwrap());
        fs::create_dir(home.at("work")).unwrap();
        home
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        for name in [
            "HF_HOME",
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "LLAMA_CACHE",
        ] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.0.path())
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("TRITONE_MODELS", self.at("store"))
            .env("OLLAMA_MODELS", self.at("ollama"))
            .current_dir(self.at("work"))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        finish(&mut self.command(args))
    }

    fn list(&self, more: &[&str]) -> Value {
        self.run(&[&["models", "--json"], more].concat()).json()
    }
}

/// A sound file whose weights are not ternary.
fn halves() -> Vec<u8> {
    let mut plan = GgufWriter::new();
    plan.metadata("general.architecture", "llama").unwrap();
    plan.tensor("blk.0.attn_q.weight", TensorType::F16, &[4, 4])
        .unwrap();
    let mut body = plan.begin(Vec::new()).unwrap();
    body.write("blk.0.attn_q.weight", &[0; 32]).unwrap();
    body.finish().unwrap()
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) {
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(to, at).unwrap();
}

/// One model in every place.
#[cfg(unix)]
fn furnished() -> Home {
    let home = Home::new();
    home.write("store/acme/Small-Model-gguf/Small-Model-I2_S.gguf", tiny());
    home.write("store/acme/Small-Model-gguf/.Other.gguf.part", "x");
    let hub = "cache/huggingface/hub/models--microsoft--bitnet-b1.58-2B-4T-gguf";
    home.write(&format!("{hub}/blobs/abc"), tiny());
    for revision in ["0aaa", "1bbb"] {
        let snapshot = format!("{hub}/snapshots/{revision}/ggml-model-i2_s.gguf");
        link(Path::new("../../blobs/abc"), &home.at(&snapshot));
    }
    home.write(&format!("{hub}/refs/main"), "1bbb\n");
    link(
        &home.at(hub),
        &home.at(&format!("{hub}/snapshots/1bbb/loop")),
    );
    let falcon = "cache/huggingface/hub/models--tiiuae--Falcon3-1B-1.58bit/snapshots/2ccc";
    for entry in fs::read_dir(tritone_tests::tiny().join("hf")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        home.write(&format!("{falcon}/{name}"), fs::read(entry.path()).unwrap());
    }
    home.write(".lmstudio/models/org/Llama-gguf/llama-f16.gguf", halves());
    let digest = "5".repeat(64);
    let manifest = format!(
        r#"{{"layers": [
            {{"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:00"}},
            {{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:{digest}"}}]}}"#
    );
    home.write(
        "ollama/manifests/registry.ollama.ai/library/pocket/1b",
        manifest,
    );
    home.write(&format!("ollama/blobs/sha256-{digest}"), tiny());
    let evil = r#"{"layers": [{"mediaType": "application/vnd.ollama.image.model",
        "digest": "sha256:../../../etc/passwd"}]}"#;
    home.write("ollama/manifests/registry.ollama.ai/library/evil/1b", evil);
    home.write("cache/llama.cpp/org_cut.gguf", &tiny()[..5000]);
    let whole = tritone_tests::tiny().join("tritone-tiny-i2_s.gguf");
    let cut = ["--split-size", "1", "--out", "big.gguf"];
    home.run(&[&["convert", whole.to_str().unwrap()], &cut[..]].concat())
        .ok();
    home
}

#[cfg(unix)]
#[test]
fn models_of_other_programs_are_found() {
    let home = furnished();
    let object = home.list(&[]);
    let models = object["models"].as_array().unwrap();
    let rows: Vec<String> = models
        .iter()
        .map(|model| {
            let text = |key: &str| model[key].as_str().unwrap_or("-").to_owned();
            let (id, place, ty) = (text("id"), text("place"), text("type"));
            format!("{id} {place} {ty} {} {}", model["files"], model["runs"])
        })
        .collect();
    assert_eq!(
        rows,
        [
            "big here I2_S 3 true",
            "bitnet-b1.58-2b-4t-i2_s hugging-face I2_S 1 true",
            "falcon3-1b-1.58bit hugging-face packed 1 true",
            "pocket:1b ollama I2_S 1 true",
            "small-model-i2_s store I2_S 1 true",
            "tritone-tiny built-in I2_S 1 true",
            "org_cut llama.cpp ? 1 false",
        ]
    );
    // The revision called main, although another sorts before it.
    assert!(models[1]["path"].as_str().unwrap().contains("1bbb"));
    assert_eq!(models[1]["repository"], "microsoft/bitnet-b1.58-2B-4T-gguf");
    assert_eq!(models[1]["bytes"], tiny().len());
    assert!(models[0]["bytes"].as_u64() > Some(tiny().len() as u64));
    assert_eq!(object["not_listed"], 1);
    let notes = object["notices"].to_string();
    assert!(
        notes.contains("evil") && notes.contains("etc/passwd"),
        "{notes}"
    );

    let all = home.list(&["--all"]);
    let last = &all["models"].as_array().unwrap()[7];
    assert_eq!(
        (&last["id"], &last["type"]),
        (&"llama-f16".into(), &"F16".into())
    );

    let people = home.run(&["models"]);
    assert!(
        people.err.contains("1 more model is not ternary"),
        "{}",
        people.err
    );
    let people = people.ok();
    assert!(
        people.lines().all(|line| line.chars().count() <= 80),
        "{people}"
    );
    assert!(people.contains("falcon3-1b-1.58bit") && people.contains("\n    "));
}

#[cfg(unix)]
#[test]
fn a_model_has_a_name() {
    let home = furnished();
    let named = |name: &str| home.run(&["inspect", "--json", "--model", name]);
    let file = |name: &str| named(name).json()["file"].as_str().unwrap().to_owned();
    assert!(file("pocket:1b").contains("sha256-555"));
    assert!(file("Small-Model-I2_S").ends_with("Small-Model-I2_S.gguf"));
    assert!(file("bitnet").contains("1bbb"));
    assert!(file("acme/small-model-gguf").ends_with("Small-Model-I2_S.gguf"));
    assert!(
        named("bitnet").json()["notices"]
            .to_string()
            .contains("bitnet-b1.58-2b-4t-i2_s")
    );
    assert!(
        !named("pocket:1b").json()["notices"]
            .to_string()
            .contains("pocket")
    );
    assert_eq!(file("tritone-tiny"), "tritone-tiny");
    assert_eq!(named("falcon3").json()["model"]["hidden"], 256);
    // What does not run is not meant when something that does has the same part of a name.
    home.write("work/bitnet-notes.gguf", halves());
    assert!(file("bitnet").contains("1bbb"));
    named("i2_s").fails(
        2,
        &["more than one", "bitnet-b1.58-2b-4t-i2_s, small-model-i2_s"],
    );
    named("none").fails(3, &["no file 'none'", "tritone models", "No such file"]);
    named("./pocket:1b").fails(3, &["No such file"]);
    // A file goes before a name.
    home.write("work/pocket:1b", halves());
    assert_eq!(named("pocket:1b").json()["file"], "pocket:1b");
    let question = "What is the capital of Peru?";
    let answer = home.run(&["run", "--model", "small", question]);
    assert!(
        answer.err.contains("model 'small' is small-model-i2_s"),
        "{}",
        answer.err
    );
    assert_eq!(answer.ok(), "The capital of Peru is Lima.\n");
}

#[test]
fn the_same_name_twice_is_told_apart_by_the_place() {
    let home = Home::new();
    home.write("store/a/x/twin.gguf", tiny());
    home.write("store/b/x/twin.gguf", tiny());
    home.write("work/twin.gguf", tiny());
    let object = home.list(&[]);
    let ids = object["models"].as_array().unwrap().iter();
    let ids: Vec<_> = ids.map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        ["tritone-tiny", "twin@here", "twin@store", "twin@store-2"]
    );
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_read_is_said() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    home.write("store/a/x/y.gguf", tiny());
    let closed = home.at("store/a/x");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let readable = fs::read_dir(&closed).is_ok();
    let notes = home.list(&[])["notices"].to_string();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    // Nothing is closed to root.
    assert!(readable || notes.contains("cannot read"), "{notes}");
}

//! Directories that are run as they are, and weights that are floats.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tempfile::TempDir;
use tritone_formats::write::GgufWriter;
use tritone_formats::{GgufFile, TensorType};

use crate::program::{Run, command, finish, run};

const QUESTION: &str = "What is the capital of Peru?";
const ANSWER: &str = "The capital of Peru is Lima.";

/// A copy of the built-in model's directory, and caches of its own.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let this = Self(TempDir::new().unwrap());
        fs::create_dir(this.model()).unwrap();
        for entry in fs::read_dir(tritone_tests::tiny().join("hf")).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(
                &from,
                this.file(from.file_name().unwrap().to_str().unwrap()),
            )
            .unwrap();
        }
        this
    }

    fn model(&self) -> PathBuf {
        self.0.path().join("tiny")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.model().join(name)
    }

    fn run(&self, args: &[&str]) -> Run {
        finish(command(args).env("XDG_CACHE_HOME", self.0.path().join("cache")))
    }

    fn ask(&self, model: &Path, more: &[&str]) -> Run {
        let model = model.to_str().unwrap();
        self.run(&[&["run", "--model", model, QUESTION], more].concat())
    }

    /// The GGUF files that are kept.
    fn kept(&self) -> Vec<PathBuf> {
        let models = self.0.path().join("cache/tritone/models");
        let Ok(entries) = fs::read_dir(models) else {
            return Vec::new();
        };
        let files = entries.map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|e| e == "gguf"))
            .collect()
    }

    /// The bits of the logits of a sentence.
    fn logits(&self, model: &Path) -> Vec<u8> {
        let out = self.0.path().join("logits.safetensors");
        let (model, out) = (model.to_str().unwrap(), out.to_str().unwrap());
        let prompt = ["--prompt", "The sky is blue."];
        self.run(&[&["logits", "--model", model, "--out", out], &prompt[..]].concat())
            .ok();
        let bytes = fs::read(out).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        file.tensor("logits").unwrap().data().to_vec()
    }
}

#[test]
fn a_directory_is_converted_once_and_runs_from_then_on() {
    let home = Home::new();
    let model = home.model();
    let first = home.ask(&model, &[]);
    let kept = home.kept();
    assert_eq!(kept.len(), 1);
    let path = kept[0].to_str().unwrap();
    assert!(
        first.err.contains("was converted to") && first.err.contains(path),
        "{}",
        first.err
    );
    assert_eq!(first.ok().trim(), ANSWER);
    let written = kept[0].metadata().unwrap().modified().unwrap();
    // However it is named.
    for named in [
        model.clone(),
        home.file("config.json"),
        home.file("model.safetensors"),
    ] {
        let again = home.ask(&named, &[]);
        assert!(!again.err.contains("converted"), "{}", again.err);
        assert_eq!(again.ok().trim(), ANSWER);
    }
    let mut here = command(&["run", "--model", "config.json", QUESTION]);
    here.env("XDG_CACHE_HOME", home.0.path().join("cache"))
        .current_dir(&model);
    assert_eq!(finish(&mut here).ok().trim(), ANSWER);
    assert_eq!(home.kept(), kept);
    assert_eq!(kept[0].metadata().unwrap().modified().unwrap(), written);
    let shown = home
        .run(&["inspect", "--json", model.to_str().unwrap()])
        .json();
    assert_eq!(shown["file"], path);
    assert_eq!(shown["model"]["name"], "tiny");

    // Another content, another file, and the old one goes away.
    let config = home.file("generation_config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text} ")).unwrap();
    assert_eq!(home.ask(&model, &[]).ok().trim(), ANSWER);
    let new = home.kept();
    assert!(new.len() == 1 && new != kept, "{new:?}");

    // A file that is damaged is made again.
    fs::write(&new[0], "GGUF").unwrap();
    let healed = home.ask(&model, &[]);
    assert!(healed.err.contains("made again"), "{}", healed.err);
    assert_eq!(healed.ok().trim(), ANSWER);
}

#[test]
fn without_a_cache_nothing_stays() {
    let home = Home::new();
    let model = home.model();
    let answer = home.ask(&model, &["--pack-cache", "off"]);
    assert!(answer.err.contains("without a name"), "{}", answer.err);
    assert_eq!(answer.ok().trim(), ANSWER);
    assert!(home.kept().is_empty());
    let place = home.0.path().join("place");
    let answer = home.ask(&model, &["--pack-cache", place.to_str().unwrap()]);
    assert_eq!(answer.ok().trim(), ANSWER);
    assert!(home.kept().is_empty());
    assert_eq!(fs::read_dir(place.join("models")).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn what_others_can_write_is_not_believed() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = Home::new();
    let model = home.model();
    home.ask(&model, &[]).ok();
    let kept = home.kept();
    fs::set_permissions(&kept[0], fs::Permissions::from_mode(0o666)).unwrap();
    let again = home.ask(&model, &[]);
    assert!(
        again.err.contains("others can write to it"),
        "{}",
        again.err
    );
    assert_eq!(again.ok().trim(), ANSWER);
    let models = kept[0].parent().unwrap();
    fs::set_permissions(models, fs::Permissions::from_mode(0o777)).unwrap();
    let again = home.ask(&model, &[]);
    assert!(
        again.err.contains("others can write to it"),
        "{}",
        again.err
    );
    assert!(again.err.contains("without a name"), "{}", again.err);
    assert_eq!(again.ok().trim(), ANSWER);
}

/// Links that lead nowhere and indices that name themselves end in a message.
#[cfg(unix)]
#[test]
fn circles_in_a_directory_are_refused() {
    use std::os::unix::fs::symlink;

    let home = Home::new();
    let model = home.model();
    let index = home.file("model.safetensors.index.json");
    for (name, said) in [
        ("model.safetensors.index.json", "no safetensors file"),
        ("config.json", "no safetensors file"),
        ("../tiny/model.safetensors", "no safetensors file"),
        ("", "no safetensors file"),
        ("absent.safetensors", "absent.safetensors"),
    ] {
        fs::write(&index, format!(r#"{{"weight_map": {{"x": "{name}"}}}}"#)).unwrap();
        home.ask(&model, &[]).fails(3, &[said]);
    }
    fs::write(&index, r#"{"weight_map": {}}"#).unwrap();
    home.ask(&model, &[]).fails(3, &["names no file"]);
    fs::write(&index, "[".repeat(100_000)).unwrap();
    home.ask(&model, &[]).fails(3, &["index.json"]);
    fs::remove_file(&index).unwrap();
    symlink(&index, &index).unwrap();
    home.ask(&model, &[]).fails(3, &["index.json"]);
    fs::remove_file(&index).unwrap();
    // The weights are a link to themselves, then to the directory.
    let weights = home.file("model.safetensors");
    fs::remove_file(&weights).unwrap();
    symlink(&weights, &weights).unwrap();
    home.ask(&model, &[]).fails(3, &["model.safetensors"]);
    fs::remove_file(&weights).unwrap();
    symlink(&model, &weights).unwrap();
    home.ask(&model, &[])
        .fails(3, &["model.safetensors", "not a regular file"]);
    fs::remove_file(home.file("config.json")).unwrap();
    home.ask(&model, &[]).fails(3, &["no config.json"]);
    fs::create_dir(home.file("config.json")).unwrap();
    home.ask(&model, &[]).fails(3, &["config.json", "no file"]);
    fs::remove_dir(home.file("config.json")).unwrap();
    fs::write(home.file("model-q.gguf"), "x").unwrap();
    home.ask(&model, &[])
        .fails(3, &["no config.json", "model-q.gguf"]);
    assert!(home.kept().is_empty());
}

type Stored = (Dtype, Vec<usize>, Vec<u8>);

/// Exchanges the tensors of the directory.
fn rewrite(home: &Home, change: impl FnOnce(&mut BTreeMap<String, Stored>)) {
    let path = home.file("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let own = |(name, view): (String, TensorView<'_>)| {
        (
            name,
            (view.dtype(), view.shape().to_vec(), view.data().to_vec()),
        )
    };
    let mut tensors = file.tensors().into_iter().map(own).collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn unpacked_weights_are_the_packed_ones() {
    let home = Home::new();
    let model = home.model();
    let expected = home.logits(&model);
    // Codes times scale, in binary32, and nothing that says how they are stored.
    rewrite(&home, |tensors| {
        let names: Vec<String> = tensors.keys().cloned().collect();
        for name in names.iter().filter(|name| name.ends_with(".weight_scale")) {
            let (_, _, scale) = tensors.remove(name).unwrap();
            let scale = f32::from_bits(u32::from(u16::from_le_bytes([scale[0], scale[1]])) << 16);
            let stored = tensors
                .get_mut(name.strip_suffix("_scale").unwrap())
                .unwrap();
            let value = |code: u8| ((code & 3) as f32 - 1.0) * scale;
            let fields =
                (0..4).flat_map(|field| stored.2.iter().map(move |byte| byte >> (2 * field)));
            let data = fields.flat_map(|code| value(code).to_le_bytes()).collect();
            *stored = (Dtype::F32, vec![4 * stored.1[0], stored.1[1]], data);
        }
    });
    let config = home.file("config.json");
    let mut json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("quantization_config");
    fs::write(&config, json.to_string()).unwrap();
    assert!(home.logits(&model) == expected);

    // One value that is off.
    rewrite(&home, |tensors| {
        let (_, _, data) = tensors
            .get_mut("model.layers.2.mlp.up_proj.weight")
            .unwrap();
        data[4 * 300..][..4].copy_from_slice(&0.001f32.to_le_bytes());
    });
    home.ask(&model, &[]).fails(
        3,
        &[
            "layers.2.mlp.up_proj",
            "row 1, column 44 is 0.001",
            "absmean",
        ],
    );
    let out = home.0.path().join("rounded.gguf");
    let args = [
        "convert",
        model.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    home.run(&args)
        .fails(1, &["layers.2.mlp.up_proj", "--ternarise absmean"]);
    home.run(&[&args[..], &["--ternarise", "absmean"]].concat())
        .ok();
    home.ask(&out, &[]).ok();
}

#[test]
fn floats_in_a_gguf_file_are_converted_or_refused() {
    let home = Home::new();
    let original = tritone_tests::tiny().join("tritone-tiny-i2_s.gguf");
    let file = GgufFile::new(fs::read(&original).unwrap()).unwrap();
    let write = |spoil: bool| {
        let mut plan = GgufWriter::new();
        for (key, value) in file.metadata() {
            plan.metadata(key, value).unwrap();
        }
        let new = |ty: TensorType| if ty.is_ternary() { TensorType::F32 } else { ty };
        for tensor in file.tensors() {
            plan.tensor(tensor.name(), new(tensor.ty()), tensor.dims())
                .unwrap();
        }
        let mut body = plan.begin(Vec::new()).unwrap();
        for tensor in file.tensors() {
            if !tensor.ty().is_ternary() {
                body.write(tensor.name(), tensor.bytes().unwrap()).unwrap();
                continue;
            }
            let mut row = vec![0.0; tensor.columns()];
            for i in 0..tensor.rows() {
                tensor.decode_row(i, &mut row).unwrap();
                if spoil && i == 3 && tensor.name() == "blk.1.ffn_up.weight" {
                    row[9] = 7.0;
                }
                let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
                body.write(tensor.name(), &bytes).unwrap();
            }
        }
        let path = home.0.path().join("floats.gguf");
        fs::write(&path, body.finish().unwrap()).unwrap();
        path
    };
    let floats = write(false);
    let refused = home.ask(&floats, &[]);
    refused.fails(3, &["blk.0.attn_q.weight", "is F32", "tritone convert"]);
    let out = home.0.path().join("ternary.gguf");
    let args = [
        "convert",
        floats.to_str().unwrap(),
        "--force",
        "--out",
        out.to_str().unwrap(),
    ];
    home.run(&args).ok();
    assert!(home.logits(&out) == home.logits(&original));
    home.run(&[&args[..], &["--type", "iq2_bn"]].concat()).ok();
    assert!(home.logits(&out) == home.logits(&original));
    write(true);
    let refused = home.run(&args);
    refused.fails(
        1,
        &[
            "blk.1.ffn_up.weight",
            "row 3, column 9 is 7",
            "--ternarise absmean",
        ],
    );
    home.run(&[&args[..], &["--ternarise", "absmean"]].concat())
        .ok();
    run(&["inspect", out.to_str().unwrap()]).ok();
}

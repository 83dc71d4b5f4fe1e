//! Ollama's models: manifests that name blobs.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::walk::{Dir, Limits, walk};

/// Longest manifest that is read; they have a kilobyte.
const MOST_BYTES: u64 = 1 << 20;
/// `HOST/NAMESPACE/MODEL/TAG`.
const DEPTH: usize = 3;

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
}

/// Names such as `llama3:8b`, and the blobs they stand for, of the models under `root`.
pub(super) fn models(root: &Path, notes: &mut Vec<String>) -> Vec<(String, PathBuf)> {
    let manifests = root.join("manifests");
    let limits = Limits {
        depth: DEPTH,
        entries: 20_000,
    };
    let mut found = Vec::new();
    for Dir { path, files } in walk(&manifests, limits, notes) {
        for file in files {
            let manifest = path.join(file);
            let Some(name) = name(&manifests, &manifest) else {
                continue;
            };
            match blob(&manifest) {
                Ok(Some(blob)) => found.push((name, root.join("blobs").join(blob))),
                Ok(None) => {}
                Err(why) => notes.push(format!("'{}' is left out: {why}", manifest.display())),
            }
        }
    }
    found
}

/// `registry.ollama.ai/library/llama3/8b` is what people call `llama3:8b`.
fn name(manifests: &Path, manifest: &Path) -> Option<String> {
    let below = manifest.strip_prefix(manifests).ok()?;
    let parts = below.iter().map(|part| part.to_str());
    let parts = parts.collect::<Option<Vec<_>>>()?;
    let [host, namespace, model, tag] = parts[..] else {
        return None;
    };
    Some(match (host, namespace) {
        ("registry.ollama.ai", "library") => format!("{model}:{tag}"),
        ("registry.ollama.ai", _) => format!("{namespace}/{model}:{tag}"),
        _ => format!("{host}/{namespace}/{model}:{tag}"),
    })
}

/// The file name of the blob with the model; `None` for manifests of something else.
fn blob(manifest: &Path) -> Result<Option<String>, String> {
    let mut text = String::new();
    let file = File::open(manifest).map_err(|error| error.to_string())?;
    let read = file.take(MOST_BYTES).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let model = |layer: &&Layer| layer.media_type == "application/vnd.ollama.image.model";
    let Some(layer) = manifest.layers.iter().find(model) else {
        return Ok(None);
    };
    let digest = layer.digest.strip_prefix("sha256:").filter(|digits| {
        digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    });
    match digest {
        Some(digits) => Ok(Some(format!("sha256-{digits}"))),
        None => Err(format!(
            "its digest is '{}', expected sha256 and 64 digits",
            layer.digest.escape_debug()
        )),
    }
}

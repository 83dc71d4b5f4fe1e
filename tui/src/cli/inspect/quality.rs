//! What about a model file deserves a second look: mistakes of converters that leave no error, only
//! bad answers.

use tritone_engine::{MemoryPlan, Recipe, human_bytes};
use tritone_formats::codec::Span;
use tritone_formats::{GgufFile, StrArray};

/// Something that deserves a second look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// For programs.
    pub(super) what: &'static str,
    /// For people.
    pub(super) text: String,
}

impl Finding {
    pub(super) fn new(what: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { what, text }
    }
}

/// Pre-tokenizers that cut numbers into groups of up to three digits, and those that cut them into
/// single ones.
const THREES: [&str; 4] = ["llama-bpe", "llama3", "llama-v3", "falcon3"];
const ONES: [&str; 4] = ["qwen2", "qwen35", "falcon_e", "falcon-e"];

/// What the header of the file and the few scales of whole matrices tell.
pub(super) fn of_file<B: AsRef<[u8]>>(file: &GgufFile<B>, recipe: &Recipe) -> Vec<Finding> {
    let found = [
        tokenizer(file),
        wrong_graph(recipe),
        yarn(file, recipe),
        scales(file),
    ];
    found.into_iter().flatten().collect()
}

/// A vocabulary has the numbers that its pre-tokenizer lets through: 1000 of three digits where it
/// cuts after the third, none where it cuts after every digit.
fn tokenizer<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Option<Finding> {
    let pre = file.value::<&str>("tokenizer.ggml.pre").ok()??;
    let tokens: StrArray<'_> = file.value("tokenizer.ggml.tokens").ok()??;
    let three = |token: &&[u8]| token.len() == 3 && token.iter().all(u8::is_ascii_digit);
    let numbers = tokens.iter().filter(three).count();
    // Small vocabularies may have some numbers by chance and lack others.
    let large = tokens.len() >= 50_000;
    let wrong = if THREES.contains(&pre) {
        large && numbers == 0
    } else {
        ONES.contains(&pre) && numbers >= 900
    };
    wrong.then(|| {
        let how = if numbers == 0 { "single digits" } else { "groups of three digits" };
        Finding::new(
            "tokenizer-misfit",
            format!(
                "pre-tokenizer '{pre}' does not fit the vocabulary, which was made for {how}: numbers \
                 become other tokens than those the model was trained with"
            ),
        )
    })
}

/// The shape of BitNet b1.58 2B4T under the name of an older architecture, as llama.cpp's own
/// converter writes it.
fn wrong_graph(recipe: &Recipe) -> Option<Finding> {
    let shape = (recipe.hidden, recipe.ffn, recipe.layers.len());
    (recipe.architecture == "bitnet" && shape == (2560, 6912, 30)).then(|| {
        Finding::new(
            "wrong-architecture",
            "this has the shape of BitNet b1.58 2B4T but is marked 'bitnet', whose gate is SiLU instead \
             of squared ReLU: answers are nonsense; use the file of microsoft/bitnet-b1.58-2B-4T-gguf",
        )
    })
}

/// Ternary Bonsai 8B without the scaling of its angles.
fn yarn<B: AsRef<[u8]>>(file: &GgufFile<B>, recipe: &Recipe) -> Option<Finding> {
    let shape = (recipe.hidden, recipe.ffn, recipe.layers.len());
    let bonsai = recipe.architecture == "qwen3" && shape == (4096, 12_288, 36);
    let scaled = file.get("qwen3.rope.scaling.type").is_some();
    (bonsai && !scaled).then(|| {
        Finding::new(
            "yarn-removed",
            "the keys qwen3.rope.scaling.* are missing: Ternary Bonsai 8B was trained with YaRN, which \
             changes angles at every position; a converter has removed them, and answers suffer",
        )
    })
}

/// Scales that are there once for a matrix or row; those of groups are looked at with --deep.
fn scales<B: AsRef<[u8]>>(file: &GgufFile<B>) -> Option<Finding> {
    let few = file.tensors().filter(|tensor| tensor.ty().is_ternary());
    let mut bad = few.filter(|tensor| {
        let Ok(ternary) = tensor.ternary() else {
            return true;
        };
        if matches!(ternary.span(), Span::Columns(_)) {
            return false;
        }
        (0..ternary.rows().min(if ternary.span() == Span::Tensor {
            1
        } else {
            usize::MAX
        }))
            .any(|row| match ternary.row_scales(row) {
                Ok(scales) => scales
                    .iter()
                    .any(|scale| !scale.is_finite() || *scale == 0.0),
                Err(_) => true,
            })
    });
    let first = bad.next()?;
    let name = super::metadata::escaped(first.name(), 96);
    let more = match bad.count() {
        0 => String::new(),
        more => format!(" and of {more} more tensors"),
    };
    Some(Finding::new(
        "bad-scale",
        format!("a scale of '{name}'{more} is zero or no number: the file is damaged"),
    ))
}

/// What the plan tells; `other` is the plan with the head in six bits.
pub(super) fn of_plan(plan: &MemoryPlan, other: Option<&MemoryPlan>) -> Option<Finding> {
    let smaller = other.filter(|other| other.head_read < plan.head_read)?;
    (plan.head_read > plan.weights).then(|| {
        Finding::new(
            "head-traffic",
            format!(
                "the head ({}) is the larger half of the {} that are read for every token; with \
                 `--head q6` they are {}",
                plan.forms.head,
                human_bytes(plan.weights + plan.head_read),
                human_bytes(smaller.weights + smaller.head_read)
            ),
        )
    })
}

/// A context that the model has not seen in training.
pub(super) fn of_context(context: usize, recipe: &Recipe) -> Option<Finding> {
    (context > recipe.trained_context).then(|| {
        Finding::new(
            "beyond-training",
            format!(
                "a context of {context} is beyond the {} the model was trained for: answers get worse \
                 there",
                recipe.trained_context
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use tritone_formats::write::{GgufWriter, Strings};

    use super::*;

    fn file(pre: &str, numbers: bool) -> GgufFile<Vec<u8>> {
        let mut tokens: Vec<String> = (0..60_000).map(|i| format!("word{i}")).collect();
        if numbers {
            tokens.extend((0..1000).map(|i| format!("{i:03}")));
        }
        let tokens: Vec<&[u8]> = tokens.iter().map(String::as_bytes).collect();
        let mut plan = GgufWriter::new();
        plan.metadata("tokenizer.ggml.pre", pre).unwrap();
        plan.metadata("tokenizer.ggml.tokens", Strings(&tokens))
            .unwrap();
        GgufFile::new(plan.begin(Vec::new()).unwrap().finish().unwrap()).unwrap()
    }

    #[test]
    fn a_tokenizer_has_the_numbers_it_makes() {
        let found = |pre: &str, numbers| tokenizer(&file(pre, numbers)).map(|finding| finding.text);
        assert_eq!(found("llama-bpe", true), None);
        assert_eq!(found("qwen2", false), None);
        assert_eq!(found("gpt-2", true), None);
        assert!(found("llama-bpe", false).unwrap().contains("single digits"));
        assert!(found("qwen2", true).unwrap().contains("groups of three"));
    }

    #[test]
    fn shapes_are_known() {
        let model = tritone_engine::Model::open(&crate::cli::setup::source(None)).unwrap();
        let tiny = model.recipe();
        assert_eq!(of_context(tiny.trained_context, tiny), None);
        assert!(of_context(tiny.trained_context + 1, tiny).is_some());
        let shaped = |architecture: &str, hidden, ffn, layers: usize| {
            let mut recipe = tiny.clone();
            recipe.architecture = architecture.to_owned();
            (recipe.hidden, recipe.ffn) = (hidden, ffn);
            recipe.layers = vec![tiny.layers[0]; layers];
            recipe
        };
        assert!(wrong_graph(&shaped("bitnet", 2560, 6912, 30)).is_some());
        assert_eq!(wrong_graph(&shaped("bitnet-b1.58", 2560, 6912, 30)), None);
        assert_eq!(wrong_graph(&shaped("bitnet", 1536, 4096, 24)), None);
        let plain = file("qwen2", false);
        assert!(yarn(&plain, &shaped("qwen3", 4096, 12_288, 36)).is_some());
        assert_eq!(yarn(&plain, &shaped("qwen3", 2560, 9728, 36)), None);
        let mut plan = GgufWriter::new();
        plan.metadata("qwen3.rope.scaling.type", "yarn").unwrap();
        let scaled = GgufFile::new(plan.begin(Vec::new()).unwrap().finish().unwrap()).unwrap();
        assert_eq!(yarn(&scaled, &shaped("qwen3", 4096, 12_288, 36)), None);
    }
}

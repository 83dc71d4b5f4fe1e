//! A model file, opened: recipe, tokenizer, template and the bytes everything is read from.

use std::path::PathBuf;

use std::sync::OnceLock;

use tritone_formats::{GgufError, GgufFile, I2sLayout, TensorView};

use crate::api::{Input, ModelSource, Request};
use crate::error::{GenerateError, LoadError};
use crate::files::{Stretch, open_gguf};
use crate::forms::Head;
use crate::map::ModelBytes;
use crate::recipe::Recipe;
use crate::text::{ChatTemplate, RenderOptions, StopSet, Tokenizer, TokenizerSpec};

/// An opened model: everything but the packed weights.
#[derive(Debug)]
pub struct Model {
    pub(crate) file: GgufFile<ModelBytes>,
    pub(crate) recipe: Recipe,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) template: ChatTemplate,
    pub(crate) stops: StopSet,
    pub(crate) source: String,
    /// The file it is mapped from; the first one if there are several.
    pub(crate) path: Option<PathBuf>,
    notices: Vec<String>,
    content: OnceLock<u64>,
}

impl Model {
    /// Opens and checks a model; weights are not touched yet.
    ///
    /// # Errors
    /// When the file cannot be opened, is not a GGUF file, or does not hold a model this program
    /// runs.
    pub fn open(source: &ModelSource) -> Result<Self, LoadError> {
        Self::open_as(source, I2sLayout::Canonical)
    }

    /// As [`open`](Self::open), for a file whose I2_S tensors have another layout than all published
    /// ones; nothing in a file tells.
    ///
    /// # Errors
    /// Also when a tensor's shape does not suit the layout.
    pub fn open_as(source: &ModelSource, i2s_layout: I2sLayout) -> Result<Self, LoadError> {
        let (name, mut file) = (source.name(), open_gguf(source)?);
        let format = |source| LoadError::Format {
            model: name.clone(),
            source,
        };
        let text = |source| LoadError::Text {
            model: name.clone(),
            source,
        };
        file.set_i2s_layout(i2s_layout).map_err(format)?;
        let recipe = Recipe::from_gguf(&file).map_err(|what| LoadError::Recipe {
            model: name.clone(),
            what,
        })?;
        if let Some(what) = not_ternary(&file, &recipe) {
            return Err(LoadError::Recipe { model: name, what });
        }
        let (tokenizer, mut notices) = tokenizer(&file, &recipe).map_err(|e| e.into_load(&name))?;
        if tokenizer.vocab_size() > recipe.vocab {
            let what = format!(
                "the tokenizer has {} tokens, but the embedding only {} rows",
                tokenizer.vocab_size(),
                recipe.vocab
            );
            return Err(LoadError::Recipe { model: name, what });
        }
        let template = file
            .value::<&str>("tokenizer.chat_template")
            .map_err(format)?;
        let (template, more) =
            ChatTemplate::new(template, &recipe.architecture, &tokenizer).map_err(text)?;
        notices.extend(more);
        // What the program that made the file had to say; a few short lines.
        let kept: Option<Vec<&str>> = file.value("tritone.notices").map_err(format)?;
        let kept = kept.into_iter().flatten().take(8);
        notices.extend(kept.map(|notice| notice.chars().take(400).collect()));
        notices.extend(recipe.notices.iter().cloned());
        let stops = StopSet::new(&tokenizer);
        let first = file.parts().next().and_then(|part| part.owner().file());
        let path = first.map(|(_, path)| path.to_owned());
        Ok(Self {
            file,
            recipe,
            tokenizer,
            template,
            stops,
            source: name,
            path,
            notices,
            content: OnceLock::new(),
        })
    }

    /// Checks that the model can have its head in this form.
    ///
    /// # Errors
    /// [`Head::Ternary`] of a model whose file holds the head in another type.
    pub fn check_head(&self, head: Head) -> Result<(), LoadError> {
        if head != Head::Ternary || self.recipe.ternary_head.is_some() {
            return Ok(());
        }
        let name = self.recipe.head_tensor();
        let ty = self
            .file
            .tensor(name)
            .map_or("nothing", |view| view.ty().name());
        Err(LoadError::Recipe {
            model: self.source.clone(),
            what: format!(
                "the head '{name}' is stored as {ty}, which is not ternary, so there is no ternary \
                 head; `--head f16` and smaller ones take every model"
            ),
        })
    }

    /// What the model is.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Its tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// File or name it was opened from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Gives back what reading a row of a tensor brought into memory.
    pub(crate) fn release_row(&self, view: &TensorView<'_>, row: usize) {
        let stored = Stretch::of(view);
        let bytes = stored.range.len() / view.rows().max(1);
        let row = row * bytes..(row + 1) * bytes;
        stored.within(row).release_around(&self.file);
    }

    /// What reads a conversation in another way than `other` does, for the user to know.
    #[must_use]
    pub fn reads_otherwise(&self, other: &Self) -> Vec<String> {
        let mut said = Vec::new();
        let (now, before) = (self.tokenizer.vocab_size(), other.tokenizer.vocab_size());
        if now != before {
            said.push(format!(
                "its vocabulary has {now} tokens (before: {before}), so texts have other lengths"
            ));
        }
        let template = |model: &Self| {
            let template = model.file.value::<&str>("tokenizer.chat_template");
            template.ok().flatten().map(str::to_owned)
        };
        if template(self) != template(other) {
            said.push("its chat template is another one".to_owned());
        }
        said
    }

    /// Bytes of the file, or of all parts of it.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file.file_len()
    }

    /// Tells this model from others by what is in the file, whatever the file is called: a number made
    /// of its length, its header and samples of its data, as sixteen hexadecimal digits (FNV-1a).
    /// Not a proof against somebody who makes two files of one number on purpose.
    #[must_use]
    pub fn content_id(&self) -> String {
        format!("{:016x}", self.content())
    }

    /// The number of [`content_id`](Self::content_id); the file is looked into once.
    pub(crate) fn content(&self) -> u64 {
        *self.content.get_or_init(|| content(&self.file))
    }

    /// Tokens that end an answer, in increasing order.
    #[must_use]
    pub fn stop_tokens(&self) -> &[u32] {
        self.stops.ids()
    }

    /// What was replaced or assumed while opening, for the user to know.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Tokens of an input, as the model will see them.
    ///
    /// # Errors
    /// When the template refuses the conversation, the input is empty, or a token id lies outside
    /// the vocabulary.
    pub fn encode(&self, input: &Input) -> Result<Vec<u32>, GenerateError> {
        self.encode_with(input, &RenderOptions::default())
    }

    /// As [`encode`](Self::encode), with what a request says about the chat.
    ///
    /// # Errors
    /// Also when the last message is to be gone on with and the template changes it.
    pub fn encode_request(&self, request: &Request) -> Result<Vec<u32>, GenerateError> {
        let options = RenderOptions {
            thinking: request.thinking,
            continue_last: request.continue_last,
            ..RenderOptions::default()
        };
        self.encode_with(&request.input, &options)
    }

    fn encode_with(
        &self,
        input: &Input,
        options: &RenderOptions<'_>,
    ) -> Result<Vec<u32>, GenerateError> {
        let tokens = match input {
            Input::Chat(messages) => {
                let recipe = &self.recipe;
                let options = RenderOptions {
                    thinking: options
                        .thinking
                        .or_else(|| usual_thinking(&recipe.name, &recipe.architecture)),
                    ..*options
                };
                let rendered = self.template.render(messages, &options)?;
                self.tokenizer.encode_rendered(&rendered)?
            }
            Input::Text(text) => self.tokenizer.encode_document(text)?,
            Input::Tokens(tokens) => tokens.clone(),
        };
        if tokens.is_empty() {
            return Err(GenerateError::EmptyPrompt);
        }
        let vocab = self.recipe.vocab;
        if let Some(position) = tokens.iter().position(|t| *t as usize >= vocab) {
            return Err(GenerateError::BadToken {
                token: tokens[position],
                position,
                vocab,
            });
        }
        Ok(tokens)
    }
}

/// Whether the makers of a model advise that it thinks; `None` leaves it to the template. The smaller
/// Bonsai models are meant to answer at once, though their templates let them think.
fn usual_thinking(name: &str, architecture: &str) -> Option<bool> {
    let is_bonsai = name.to_ascii_lowercase().contains("bonsai");
    (is_bonsai && architecture == "qwen3").then_some(false)
}

/// Says which matrix is stored in floats, if one is: it may be ternary all the same.
fn not_ternary(file: &GgufFile<ModelBytes>, recipe: &Recipe) -> Option<String> {
    let stored = |name: String| file.tensor(&name);
    let floats = |tensor: &TensorView<'_>| tensor.ty().is_supported() && !tensor.ty().is_ternary();
    let tensor = recipe.ternary_tensors().filter_map(stored).find(floats)?;
    Some(format!(
        "tensor '{}' is {}, and only ternary types are run; where the values are ternary all the same, \
         `tritone convert` makes a file of them that runs, and says which value is not",
        tensor.name(),
        tensor.ty()
    ))
}

/// FNV-1a over length, header and samples of the data of every file. The pages of the samples are
/// given back.
fn content(file: &GgufFile<ModelBytes>) -> u64 {
    const SAMPLES: usize = 64;
    const SAMPLE: usize = 1024;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (number, part) in file.parts().enumerate() {
        let bytes = part.bytes();
        let start = part.data_offset().min(bytes.len());
        add(&(bytes.len() as u64).to_le_bytes());
        add(&bytes[..start]);
        let step = ((bytes.len() - start) / SAMPLES).max(SAMPLE);
        for at in (start..bytes.len()).step_by(step) {
            let sample = Stretch {
                part: number,
                range: at..bytes.len().min(at + SAMPLE),
            };
            add(sample.bytes(file));
            sample.release(file);
        }
    }
    hash
}

enum TokenizerError {
    Format(GgufError),
    Text(crate::text::TextError),
}

impl TokenizerError {
    fn into_load(self, model: &str) -> LoadError {
        let model = model.to_owned();
        match self {
            Self::Format(source) => LoadError::Format { model, source },
            Self::Text(source) => LoadError::Text { model, source },
        }
    }
}

impl From<GgufError> for TokenizerError {
    fn from(error: GgufError) -> Self {
        Self::Format(error)
    }
}

fn tokenizer(
    file: &GgufFile<ModelBytes>,
    recipe: &Recipe,
) -> Result<(Tokenizer, Vec<String>), TokenizerError> {
    let spec = TokenizerSpec::from_gguf(file, &recipe.architecture)?;
    Tokenizer::from_spec(&spec).map_err(TokenizerError::Text)
}

#[cfg(test)]
mod tests {
    use super::usual_thinking;

    #[test]
    fn small_bonsai_models_answer_at_once() {
        assert_eq!(usual_thinking("Ternary-Bonsai-8B", "qwen3"), Some(false));
        assert_eq!(usual_thinking("Bonsai 27B", "qwen35"), None);
        assert_eq!(usual_thinking("Qwen3 8B", "qwen3"), None);
    }
}

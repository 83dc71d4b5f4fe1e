//! A model file, opened: recipe, tokenizer, template and the bytes everything is read from.

use std::path::PathBuf;

use std::sync::OnceLock;

use tritone_formats::{GgufError, GgufFile, I2sLayout};

use crate::api::{Input, ModelSource};
use crate::error::{GenerateError, LoadError};
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
    /// The file it is mapped from.
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
        let (name, bytes) = (source.name(), ModelBytes::open(source)?);
        let format = |source| LoadError::Format {
            model: name.clone(),
            source,
        };
        let text = |source| LoadError::Text {
            model: name.clone(),
            source,
        };
        let mut file = GgufFile::new(bytes).map_err(format)?;
        file.set_i2s_layout(i2s_layout).map_err(format)?;
        let recipe = Recipe::from_gguf(&file).map_err(|what| LoadError::Recipe {
            model: name.clone(),
            what,
        })?;
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
        let stops = StopSet::new(&tokenizer);
        Ok(Self {
            file,
            recipe,
            tokenizer,
            template,
            stops,
            source: name,
            path: match source {
                ModelSource::File(path) => Some(path.clone()),
                ModelSource::Embedded { .. } => None,
            },
            notices,
            content: OnceLock::new(),
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

    /// Bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file.bytes().len() as u64
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
        let tokens = match input {
            Input::Chat(messages) => {
                let rendered = self.template.render(messages, &RenderOptions::default())?;
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

/// FNV-1a over length, header and samples of the data. The pages of the samples are given back.
fn content(file: &GgufFile<ModelBytes>) -> u64 {
    const SAMPLES: usize = 64;
    const SAMPLE: usize = 1024;
    let bytes = file.bytes();
    let start = file.data_offset().min(bytes.len());
    let (header, data) = bytes.split_at(start);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    add(&(bytes.len() as u64).to_le_bytes());
    add(header);
    let step = (data.len() / SAMPLES).max(SAMPLE);
    for at in (0..data.len()).step_by(step) {
        let range = at..data.len().min(at + SAMPLE);
        add(&data[range.clone()]);
        file.owner().release(start + range.start..start + range.end);
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

use std::io::{self, Write};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};

use super::layouts;
use super::shield::Shield;
use super::{Rendered, TextError, Tokenizer, python};

/// The name under which the template is compiled; without an extension nothing is escaped.
const NAME: &str = "chat_template";

/// Occurs in the template that the converter of 2B4T wrote into files by mistake.
const WRONG_BITNET: &str = "BITNETAssistant";

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The person, or program, that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a call that the model asked for.
    Tool,
}

impl Role {
    /// The name that templates and the chat API use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    /// The role called `name`, or `None`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::System, Self::User, Self::Assistant, Self::Tool]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who wrote it.
    pub role: Role,
    /// What it says. Control tokens in it have no effect.
    pub content: String,
}

impl Message {
    /// A message of `role` that says `content`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// How to render a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions<'a> {
    /// End with the beginning of the assistant's next message.
    pub add_generation_prompt: bool,
    /// What `strftime_now` returns. Without it templates find that function missing, and use a
    /// fixed date or none: the prompt then depends on the messages alone.
    pub date: Option<&'a str>,
}

impl Default for RenderOptions<'_> {
    fn default() -> Self {
        Self {
            add_generation_prompt: true,
            date: None,
        }
    }
}

/// The prompt layout of a model: its Jinja template, compiled.
///
/// Templates come out of model files, so they run under limits: on work, on memory, on the depth
/// of recursion and on the length of what they write. They cannot read files or include others.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    shield: Shield,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// A template has at most this many bytes.
    pub const MAX_SOURCE: usize = 256 * 1024;

    /// Compiles `source`, the `tokenizer.chat_template` of a model file, for its `tokenizer`.
    ///
    /// For the 2B4T architectures a missing template, or the wrong one of the first published
    /// files, is replaced by the right one; the second value says so.
    ///
    /// # Errors
    ///
    /// If there is no template and none is known, or if it is too long or does not compile.
    pub fn new(
        source: Option<&str>,
        architecture: &str,
        tokenizer: &Tokenizer,
    ) -> Result<(Self, Vec<String>), TextError> {
        let (source, corrected) = match source {
            Some(source) => match layouts::bitnet(architecture) {
                Some(layout) if source.contains(WRONG_BITNET) => {
                    let notice = "the chat template in the file is a known mistake \
                                  (`BITNETAssistant`); using the one that the model was trained \
                                  with";
                    (layout.source, Some((layout, notice.to_owned())))
                }
                _ => (source, None),
            },
            None => {
                let (layout, notice) = layouts::without_template(architecture, tokenizer);
                (layout.source, Some((layout, notice)))
            }
        };
        if source.len() > Self::MAX_SOURCE {
            let (bytes, limit) = (source.len(), Self::MAX_SOURCE);
            return Err(TextError::TemplateTooLong { bytes, limit });
        }
        let mut notices = Vec::new();
        if let Some((layout, notice)) = corrected {
            if let Some(token) = layout.lacks(tokenizer) {
                return Err(TextError::TemplateToken { token });
            }
            notices.push(notice);
        }
        let mut environment = Environment::new();
        // As in the Python library for which these templates are written.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(|err| syntax_error(&err))?);
        environment.set_recursion_limit(100);
        environment.set_unknown_method_callback(python::method);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|err| syntax_error(&err))?;
        let name = |id: Option<u32>| {
            id.and_then(|id| tokenizer.token_text(id))
                .unwrap_or_default()
        };
        let template = Self {
            shield: Shield::new(tokenizer.controls(), source),
            environment,
            bos: name(tokenizer.bos()),
            eos: name(tokenizer.eos()),
        };
        Ok((template, notices))
    }

    /// Lays `messages` out as the model's prompt.
    ///
    /// # Errors
    ///
    /// If the template refuses the messages (many do for a chat that does not alternate), fails,
    /// or goes beyond a limit.
    pub fn render(
        &self,
        messages: &[Message],
        options: &RenderOptions<'_>,
    ) -> Result<Rendered, TextError> {
        let content_bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        // One unit is about one instruction, or 64 bytes of data: this lets a template copy every
        // content sixteen times and spend hundreds of instructions on each message.
        let fuel = 200_000 + 1_000 * messages.len() as u64 + content_bytes as u64 / 4;
        let limit = content_bytes.saturating_mul(4).saturating_add(64 * 1024);

        let mut environment = self.environment.clone();
        environment.set_fuel(Some(fuel));
        if let Some(date) = options.date.map(str::to_owned) {
            environment.add_function("strftime_now", move |_format: String| date.clone());
        }
        let raised = self
            .shield
            .raise(messages.iter().map(|message| message.content.as_str()))?;
        let list: Value = messages
            .iter()
            .map(|message| {
                let content = Value::from(raised.cover(&message.content).into_owned());
                let role = Value::from(message.role.as_str());
                Value::from_pairs([("role", role), ("content", content)])
            })
            .collect();
        let none = Value::from(());
        let context = Value::from_pairs([
            ("messages", list),
            (
                "add_generation_prompt",
                Value::from(options.add_generation_prompt),
            ),
            ("bos_token", Value::from(self.bos.as_str())),
            ("eos_token", Value::from(self.eos.as_str())),
            ("tools", none.clone()),
            ("documents", none),
        ]);

        let mut out = Limited {
            bytes: Vec::new(),
            limit,
            exceeded: false,
        };
        let template = environment
            .get_template(NAME)
            .map_err(|err| syntax_error(&err))?;
        let result = template.render_captured_to(context, &mut out).map(drop);
        if out.exceeded {
            return Err(TextError::TemplateOutput { limit });
        }
        result.map_err(|err| match root(&err).kind() {
            ErrorKind::OutOfFuel => TextError::TemplateFuel { fuel },
            _ => TextError::TemplateFailed(describe(&err)),
        })?;
        let text = String::from_utf8(out.bytes)
            .map_err(|_| TextError::TemplateFailed("its output is not UTF-8".into()))?;
        Ok(raised.finish(text))
    }
}

/// Collects at most `limit` bytes.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
    exceeded: bool,
}

impl Write for Limited {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.len() > self.limit - self.bytes.len() {
            self.exceeded = true;
            return Err(io::Error::other("too much output"));
        }
        self.bytes.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn syntax_error(err: &Error) -> TextError {
    TextError::TemplateSyntax(describe(err))
}

/// The innermost error of the template engine.
fn root(err: &Error) -> &Error {
    let mut inner = err;
    while let Some(source) = std::error::Error::source(inner)
        && let Some(source) = source.downcast_ref::<Error>()
    {
        inner = source;
    }
    inner
}

/// What went wrong and in which line, without the source of the template.
fn describe(err: &Error) -> String {
    let inner = root(err);
    let what = inner
        .detail()
        .map_or_else(|| inner.kind().to_string(), str::to_owned);
    let what = super::error::shortened_to(&what, 300);
    match inner.line().or(err.line()) {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}

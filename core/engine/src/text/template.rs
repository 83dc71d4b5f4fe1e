use std::io::{self, Write};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};

use super::layouts;
use super::shield::Shield;
use super::{Rendered, TextError, Tokenizer, python, tojson};

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
    /// Whether the model is to think before it answers, for templates that ask (`enable_thinking`).
    /// `None` leaves it to the template.
    pub thinking: Option<bool>,
    /// End inside the last message, for the model to go on with it; there is then no generation
    /// prompt. White space at its end is kept where the template keeps it.
    pub continue_last: bool,
}

impl Default for RenderOptions<'_> {
    fn default() -> Self {
        Self {
            add_generation_prompt: true,
            date: None,
            thinking: None,
            continue_last: false,
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
    asks_for_thinking: bool,
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
        environment.add_filter("tojson", tojson::filter);
        environment.add_filter("trim", python::trim);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, Error> {
                Err(Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment
            .add_template_owned(NAME, without_generation(source))
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
            asks_for_thinking: source.contains("enable_thinking"),
        };
        Ok((template, notices))
    }

    /// Whether the template lays chats out differently with [`RenderOptions::thinking`].
    pub fn asks_for_thinking(&self) -> bool {
        self.asks_for_thinking
    }

    /// Lays `messages` out as the model's prompt.
    ///
    /// # Errors
    ///
    /// If the template refuses the messages (many do for a chat that does not alternate), fails,
    /// or goes beyond a limit; and if the last message is to be gone on with and does not come out
    /// of the template as it is.
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
        let last = match options.continue_last {
            true => Some(
                messages
                    .len()
                    .checked_sub(1)
                    .ok_or(TextError::NothingToContinue)?,
            ),
            false => None,
        };
        let list: Value = (0..)
            .zip(messages)
            .map(|(at, message)| {
                let mut content = raised.cover(&message.content).into_owned();
                if last == Some(at) {
                    // The space shows whether the template trims.
                    content.extend([raised.mark(), ' ']);
                }
                let content = Value::from(content);
                let role = Value::from(message.role.as_str());
                Value::from_pairs([("role", role), ("content", content)])
            })
            .collect();
        let none = Value::from(());
        let thinking = options
            .thinking
            .map(|is_on| ("enable_thinking", Value::from(is_on)));
        let with_prompt = options.add_generation_prompt && !options.continue_last;
        let values = [
            ("messages", list),
            ("add_generation_prompt", Value::from(with_prompt)),
            ("bos_token", Value::from(self.bos.as_str())),
            ("eos_token", Value::from(self.eos.as_str())),
            ("tools", none.clone()),
            ("documents", none),
        ];
        let context = Value::from_pairs(values.into_iter().chain(thinking));

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
        let mut text = String::from_utf8(out.bytes)
            .map_err(|_| TextError::TemplateFailed("its output is not UTF-8".into()))?;
        if let Some(message) = last.and_then(|last| messages.get(last)) {
            let written = raised.cover(&message.content);
            text = cut(&text, raised.mark(), &written).ok_or(TextError::NothingToContinue)?;
        }
        Ok(raised.finish(text))
    }
}

/// A prompt up to the last `mark`, that is, up to the end of the message that it was put behind; `None`
/// if there is no such place or the message is not in front of it.
fn cut(text: &str, mark: char, message: &str) -> Option<String> {
    let at = text.rfind(mark)?;
    let kept = match text[at..].strip_prefix([mark]) {
        Some(rest) if rest.starts_with(' ') => &text[..at],
        // The template trims messages, so what the message ended with is gone in others too.
        _ => text[..at].trim_end_matches(python::is_space),
    };
    text.contains(message.trim_matches(python::is_space))
        .then(|| kept.replace(mark, ""))
}

/// The template without the marks around what the model is trained to write, `{% generation %}`; they
/// have no effect on a prompt but for the scope of variables.
fn without_generation(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        rest = tag;
        let is_sign = |char| matches!(char, '-' | '+');
        let name = tag.trim_start_matches(is_sign).trim_start();
        for (mark, instead) in [("endgeneration", "endwith"), ("generation", "with")] {
            let Some(after) = name.strip_prefix(mark) else {
                continue;
            };
            if after
                .trim_start()
                .trim_start_matches(is_sign)
                .starts_with("%}")
            {
                let skipped = tag.len() - name.len();
                out.push_str(&tag[..skipped]);
                out.push_str(instead);
                rest = after;
            }
            break;
        }
    }
    out.push_str(rest);
    out
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

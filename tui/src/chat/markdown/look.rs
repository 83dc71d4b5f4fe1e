//! What a piece of text is, which the theme turns into colours and the like.

/// What a piece of text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// Something to read.
    #[default]
    Text,
    /// A heading of this level, from 1.
    Heading(u8),
    /// Code between words.
    Code,
    /// The text of a link.
    Link,
    /// Where a link leads.
    Address,
    /// Markup that is shown as it came.
    Markup,
    /// Lines, bullets, labels: what the text stands in.
    Frame,
    /// A piece of a program.
    Token(Token),
}

/// What a piece of a program is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Token {
    /// Nothing in particular.
    #[default]
    Plain,
    /// A word or sign of the language.
    Keyword,
    /// The name of a type.
    Type,
    /// The name of a function.
    Function,
    /// A text.
    String,
    /// A number or another constant.
    Constant,
    /// A remark.
    Comment,
    /// A name that stands out: a tag, an attribute, a key.
    Name,
    /// A line that was added.
    Inserted,
    /// A line that was taken away.
    Deleted,
}

/// How a piece of text is to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) role: Role,
    pub(crate) strong: bool,
    pub(crate) emphasis: bool,
    pub(crate) struck: bool,
}

impl From<Role> for Look {
    fn from(role: Role) -> Self {
        Self {
            role,
            ..Self::default()
        }
    }
}

/// So many bytes that look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) len: usize,
    pub(crate) look: Look,
}

/// Adds `len` bytes of `look` to `spans`, from place `from` on in one with its neighbour.
pub(super) fn extend(spans: &mut Vec<Span>, from: usize, len: usize, look: Look) {
    if len == 0 {
        return;
    }
    let at = spans.len();
    match spans.last_mut() {
        Some(last) if at > from && last.look == look => last.len += len,
        _ => spans.push(Span { len, look }),
    }
}

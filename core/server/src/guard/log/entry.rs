//! What is written about a request.

use serde::Serialize;

/// One line of the log. What is not known is left out; the text of prompts and answers is there only where
/// the owner of the server asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Entry {
    /// When the request came, RFC 3339 in UTC.
    pub time: String,
    /// Its id, which the answer carried as `x-request-id`.
    pub request_id: String,
    /// The client, hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The name of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The pattern of the route; never the path as it was sent.
    pub route: &'static str,
    /// Status of the answer.
    pub status: u16,
    /// A word for the error, such as `context_length_exceeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Those that were there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Tokens of the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Milliseconds in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_ms: Option<u64>,
    /// Milliseconds from there to the first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefill_ms: Option<u64>,
    /// Milliseconds from there to the last token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode_ms: Option<u64>,
    /// Milliseconds in all.
    pub total_ms: u64,
    /// Why the answer ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<&'static str>,
    /// What computed it: the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Trace id of an incoming `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Rules that flagged the prompt or the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The prompt, only where that is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The answer, only where that is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

impl Entry {
    /// The line, at its end the end of a line. Texts longer than `text_max` bytes are cut; without `texts`
    /// they are left out whatever the entry holds.
    pub(super) fn line(mut self, texts: bool, text_max: usize) -> Vec<u8> {
        for text in [&mut self.prompt, &mut self.answer] {
            if !texts {
                *text = None;
            }
            if let Some(text) = text {
                text.truncate(text.floor_char_boundary(text_max));
            }
        }
        // There is nothing in an entry that JSON cannot say.
        let mut line = serde_json::to_vec(&self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_there_only_where_wanted_and_never_long() {
        let entry = Entry {
            request_id: "r\n1".into(),
            route: "/v1/chat/completions",
            status: 200,
            prompt: Some("é".repeat(10)),
            answer: Some("short".into()),
            ..Entry::default()
        };
        let line = String::from_utf8(entry.clone().line(false, 5)).unwrap();
        assert_eq!(
            line,
            "{\"time\":\"\",\"request_id\":\"r\\n1\",\"route\":\"/v1/chat/completions\",\"status\":200,\"stream\":false,\"total_ms\":0}\n"
        );
        let line: serde_json::Value = serde_json::from_slice(&entry.line(true, 5)).unwrap();
        assert_eq!(line["prompt"], "éé");
        assert_eq!(line["answer"], "short");
    }
}

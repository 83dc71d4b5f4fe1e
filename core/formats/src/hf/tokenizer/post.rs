//! The post-processor: tokens that are written around a text.

use serde_json::Value;

use super::super::HfError;
use super::raw::{kind, steps};
use super::refused;

/// Names of the tokens around a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Around {
    /// Whether the file says anything.
    pub(super) is_known: bool,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// What a post-processor writes around a single text.
pub(super) fn around(post_processor: Option<&Value>) -> Result<Around, HfError> {
    let mut around = Around::default();
    for step in steps(post_processor, "processors") {
        match kind(step) {
            // It changes offsets only.
            "ByteLevel" => around.is_known = true,
            "TemplateProcessing" => {
                around.is_known = true;
                let list = step.get("single").and_then(Value::as_array);
                let mut has_text = false;
                for part in list.into_iter().flatten() {
                    let name = part.pointer("/SpecialToken/id").and_then(Value::as_str);
                    match (name, has_text) {
                        (None, false) => has_text = true,
                        (Some(name), false) if around.before.is_none() => {
                            around.before = Some(name.to_owned());
                        }
                        (Some(name), true) if around.after.is_none() => {
                            around.after = Some(name.to_owned());
                        }
                        _ => {
                            return refused(
                                "the post-processor writes more than one token before or after a text",
                            );
                        }
                    }
                }
            }
            other => {
                let other = other.escape_default();
                return refused(format!("post-processor '{other}' is not supported"));
            }
        }
    }
    Ok(around)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_token_before_and_one_after_are_known() {
        let token = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
        let text = json!({"Sequence": {"id": "A", "type_id": 0}});
        let post = |single: Vec<Value>| {
            let bytes = json!({"type": "ByteLevel"});
            let template = json!({"type": "TemplateProcessing", "single": single});
            around(Some(
                &json!({"type": "Sequence", "processors": [bytes, template]}),
            ))
        };
        let both = post(vec![token("<s>"), text.clone(), token("</s>")]).unwrap();
        assert_eq!(
            (both.before.as_deref(), both.after.as_deref()),
            (Some("<s>"), Some("</s>"))
        );
        let none = post(vec![text.clone()]).unwrap();
        assert_eq!((none.before, none.is_known), (None, true));
        assert_eq!(around(None).unwrap(), Around::default());
        assert!(post(vec![token("a"), token("b"), text]).is_err());
        let other = json!({"type": "RobertaProcessing"});
        let err = around(Some(&other)).unwrap_err();
        assert!(err.to_string().contains("'RobertaProcessing'"), "{err}");
    }
}

//! A request as it goes over the wire: only what the server is known to take.

use serde_json::{Map, Value, json};
use tritone_client::{ChatRequest, Message};
use tritone_engine::{Input, Request};

use super::dialect::Dialect;
use crate::error::{Fault, StrategyError};

/// The body for `request` to `model` of a server.
///
/// # Errors
/// What it asks for and the server cannot be asked.
pub(super) fn body(
    request: Request,
    model: &str,
    dialect: Dialect,
) -> Result<ChatRequest, StrategyError> {
    let cannot = |what: &str| {
        let text = format!("{} servers cannot be asked for {what}", dialect.name());
        Err(StrategyError::new(Fault::Unsupported, text))
    };
    let config = (dialect == Dialect::Transformers).then(|| generation_config(&request));
    let mut body = match request.input {
        Input::Chat(messages) => ChatRequest::new(
            messages
                .into_iter()
                .map(|message| Message::new(message.role.as_str(), message.content))
                .collect(),
        ),
        Input::Text(text) => ChatRequest::continuing(text),
        Input::Tokens(_) => return cannot("an answer to tokens instead of text"),
    };
    if request.grammar.is_some() {
        return cannot("a form that was made for this process");
    }
    model.clone_into(&mut body.model);
    let sampling = &request.sampling;
    let max_tokens = request.max_tokens.map(u32::try_from);
    body.max_tokens = max_tokens.map(|most| most.unwrap_or(u32::MAX));
    body.temperature = Some(sampling.temperature);
    body.top_p = Some(sampling.top_p);
    // Servers read it as a signed number. Ours takes the same bits, so that a seed is the same seed there.
    match dialect {
        Dialect::Tritone => {
            let seed = json!(sampling.seed.cast_signed());
            body.more.insert("seed".to_owned(), seed);
        }
        _ => body.seed = Some(sampling.seed & (u64::MAX >> 1)),
    }
    body.stop = request.stop;
    let more = &mut body.more;
    let mut set = |name: &str, value: Value| {
        more.insert(name.to_owned(), value);
    };
    if let Some(config) = config {
        // It takes a frequency penalty for something else, and ignores the others.
        if sampling.frequency_penalty != 0.0 || sampling.presence_penalty != 0.0 {
            return cannot("penalties of frequency and presence");
        }
        set("generation_config", json!(config.to_string()));
    }
    // What does nothing is not sent: servers that do not know it would refuse it.
    if sampling.frequency_penalty != 0.0 {
        set("frequency_penalty", json!(sampling.frequency_penalty));
    }
    if sampling.presence_penalty != 0.0 {
        set("presence_penalty", json!(sampling.presence_penalty));
    }
    if !sampling.logit_bias.is_empty() {
        let bias = sampling.logit_bias.iter();
        // The API ends at 100, which is never and always; infinity would be no number of JSON.
        let bias: Map<String, Value> = bias
            .map(|(token, bias)| (token.to_string(), json!(bias.clamp(-100.0, 100.0))))
            .collect();
        set("logit_bias", Value::Object(bias));
    }
    // Said even where it does nothing: llama.cpp has defaults of its own.
    if dialect.has_top_k() {
        set("top_k", json!(sampling.top_k));
        set("min_p", json!(sampling.min_p));
    }
    // The servers of that family which have a form of their own for texts know no other name there.
    if let (Some(most), Some(_), Dialect::LlamaCpp) = (body.max_tokens, &body.prompt, dialect) {
        set("n_predict", json!(most));
    }
    if let Some(name) = dialect.repetition_penalty() {
        set(name, json!(sampling.repetition_penalty));
    }
    if dialect.has_switches() {
        if let Some(thinking) = request.thinking {
            set("chat_template_kwargs", json!({"enable_thinking": thinking}));
        }
        if request.continue_last {
            set("continue_final_message", json!(true));
            // vLLM wants both.
            if dialect == Dialect::Vllm {
                set("add_generation_prompt", json!(false));
            }
        }
        if request.ignore_eos {
            set("ignore_eos", json!(true));
        }
        if request.min_tokens > 0 {
            set("min_tokens", json!(request.min_tokens));
        }
    } else if request.continue_last {
        return cannot("the rest of an answer");
    }
    Ok(body)
}

/// What the transformers library calls its settings. Left out, those that the model was published with count, and among
/// them whether it is to choose at random at all.
fn generation_config(request: &Request) -> Value {
    let sampling = &request.sampling;
    let random = sampling.temperature > 0.0;
    let mut config = json!({
        "do_sample": random,
        "repetition_penalty": sampling.repetition_penalty,
    });
    if random {
        config["top_k"] = json!(sampling.top_k);
        config["min_p"] = json!(sampling.min_p);
    }
    if request.min_tokens > 0 {
        config["min_new_tokens"] = json!(request.min_tokens);
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use tritone_engine::sample::Sampling;
    use tritone_engine::text::Role;

    fn chat() -> Request {
        Request {
            sampling: Sampling {
                top_k: 40,
                repetition_penalty: 1.1,
                seed: u64::MAX,
                ..Sampling::default()
            },
            max_tokens: Some(7),
            thinking: Some(false),
            ..Request::new(Input::Chat(vec![tritone_engine::text::Message::new(
                Role::User,
                "hi".to_owned(),
            )]))
        }
    }

    fn sent(dialect: Dialect) -> Value {
        serde_json::to_value(body(chat(), "m", dialect).unwrap()).unwrap()
    }

    #[test]
    fn servers_get_what_they_know() {
        let plain = sent(Dialect::OpenAi);
        assert_eq!(plain["max_tokens"], 7);
        assert_eq!(plain["seed"], json!(i64::MAX));
        assert_eq!(
            plain["messages"],
            json!([{"role": "user", "content": "hi"}])
        );
        for name in [
            "top_k",
            "min_p",
            "repetition_penalty",
            "chat_template_kwargs",
            "prompt",
        ] {
            assert!(plain.get(name).is_none(), "{name}");
        }
        let ours = sent(Dialect::Tritone);
        assert_eq!(ours["top_k"], 40);
        assert_eq!(ours["seed"], json!(-1));
        assert_eq!(ours["repetition_penalty"], json!(1.1f32));
        assert_eq!(ours["chat_template_kwargs"]["enable_thinking"], false);
        let transformers = sent(Dialect::Transformers);
        let config = transformers["generation_config"].as_str().unwrap();
        let config: Value = serde_json::from_str(config).unwrap();
        assert_eq!(
            (&config["top_k"], &config["do_sample"]),
            (&json!(40), &json!(true))
        );
        assert_eq!(config["repetition_penalty"], json!(1.1f32));
        let llama = sent(Dialect::LlamaCpp);
        assert_eq!(llama["repeat_penalty"], json!(1.1f32));
        assert!(llama.get("chat_template_kwargs").is_none());
    }

    #[test]
    fn tokens_that_are_never_wanted_are_numbers_of_the_api() {
        let mut never = chat();
        never.sampling.logit_bias = vec![(3, f32::NEG_INFINITY), (4, 2.5)];
        let body = body(never, "m", Dialect::OpenAi).unwrap();
        assert_eq!(body.more["logit_bias"], json!({"3": -100.0, "4": 2.5}));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let tokens = Request::new(Input::Tokens(vec![1]));
        let error = body(tokens, "m", Dialect::OpenAi).unwrap_err();
        assert_eq!(error.fault, Fault::Unsupported);
        let rest = Request {
            continue_last: true,
            ..chat()
        };
        assert!(body(rest.clone(), "m", Dialect::LlamaCpp).is_err());
        let mut often = chat();
        often.sampling.frequency_penalty = 0.5;
        assert!(body(often.clone(), "m", Dialect::OpenAi).is_ok());
        assert!(body(often, "m", Dialect::Transformers).is_err());
        let body = body(rest, "m", Dialect::Vllm).unwrap();
        assert_eq!(body.more["add_generation_prompt"], false);
    }
}

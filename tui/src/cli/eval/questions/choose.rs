//! Choices, by what the model finds most likely.

use tritone_engine::sample::LogSoftmax;
use tritone_engine::text::Specials;
use tritone_engine::{Input, Model, Want};

use super::line::{Question, Wanted};
use super::results::Outcome;
use crate::cli::eval::score::Scorer;

/// The outcome of a question with choices, in a context of `context` tokens.
pub(super) fn choose(
    model: &Model,
    scorer: &mut Scorer,
    question: &Question,
    context: usize,
) -> Outcome {
    let outcome = outcome(model, scorer, question, context);
    outcome.unwrap_or_else(|error| Outcome::failed(question.id.clone(), format!("{error:#}")))
}

fn outcome(
    model: &Model,
    scorer: &mut Scorer,
    question: &Question,
    context: usize,
) -> anyhow::Result<Outcome> {
    let Wanted::Choice { choices, right } = &question.wanted else {
        anyhow::bail!("it has no choices");
    };
    let mut prompt = model.encode(&question.input)?;
    let around = model.tokenizer().around_document();
    if matches!(question.input, Input::Text(_)) && around.1.is_some() {
        prompt.pop();
    }
    let continued = choices
        .iter()
        .map(|choice| model.tokenizer().encode(choice, Specials::Plain))
        .collect::<Result<Vec<_>, _>>()?;
    let longest = continued.iter().map(Vec::len).max().unwrap_or(0);
    anyhow::ensure!(
        !prompt.is_empty() && prompt.len() + longest <= context,
        "{} tokens do not fit a context of {context}",
        prompt.len() + longest
    );
    scorer.read_all(&prompt)?;
    let first = scorer.logits(0).to_vec();
    let mut sums = Vec::with_capacity(choices.len());
    for (i, tokens) in continued.iter().enumerate() {
        // Keys and values of the prompt are still there, but a recurrent state cannot go back.
        if i > 0 && model.recipe().recurrent.is_some() {
            scorer.read_all(&prompt)?;
        }
        sums.push(likelihood(scorer, &first, tokens, prompt.len())?);
    }
    let by_length: Vec<f64> = sums
        .iter()
        .zip(choices)
        .map(|(sum, choice)| sum / choice.len() as f64)
        .collect();
    Ok(Outcome {
        id: question.id.clone(),
        right: Some(best(&sums) == *right),
        right_by_length: Some(best(&by_length) == *right),
        log_probabilities: Some(sums),
        ..Outcome::default()
    })
}

/// Sum of the log-probabilities of `tokens` after a prompt of `start` tokens, of whose last one
/// `first` are the logits.
fn likelihood(
    scorer: &mut Scorer,
    first: &[f32],
    tokens: &[u32],
    start: usize,
) -> anyhow::Result<f64> {
    let ln = |logits: &[f32], token: u32| {
        let logit = logits.get(token as usize).copied().unwrap_or(f32::NAN);
        LogSoftmax::new(logits).ln(logit)
    };
    let Some((head, _)) = tokens.split_first() else {
        anyhow::bail!("a choice has no tokens");
    };
    let mut sum = ln(first, *head);
    let step = scorer.runner().capacity().logit_rows;
    let before = tokens.len() - 1;
    for (part, begin) in tokens[..before].chunks(step).zip((0..).step_by(step)) {
        scorer.read(part, start + begin, Want::All)?;
        for row in 0..part.len() {
            sum += ln(scorer.logits(row), tokens[begin + row + 1]);
        }
    }
    anyhow::ensure!(sum.is_finite(), "the logits of the model are no numbers");
    Ok(sum)
}

/// The first of the greatest.
fn best(values: &[f64]) -> usize {
    let better = |best: usize, (i, x): (usize, &f64)| if *x > values[best] { i } else { best };
    values.iter().enumerate().fold(0, better)
}

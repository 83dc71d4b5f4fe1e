//! What the model will read of the conversation: how many tokens it has, and what is left out when it
//! gets tight, which is said before it happens.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tritone_engine::text::{Message, Role};

use super::backend::Counted;
use super::commands::{self, Sent};
use super::conversation;
use super::input;
use super::msg::Effect;
use super::state::State;
use crate::chat::transcript::Kind;

/// An answer gets at least this share of the context, unless it is limited to less.
const ROOM: usize = 4;

/// Bytes of a token, for a guess on the safe side until the engine has counted.
const BYTES_A_TOKEN: usize = 3;

/// Bytes of a text that tell it from others: the beginning, the middle and the end.
const SAMPLE: usize = 256;

/// Most texts whose tokens are known.
const MOST: usize = 10_000;

/// What the engine counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    known: HashMap<u64, usize>,
    asked: HashSet<u64>,
    /// An answer is on its way.
    waiting: bool,
    /// Tokens of the frame around messages.
    fixed: usize,
    each: usize,
    /// The model cannot count.
    failed: bool,
}

/// What the next request will be made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Tokens of everything that is kept, with what is in the input.
    pub(crate) used: usize,
    /// How many of them are there because of what is in the input.
    pub(crate) draft: usize,
    /// Tokens of the context.
    pub(crate) limit: usize,
    /// Tokens that are kept free for the answer.
    pub(crate) room: usize,
    /// The engine counted all of it.
    pub(crate) exact: bool,
    /// How many of the oldest messages are left out.
    pub(crate) left_out: usize,
    /// And how many turns, each a message of the person with its answer.
    pub(crate) turns: usize,
    /// And their tokens.
    pub(crate) tokens: usize,
    /// The last message alone does not fit.
    pub(crate) too_long: bool,
}

/// Chooses what is kept of a conversation: the newest messages that fit together with `fixed` tokens
/// into `budget`. Returns how many of the oldest are left out. The first one kept is from the person,
/// and the last one is always kept, even if it does not fit.
pub(crate) fn choose(turns: &[(Role, usize)], fixed: usize, budget: usize) -> usize {
    let mut sum = fixed.saturating_add(turns.iter().map(|(_, tokens)| tokens).sum());
    let mut first = 0;
    while sum > budget {
        let rest = turns.get(first + 1..).unwrap_or_default();
        let Some(next) = rest.iter().position(|(role, _)| *role == Role::User) else {
            break;
        };
        let next = first + 1 + next;
        sum -= turns[first..next]
            .iter()
            .map(|(_, tokens)| tokens)
            .sum::<usize>();
        first = next;
    }
    first
}

/// Tells texts apart without reading all of a long one.
fn key(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut hasher = DefaultHasher::new();
    bytes.len().hash(&mut hasher);
    if bytes.len() <= 3 * SAMPLE {
        bytes.hash(&mut hasher);
    } else {
        let middle = bytes.len() / 2;
        bytes[..SAMPLE].hash(&mut hasher);
        bytes[middle..middle + SAMPLE].hash(&mut hasher);
        bytes[bytes.len() - SAMPLE..].hash(&mut hasher);
    }
    hasher.finish()
}

impl Counts {
    /// Tokens of `text`, and whether the engine counted them.
    fn tokens(&self, text: &str) -> (usize, bool) {
        if text.is_empty() {
            return (0, true);
        }
        match self.known.get(&key(text)) {
            Some(tokens) => (*tokens, true),
            None => (text.len().div_ceil(BYTES_A_TOKEN), false),
        }
    }

    /// Tokens of a chip, once they are counted.
    fn of_chip(&self, content: &str) -> Option<usize> {
        self.known.get(&key(content)).copied()
    }
}

/// What was said.
fn turns(state: &State) -> Vec<Message> {
    conversation::turns(&state.conversation.tree, None)
}

/// What is in the input, as it would be sent; nothing if it is a command.
fn draft(state: &State) -> Option<String> {
    let draft = state.composer.draft();
    match commands::parse(&draft.text) {
        Sent::Message(_) => Some(input::message(&draft)).filter(|text| !text.is_empty()),
        Sent::Command(..) | Sent::Unknown(_) => None,
    }
}

/// What would be asked if what is in the input were sent.
fn plan(state: &State, draft: Option<&str>) -> Option<Plan> {
    let limit = state.model()?.context;
    let mut turns = turns(state);
    if let Some(text) = draft {
        turns.push(Message {
            role: Role::User,
            content: text.to_owned(),
        });
    }
    let mut plan = plan_for(state, limit, &turns);
    if let Some(text) = draft {
        plan.draft = match turns.len() {
            1 => plan.used,
            _ => state.counts.tokens(text).0 + state.counts.each,
        };
    }
    Some(plan)
}

fn plan_for(state: &State, limit: usize, turns: &[Message]) -> Plan {
    let counts = &state.counts;
    let mut exact = counts.each > 0;
    let mut count = |text: &str| {
        let (tokens, counted) = counts.tokens(text);
        exact &= counted;
        tokens.saturating_add(counts.each)
    };
    let system = state.system.as_deref().map_or(0, &mut count);
    let sizes: Vec<(Role, usize)> = turns
        .iter()
        .map(|turn| (turn.role, count(&turn.content)))
        .collect();
    let fixed = counts.fixed.saturating_add(system);
    let room = (limit / ROOM).min(state.setting.max_tokens.unwrap_or(usize::MAX));
    let budget = limit.saturating_sub(room.max(1));
    let first = choose(&sizes, fixed, budget);
    let sum = |turns: &[(Role, usize)]| turns.iter().map(|(_, tokens)| tokens).sum::<usize>();
    let used = fixed + sum(&sizes[first..]);
    Plan {
        used: if turns.is_empty() { 0 } else { used },
        draft: 0,
        limit,
        room,
        exact,
        left_out: first,
        turns: sizes[..first]
            .iter()
            .filter(|(role, _)| *role == Role::User)
            .count(),
        tokens: sum(&sizes[..first]),
        // A single message may use the room of the answer, if something is left for one.
        too_long: used >= limit,
    }
}

/// Takes the turns that are left out away from a request, and says so when there are more of them
/// than before. The first message of `messages` may be the system prompt.
pub(super) fn cut(state: &mut State, messages: &mut Vec<Message>) {
    let Some(limit) = state.model().map(|model| model.context) else {
        return;
    };
    let start = usize::from(messages.first().is_some_and(|m| m.role == Role::System));
    let plan = plan_for(state, limit, &messages[start..]);
    messages.drain(start..start + plan.left_out);
    if plan.turns > state.left_out {
        let text = format!(
            "left out of the context: {}, {} tokens. They stay here, and the model does not read \
             them any more",
            oldest(plan.turns),
            plan.tokens,
        );
        state.transcript.push(Kind::Note, text);
    }
    state.left_out = plan.turns;
}

/// `the 2 oldest turns`.
pub(crate) fn oldest(turns: usize) -> String {
    match turns {
        1 => "the oldest turn".to_owned(),
        turns => format!("the {turns} oldest turns"),
    }
}

/// Why the message in `text` cannot be sent, if so.
pub(super) fn refusal(state: &State, text: &str) -> Option<String> {
    let plan = plan(state, Some(text))?;
    if plan.too_long {
        let about = if plan.exact { "" } else { "about " };
        return Some(format!(
            "it stays here: {about}{} tokens, and the context holds {}",
            plan.used, plan.limit
        ));
    }
    let more = plan.turns > state.left_out;
    (state.keep_all && more).then(|| {
        format!(
            "it stays here: {} would go, {} tokens; /keep off lets them",
            oldest(plan.turns),
            plan.tokens
        )
    })
}

/// `/keep`: whether messages that do not fit are refused rather than old ones left out.
pub(super) fn command(state: &mut State, argument: &str) {
    state.keep_all = match argument {
        "" => !state.keep_all,
        "on" => true,
        "off" => false,
        _ => {
            state.remark("it is /keep, /keep on or /keep off");
            return;
        }
    };
    state.remark(match state.keep_all {
        true => "a message that does not fit with all others is refused from now on",
        false => "the oldest turns are left out when a message does not fit",
    });
}

/// Another model counts otherwise.
pub(super) fn forget(state: &mut State) {
    state.counts = Counts::default();
}

/// The engine counted.
pub(super) fn counted(state: &mut State, keys: &[u64], result: Result<Counted, String>) {
    let counts = &mut state.counts;
    counts.waiting = false;
    match result {
        Ok(counted) => {
            if counts.known.len() > MOST {
                counts.known.clear();
                counts.asked.clear();
            }
            counts
                .known
                .extend(keys.iter().copied().zip(counted.tokens));
            counts.fixed = counted.fixed;
            counts.each = counted.each;
        }
        Err(_) => counts.failed = true,
    }
    let counts = &state.counts;
    state.composer.relabel(|chip| counts.of_chip(&chip.content));
}

/// Follows what was said and written: makes the plan, and has counted what is not.
pub(super) fn follow(state: &mut State) -> Vec<Effect> {
    let draft = draft(state);
    state.plan = plan(state, draft.as_deref());
    // Another conversation, or a shorter one.
    if let Some(plan) = state
        .plan
        .as_ref()
        .filter(|_| draft.is_none() && state.run.is_none())
    {
        state.left_out = state.left_out.min(plan.turns);
    }
    if state.plan.is_none() || state.counts.waiting || state.counts.failed {
        return Vec::new();
    }
    let mut texts = Vec::new();
    texts.extend(state.system.clone());
    texts.extend(draft);
    let chips = state.composer.chips().iter();
    texts.extend(chips.map(|placed| placed.chip.content.clone()));
    if state.run.is_none() {
        let turns = turns(state);
        texts.extend(turns.into_iter().map(|turn| turn.content));
    }
    let counts = &mut state.counts;
    texts.retain(|text| !text.is_empty() && !counts.known.contains_key(&key(text)));
    if texts.is_empty() && counts.each > 0 {
        return Vec::new();
    }
    counts.waiting = true;
    let keys = texts.iter().map(|text| key(text)).collect();
    vec![Effect::Count { keys, texts }]
}

/// How many entries of the transcript, from the first on, the model will not read any more.
pub(crate) fn outside(state: &State) -> usize {
    let left_out = state.plan.as_ref().map_or(0, |plan| plan.left_out);
    if left_out == 0 {
        return 0;
    }
    let mut messages = 0;
    let mut last = None;
    for (at, entry) in state.transcript.entries().iter().enumerate() {
        let role = match entry.kind {
            Kind::User => Role::User,
            Kind::Answer(_) if !entry.text.is_empty() => Role::Assistant,
            _ => continue,
        };
        // Neighbours of one role are one message.
        if last != Some(role) {
            messages += 1;
            last = Some(role);
        }
        if messages > left_out {
            return at;
        }
    }
    state.transcript.entries().len()
}

#[cfg(test)]
mod tests;

//! The conversation at hand: a tree of messages, of which the transcript shows one branch. Every change
//! of it is also an effect that keeps it.

use serde_json::{Value, json};
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message as Turn, Role as Speaker};
use tritone_store::{
    Details, Message, Number, Role, Session, SessionId, State as End, Timings, Tree, title_of,
};

use super::keep::{Chat, Keep, Kept};
use super::msg::Effect;
use super::state::{Scroll, State};
use crate::chat::transcript::{AnswerState, Kind, Transcript};

/// The conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversation {
    /// What was said.
    pub(crate) tree: Tree,
    /// Its number and title, once it is kept.
    pub(crate) kept: Option<(SessionId, String)>,
    /// The message that the input is a new version of.
    pub(crate) editing: Option<Number>,
    /// The branch that was deleted last.
    pub(crate) deleted: Option<Number>,
}

/// The mark of an answer that ended so.
fn shown(end: End) -> AnswerState {
    match end {
        End::Complete => AnswerState::Complete,
        End::Partial => AnswerState::Running,
        End::Stopped => AnswerState::Ended("(stopped)"),
        End::Length => AnswerState::Ended("(token limit reached: /continue)"),
        End::Context => AnswerState::Ended("(context full: /clear starts a new chat)"),
        End::Failed => AnswerState::Ended("(failed)"),
        End::Interrupted => AnswerState::Ended("(interrupted: /continue goes on)"),
    }
}

/// What the session is held under now.
fn details(state: &State, title: String) -> Box<Details> {
    Box::new(Details {
        title,
        model: state.model().map(|model| model.name.clone()),
        profile: Some(state.setting.profile.clone()),
        system: state.system.clone(),
        sampling: Some(sampling(&state.sampling, state.setting.max_tokens)),
        tags: Vec::new(),
    })
}

/// Sampling and the most tokens of an answer as they are kept; what is left out is as always.
pub(crate) fn sampling(sampling: &Sampling, max_tokens: Option<usize>) -> Value {
    // Without the digits that a binary32 number gets as a binary64 one.
    let number = |value: f32| value.to_string().parse::<f64>().unwrap_or(0.0);
    json!({
        "temperature": number(sampling.temperature),
        "top_k": sampling.top_k,
        "top_p": number(sampling.top_p),
        "min_p": number(sampling.min_p),
        "repetition_penalty": number(sampling.repetition_penalty),
        "frequency_penalty": number(sampling.frequency_penalty),
        "presence_penalty": number(sampling.presence_penalty),
        "seed": sampling.seed,
        "max_tokens": max_tokens,
    })
}

/// The settings that were kept, over those at hand; `None` if they make no sense.
pub(crate) fn sampling_of(kept: &Value, now: &Sampling) -> Option<Sampling> {
    let number = |name: &str, now: f32| match kept.get(name).and_then(Value::as_f64) {
        Some(value) => value as f32,
        None => now,
    };
    let top_k = kept.get("top_k").and_then(Value::as_u64);
    let sampling = Sampling {
        temperature: number("temperature", now.temperature),
        top_k: top_k.map_or(Some(now.top_k), |value| u32::try_from(value).ok())?,
        top_p: number("top_p", now.top_p),
        min_p: number("min_p", now.min_p),
        repetition_penalty: number("repetition_penalty", now.repetition_penalty),
        frequency_penalty: number("frequency_penalty", now.frequency_penalty),
        presence_penalty: number("presence_penalty", now.presence_penalty),
        seed: kept.get("seed").and_then(Value::as_u64).unwrap_or(now.seed),
        ..now.clone()
    };
    sampling.validate().is_ok().then_some(sampling)
}

/// The most tokens of an answer that were kept; `now` if nothing was said about it.
pub(crate) fn max_tokens_of(kept: &Value, now: Option<usize>) -> Option<usize> {
    match kept.get("max_tokens") {
        Some(Value::Null) => None,
        Some(value) => match value.as_u64().map(usize::try_from) {
            Some(Ok(most)) if most > 0 => Some(most),
            _ => now,
        },
        None => now,
    }
}

/// The person says something, at the end or, if an earlier message is edited, beside that.
pub(super) fn say(state: &mut State, text: &str) -> Vec<Effect> {
    let tree = &state.conversation.tree;
    let parent = match state.conversation.editing.take() {
        Some(edited) => tree.get(edited).and_then(|message| message.parent),
        None => tree.active(),
    };
    if parent != state.conversation.tree.active() {
        state.transcript.cut_after(parent);
    }
    let number = state.conversation.tree.next_number();
    add(state, Message::user(number, parent, text), Kind::User)
}

/// Begins an answer to message `parent`; what is seen after that goes out of view.
pub(super) fn begin_answer(state: &mut State, parent: Option<Number>) -> (Number, Vec<Effect>) {
    if parent != state.conversation.tree.active() {
        state.transcript.cut_after(parent);
    }
    let number = state.conversation.tree.next_number();
    let message = Message {
        model: state.model().map(|model| model.name.clone()),
        kernel: state.kernel.clone(),
        seed: Some(next_seed(state, parent)),
        ..Message::answer(number, parent)
    };
    let effects = add(state, message, Kind::Answer(AnswerState::Running));
    (number, effects)
}

/// The first seed from the chosen one on that no other answer to this message was drawn with.
fn next_seed(state: &State, parent: Option<Number>) -> u64 {
    let tree = &state.conversation.tree;
    let used: Vec<Option<u64>> = tree
        .children(parent)
        .filter_map(|number| tree.get(number))
        .map(|message| message.seed)
        .collect();
    let mut seed = state.sampling.seed;
    while used.contains(&Some(seed)) {
        seed = seed.wrapping_add(1);
    }
    seed
}

fn add(state: &mut State, message: Message, kind: Kind) -> Vec<Effect> {
    let details = details(state, title_of(&message.text));
    let conversation = &mut state.conversation;
    let (number, text) = (message.number, message.text.clone());
    if let Err(error) = conversation.tree.add(message.clone()) {
        // Numbers are given out by the tree itself.
        state.transcript.push(Kind::Error, error.to_string());
        return Vec::new();
    }
    let place = conversation.tree.place(number);
    state.transcript.push_message(kind, text, number, place);
    vec![keep(Keep::Add {
        details,
        message: Box::new(message),
    })]
}

fn keep(what: Keep) -> Effect {
    Effect::Keep(Box::new(what))
}

/// The answer says more.
pub(super) fn extend(state: &mut State, number: Number, text: &str) -> Vec<Effect> {
    state.transcript.extend_answer(text);
    if text.is_empty() || state.conversation.tree.extend(number, text).is_err() {
        return Vec::new();
    }
    let text = text.to_owned();
    vec![keep(Keep::Extend { number, text })]
}

/// The answer ends.
pub(super) fn finish(
    state: &mut State,
    number: Number,
    end: End,
    timings: Option<&tritone_engine::Timings>,
) -> Vec<Effect> {
    let timings = timings.map(counted);
    state.transcript.end_answer(shown(end));
    if state
        .conversation
        .tree
        .finish(number, end, timings)
        .is_err()
    {
        return Vec::new();
    }
    vec![keep(Keep::Finish {
        number,
        state: end,
        timings,
    })]
}

/// Counts and times as they are kept.
pub(crate) fn counted(timings: &tritone_engine::Timings) -> Timings {
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Timings {
        prompt_tokens: timings.prompt_tokens as u64,
        cached_tokens: timings.cached_tokens as u64,
        generated_tokens: timings.generated_tokens as u64,
        prefill_ms: millis(timings.prefill),
        decode_ms: millis(timings.decode),
        first_token_ms: millis(timings.first_token),
    }
}

/// An answer goes on.
pub(super) fn reopen(state: &mut State, number: Number) -> Vec<Effect> {
    if state.conversation.tree.reopen(number).is_err() {
        return Vec::new();
    }
    state.transcript.resume(number);
    vec![keep(Keep::Reopen(number))]
}

/// Takes a message back that nothing follows, and returns what it said.
pub(super) fn take_back(state: &mut State, number: Number) -> (Option<String>, Vec<Effect>) {
    let tree = &mut state.conversation.tree;
    let text = tree.get(number).map(|message| message.text.clone());
    if tree.remove(number).is_err() {
        return (None, Vec::new());
    }
    state.transcript.remove(number);
    (text, vec![keep(Keep::Remove(number))])
}

/// Ends the running answer at once, for another one or for good; one that says nothing is taken away.
pub(super) fn abandon(state: &mut State) -> Vec<Effect> {
    let Some(run) = state.run.take() else {
        return Vec::new();
    };
    let mut effects = vec![Effect::Cancel];
    let tree = &state.conversation.tree;
    let silent = tree
        .get(run.node)
        .is_some_and(|message| message.text.is_empty());
    effects.extend(if silent {
        take_back(state, run.node).1
    } else {
        finish(state, run.node, End::Stopped, None)
    });
    effects
}

/// The message of the person that was last said on what is seen.
pub(super) fn last_user(state: &State) -> Option<Number> {
    let tree = &state.conversation.tree;
    let mut path = tree.path().into_iter().rev();
    path.find(|&number| {
        tree.get(number)
            .is_some_and(|message| message.role == Role::User)
    })
}

/// The conversation for the model, with neighbours of one role joined by an empty line (after a message
/// that got no answer there are two of the person), because templates want the roles to alternate.
pub(crate) fn turns(tree: &Tree, system: Option<&str>) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    turns.extend(system.map(|system| Turn {
        role: Speaker::System,
        content: system.to_owned(),
    }));
    for message in tree.path().iter().filter_map(|&number| tree.get(number)) {
        let role = match message.role {
            Role::User => Speaker::User,
            Role::Assistant if message.text.is_empty() => continue,
            Role::Assistant => Speaker::Assistant,
        };
        match turns.last_mut() {
            Some(last) if last.role == role => {
                last.content.push_str("\n\n");
                last.content.push_str(&message.text);
            }
            _ => turns.push(Turn {
                role,
                content: message.text.clone(),
            }),
        }
    }
    turns
}

/// Shows what is seen now from message `after` on, or all of it.
fn show(state: &mut State, after: Option<Number>) {
    state.transcript.cut_after(after);
    let tree = &state.conversation.tree;
    let path = tree.path();
    let start = path.iter().position(|number| Some(*number) == after);
    for &number in &path[start.map_or(0, |at| at + 1)..] {
        let Some(message) = tree.get(number) else {
            continue;
        };
        let kind = match message.role {
            Role::User => Kind::User,
            Role::Assistant => Kind::Answer(shown(message.state)),
        };
        let place = tree.place(number);
        state
            .transcript
            .push_message(kind, message.text.clone(), number, place);
    }
    // How much of the context it takes is known with the next answer.
    state.context_used = 0;
}

/// Brings the sibling of a message into view that is so many places further on.
pub(super) fn turn_to(
    state: &mut State,
    number: Number,
    by: isize,
) -> Option<(Number, Vec<Effect>)> {
    let tree = &mut state.conversation.tree;
    let sibling = tree.sibling(number, by)?;
    tree.select(sibling).ok()?;
    let active = tree.active()?;
    let parent = tree.get(sibling)?.parent;
    show(state, parent);
    Some((sibling, vec![keep(Keep::Active(active))]))
}

/// Deletes a message and what follows it; [`undelete`] brings it back.
pub(super) fn delete(state: &mut State, number: Number) -> Vec<Effect> {
    let tree = &mut state.conversation.tree;
    let parent = tree.get(number).and_then(|message| message.parent);
    if tree.delete(number).is_err() {
        return Vec::new();
    }
    state.conversation.deleted = Some(number);
    state.conversation.editing = None;
    show(state, parent);
    vec![keep(Keep::DeleteBranch(number))]
}

/// Brings back what was deleted last.
pub(super) fn undelete(state: &mut State) -> Vec<Effect> {
    let Some(number) = state.conversation.deleted else {
        state.remark("nothing was deleted here");
        return Vec::new();
    };
    if state.run.is_some() || state.waiting {
        state.remark("an answer is on its way: Esc stops it");
        return Vec::new();
    }
    if let Err(error) = state.conversation.tree.restore(number) {
        state.remark(error.to_string());
        return Vec::new();
    }
    state.conversation.deleted = None;
    show(state, None);
    state.scroll = Scroll::Follow;
    state.remark("it is back");
    vec![keep(Keep::RestoreBranch(number))]
}

/// Begins a new conversation; the old one stays where it is kept.
pub(super) fn close(state: &mut State) -> Vec<Effect> {
    let mut effects = abandon(state);
    effects.push(keep(Keep::Close));
    forget(state);
    effects
}

fn forget(state: &mut State) {
    state.waiting = false;
    state.conversation = Conversation::default();
    state.select = None;
    state.transcript = Transcript::new(state.size.0);
    state.scroll_to(usize::MAX);
    state.last = None;
    state.rates = super::state::Rates::default();
    state.context_used = 0;
}

/// Goes on with an earlier session.
pub(super) fn open(state: &mut State, which: super::keep::Which) -> Vec<Effect> {
    if !state.keeping {
        state.remark("nothing is kept in this chat, so there is nothing to go on with");
        return Vec::new();
    }
    let mut effects = abandon(state);
    state.waiting = false;
    effects.push(keep(Keep::Open(which)));
    effects
}

/// Takes in what came of keeping.
pub(super) fn kept(state: &mut State, what: Kept) -> Vec<Effect> {
    match what {
        Kept::Last(session) => state.resumable = Some(session),
        Kept::Began(id, title) => state.conversation.kept = Some((id, title)),
        Kept::Opened(chat) => opened(state, *chat),
        Kept::Changed(session, said) => {
            if let Some(session) = session {
                state.conversation.kept = Some((session.id, session.details.title));
            }
            state.remark(said);
            return super::views::sessions::refresh(state);
        }
        Kept::Done(said) => state.remark(said),
        Kept::Failed(why) => {
            state.transcript.push(Kind::Error, why);
            state.scroll = Scroll::Follow;
        }
        Kept::Lost(why) => {
            state.saving = false;
            let text = format!("this chat is not saved from here on: {why}");
            state.transcript.push(Kind::Error, text);
        }
        Kept::Listed { turn, rows } => return super::views::sessions::listed(state, turn, rows),
        Kept::Preview(id, tree) => super::views::sessions::previewed(state, id, *tree),
    }
    Vec::new()
}

fn opened(state: &mut State, chat: Chat) {
    let Chat {
        session,
        tree,
        notes,
    } = chat;
    forget(state);
    state.view = super::screen::View::Chat;
    state.resumable = None;
    state.conversation.tree = tree;
    show(state, None);
    state.scroll = Scroll::Follow;
    let Session { id, details, .. } = session;
    state.remark(format!("back in \"{}\"", details.title));
    state.conversation.kept = Some((id, details.title));
    state.system = details.system;
    let sampling = details.sampling.as_ref();
    if let Some(sampling) = sampling.and_then(|kept| sampling_of(kept, &state.sampling)) {
        state.sampling = sampling;
    }
    if let Some(kept) = &details.sampling {
        state.setting.max_tokens = max_tokens_of(kept, state.setting.max_tokens);
    }
    for note in notes {
        state.transcript.push(Kind::Note, note);
    }
    let now = state.model().map(|model| model.name.clone());
    if let (Some(then), Some(now)) = (details.model, now)
        && then != now
    {
        let text =
            format!("this chat was held with {then}; {now} answers now (/model loads another one)");
        state.transcript.push(Kind::Note, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_hears_alternating_roles_and_only_what_is_seen() {
        let mut tree = Tree::default();
        let said = [
            (1, None, Role::User, "one"),
            (2, Some(1), Role::Assistant, "two"),
            (3, Some(1), Role::Assistant, "another two"),
            (4, Some(3), Role::User, "unanswered"),
            (5, Some(4), Role::Assistant, ""),
            (6, Some(5), Role::User, "again"),
        ];
        for (number, parent, role, text) in said {
            let message = Message {
                role,
                ..Message::user(number, parent, text)
            };
            tree.add(message).unwrap();
        }
        let heard: Vec<_> = turns(&tree, Some("be brief"))
            .into_iter()
            .map(|turn| (turn.role, turn.content))
            .collect();
        assert_eq!(
            heard,
            [
                (Speaker::System, "be brief".to_owned()),
                (Speaker::User, "one".to_owned()),
                (Speaker::Assistant, "another two".to_owned()),
                (Speaker::User, "unanswered\n\nagain".to_owned()),
            ]
        );
    }

    #[test]
    fn sampling_that_was_kept_comes_back_and_nonsense_does_not() {
        let set = Sampling {
            temperature: 0.7,
            top_k: 40,
            seed: u64::MAX,
            ..Sampling::default()
        };
        let kept = sampling(&set, Some(200));
        for (kept, most) in [
            (kept.clone(), Some(200)),
            (sampling(&set, None), None),
            (json!({}), Some(7)),
            (json!({"max_tokens": -1}), Some(7)),
            (json!({"max_tokens": 0}), Some(7)),
        ] {
            assert_eq!(max_tokens_of(&kept, Some(7)), most, "{kept}");
        }
        assert_eq!(kept["temperature"].to_string(), "0.7");
        assert_eq!(sampling_of(&kept, &Sampling::default()), Some(set));
        for wrong in [json!({"temperature": -1}), json!({"top_k": 1_u64 << 40})] {
            assert_eq!(sampling_of(&wrong, &Sampling::default()), None);
        }
        let other = json!({"temperature": "hot"});
        assert_eq!(
            sampling_of(&other, &Sampling::default()),
            Some(Sampling::default())
        );
    }
}

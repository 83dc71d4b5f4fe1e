use tempfile::TempDir;
use tritone_engine::sample::Sampling;
use tritone_engine::text::{Message, Role};
use tritone_engine::{Event, Input};

use super::*;

/// A place that counts what happens to it.
#[derive(Default)]
struct Place {
    backend: Mutex<Option<Arc<dyn Backend>>>,
    cleared: Mutex<usize>,
}

impl Seat for Place {
    fn clear(&self) -> bool {
        *self.cleared.lock().unwrap() += 1;
        let old = self.backend.lock().unwrap().take();
        drop(old);
        true
    }

    fn put(&self, backend: Arc<dyn Backend>) {
        *self.backend.lock().unwrap() = Some(backend);
    }
}

impl Place {
    fn cleared(&self) -> usize {
        *self.cleared.lock().unwrap()
    }
}

fn program(change: impl FnOnce(&mut CommonArgs)) -> Program {
    let mut common = CommonArgs {
        pack_cache: Some("off".to_owned()),
        profile: Some("mobile".to_owned()),
        threads: Some(1),
        ..CommonArgs::default()
    };
    change(&mut common);
    let setup = Setup::new(&common).unwrap();
    Program::new(&common, setup, true)
}

/// Loads and takes the place.
fn load(program: &Program, place: &Place, order: &Order) -> Result<Arc<dyn Backend>, NotLoaded> {
    let backend = program.load(order, place, &mut |_| true)?;
    place.put(Arc::clone(&backend));
    Ok(backend)
}

fn settings(all: &[(&str, &str)]) -> Order {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Order {
        settings: all.iter().map(owned).collect(),
        ..Order::default()
    }
}

/// The built-in model as a file: another model, as far as the program knows.
fn copy(directory: &TempDir) -> Order {
    let path = directory.path().join("copy.gguf");
    let ModelSource::Embedded { bytes, .. } = crate::cli::setup::source(None) else {
        panic!("the built-in model is a file");
    };
    std::fs::write(&path, bytes).unwrap();
    Order {
        model: Some(path.display().to_string()),
        ..Order::default()
    }
}

fn request(text: &str, most: usize) -> Request {
    Request {
        sampling: Sampling {
            seed: 3,
            ..Sampling::default()
        },
        ignore_eos: true,
        max_tokens: Some(most),
        ..Request::new(Input::Chat(vec![Message::new(Role::User, text)]))
    }
}

/// The tokens of a short answer.
fn tokens(backend: &dyn Backend, at: impl FnOnce()) -> Vec<u32> {
    answer(backend, 60, at)
}

/// So many tokens of an answer; `at` is called when five have come.
fn answer(backend: &dyn Backend, most: usize, at: impl FnOnce()) -> Vec<u32> {
    let mut answer = backend.generate(request("Tell me a story.", most)).unwrap();
    let (mut tokens, mut at) = (Vec::new(), Some(at));
    while let Some(event) = answer.next_event() {
        match event {
            Event::Text { token, .. } => tokens.push(token),
            Event::Failed(error) => panic!("{error}"),
            Event::Prefill { .. } | Event::Finished(_) => {}
        }
        if tokens.len() == 5
            && let Some(at) = at.take()
        {
            at();
        }
    }
    assert_eq!(tokens.len(), most);
    tokens
}

/// An answer that goes on for long enough to apply a profile in the middle of it.
const LONG: usize = 950;

#[test]
fn profiles_change_in_the_middle_of_an_answer_and_no_token_does() {
    let fresh = program(|_| {});
    let undisturbed = answer(
        &*load(&fresh, &Place::default(), &Order::default()).unwrap(),
        LONG,
        || (),
    );
    let (program, place) = (program(|_| {}), Place::default());
    let first = load(&program, &place, &Order::default()).unwrap();
    let limit = first.bounds().memory;
    let mut profile = String::new();
    let disturbed = answer(&*first, LONG, || {
        // The same context and forms: threads, chunk, pace and limit.
        let order = Order {
            profile: Some("edge".to_owned()),
            ..settings(&[("prefill_chunk", "32"), ("inter_token_target_ms", "20")])
        };
        let now = load(&program, &place, &order).unwrap();
        profile = now.profile();
        assert_ne!(now.bounds().memory, limit);
        assert_eq!(now.status().active, 1, "the answer still runs");
    });
    assert_eq!((disturbed, profile.as_str()), (undisturbed, "edge"));
    assert_eq!(place.cleared(), 0);
}

#[test]
fn a_setting_is_applied_to_the_loaded_model_and_said_where_it_costs_something() {
    let (program, place) = (program(|_| {}), Place::default());
    load(&program, &place, &Order::default()).unwrap();
    let order = settings(&[("kv_type", "q8"), ("head", "q6"), ("context", "500")]);
    let now = load(&program, &place, &order).unwrap();
    assert_eq!(now.model().context, 500);
    let notices = now.model().notices.join("\n");
    assert!(notices.contains("the KV cache was made again"), "{notices}");
    let changed = tokens(&*now, || ());
    let fresh = self::program(|common| {
        common.kv = Some("q8".to_owned());
        common.head = Some("q6".to_owned());
        common.ctx = Some(500);
    });
    let fresh = load(&fresh, &Place::default(), &Order::default()).unwrap();
    assert_eq!(changed, tokens(&*fresh, || ()), "as if started so");
    // And what only counts at the next load says so.
    let order = settings(&[("pack_cache", "auto")]);
    let notices = load(&program, &place, &order).unwrap().model().notices;
    assert!(
        notices.iter().any(|text| text.contains("`pack_cache`")),
        "{notices:?}"
    );
}

#[test]
fn a_profile_that_does_not_fit_is_refused_with_what_would_and_the_old_one_stays() {
    let (program, place) = (program(|_| {}), Place::default());
    let before = load(&program, &place, &Order::default()).unwrap();
    let order = settings(&[("context", "300000"), ("memory_mb", "200")]);
    let Err(NotLoaded { why, gave_up }) = load(&program, &place, &order) else {
        panic!("over the limit");
    };
    assert!(!gave_up);
    for part in ["KV cache", "of a limit of 200 MiB", "would fit"] {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!(before.model().context, 1024);
    tokens(&*before, || ());
}

#[test]
fn another_model_is_loaded_beside_the_old_one_where_both_fit() {
    let (directory, place) = (TempDir::new().unwrap(), Place::default());
    let program = program(|_| {});
    let old = load(&program, &place, &Order::default()).unwrap();
    let new = load(&program, &place, &copy(&directory)).unwrap();
    assert_eq!(place.cleared(), 0);
    let notices = new.model().notices.join("\n");
    assert!(
        notices.contains("the conversation stays and is read anew"),
        "{notices}"
    );
    assert_eq!(
        tokens(&*old, || ()),
        tokens(&*new, || ()),
        "the same weights"
    );
}

/// A context so long that two do not fit the limit.
fn tight(common: &mut CommonArgs) {
    (common.ctx, common.memory) = (Some(20_000), Some(190));
}

#[test]
fn the_old_model_is_given_up_first_where_memory_holds_one() {
    let (directory, place) = (TempDir::new().unwrap(), Place::default());
    let program = program(tight);
    drop(load(&program, &place, &Order::default()).unwrap());
    let new = load(&program, &place, &copy(&directory)).unwrap();
    assert_eq!(place.cleared(), 1);
    let notices = new.model().notices.join("\n");
    assert!(
        notices.contains("the old one was given up first"),
        "{notices}"
    );
    tokens(&*new, || ());
}

#[test]
fn what_was_given_up_comes_back_when_loading_is_stopped() {
    let (directory, place) = (TempDir::new().unwrap(), Place::default());
    let program = program(tight);
    let expected = tokens(&*load(&program, &place, &Order::default()).unwrap(), || ());
    let stopped = program.load(&copy(&directory), &place, &mut |progress| {
        progress.stage != "packing weights"
    });
    let Err(NotLoaded { why, gave_up }) = stopped else {
        panic!("it was to be stopped");
    };
    assert!(gave_up);
    assert!(why.contains("the old model is back"), "{why}");
    let back = place.backend.lock().unwrap().clone().unwrap();
    assert_eq!(tokens(&*back, || ()), expected);
    // And it is the one that settings now apply to.
    let now = load(&program, &place, &settings(&[("context", "600")])).unwrap();
    assert_eq!(now.model().context, 600);
    // An order that names something else leaves what was ordered before.
    let now = load(&program, &place, &settings(&[("prefill_chunk", "32")])).unwrap();
    assert_eq!(now.model().context, 600);
}

#[test]
fn what_is_no_model_changes_nothing() {
    let place = Place::default();
    let program = program(tight);
    load(&program, &place, &Order::default()).unwrap();
    for model in ["no-such-model", "/dev/null"] {
        let order = Order {
            model: Some(model.to_owned()),
            ..Order::default()
        };
        assert!(load(&program, &place, &order).is_err(), "{model}");
    }
    assert_eq!(place.cleared(), 0);
    let list = program.models(&mut |_, _| true).unwrap();
    let active: Vec<_> = list.rows.iter().filter(|row| row.active).collect();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0].name, crate::cli::models::BUILT_IN);
    assert!(active[0].fits && active[0].memory.is_some(), "{active:?}");
    assert!(program.models(&mut |_, _| false).is_err());
}

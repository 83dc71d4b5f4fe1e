use crossterm::event::{KeyCode, KeyModifiers};
use tritone_engine::text::Role;
use tritone_engine::{Event, FinishReason, GenerateError, Input, LoadProgress};
use tritone_monitor::Metric;

use super::super::backend::{Entry, RaceOrder, RaceResult, Standing, State};
use super::super::headless::{Headless, loaded};
use super::super::host::NotLoaded;
use super::super::msg::{Effect, Msg};
use super::super::state::{Load, Scroll};
use std::time::Duration;

fn session() -> Headless {
    Headless::loaded(80, 24)
}

/// Texts of all entries, with what ended an answer early.
fn said(session: &Headless) -> Vec<String> {
    let entries = session.state.transcript.entries();
    entries
        .iter()
        .map(|e| format!("{}{}", e.text, e.mark().unwrap_or_default()))
        .collect()
}

fn quits(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Quit))
}

fn chat(session: &mut Headless) -> Vec<(Role, String)> {
    match session.take_request().input {
        Input::Chat(messages) => messages.into_iter().map(|m| (m.role, m.content)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_question_is_answered_and_becomes_history() {
    let mut session = session();
    session.say("hello");
    assert_eq!(chat(&mut session), [(Role::User, "hello".to_owned())]);
    session
        .prefill(20, 20)
        .tokens(&["Hi", " there"])
        .finish(2, FinishReason::EndOfTurn);
    assert_eq!(said(&session), ["hello", "Hi there"]);
    assert_eq!(session.state.context_used, 22);
    session.say("again");
    assert_eq!(
        chat(&mut session),
        [
            (Role::User, "hello".to_owned()),
            (Role::Assistant, "Hi there".to_owned()),
            (Role::User, "again".to_owned()),
        ]
    );
}

#[test]
fn esc_keeps_the_partial_answer_and_the_chat_goes_on() {
    let mut session = session();
    session.say("tell").tokens(&["Once", " upon"]);
    session.take_effects();
    session.key(KeyCode::Esc);
    assert!(matches!(
        session.take_effects().as_slice(),
        [Effect::Cancel]
    ));
    session.finish(2, FinishReason::Cancelled);
    assert_eq!(said(&session), ["tell", "Once upon(stopped)"]);
    session.say("go on");
    assert_eq!(
        chat(&mut session)[1],
        (Role::Assistant, "Once upon".to_owned())
    );
}

#[test]
fn esc_and_a_key_with_ctrl_that_come_together_are_two_keys() {
    let both = KeyModifiers::CONTROL | KeyModifiers::ALT;
    let mut session = session();
    session.say("tell").tokens(&["Once"]).write("next");
    session.take_effects();
    session.press(KeyCode::Char('u'), both);
    let effects = session.take_effects();
    assert!(matches!(&effects[..], [Effect::Cancel]), "{effects:?}");
    assert_eq!(session.state.composer.text(), "");
    session.press(KeyCode::Char('@'), both);
    assert_eq!(session.state.composer.text(), "@", "AltGr writes");
}

#[test]
fn ctrl_c_stops_an_answer_and_quits_on_the_second_press_without_one() {
    let mut session = session();
    session.say("tell").tokens(&["Once"]);
    session.take_effects();
    session.ctrl('c');
    assert!(matches!(
        session.take_effects().as_slice(),
        [Effect::Cancel]
    ));
    session.finish(1, FinishReason::Cancelled);
    session.ctrl('c');
    assert!(!quits(&session.take_effects()));
    assert!(session.screen().contains("press Ctrl+C again to quit"));
    session.ctrl('c');
    assert!(quits(&session.take_effects()));
}

#[test]
fn another_key_and_three_seconds_take_the_first_ctrl_c_back() {
    let mut session = session();
    session.ctrl('c').write("x").ctrl('c');
    session.wait(3100).send(Msg::Tick).ctrl('c');
    assert!(!quits(&session.take_effects()));
    assert_eq!(session.state.composer.text(), "x");
}

#[test]
fn ctrl_d_quits_only_with_an_empty_input() {
    let mut session = session();
    session.write("ab").key(KeyCode::Left).ctrl('d');
    assert_eq!(session.state.composer.text(), "a");
    assert!(!quits(&session.take_effects()));
    session.key(KeyCode::Backspace).ctrl('d');
    assert!(quits(&session.take_effects()));
}

#[test]
fn a_message_sent_while_loading_waits_for_the_model() {
    let mut session = Headless::new(80, 24);
    session.send(Msg::Loading(LoadProgress {
        stage: "reading",
        done: 1,
        total: 2,
    }));
    session.say("hello");
    assert!(session.take_effects().is_empty());
    session.say("more");
    assert_eq!(
        session.state.queue.waiting()[0].text,
        "more",
        "the second one waits"
    );
    session.send(Msg::Loaded(Box::new(loaded(&[
        "the template was replaced",
    ]))));
    assert_eq!(chat(&mut session), [(Role::User, "hello".to_owned())]);
    assert_eq!(
        said(&session)[..2],
        ["hello", "note: the template was replaced"]
    );
}

#[test]
fn esc_while_loading_takes_the_message_back_and_then_quits() {
    let mut session = Headless::new(80, 24);
    session.say("hello").key(KeyCode::Esc);
    assert_eq!(session.state.composer.text(), "hello");
    assert!(said(&session).is_empty() && session.take_effects().is_empty());
    session.key(KeyCode::Esc);
    let effects = session.take_effects();
    assert!(
        matches!(effects.as_slice(), [Effect::CancelLoading, Effect::Quit]),
        "{effects:?}"
    );
}

#[test]
fn without_a_model_the_reason_stays_and_nothing_is_lost() {
    let mut session = Headless::new(80, 24);
    session.say("hello").send(Msg::LoadFailed(
        "cannot open model x: no such file".to_owned(),
    ));
    assert_eq!(said(&session), ["error: cannot open model x: no such file"]);
    // The message is in the input again, and stays there.
    session.key(KeyCode::Enter);
    assert_eq!(session.state.composer.text(), "hello");
    assert!(session.take_effects().is_empty());
    assert!(matches!(session.state.load, Load::Failed(_)));
}

#[test]
fn a_refused_message_comes_back_into_the_input() {
    let mut session = session();
    session.say("too much");
    let error = GenerateError::PromptTooLong {
        prompt: 2000,
        context: 1024,
    };
    session.hear(Event::Failed(error));
    assert_eq!(session.state.composer.text(), "too much");
    let said = said(&session);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("2000") && said[0].contains("back in the input"),
        "{said:?}"
    );
    assert!(session.state.run.is_none());
}

#[test]
fn a_failure_in_the_middle_keeps_what_is_written() {
    let mut session = session();
    session
        .say("tell")
        .tokens(&["Once"])
        .hear(Event::Failed(GenerateError::Stopped));
    let said = said(&session);
    assert_eq!(said[..2], ["tell", "Once(failed)"]);
    assert!(said[2].starts_with("error: "));
}

#[test]
fn regenerating_asks_the_same_with_another_seed() {
    let mut session = session();
    session.say("one");
    let first = session.take_request();
    session.tokens(&["bad"]).finish(1, FinishReason::EndOfTurn);
    session.ctrl('r');
    let second = session.take_request();
    assert_eq!(format!("{:?}", second.input), format!("{:?}", first.input));
    assert_eq!(second.sampling.seed, first.sampling.seed + 1);
    // What the first answer still says is not heard.
    session.send(Msg::Answer {
        id: 1,
        event: Event::Prefill { done: 9, total: 9 },
    });
    session.tokens(&["good"]).finish(1, FinishReason::EndOfTurn);
    assert_eq!(said(&session), ["one", "good2/2"]);
}

#[test]
fn clearing_starts_anew_even_in_the_middle_of_an_answer() {
    let mut session = session();
    session.say("one").tokens(&["word"]);
    session.take_effects();
    session.say("/clear");
    assert!(matches!(
        session.take_effects().as_slice(),
        [Effect::Cancel]
    ));
    session.tokens(&["late"]).finish(2, FinishReason::Cancelled);
    assert!(said(&session).is_empty());
    assert_eq!(session.state.context_used, 0);
    session.say("two");
    assert_eq!(chat(&mut session), [(Role::User, "two".to_owned())]);
}

#[test]
fn commands_change_the_next_request() {
    let mut session = session();
    session
        .say("/system be  brief")
        .say("/temp 0")
        .say("/seed 42")
        .say("hi");
    let request = session.take_request();
    assert_eq!(
        (request.sampling.temperature, request.sampling.seed),
        (0.0, 42)
    );
    assert_eq!(request.max_tokens, Some(500));
    let Input::Chat(messages) = request.input else {
        panic!("no chat")
    };
    assert_eq!(
        (messages[0].role, messages[0].content.as_str()),
        (Role::System, "be  brief")
    );
    session
        .finish(1, FinishReason::EndOfTurn)
        .say("/system off")
        .say("hi");
    assert_eq!(chat(&mut session)[0].0, Role::User);
}

#[test]
fn thinking_is_switched_where_the_model_asks() {
    let mut session = session();
    session.say("hi");
    assert_eq!(session.take_request().thinking, None);
    session
        .finish(1, FinishReason::EndOfTurn)
        .say("/think off")
        .say("hi");
    assert_eq!(session.take_request().thinking, Some(false));
    session
        .finish(2, FinishReason::EndOfTurn)
        .say("/think on")
        .say("/think maybe")
        .say("hi");
    assert_eq!(session.take_request().thinking, Some(true));
    let Load::Ready(model) = &mut session.state.load else {
        panic!("no model")
    };
    model.asks_for_thinking = false;
    session.finish(3, FinishReason::EndOfTurn).say("/think off");
    assert_eq!(session.state.thinking, Some(true));
    let flash = session.state.flash.as_ref().map(|(text, _)| text.as_str());
    assert_eq!(flash, Some("this model cannot be told whether to think"));
}

#[test]
fn impossible_settings_are_refused() {
    let mut session = session();
    let before = session.state.sampling.clone();
    for command in ["/temp hot", "/temp -1", "/temp nan", "/seed -3", "/seed x"] {
        session.say(command);
        assert!(session.state.flash.is_some(), "{command} says nothing");
        assert_eq!(session.state.sampling, before, "{command}");
    }
}

#[test]
fn an_unknown_command_stays_in_the_input() {
    let mut session = session();
    session.say("/sytem x");
    assert_eq!(session.state.composer.text(), "/sytem x");
    assert!(session.screen().contains("no command /sytem"));
    assert!(session.take_effects().is_empty());
    session.ctrl('u').say("//sytem x");
    assert_eq!(chat(&mut session), [(Role::User, "/sytem x".to_owned())]);
}

#[test]
fn the_kernel_is_switched_by_name_also_while_an_answer_runs() {
    let mut session = session();
    session.say("/kernel");
    assert!(session.screen().contains("* avx2") && session.screen().contains("scalar"));
    session.key(KeyCode::Esc).say("tell").tokens(&["Once"]);
    session.take_effects();
    session.say("/kernel scalar");
    let effects = session.take_effects();
    assert!(matches!(effects.as_slice(), [Effect::SetKernel(name)] if name == "scalar"));
    session
        .send(Msg::KernelSet(Ok("scalar".to_owned())))
        .tokens(&[" upon"]);
    assert!(session.screen().contains("kernel scalar"));
    assert_eq!(
        said(&session)[1],
        "Once upon",
        "the answer goes on where it was"
    );
    session.send(Msg::KernelSet(Err("there is no kernel x".to_owned())));
    assert_eq!(session.state.kernel.as_deref(), Some("scalar"));
}

#[test]
fn packing_for_another_kernel_is_shown_and_can_be_given_up() {
    let mut session = session();
    session.say("tell").tokens(&["Once"]).take_effects();
    session.say("/kernel scalar").take_effects();
    let progress = |done| {
        Msg::Switching(LoadProgress {
            stage: "packing weights",
            done,
            total: 1 << 30,
        })
    };
    session.send(progress(0)).wait(1000).send(progress(1 << 28));
    assert!(
        session
            .screen()
            .contains("scalar: packing weights 25 % 256 MiB/s ETA 0:03"),
        "{}",
        session.screen()
    );
    session.say("/kernel avx2");
    assert!(session.take_effects().is_empty(), "one at a time");
    session.tokens(&[" upon"]).key(KeyCode::Esc);
    assert!(matches!(
        session.take_effects().as_slice(),
        [Effect::StopSwitch]
    ));
    session.send(Msg::KernelSet(Err("loading was cancelled".to_owned())));
    assert!(
        said(&session)
            .last()
            .unwrap()
            .contains("switching was stopped; the kernel is avx2 still")
    );
    session.key(KeyCode::Esc);
    assert!(matches!(
        session.take_effects().as_slice(),
        [Effect::Cancel]
    ));
    session.say("/kernel scalar").take_effects();
    session.send(Msg::KernelSet(Ok("scalar".to_owned())));
    assert_eq!(session.state.kernel.as_deref(), Some("scalar"));
    assert!(session.state.switch.is_none());
}

#[test]
fn copying_takes_the_last_answer() {
    let mut session = session();
    session.say("/copy");
    assert!(session.take_effects().is_empty());
    session
        .say("hi")
        .tokens(&["Hello"])
        .finish(1, FinishReason::EndOfTurn);
    session.take_effects();
    session.say("/copy");
    assert!(matches!(session.take_effects().as_slice(), [Effect::Copy(text)] if text == "Hello"));
}

#[test]
fn scrolling_leaves_the_end_and_comes_back_to_it() {
    let mut session = session();
    let long: String = (0..100).map(|line| format!("line {line}\n")).collect();
    session.say("count").tokens(&[&long]);
    assert!(session.screen().contains("line 99"));
    session.key(KeyCode::PageUp);
    assert!(!session.screen().contains("line 99"));
    let top = session.state.top();
    session.tokens(&["more\n", "and more\n"]);
    assert_eq!(session.state.top(), top, "what is read stays where it is");
    session.send(Msg::Wheel(-3));
    assert_eq!(session.state.top(), top - 3);
    session.key(KeyCode::Home);
    assert!(session.screen().contains("> count"));
    session.key(KeyCode::End);
    assert_eq!(session.state.scroll, Scroll::Follow);
    assert!(session.screen().contains("and more"));
}

#[test]
fn what_is_read_stays_in_view_when_the_window_changes() {
    let mut session = session();
    let long: String = (0..60)
        .map(|line| format!("number {line} {}\n", "word ".repeat(12)))
        .collect();
    session.say("count").tokens(&[&long]).key(KeyCode::PageUp);
    let first = |session: &Headless| session.screen().lines().next().unwrap()[..14].to_owned();
    session.send(Msg::Wheel(-1));
    let before = first(&session);
    session.send(Msg::Resize(40, 12)).send(Msg::Resize(80, 24));
    assert_eq!(first(&session), before);
}

#[test]
fn the_arrows_move_first_and_recall_at_the_edge() {
    let mut session = session();
    session.say("first").finish(1, FinishReason::EndOfTurn);
    session
        .write("a")
        .press(KeyCode::Enter, KeyModifiers::ALT)
        .write("b");
    session.key(KeyCode::Up);
    assert_eq!(session.state.composer.cursor_cell(), (0, 1));
    session.key(KeyCode::Up);
    assert_eq!(session.state.composer.text(), "first");
    session.key(KeyCode::Down);
    assert_eq!(session.state.composer.text(), "a\nb");
}

#[test]
fn enter_while_an_answer_runs_lets_the_text_wait() {
    let mut session = session();
    session.say("one").tokens(&["w"]);
    session.take_effects();
    session.say("two");
    assert!(session.take_effects().is_empty());
    assert_eq!(session.state.queue.waiting()[0].text, "two");
    assert!(session.screen().contains("next: two"));
}

#[test]
fn a_paste_is_one_edit_and_never_sends() {
    let mut session = session();
    let text = "word ".repeat(40_000) + "\r\nend";
    session.send(Msg::Paste(text));
    assert!(session.take_effects().is_empty());
    assert!(session.state.composer.draft().message().ends_with("\nend"));
    assert!(
        session
            .state
            .composer
            .text()
            .starts_with("[pasted 195 KiB, 2 lines")
    );
    session.press(KeyCode::Char('e'), KeyModifiers::ALT);
    assert!(
        session.screen().contains("^ "),
        "the input shows that it begins above"
    );
}

#[test]
fn completing_a_command() {
    let mut session = session();
    session.write("/reg").key(KeyCode::Tab);
    assert_eq!(session.state.composer.text(), "/regen");
    session.ctrl('u').write("/sy").key(KeyCode::Tab);
    assert_eq!(session.state.composer.text(), "/system ");
    session.ctrl('u').write("/s").key(KeyCode::Tab);
    assert_eq!(
        session.state.composer.text(),
        "/stop",
        "the first of the list"
    );
    session.ctrl('u').write("hello").key(KeyCode::Tab);
    assert_eq!(session.state.composer.text(), "hello");
}

#[test]
fn help_closes_and_types_nothing() {
    let mut session = session();
    session.key(KeyCode::F(1));
    assert!(session.screen().contains("Keys and commands"));
    session.write("code block");
    assert!(session.screen().contains("/copy") && !session.screen().contains("/seed"));
    session.key(KeyCode::Esc);
    assert!(
        session.screen().contains("/attach"),
        "the search is over, the help is not"
    );
    session.key(KeyCode::Esc);
    assert!(session.state.help.is_none() && session.state.composer.text().is_empty());
    session.say("/help").key(KeyCode::Esc);
    assert!(session.state.help.is_none());
    assert!(session.take_effects().is_empty());
}

#[test]
fn the_speed_falls_to_zero_when_nothing_comes() {
    let mut session = session();
    session.say("tell").tokens(&["a", "b", "c", "d"]);
    assert!(session.screen().contains("decode 40.0 tok/s"));
    session.wait(2500).send(Msg::Tick);
    assert!(session.screen().contains("decode 0.0 tok/s"));
}

#[test]
fn reading_the_prompt_shows_rate_and_remaining_time() {
    let mut session = session();
    session
        .say("tell")
        .prefill(0, 400)
        .wait(500)
        .prefill(100, 400)
        .wait(500)
        .prefill(200, 400);
    let screen = session.screen();
    assert!(
        screen.contains("reading 200/400 tokens 50 % 200 tok/s ETA 0:01"),
        "{screen}"
    );
    assert!(screen.contains("ctx 200/1024"));
}

#[test]
fn nothing_changes_on_an_idle_tick() {
    let mut session = session();
    let revision = session.state.revision;
    session.wait(1000).send(Msg::Tick).memory((212 << 20) + 1);
    assert_eq!(session.state.revision, revision);
    session.memory(300 << 20);
    assert_ne!(session.state.revision, revision);
}

fn standing(finished: bool) -> Standing {
    let entry = |name: &str, decode: Option<f64>, state| Entry {
        name: name.to_owned(),
        build_id: "b".to_owned(),
        rank: 1,
        bits: 2.0,
        first: decode.map(|_| Duration::from_millis(120)),
        decode,
        prefill: decode.map(|rate| rate * 3.0),
        share_of_read: None,
        state,
    };
    Standing {
        entries: vec![
            entry("avx2", Some(6.2), State::Measured),
            entry("other", finished.then_some(8.1), State::Running),
        ],
        finished,
        cancelled: false,
    }
}

fn ended(kernel: &str, standing: Standing) -> Msg {
    Msg::RaceEnded(Box::new(RaceResult {
        standing,
        kernel: kernel.to_owned(),
        choice: format!("{kernel}: measured"),
        not_kept: None,
    }))
}

#[test]
fn a_race_is_shown_while_it_runs_and_the_winner_takes_over() {
    let mut session = session();
    session.say("/race");
    let order = RaceOrder {
        automatic: false,
        switch: true,
    };
    assert!(matches!(session.take_effects().as_slice(), [Effect::Race(o)] if *o == order));
    session.say("/race");
    assert!(session.take_effects().is_empty(), "one at a time");
    session.send(Msg::Race(standing(false)));
    assert!(said(&session)[0].contains("* avx2"), "{:?}", said(&session));
    session.send(Msg::Race(standing(true)));
    session.send(ended("other", standing(true)));
    let [race] = said(&session).try_into().unwrap();
    assert!(
        race.contains("* other") && race.ends_with("other is used from now on"),
        "{race}"
    );
    assert_eq!(session.state.kernel.as_deref(), Some("other"));
    assert!(session.state.race.is_none() && session.take_effects().is_empty());
    // The model hears nothing of it.
    session.say("hello");
    assert_eq!(chat(&mut session), [(Role::User, "hello".to_owned())]);
}

#[test]
fn a_kernel_that_was_named_is_not_replaced() {
    let mut session = session();
    session.send(Msg::KernelSet(Ok("scalar".to_owned())));
    session.say("/race");
    let effects = session.take_effects();
    assert!(matches!(effects.as_slice(), [Effect::Race(order)] if !order.switch));
    session.say("/kernel avx2");
    assert!(session.take_effects().is_empty(), "not while they race");
    // Whoever named a kernel has no use for a race that nobody asked for.
    let mut idle = unmeasured();
    idle.send(Msg::KernelSet(Ok("scalar".to_owned())));
    idle.wait(60_000).memory(1 << 20);
    assert!(idle.take_effects().is_empty());
}

#[test]
fn a_race_waits_for_the_answer_and_ends_for_the_next_message() {
    let mut session = session();
    session.say("tell").tokens(&["Once"]).take_effects();
    session.say("/race");
    assert!(session.take_effects().is_empty());
    session.finish(1, FinishReason::EndOfTurn);
    assert!(matches!(
        session.take_effects().as_slice(),
        [Effect::Race(_)]
    ));
    session.key(KeyCode::Esc);
    assert!(matches!(
        session.take_effects().as_slice(),
        [Effect::StopRace]
    ));
    session.say("go on");
    let effects = session.take_effects();
    assert!(
        matches!(
            effects.as_slice(),
            [Effect::StopRace, Effect::Generate { .. }]
        ),
        "{effects:?}"
    );
    let mut cancelled = standing(true);
    cancelled.cancelled = true;
    session.send(ended("avx2", cancelled));
    let said = said(&session);
    assert!(
        said.iter().any(|text| text.contains("stopped early")),
        "{said:?}"
    );
}

#[test]
fn a_key_switches_to_the_next_kernel_in_turn() {
    let mut session = session();
    session.say("tell").tokens(&["Once"]).take_effects();
    for next in ["scalar", "avx2", "scalar"] {
        session.key(KeyCode::F(2));
        let effects = session.take_effects();
        assert!(
            matches!(effects.as_slice(), [Effect::SetKernel(name)] if name == next),
            "{effects:?}"
        );
        session.send(Msg::KernelSet(Ok(next.to_owned())));
    }
    session.state.kernels.truncate(1);
    session.send(Msg::KernelSet(Ok("avx2".to_owned())));
    session.key(KeyCode::F(2));
    assert!(session.take_effects().is_empty());
}

/// A chat with a model that was never measured.
fn unmeasured() -> Headless {
    let mut session = Headless::new(80, 24);
    let mut model = loaded(&[]);
    model.choice.unmeasured = true;
    session.send(Msg::Loaded(Box::new(model)));
    session
}

#[test]
fn naming_a_kernel_ends_a_race_that_nobody_asked_for() {
    let mut session = unmeasured();
    session.wait(5000).memory(1 << 20);
    let effects = session.take_effects();
    assert!(matches!(effects.as_slice(), [Effect::Race(order)] if order.automatic));
    session.say("/kernel scalar");
    let effects = session.take_effects();
    assert!(
        matches!(effects.as_slice(), [Effect::StopRace, Effect::SetKernel(name)] if name == "scalar"),
        "{effects:?}"
    );
}

#[test]
fn an_idle_chat_measures_once_what_was_never_measured() {
    let mut session = unmeasured();
    let memory = |session: &mut Headless| {
        session.memory(1 << 20);
        session.take_effects()
    };
    session.wait(4000);
    assert!(memory(&mut session).is_empty(), "not so soon");
    session.write("h").wait(6000);
    assert!(memory(&mut session).is_empty(), "somebody writes");
    session.key(KeyCode::Backspace).wait(5000);
    let effects = memory(&mut session);
    assert!(matches!(effects.as_slice(), [Effect::Race(order)] if order.automatic && order.switch));
    session.send(Msg::Race(standing(false)));
    session.send(ended("avx2", standing(true)));
    assert!(said(&session).is_empty(), "nothing has changed");
    session.wait(60_000);
    assert!(memory(&mut session).is_empty(), "once");

    let mut known = Headless::loaded(80, 24);
    known.wait(60_000);
    assert!(memory(&mut known).is_empty());
}

#[test]
fn a_busy_machine_is_measured_when_it_is_quiet() {
    let mut session = unmeasured();
    let used = |session: &mut Headless, others: f64| {
        session.wait(6000).sample(1000, |sample| {
            sample.set(Metric::CpuProcess, 10.0);
            sample.set(Metric::Cpu, 10.0 + others);
        });
        session.take_effects()
    };
    assert!(used(&mut session, 60.0).is_empty());
    assert!(used(&mut session, 26.0).is_empty());
    let effects = used(&mut session, 3.0);
    assert!(matches!(effects.as_slice(), [Effect::Race(order)] if order.automatic));
}

#[test]
fn another_model_keeps_the_conversation() {
    let mut session = Headless::loaded(80, 24);
    session.say("Hello.").tokens(&["Hi."]);
    session.say("/model other");
    assert!(
        session.state.applying.is_none(),
        "an answer is being written"
    );
    session.finish(1, FinishReason::EndOfTurn).take_effects();
    session.say("/model other");
    let effects = session.take_effects();
    assert!(
        matches!(&effects[..], [Effect::Apply(order)] if order.model.as_deref() == Some("other"))
    );
    let mut other = loaded(&[]);
    other.model.name = "Other".to_owned();
    other.profile = "server".to_owned();
    session.send(Msg::Applied(Ok(Box::new(other))));
    assert_eq!(session.state.model().unwrap().name, "Other");
    assert_eq!(session.state.setting.profile, "server");
    assert_eq!(session.state.transcript.last_answer(), Some("Hi."));

    session.say("/profile nobody").key(KeyCode::Esc);
    let effects = session.take_effects();
    assert!(
        matches!(&effects[..], [.., Effect::Apply(_), Effect::StopApply]),
        "{effects:?}"
    );
    session.send(Msg::Applied(Err("stopped".to_owned().into())));
    assert_eq!(session.state.model().unwrap().name, "Other");
    assert!(session.screen().contains("everything is as it was"));

    session.say("/model third").key(KeyCode::Esc);
    session.send(Msg::Applied(Err(NotLoaded {
        why: "loading was cancelled; the old model is back".to_owned(),
        gave_up: true,
    })));
    assert!(
        session
            .screen()
            .contains("stopped; loading was cancelled; the old")
    );
}

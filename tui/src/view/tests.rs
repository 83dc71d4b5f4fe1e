use crossterm::event::{KeyCode, KeyModifiers};
use tritone_engine::{Event, FinishReason, GenerateError, LoadProgress};

use std::time::Duration;

use crate::app::backend::{Entry, Standing, State};
use crate::app::desk::Told;
use crate::app::headless::{Headless, loaded};
use crate::app::msg::Msg;
use crate::app::screen::View;

const SIZES: [(u16, u16); 3] = [(40, 12), (80, 24), (120, 40)];

/// Plays `script` at every size and compares the screens with those on record.
fn at_all_sizes(name: &str, script: impl Fn(&mut Headless)) {
    for (columns, rows) in SIZES {
        let mut session = Headless::loaded(columns, rows);
        script(&mut session);
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), session.screen());
    }
}

#[test]
fn empty_start() {
    at_all_sizes("empty", |_| {});
}

#[test]
fn loading() {
    for (columns, rows) in SIZES {
        let mut session = Headless::new(columns, rows);
        let progress = |done| {
            Msg::Loading(LoadProgress {
                stage: "packing weights",
                done,
                total: 4 << 30,
            })
        };
        session
            .send(progress(0))
            .wait(1000)
            .send(progress(1_800_000_000));
        session.write("already typing");
        insta::assert_snapshot!(format!("loading_{columns}x{rows}"), session.screen());
    }
}

#[test]
fn streaming() {
    at_all_sizes("streaming", |session| {
        session.send(Msg::Loaded(Box::new(loaded(&[
            "the chat template was replaced",
        ]))));
        session.say("What is the capital of Peru?");
        session
            .prefill(20, 20)
            .tokens(&["The", " capital", " of", " Peru", " is", " Lima."]);
        session
            .finish(6, FinishReason::EndOfTurn)
            .say("Tell me a story about a fox.");
        session.prefill(20, 20);
        session.tokens(&[
            "Once", " upon", " a", " time", " there", " was", " a", " fox",
        ]);
        session.tokens(&[
            " who", " lived", " in", " the", " wood,", " alone,", " and", " slept",
        ]);
    });
}

#[test]
fn stopped_and_typing() {
    at_all_sizes("stopped", |session| {
        session
            .say("Tell me a story.")
            .tokens(&["Once", " upon"])
            .key(KeyCode::Esc);
        session.finish(2, FinishReason::Cancelled);
        session.write("first line").ctrl('j').write("second line");
    });
}

#[test]
fn scrolled() {
    at_all_sizes("scrolled", |session| {
        let long: String = (1..=80)
            .map(|line| format!("{line}. the quick brown fox\n"))
            .collect();
        session
            .say("Count.")
            .tokens(&[&long])
            .finish(80, FinishReason::EndOfTurn);
        session.key(KeyCode::PageUp).send(Msg::Wheel(-3));
    });
}

#[test]
fn wide_characters() {
    at_all_sizes("wide", |session| {
        session.say("日本語で答えてください。");
        session.tokens(&[
            "はい、日本語で答えます。これは長い文章なので、画面の右端で折り返されます。",
            "どの文字も半分に切れてはいけません。\n",
            "Emoji: 👩\u{200d}🚀 👨\u{200d}👩\u{200d}👧\u{200d}👦 🇩🇪 ❤\u{fe0f} e\u{301}\n",
            "Controls: \u{1b}[31mred\u{1b}[0m \u{7}bell\ttab\r\nnext",
        ]);
        session
            .finish(4, FinishReason::EndOfTurn)
            .write("漢字👩\u{200d}🚀");
    });
}

#[test]
fn help() {
    at_all_sizes("help", |session| {
        session.key(KeyCode::F(1));
    });
    let mut session = Headless::loaded(40, 12);
    session.key(KeyCode::F(1)).key(KeyCode::End);
    insta::assert_snapshot!("help_end_40x12", session.screen());
}

#[test]
fn errors() {
    at_all_sizes("error", |session| {
        session.say("A very long message.");
        session.hear(Event::Failed(GenerateError::PromptTooLong {
            prompt: 2000,
            context: 1024,
        }));
    });
}

#[test]
fn commands_to_choose_from() {
    at_all_sizes("commands", |session| {
        session.write("/s");
    });
}

#[test]
fn race() {
    at_all_sizes("race", |session| {
        session
            .say("Who is the fastest?")
            .tokens(&["Let", " us", " see."]);
        session.finish(3, FinishReason::EndOfTurn).say("/race");
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
        session.send(Msg::Race(Standing {
            entries: vec![
                entry("avx2", Some(6.2), State::Measured),
                entry(
                    "scalar",
                    Some(1.1),
                    State::Out("avx2 is 5.6 times as fast".to_owned()),
                ),
                entry("other", None, State::Packing),
            ],
            finished: false,
            cancelled: false,
        }));
    });
}

#[test]
fn too_small() {
    for (columns, rows) in [(19, 24), (80, 5), (20, 6), (1, 1)] {
        let session = Headless::loaded(columns, rows);
        insta::assert_snapshot!(format!("small_{columns}x{rows}"), session.screen());
    }
}

#[test]
fn without_colours_there_are_none() {
    let mut session = Headless::loaded(80, 24);
    session.say("hi").tokens(&["Hello"]).ctrl('c').ctrl('c');
    session.hear(Event::Failed(GenerateError::Stopped));
    let colours = |session: &Headless| {
        let backend = ratatui::backend::TestBackend::new(80, 24);
        let mut terminal = ratatui::Terminal::new(backend).unwrap();
        terminal
            .draw(|frame| super::draw(&session.state, frame))
            .unwrap();
        let cells = terminal.backend().buffer().content();
        cells
            .iter()
            .filter(|cell| cell.fg != ratatui::style::Color::Reset)
            .count()
    };
    assert!(colours(&session) > 0);
    session.state.setting.look.color = false;
    assert_eq!(colours(&session), 0);
}

#[test]
fn kernels() {
    at_all_sizes("kernels", |session| {
        session.key(KeyCode::F(4)).key(KeyCode::Down);
    });
}

#[test]
fn kernels_race() {
    use crate::race::{Entry, Standing, State};
    at_all_sizes("kernels_race", |session| {
        session.key(KeyCode::F(4)).key(KeyCode::Char('r'));
        let entry = |name: &str, decode, state| Entry {
            name: name.to_owned(),
            build_id: String::new(),
            rank: 1,
            bits: 2.0,
            first: None,
            decode,
            prefill: decode.map(|rate: f64| rate * 8.0),
            share_of_read: None,
            state,
        };
        session.send(Msg::Race(Standing {
            entries: vec![
                entry("avx2", Some(31.25), State::Measured),
                entry("scalar", None, State::Running),
            ],
            finished: false,
            cancelled: false,
        }));
    });
}

#[test]
fn kernels_switching_while_an_answer_is_written() {
    at_all_sizes("kernels_switch", |session| {
        session
            .say("Hello")
            .prefill(20, 20)
            .tokens(&["One", " two"]);
        session
            .key(KeyCode::F(4))
            .key(KeyCode::Down)
            .key(KeyCode::Enter);
        session.send(Msg::Switching(tritone_engine::LoadProgress {
            stage: "packing weights",
            done: 170 << 20,
            total: 500 << 20,
        }));
    });
}

#[test]
fn kernels_that_were_refused() {
    at_all_sizes("kernels_refused", |session| {
        session.key(KeyCode::F(4)).key(KeyCode::End);
    });
}

/// Records of every level, one of them long, one from elsewhere with what a terminal must not see.
fn records() -> Vec<std::sync::Arc<crate::logs::Record>> {
    use tracing::Level;
    let lines = [
        (
            Level::INFO,
            "tritone_loader::registry",
            "kernel found name=avx2 rank=20",
        ),
        (
            Level::DEBUG,
            "tritone_loader::search",
            "no plugin directory directory=\"/usr/lib/tritone\"",
        ),
        (
            Level::WARN,
            "tritone_loader::registry",
            "plugin refused path=\"/opt/old.so\" reason=its ABI version is 3, this program has 5; build it \
             again with the headers of this version",
        ),
        (
            Level::INFO,
            "tritone::term::journal",
            "answer done, 41.2 tok/s written id=1",
        ),
        (Level::ERROR, "hyper", "odd \u{1b}[2J text\nof two lines"),
        (Level::TRACE, "tritone_engine::serve", "step"),
    ];
    let times = (27_031_125..).step_by(1500);
    times
        .zip(lines)
        .map(|(unix_millis, (level, target, text))| {
            std::sync::Arc::new(crate::logs::Record {
                unix_millis,
                level,
                target: target.to_owned(),
                text: text.to_owned(),
            })
        })
        .collect()
}

#[test]
fn logs() {
    at_all_sizes("logs", |session| {
        session.key(KeyCode::F(8)).send(Msg::Logs(records()));
    });
    at_all_sizes("logs_empty", |session| {
        session.key(KeyCode::F(8));
    });
}

#[test]
fn logs_stopped_filtered_and_wrapped() {
    at_all_sizes("logs_filter", |session| {
        session.key(KeyCode::F(8)).send(Msg::Logs(records()));
        session.key(KeyCode::Char('5')).key(KeyCode::Char('w'));
        session.key(KeyCode::Char('/')).write("loader");
        session.key(KeyCode::Enter).key(KeyCode::Up);
    });
}

#[test]
fn escape_leads_back_to_the_chat() {
    let mut session = Headless::loaded(80, 24);
    let chat = session.screen();
    for view in 3..=8 {
        session.key(KeyCode::F(view));
        assert_ne!(session.screen(), chat, "F{view}");
        session.write("typed").key(KeyCode::Esc);
        if session.state.view != View::Chat {
            // The first one stopped what was going on there.
            session.key(KeyCode::Esc);
        }
        assert_eq!(session.screen(), chat, "F{view}");
    }
}

#[test]
fn loading_something_else() {
    at_all_sizes("applying", |session| {
        session
            .say("/profile mobile")
            .send(Msg::Applying(LoadProgress {
                stage: "packing weights",
                done: 1 << 20,
                total: 4 << 20,
            }));
        session.key(KeyCode::F(3));
    });
}

#[test]
fn in_ascii_nothing_else_is_drawn() {
    let mut session = Headless::loaded(80, 24);
    session.state.setting.look.ascii = true;
    session.say("hi").tokens(&["Hello"]);
    session.finish(1, FinishReason::EndOfTurn);
    let screens = [session.screen(), {
        session.key(KeyCode::F(1));
        session.screen()
    }];
    for screen in screens {
        assert!(screen.is_ascii(), "{screen}");
    }
}

#[test]
fn palette() {
    at_all_sizes("palette", |session| {
        session.ctrl('p').write("kern");
    });
}

#[test]
fn picker_of_kernels() {
    at_all_sizes("kernel_picker", |session| {
        session.say("/kernel");
    });
}

#[test]
fn sampling_presets() {
    at_all_sizes("sampling", |session| {
        session.say("/sampling precise").say("/sampling");
    });
}

#[test]
fn chips_and_a_queue() {
    at_all_sizes("chips", |session| {
        session.say("Tell me a story.").tokens(&["Once", " upon"]);
        session
            .say("And another one.")
            .say("And a third one, which is longer than the others are.");
        session.write("Compare ");
        session.send(Msg::Paste("a line of text\n".repeat(30)));
        let file = ("notes.txt".to_owned(), "remember this".to_owned());
        session.send(Msg::Desk(Told::Attached {
            typed: None,
            result: Ok(file),
        }));
    });
}

#[test]
fn a_queue_after_a_stop() {
    at_all_sizes("queue_held", |session| {
        session.say("Tell me a story.").tokens(&["Once", " upon"]);
        session.say("And another one.").key(KeyCode::Esc);
        session.finish(2, FinishReason::Cancelled);
    });
}

#[test]
fn arguments_to_choose_from() {
    at_all_sizes("arguments", |session| {
        session.write("/kernel ");
    });
}

#[test]
fn what_will_be_left_out() {
    let talk = |session: &mut Headless| {
        for number in 0..4 {
            session.say(&format!("Question {number}: {}", "why ".repeat(70)));
            session.tokens(&[&"because ".repeat(40)]);
            session.finish(40, FinishReason::EndOfTurn);
        }
        session.write("And then?");
    };
    at_all_sizes("left_out", talk);
    at_all_sizes("left_out_top", |session| {
        talk(session);
        session.press(KeyCode::Home, KeyModifiers::CONTROL);
    });
}

#[test]
fn a_search_of_the_help() {
    at_all_sizes("help_search", |session| {
        session.key(KeyCode::F(1)).write("kernel");
    });
}

/// The window changes before the program hears of it.
#[test]
fn a_picture_for_another_size_is_cut_and_does_no_harm() {
    let mut session = Headless::loaded(80, 24);
    session
        .say("日本語で答えてください。")
        .tokens(&["はい、日本語で答えます。"]);
    session.write("half a message");
    for (columns, rows) in [(40, 12), (120, 40), (3, 2), (1, 1), (5, 40), (81, 23)] {
        let backend = ratatui::backend::TestBackend::new(columns, rows);
        let mut terminal = ratatui::Terminal::new(backend).unwrap();
        terminal
            .draw(|frame| super::draw(&session.state, frame))
            .unwrap();
        let seen = format!("{}", terminal.backend());
        assert!(columns < 10 || seen.contains("日本語"), "{seen}");
    }
}

use std::sync::Arc;

use crossterm::event::KeyCode;
use tritone_profile::{
    AUTO, Battery, Layers, PRESETS, Selection, Situation, Vectors, changes, resolve, select,
};

use crate::app::headless::{Headless, loaded};
use crate::app::host::Order;
use crate::app::msg::{Effect, Msg};
use crate::app::profiles::{PlanCard, ProfileCard, ProfilesCard, Says};

/// A laptop on battery with 8 cores.
fn laptop() -> Selection {
    select(&Situation {
        cores: 8,
        cpus: 16,
        quota: None,
        memory_mb: Some(16_000),
        memory_limit_mb: None,
        vectors: Vectors::Narrow,
        battery: Some(Battery {
            percent: Some(62),
            discharging: true,
        }),
        load: Some(0.4),
    })
}

fn plan(memory_mb: u64, context: usize, threads: usize) -> PlanCard {
    let parts = vec![
        ("weights", 497 << 20),
        ("head", 313 << 20),
        (
            "KV cache",
            (context as u64 * 76_800).next_multiple_of(1 << 20),
        ),
        ("scratch", 24 << 20),
        ("program", 48 << 20),
    ];
    let total = parts.iter().map(|(_, bytes)| bytes).sum();
    let limit = memory_mb << 20;
    PlanCard {
        parts,
        total,
        limit,
        context,
        threads,
        nearest: (total > limit).then(|| "--head q6 --kv q8 --ctx 1024".to_owned()),
        note: None,
    }
}

/// What there is while `edge` is in use.
fn cards() -> Arc<ProfilesCard> {
    let layers = Layers {
        auto: Some(laptop()),
        ..Layers::none()
    };
    let now = resolve(Some("edge"), &layers).unwrap();
    let names = std::iter::once(AUTO).chain(PRESETS.iter().map(|preset| preset.name));
    let mut rows: Vec<_> = names
        .map(|name| {
            let resolved = resolve(Some(name), &layers).unwrap();
            let profile = resolved.profile();
            ProfileCard {
                name: name.to_owned(),
                used: name == "edge",
                says: Ok(Says {
                    lineage: resolved.lineage().to_vec(),
                    because: resolved.chosen().to_owned(),
                    values: resolved.origins().to_vec(),
                    tips: profile.tips.clone(),
                    changes: changes(&now, &resolved),
                    plan: Some(plan(
                        profile.memory_mb,
                        profile.context,
                        profile.threads.min(8),
                    )),
                }),
            }
        })
        .collect();
    rows.push(ProfileCard {
        name: "nightly-batch".to_owned(),
        used: false,
        says: Err("user profile nightly-batch.toml, line 3: there is no setting \"thraeds\" (did you mean \
                   \"threads\"?)"
            .to_owned()),
    });
    Arc::new(ProfilesCard {
        rows,
        selection: Some(laptop()),
        directory: None,
    })
}

fn opened(columns: u16, rows: u16) -> Headless {
    let mut session = Headless::loaded(columns, rows);
    session.key(KeyCode::F(5));
    assert!(matches!(session.effects.last(), Some(Effect::AskProfiles)));
    session.send(Msg::Profiles(Ok(cards())));
    session
}

fn at_all_sizes(name: &str, script: impl Fn(&mut Headless)) {
    for (columns, rows) in [(40, 12), (80, 24), (120, 40)] {
        let mut session = opened(columns, rows);
        script(&mut session);
        insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), session.screen());
    }
}

#[test]
fn the_profile_in_use() {
    at_all_sizes("used", |_| {});
}

#[test]
fn a_profile_that_the_model_does_not_fit() {
    at_all_sizes("too_large", |session| {
        session.key(KeyCode::Up);
    });
}

#[test]
fn the_automatic_choice_explains_itself() {
    at_all_sizes("auto", |session| {
        session.key(KeyCode::Home);
    });
}

#[test]
fn a_broken_profile_says_why() {
    at_all_sizes("broken", |session| {
        session.key(KeyCode::End);
    });
}

#[test]
fn details_scroll() {
    at_all_sizes("scrolled", |session| {
        session.key(KeyCode::PageDown).key(KeyCode::PageDown);
    });
    let mut session = opened(40, 12);
    for _ in 0..100 {
        session.key(KeyCode::PageDown);
    }
    let end = session.screen();
    session.key(KeyCode::PageDown);
    assert_eq!(session.screen(), end, "there is an end");
}

#[test]
fn nothing_is_known_yet_or_ever() {
    let mut session = Headless::loaded(80, 24);
    session.key(KeyCode::F(5));
    assert!(session.screen().contains("looking for profiles"));
    session.send(Msg::Profiles(Err("profiles: no permission".to_owned())));
    assert!(session.screen().contains("profiles: no permission"));
    session.key(KeyCode::Enter);
    assert!(
        !session
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Apply(_)))
    );
}

/// The profile that is to be applied.
fn applied(session: &Headless) -> Option<String> {
    session.effects.iter().find_map(|effect| match effect {
        Effect::Apply(Order { profile, .. }) => profile.clone(),
        _ => None,
    })
}

#[test]
fn enter_applies_what_fits_and_says_why_not() {
    let mut session = opened(80, 24);
    session.key(KeyCode::Enter);
    assert_eq!(applied(&session), None);
    assert!(session.screen().contains("edge is in use"));
    session.key(KeyCode::Up).key(KeyCode::Enter);
    assert_eq!(applied(&session), None);
    assert!(
        session.screen().contains("does not fit mobile's limit"),
        "{}",
        session.screen()
    );
    session.key(KeyCode::End).key(KeyCode::Enter);
    assert!(session.screen().contains("nightly-batch cannot be used"));
    session.key(KeyCode::Up).key(KeyCode::Enter);
    assert_eq!(applied(&session).as_deref(), Some("cloud"));
    // What came of it is seen here, too, and the list is made anew.
    session.effects.clear();
    session.send(Msg::Applied(Err("it does not fit".to_owned().into())));
    assert!(
        session.screen().contains("it does not fit"),
        "{}",
        session.screen()
    );
    assert!(matches!(session.effects.last(), Some(Effect::AskProfiles)));
    session.key(KeyCode::Enter);
    session.send(Msg::Applied(Ok(Box::new(loaded(&[])))));
    assert!(matches!(session.effects.last(), Some(Effect::AskProfiles)));
}

#[test]
fn the_wheel_goes_through_the_list() {
    let mut session = opened(80, 24);
    session.send(Msg::Wheel(-3)).send(Msg::Wheel(1));
    session.key(KeyCode::Enter);
    assert!(
        session.screen().contains("does not fit mobile's limit"),
        "{}",
        session.screen()
    );
}

#[test]
fn e_looks_at_the_machine_again() {
    let mut session = opened(80, 24);
    session.effects.clear();
    session.key(KeyCode::Char('e'));
    assert!(matches!(session.effects[..], [Effect::AskProfiles]));
    session.send(Msg::Profiles(Ok(cards())));
    let screen = session.screen();
    assert!(
        screen.contains("for this machine: still edge, threads 4"),
        "{screen}"
    );
    assert!(screen.contains("a battery in use at 62 %"), "{screen}");
    session.key(KeyCode::Esc);
    assert!(session.screen().contains("write a message"));
}

//! Which strategy is taken, with strategies that do as they are told.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use std::sync::{Arc, Mutex};

use tritone_engine::{LoadProgress, Request};
use tritone_strategy::{
    Answer, Capabilities, Config, Deployed, Deployment, Environment, Fault, Finding, Guard, Health,
    KeyPlace, Kind, Manager, ModelRef, Performance, Registry, Server, Strategy, StrategyError,
};

/// What was asked of the strategies, in order.
type Log = Arc<Mutex<Vec<String>>>;

struct Fake {
    name: &'static str,
    missing: Option<&'static str>,
    fails: Option<Fault>,
    leaves: bool,
    log: Log,
}

impl Strategy for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn summary(&self) -> String {
        String::new()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            leaves_machine: self.leaves,
            ..Capabilities::default()
        }
    }

    fn setup_environment(&self) -> Environment {
        let finding = match self.missing {
            None => Finding::good("a thing", format!("the thing of {}", self.name)),
            Some(remedy) => Finding::missing("a thing", "it is not here", remedy),
        };
        Environment {
            findings: vec![finding],
        }
    }

    fn deploy_model(
        &self,
        _: &Deployment,
        _: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Deployed, StrategyError> {
        self.log
            .lock()
            .unwrap()
            .push(format!("deploy {}", self.name));
        match self.fails {
            None => Ok(Deployed::default()),
            Some(fault) => Err(StrategyError::new(fault, "it does not").remedy("do that")),
        }
    }

    fn deployed(&self) -> Option<Deployed> {
        None
    }

    fn generate(&self, _: Request) -> Result<Answer, StrategyError> {
        Err(StrategyError::new(Fault::Other, "never"))
    }

    fn performance_metrics(&self) -> Performance {
        Performance::default()
    }

    fn health(&self) -> Health {
        Health::default()
    }

    fn shutdown(&self) {
        self.log.lock().unwrap().push(format!("end {}", self.name));
    }
}

/// Native, bitnet.cpp, a server here and one elsewhere, with what is wrong with each.
struct Cast {
    log: Log,
    registry: Registry,
}

impl Cast {
    fn new() -> Self {
        let log = Log::default();
        let mut cast = Self {
            log,
            registry: Registry::default(),
        };
        // Registered in another order than they are tried.
        cast.add("far", Kind::Server, |fake| fake.leaves = true);
        cast.add("near", Kind::Server, |_| ());
        cast.add("bitnet.cpp", Kind::Child, |_| ());
        cast.add("native", Kind::Process, |_| ());
        cast
    }

    fn add(&mut self, name: &'static str, kind: Kind, change: impl FnOnce(&mut Fake)) {
        let mut fake = Fake {
            name,
            missing: None,
            fails: None,
            leaves: false,
            log: Arc::clone(&self.log),
        };
        change(&mut fake);
        self.registry.register(kind, Arc::new(fake));
    }

    fn manager(&self, order: Option<&[&str]>) -> Manager {
        let order = order.map(|order| order.iter().map(|name| (*name).to_owned()).collect());
        Manager::new(&self.registry, order)
    }
}

fn deployment() -> Deployment {
    Deployment::of(ModelRef::Embedded)
}

#[test]
fn the_first_that_can_be_used_is_chosen_and_the_others_are_explained() {
    let mut cast = Cast::new();
    let all = cast.manager(None);
    let names: Vec<_> = all
        .entries()
        .iter()
        .map(|e| e.strategy.name().to_owned())
        .collect();
    assert_eq!(names, ["native", "bitnet.cpp", "far", "near"]);
    let selection = all.select(None);
    assert_eq!(selection.chosen.as_deref(), Some("native"));
    assert!(
        selection.reason.contains("the thing of native"),
        "{selection:?}"
    );

    cast.add("native", Kind::Process, |fake| {
        fake.missing = Some("build it")
    });
    cast.add("bitnet.cpp", Kind::Child, |fake| {
        fake.missing = Some("get it")
    });
    let selection = cast.manager(None).select(None);
    // What is said does not leave the machine by itself.
    assert_eq!(selection.chosen.as_deref(), Some("near"));
    let rejected: Vec<_> = selection.rejected.iter().map(ToString::to_string).collect();
    assert_eq!(
        rejected,
        [
            "native: a thing: it is not here; build it",
            "bitnet.cpp: a thing: it is not here; get it",
            "far: what is said would leave this machine, so it is not taken by itself; name it: \
             --strategy far, or in the order of [strategies]",
        ]
    );
    // Unless the user names it, in one way or the other.
    let manager = cast.manager(None);
    assert_eq!(manager.select(Some("far")).chosen.as_deref(), Some("far"));
    let manager = cast.manager(Some(&["native", "far"]));
    assert_eq!(manager.select(None).chosen.as_deref(), Some("far"));
    // Nothing was started.
    assert_eq!(cast.log.lock().unwrap().len(), 0);
}

#[test]
fn what_fails_gives_way_to_the_next_and_both_are_known() {
    for fault in [
        Fault::Port,
        Fault::Crashed,
        Fault::Model,
        Fault::TimedOut,
        Fault::Memory,
    ] {
        let mut cast = Cast::new();
        cast.add("native", Kind::Process, |fake| {
            fake.missing = Some("build it")
        });
        cast.add("bitnet.cpp", Kind::Child, |fake| fake.fails = Some(fault));
        let manager = cast.manager(None);
        let running = manager
            .deploy(None, &deployment(), &mut |_| true)
            .ok()
            .unwrap();
        assert_eq!(running.entry.strategy.name(), "near");
        let faults: Vec<_> = running
            .rejected
            .iter()
            .map(|rejected| rejected.fault)
            .collect();
        assert_eq!(faults, ["missing", fault.name(), "refused"]);
        // What is missing is not even tried.
        let log = cast.log.lock().unwrap().join(", ");
        assert_eq!(log, "deploy bitnet.cpp, deploy near");
    }
}

#[test]
fn the_preferred_one_comes_first_and_is_not_tried_twice() {
    let mut cast = Cast::new();
    cast.add("near", Kind::Server, |fake| {
        fake.fails = Some(Fault::Unreachable)
    });
    let manager = cast.manager(None);
    let running = manager.deploy(Some("near"), &deployment(), &mut |_| true);
    assert_eq!(running.ok().unwrap().entry.strategy.name(), "native");
    assert_eq!(
        cast.log.lock().unwrap().join(", "),
        "deploy near, deploy native"
    );
}

#[test]
fn what_is_given_up_is_not_tried_elsewhere() {
    let mut cast = Cast::new();
    cast.add("native", Kind::Process, |fake| {
        fake.fails = Some(Fault::Cancelled)
    });
    let manager = cast.manager(None);
    let none = manager
        .deploy(None, &deployment(), &mut |_| true)
        .err()
        .unwrap();
    assert!(none.cancelled);
    assert_eq!(cast.log.lock().unwrap().join(", "), "deploy native");
}

#[test]
fn where_nothing_runs_everything_is_said() {
    let mut cast = Cast::new();
    cast.add("native", Kind::Process, |fake| {
        fake.fails = Some(Fault::Memory)
    });
    cast.add("bitnet.cpp", Kind::Child, |fake| {
        fake.missing = Some("get it")
    });
    let manager = cast.manager(Some(&["native", "bitnet.cpp", "nobody"]));
    assert_eq!(manager.unknown(), ["nobody"]);
    let none = manager
        .deploy(None, &deployment(), &mut |_| true)
        .err()
        .unwrap();
    assert_eq!(
        none.to_string(),
        "no strategy runs the model:\n  native: it does not; do that\n  \
         bitnet.cpp: a thing: it is not here; get it"
    );
    let error = manager.get("nobody").err().unwrap().to_string();
    assert!(
        error.contains("choose one of: far, near, bitnet.cpp, native"),
        "{error}"
    );
}

#[test]
fn after_a_failure_the_next_that_can_be_used_is_suggested() {
    let mut cast = Cast::new();
    let manager = cast.manager(None);
    assert_eq!(manager.suggest("near").as_deref(), Some("native"));
    assert_eq!(manager.suggest("native").as_deref(), Some("bitnet.cpp"));
    cast.add("bitnet.cpp", Kind::Child, |fake| {
        fake.missing = Some("get it")
    });
    assert_eq!(
        cast.manager(None).suggest("native").as_deref(),
        Some("near")
    );
    manager.shutdown();
    assert_eq!(cast.log.lock().unwrap().len(), 4);
}

/// Loads nothing.
struct Nothing;

impl tritone_strategy::Loader for Nothing {
    fn ready(&self) -> Result<String, String> {
        Ok("kernel scalar".to_owned())
    }

    fn load(
        &self,
        _: &Deployment,
        _: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<tritone_engine::Engine, StrategyError> {
        Err(StrategyError::new(Fault::Model, "there is none"))
    }
}

#[test]
fn a_server_without_its_key_is_listed_with_what_is_missing() {
    let config = Config {
        servers: vec![Server {
            name: "studio".to_owned(),
            url: "http://192.0.2.1:1234".parse().unwrap(),
            key: KeyPlace::Variable("STUDIO_KEY".to_owned()),
            model: String::new(),
            timeout_s: None,
        }],
        ..Config::default()
    };
    let registry = Registry::standard(Box::new(Nothing), &Guard::of("tritone"), &config, &|_| None);
    let manager = Manager::new(&registry, config.order.clone());
    let entry = manager.get("studio").unwrap();
    assert!(entry.strategy.capabilities().leaves_machine);
    let environment = entry.strategy.setup_environment();
    assert_eq!(
        environment.missing().unwrap().remedy,
        "set STUDIO_KEY to the key of the server"
    );
    let running = manager.deploy(Some("studio"), &deployment(), &mut |_| true);
    let none = running.err().unwrap().to_string();
    assert!(none.contains("native: there is none"), "{none}");
}

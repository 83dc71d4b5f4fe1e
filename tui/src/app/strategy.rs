//! A strategy other than this process's own engine as a [`Backend`].

use std::sync::Arc;

use tritone_engine::{Cancel, EngineStatus, Event, GenerateError, LoadProgress, Request};
use tritone_strategy::{Answer, Deployed, Strategy};

use super::backend::{
    Backend, ChoiceCard, EventSource, KernelChoice, ModelCard, RaceOrder, RaceResult, Standing,
};

/// Tokens of context where a strategy does not tell: what the smallest servers are usually started with.
pub(crate) const ASSUMED_CONTEXT: usize = 4096;

/// A strategy that runs a model, as the screen knows engines. It is shut down when it is dropped.
pub struct StrategyBackend {
    strategy: Arc<dyn Strategy>,
    deployed: Deployed,
    notices: Vec<String>,
}

impl StrategyBackend {
    /// Puts a strategy and what it runs together; `notices` are shown with those of the deployment.
    #[must_use]
    pub fn new(strategy: Arc<dyn Strategy>, deployed: Deployed, notices: Vec<String>) -> Self {
        let mut notices = notices;
        notices.extend(deployed.notices.iter().cloned());
        if deployed.context.is_none() {
            notices.push(format!(
                "{} does not say how large its context is: {ASSUMED_CONTEXT} tokens are assumed",
                strategy.name()
            ));
        }
        if strategy.capabilities().leaves_machine {
            notices.push(format!(
                "what is said goes to another machine: {}",
                deployed.runs_on
            ));
        }
        Self {
            strategy,
            deployed,
            notices,
        }
    }

    /// The strategy.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn Strategy> {
        &self.strategy
    }

    /// Why it has no kernels to choose between.
    fn no_kernels(&self) -> String {
        format!(
            "{} chooses its kernels itself; /strategy native goes back to this program's own",
            self.strategy.name()
        )
    }
}

impl Drop for StrategyBackend {
    fn drop(&mut self) {
        self.strategy.shutdown();
    }
}

impl Backend for StrategyBackend {
    fn model(&self) -> ModelCard {
        let deployed = &self.deployed;
        ModelCard {
            name: deployed.model.clone(),
            architecture: deployed.architecture.clone().unwrap_or_default(),
            parameters: deployed.parameters.unwrap_or(0),
            context: deployed.context.unwrap_or(ASSUMED_CONTEXT),
            file_bytes: deployed.file_bytes.unwrap_or(0),
            asks_for_thinking: false,
            notices: self.notices.clone(),
            ready: String::new(),
        }
    }

    fn profile(&self) -> String {
        "-".to_owned()
    }

    fn strategy(&self) -> Option<String> {
        Some(self.strategy.name().to_owned())
    }

    fn generate(&self, request: Request) -> Result<Box<dyn EventSource>, GenerateError> {
        Ok(Box::new(self.strategy.generate(request)?))
    }

    fn status(&self) -> EngineStatus {
        EngineStatus::default()
    }

    fn threads(&self) -> usize {
        0
    }

    fn kernel_name(&self) -> String {
        self.strategy.name().to_owned()
    }

    fn kernels(&self) -> Vec<KernelChoice> {
        Vec::new()
    }

    fn set_kernel(
        &self,
        _: &str,
        _: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Vec<String>, String> {
        Err(self.no_kernels())
    }

    fn choice(&self) -> ChoiceCard {
        ChoiceCard {
            explanation: self.no_kernels(),
            named: true,
            ..ChoiceCard::default()
        }
    }

    fn race(&self, _: RaceOrder, _: &mut dyn FnMut(&Standing) -> bool) -> RaceResult {
        RaceResult {
            standing: Standing::default(),
            kernel: self.kernel_name(),
            choice: self.no_kernels(),
            not_kept: Some(self.no_kernels()),
        }
    }

    fn wait_for_packs(&self, _: &mut dyn FnMut() -> bool) -> Vec<String> {
        Vec::new()
    }
}

impl EventSource for Answer {
    fn next_event(&mut self) -> Option<Event> {
        Answer::next_event(self)
    }

    fn cancel_handle(&self) -> Cancel {
        Answer::cancel_handle(self)
    }
}

#[cfg(test)]
mod tests {
    use tritone_engine::Input;
    use tritone_strategy::{
        Capabilities, Deployment, Environment, Fault, Health, Performance, StrategyError,
    };

    use super::*;
    use crate::app::headless::{Headless, loaded};
    use crate::app::msg::{Loaded, Msg};

    /// Says what it is told to say, and whether it was shut down.
    #[derive(Default)]
    struct Fake(std::sync::atomic::AtomicBool);

    impl Strategy for Fake {
        fn name(&self) -> &'static str {
            "studio"
        }

        fn summary(&self) -> String {
            "a server that plays its part".to_owned()
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities {
                leaves_machine: true,
                ..Capabilities::default()
            }
        }

        fn setup_environment(&self) -> Environment {
            Environment::default()
        }

        fn deploy_model(
            &self,
            _: &Deployment,
            _: &mut dyn FnMut(LoadProgress) -> bool,
        ) -> Result<Deployed, StrategyError> {
            Ok(Deployed::default())
        }

        fn deployed(&self) -> Option<Deployed> {
            None
        }

        fn generate(&self, _: Request) -> Result<Answer, StrategyError> {
            Err(StrategyError::new(Fault::Unreachable, "nobody is there").remedy("start it"))
        }

        fn performance_metrics(&self) -> Performance {
            Performance::default()
        }

        fn health(&self) -> Health {
            Health::default()
        }

        fn shutdown(&self) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn what_a_strategy_does_not_have_is_said() {
        let fake = Arc::new(Fake::default());
        let deployed = Deployed {
            model: "m".to_owned(),
            runs_on: "studio at http://192.0.2.1:1".to_owned(),
            notices: vec!["of the server".to_owned()],
            ..Deployed::default()
        };
        let backend = StrategyBackend::new(fake.clone(), deployed, vec!["first".to_owned()]);
        assert_eq!(backend.strategy().as_deref(), Some("studio"));
        let model = backend.model();
        assert_eq!((&*model.name, model.context), ("m", ASSUMED_CONTEXT));
        assert_eq!(
            model.notices,
            [
                "first",
                "of the server",
                "studio does not say how large its context is: 4096 tokens are assumed",
                "what is said goes to another machine: studio at http://192.0.2.1:1",
            ]
        );
        let error = backend.set_kernel("avx2", &mut |_| true).unwrap_err();
        assert!(error.contains("/strategy native"), "{error}");
        let request = Request::new(Input::Text("a".to_owned()));
        let error = backend.generate(request).err().unwrap().to_string();
        assert_eq!(error, "nobody is there; start it");
        drop(backend);
        assert!(fake.0.load(std::sync::atomic::Ordering::Relaxed));
    }

    #[test]
    fn the_screen_names_it_and_has_no_kernels_then() {
        let mut session = Headless::new(80, 24);
        session.send(Msg::Loaded(Box::new(Loaded {
            strategy: Some("studio".to_owned()),
            kernels: Vec::new(),
            ..loaded(&[])
        })));
        let screen = session.screen();
        assert!(screen.contains("Tritone Tiny · via studio"), "{screen}");
        session.say("/kernel avx2");
        assert!(
            session
                .screen()
                .contains("studio chooses its kernels itself")
        );
        session.say("hello");
        session.hear(Event::Failed(GenerateError::Text(
            "it went away".to_owned(),
        )));
        let screen = session.screen();
        assert!(screen.contains("/strategy native goes on"), "{screen}");
    }
}

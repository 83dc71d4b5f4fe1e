//! A strategy other than this process's own engine as a [`Backend`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tritone_engine::{
    Cancel, Counters, EngineStatus, Event, FinishReason, GenerateError, LoadProgress, Request,
};
use tritone_strategy::{Answer, Deployed, Strategy};

use super::backend::{
    Backend, ChoiceCard, EventSource, KernelChoice, ModelCard, RaceOrder, RaceResult, Standing,
};

/// Tokens of context where a strategy does not tell: what the smallest servers are usually started with.
pub(crate) const ASSUMED_CONTEXT: usize = 4096;

/// A strategy that runs a model, as the screen knows engines. Whoever holds the strategy shuts it down.
pub struct StrategyBackend {
    strategy: Arc<dyn Strategy>,
    deployed: Deployed,
    notices: Vec<String>,
    heard: Arc<Mutex<EngineStatus>>,
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
            heard: Arc::default(),
        }
    }

    /// Why it has no kernels to choose between.
    fn no_kernels(&self) -> String {
        format!(
            "{} chooses its kernels itself; /strategy native goes back to this program's own",
            self.strategy.name()
        )
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
            asks_for_thinking: deployed.asks_for_thinking,
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
        let answer = self.strategy.generate(request)?;
        Ok(Box::new(Heard::new(answer, Arc::clone(&self.heard))))
    }

    fn status(&self) -> EngineStatus {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
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

/// An answer, and what is counted of it as it is heard here: the monitor shows that.
struct Heard {
    answer: Answer,
    counts: Arc<Mutex<EngineStatus>>,
    /// When the last token came.
    last: Option<Instant>,
    ended: bool,
}

impl Heard {
    fn new(answer: Answer, counts: Arc<Mutex<EngineStatus>>) -> Self {
        let heard = Self {
            answer,
            counts,
            last: None,
            ended: false,
        };
        heard.count(|status| status.active += 1);
        heard
    }

    fn count(&self, count: impl FnOnce(&mut EngineStatus)) {
        count(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn end(&mut self, count: impl FnOnce(&mut Counters)) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.count(|status| {
            status.active = status.active.saturating_sub(1);
            count(&mut status.counters);
        });
    }
}

impl EventSource for Heard {
    fn next_event(&mut self) -> Option<Event> {
        let event = self.answer.next_event()?;
        match &event {
            Event::Prefill { .. } => {}
            Event::Text { timings, .. } => {
                let now = Instant::now();
                let before = self.last.replace(now);
                let first_token = timings.first_token;
                self.count(|status| {
                    let counters = &mut status.counters;
                    counters.decoded_tokens += 1;
                    match before {
                        Some(before) => counters.decode_time += now - before,
                        None => {
                            counters.first_tokens += 1;
                            counters.first_token_sum += first_token;
                            counters.prefill_time += first_token;
                        }
                    }
                });
            }
            Event::Finished(finished) => {
                let timings = finished.timings;
                let cancelled = finished.reason == FinishReason::Cancelled;
                self.end(|counters| {
                    let read = timings.prompt_tokens - timings.cached_tokens;
                    counters.prompt_tokens += read as u64;
                    counters.cached_tokens += timings.cached_tokens as u64;
                    match cancelled {
                        true => counters.cancelled += 1,
                        false => counters.finished += 1,
                    }
                });
            }
            Event::Failed(_) => self.end(|counters| counters.failed += 1),
        }
        Some(event)
    }

    fn cancel_handle(&self) -> Cancel {
        self.answer.cancel_handle()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.end(|counters| counters.cancelled += 1);
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

    /// A server on another machine that is not there.
    struct Fake;

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

        fn shutdown(&self) {}
    }

    #[test]
    fn what_a_strategy_does_not_have_is_said() {
        let deployed = Deployed {
            model: "m".to_owned(),
            runs_on: "studio at http://192.0.2.1:1".to_owned(),
            notices: vec!["of the server".to_owned()],
            ..Deployed::default()
        };
        let backend = StrategyBackend::new(Arc::new(Fake), deployed, vec!["first".to_owned()]);
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

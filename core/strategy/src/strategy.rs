//! What all ways to run a model have in common.

use tritone_engine::{LoadProgress, Request};

use crate::answer::Answer;
use crate::capability::Capabilities;
use crate::deployment::{Deployed, Deployment};
use crate::environment::Environment;
use crate::error::StrategyError;
use crate::health::Health;
use crate::ledger::Performance;
use crate::trial::Trial;

/// A way to run a model. All calls block.
pub trait Strategy: Send + Sync {
    /// The name with which it is chosen: `native`, `bitnet.cpp`, `transformers`, or that of a configured server.
    fn name(&self) -> &str;

    /// What it is, in a line.
    fn summary(&self) -> String;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether it can be used here: what it needs, what is missing, and how to get that. Starts nothing, installs
    /// nothing.
    fn setup_environment(&self) -> Environment;

    /// Runs a model, instead of the one it may run already, and returns when it answers. `progress` may be called
    /// meanwhile; when it returns `false`, that is given up.
    ///
    /// # Errors
    /// Why it does not run. Nothing is left behind then.
    fn deploy_model(
        &self,
        deployment: &Deployment,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Deployed, StrategyError>;

    /// What runs, if something does.
    fn deployed(&self) -> Option<Deployed>;

    /// Begins an answer: to a chat, or the continuation of a text.
    ///
    /// # Errors
    /// Why there will be no answer. What goes wrong later is the answer's last event.
    fn generate(&self, request: Request) -> Result<Answer, StrategyError>;

    /// Vectors of texts, in their order.
    ///
    /// # Errors
    /// Why there are none.
    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StrategyError> {
        let _ = texts;
        Err(StrategyError::unsupported(self.name(), "embeddings"))
    }

    /// Tries it with a short generation, and checks what comes.
    fn test_deployment(&self) -> Trial {
        Trial::of(
            &|request| self.generate(request),
            self.performance_metrics().resident_bytes,
        )
    }

    /// What was measured of its answers so far.
    fn performance_metrics(&self) -> Performance;

    /// Whether it answers now. Returns within seconds.
    fn health(&self) -> Health;

    /// Ends what it runs: running answers end, programs that it started are gone when this returns. It can deploy
    /// again.
    fn shutdown(&self);
}

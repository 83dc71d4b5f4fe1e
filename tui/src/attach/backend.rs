//! The server as a [`Backend`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tritone_engine::{EngineStatus, GenerateError, LoadProgress, Request};
use tritone_monitor::Record;
use tritone_probe::Bounds;
use tritone_strategy::{Deployed, Remote};

use super::server::{Server, Told};
use crate::app::backend::{
    Backend, ChoiceCard, Counted, EventSource, KernelCard, KernelChoice, ModelCard, RaceOrder,
    RaceResult, Standing, Unusable,
};
use crate::app::strategy::StrategyBackend;

/// A server that is attached to.
pub(super) struct AttachedBackend {
    server: Arc<Server>,
    /// Answers.
    inner: StrategyBackend,
    runs: Mutex<Runs>,
    /// Everything up to then is known, in the server's milliseconds since 1970.
    known: AtomicU64,
}

/// What the server runs on, as it was told last.
#[derive(Clone, Default)]
struct Runs {
    kernel: String,
    profile: String,
    threads: usize,
    bounds: Bounds,
}

impl Runs {
    fn of(told: &Told) -> Self {
        Self {
            kernel: told.kernel.clone(),
            profile: told.profile.clone(),
            threads: told.threads,
            bounds: told.bounds(),
        }
    }
}

impl AttachedBackend {
    /// With what the server said of its model. What it runs on is asked for, where there is a key for that.
    pub(super) fn new(server: Arc<Server>, remote: Arc<Remote>, deployed: Deployed) -> Self {
        let mut notices = Vec::new();
        let runs = if server.has_admin_key() {
            match server.told(u64::MAX) {
                Ok(told) => Runs::of(&told),
                Err(error) => {
                    notices.push(format!("the server's monitor cannot be seen: {error}"));
                    Runs::default()
                }
            }
        } else {
            notices.push(
                "the monitor shows this program; with the server's admin key (TRITONE_ADMIN_KEY or \
                 --admin-key-file) it shows the server, and kernels and profiles can be switched"
                    .to_owned(),
            );
            Runs::default()
        };
        let inner = StrategyBackend::new(remote, deployed, notices);
        Self {
            server,
            inner,
            runs: Mutex::new(runs),
            known: AtomicU64::new(0),
        }
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server goes on under another profile.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn set_profile(&self, name: &str) -> Result<Vec<String>, String> {
        let changed = self.server.change("profile", name);
        let changed = changed.map_err(|error| error.to_string())?;
        let told = self.server.told(u64::MAX);
        let mut runs = self.runs();
        if let Ok(told) = told {
            *runs = Runs::of(&told);
        }
        runs.profile.clone_from(&changed.profile);
        runs.kernel.clone_from(&changed.kernel);
        drop(runs);
        Ok(changed.notices())
    }
}

impl Backend for AttachedBackend {
    fn model(&self) -> ModelCard {
        self.inner.model()
    }

    fn profile(&self) -> String {
        match self.runs().profile.as_str() {
            "" => self.inner.profile(),
            profile => profile.to_owned(),
        }
    }

    fn strategy(&self) -> Option<String> {
        let address = self.server.address().to_string();
        // The strip is short.
        let short = address.strip_prefix("http://").unwrap_or(&address);
        Some(short.to_owned())
    }

    fn generate(&self, request: Request) -> Result<Box<dyn EventSource>, GenerateError> {
        self.inner.generate(request)
    }

    fn count(&self, texts: &[String]) -> Result<Counted, String> {
        Counted::by(texts, &|messages| {
            let count = self.server.count(&messages);
            count.map_err(|error| error.to_string())
        })
    }

    fn status(&self) -> EngineStatus {
        self.inner.status()
    }

    fn bounds(&self) -> Bounds {
        self.runs().bounds
    }

    fn measured_elsewhere(&self) -> Option<Vec<Record>> {
        if !self.server.has_admin_key() {
            return None;
        }
        let since = self.known.load(Ordering::Relaxed);
        // A server that does not answer leaves a gap.
        let Ok(told) = self.server.told(since) else {
            return Some(Vec::new());
        };
        *self.runs() = Runs::of(&told);
        let records = told.records(since);
        if let Some(last) = records.last() {
            self.known.store(last.at(), Ordering::Relaxed);
        }
        Some(records)
    }

    fn threads(&self) -> usize {
        self.runs().threads
    }

    fn kernel_name(&self) -> String {
        match self.runs().kernel.as_str() {
            "" => self.inner.kernel_name(),
            kernel => kernel.to_owned(),
        }
    }

    fn kernels(&self) -> Vec<KernelChoice> {
        let kernels = self.server.kernels().unwrap_or_default().into_iter();
        let usable = kernels.filter(|kernel| kernel.usable);
        let choice = |kernel: super::server::Kernel| KernelChoice {
            card: KernelCard {
                reason: kernel.reason.clone(),
                origin: format!("the server at {}", self.server.address()),
                ..KernelCard::default()
            },
            name: kernel.name,
            detail: kernel.reason,
        };
        usable.map(choice).collect()
    }

    fn set_kernel(
        &self,
        name: &str,
        _: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Vec<String>, String> {
        let changed = self.server.change("kernel", name);
        let changed = changed.map_err(|error| error.to_string())?;
        self.runs().kernel.clone_from(&changed.kernel);
        Ok(changed.notices())
    }

    fn choice(&self) -> ChoiceCard {
        let kernels = self.server.kernels().unwrap_or_default().into_iter();
        let unusable = kernels.filter(|kernel| !kernel.usable && !kernel.active);
        ChoiceCard {
            explanation: format!("the kernel of the server at {}", self.server.address()),
            named: true,
            unmeasured: false,
            unusable: unusable
                .map(|kernel| Unusable {
                    name: kernel.name,
                    origin: "the server".to_owned(),
                    state: "unusable",
                    why: kernel.reason,
                })
                .collect(),
        }
    }

    fn race(&self, _: RaceOrder, _: &mut dyn FnMut(&Standing) -> bool) -> RaceResult {
        let why = "kernels race where they run: `tritone kernels --race` on the server's machine";
        RaceResult {
            standing: Standing::default(),
            kernel: self.kernel_name(),
            choice: why.to_owned(),
            not_kept: Some(why.to_owned()),
        }
    }

    fn wait_for_packs(&self, _: &mut dyn FnMut() -> bool) -> Vec<String> {
        Vec::new()
    }
}

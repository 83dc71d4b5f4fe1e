//! The program around a screen that is attached to a server.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tritone_client::Address;
use tritone_engine::LoadProgress;
use tritone_strategy::{Deployment, Fault, ModelRef, Strategy as _, StrategyError};

use super::backend::AttachedBackend;
use super::server::{Keys, Server};
use crate::app::backend::Backend;
use crate::app::host::{Host, ModelList, NotLoaded, Order, Seat};

/// A server that is loading its model is asked again after so long.
const AGAIN: Duration = Duration::from_millis(300);

/// What is said while it is waited for.
const WAITING: &str = "waiting for the server";

/// A server to attach to.
pub(crate) struct Attached {
    server: Arc<Server>,
    backend: Mutex<Option<Arc<AttachedBackend>>>,
}

impl Attached {
    /// The server at `address`; nothing is sent yet.
    ///
    /// # Errors
    /// When a key has characters that no header may have.
    pub(crate) fn new(address: Address, keys: &Keys) -> Result<Self, StrategyError> {
        Ok(Self {
            server: Arc::new(Server::new(address, keys)?),
            backend: Mutex::default(),
        })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> String {
        self.server.address().to_string()
    }

    fn attached(&self) -> Option<Arc<AttachedBackend>> {
        let backend = self.backend.lock().unwrap_or_else(PoisonError::into_inner);
        backend.clone()
    }

    /// Asks for the server's model; one that is still being loaded is waited for.
    fn attach(
        &self,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<AttachedBackend>, NotLoaded> {
        let whatever = Deployment::of(ModelRef::Named(String::new()));
        let remote = self.server.remote().map_err(|error| self.cannot(&error))?;
        loop {
            let error = match remote.deploy_model(&whatever, &mut *progress) {
                Ok(deployed) => {
                    let backend = AttachedBackend::new(Arc::clone(&self.server), remote, deployed);
                    return Ok(Arc::new(backend));
                }
                Err(error) if error.fault == Fault::Busy => error,
                Err(error) => return Err(self.cannot(&error)),
            };
            let stage = LoadProgress {
                stage: WAITING,
                done: 0,
                total: 0,
            };
            if !progress(stage) {
                return Err(self.cannot(&error));
            }
            thread::sleep(AGAIN);
        }
    }

    fn cannot(&self, error: &StrategyError) -> NotLoaded {
        let error = match error.fault {
            Fault::Refused if !error.remedy.is_empty() => error
                .clone()
                .remedy("give its API key in TRITONE_API_KEY or with --api-key-file"),
            _ => error.clone(),
        };
        NotLoaded::from(format!("cannot attach to {}: {error}", self.address()))
    }
}

impl Host for Attached {
    fn load(
        &self,
        order: &Order,
        _: &dyn Seat,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Arc<dyn Backend>, NotLoaded> {
        if order.model.is_some() || order.strategy.is_some() || !order.settings.is_empty() {
            return Err(NotLoaded::from(format!(
                "the model, the settings and what runs it are those of the server at {}; `tritone` without --attach has its own",
                self.address()
            )));
        }
        if let Some(profile) = &order.profile
            && let Some(backend) = self.attached()
        {
            backend.set_profile(profile)?;
            return Ok(backend);
        }
        let backend = self.attach(progress)?;
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&backend));
        Ok(backend)
    }

    fn models(&self, _: &mut dyn FnMut(usize, usize) -> bool) -> Result<ModelList, String> {
        Err(format!(
            "the server at {} runs the model it was started with",
            self.address()
        ))
    }
}

//! Changing sizes, forms and limits of a running engine.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use std::sync::atomic::Ordering;

use crate::api::{EngineOptions, LoadProgress};
use crate::engine::{Engine, ModelInfo};
use crate::error::LoadError;
use crate::reshape::Target;
use crate::serve::{Command, Reshape};

/// Time between two looks at whether somebody gave up waiting.
const LOOK: Duration = Duration::from_millis(50);

impl Engine {
    /// Runs on with the threads, context, sequences, chunk, pace, forms and memory limit of `options`;
    /// kernel, pack cache and locking stay as they are. Weights are not packed again. Returns when
    /// that is done, with what the user should know.
    ///
    /// Threads, chunk, pace and limit change between two tokens of running answers, and alter none. What
    /// would alter an answer or take its memory away (the forms of head and KV cache, context,
    /// sequences) waits until running answers have ended; what is sent meanwhile waits for the
    /// change. `progress` is called while it waits and while the head is converted; when it returns
    /// `false`, everything stays as it is.
    ///
    /// # Errors
    /// When it does not fit the memory limit of `options` ([`LoadError::Memory`] has the breakdown), the
    /// system has no memory or threads, or `progress` ended it ([`LoadError::Cancelled`]); everything
    /// then stays as it is.
    pub fn reconfigure(
        &self,
        options: &EngineOptions,
        progress: &mut dyn FnMut(LoadProgress) -> bool,
    ) -> Result<Vec<String>, LoadError> {
        let inner = &*self.0;
        let _one = inner
            .switching
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let target = Target::new(options, &inner.model);
        let work = self.ask(|answer| Command::WorkFor(Box::new(target.clone()), answer))??;
        let mut notices = Vec::new();
        let mut head = None;
        if let Some(mut change) = work.head {
            if inner.gauges.is_busy() {
                // Half of the threads, so that answers go on.
                change.threads = (change.threads / 2).max(1);
            }
            let mut new = change.run(progress)?;
            notices.append(&mut new.notices);
            head = Some(new);
        }
        let (answer, wait) = channel();
        let gone = || LoadError::Recipe {
            model: inner.model.source.clone(),
            what: "the engine has stopped".to_owned(),
        };
        let order = Reshape {
            target: target.clone(),
            head,
            waits: work.waits,
            answer,
        };
        self.send(Command::Reshape(Box::new(order)))
            .map_err(|_| gone())?;
        let mut given_up = false;
        let reshaped = loop {
            match wait.recv_timeout(LOOK) {
                Ok(result) => break result?,
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let waits = LoadProgress {
                stage: "waiting for the running answer",
                done: 0,
                total: 0,
            };
            if !given_up && !progress(waits) {
                given_up = true;
                self.send(Command::Forget).map_err(|_| gone())?;
            }
        };
        notices.extend(reshaped.notices);
        if work.loses_cache {
            tracing::info!("the KV cache was made again; kept prefixes are lost");
        }
        inner.threads.store(target.threads, Ordering::Relaxed);
        *inner.kv.lock().unwrap_or_else(PoisonError::into_inner) = reshaped.kv;
        let mut info = inner.info.lock().unwrap_or_else(PoisonError::into_inner);
        *info = Arc::new(ModelInfo {
            context: target.capacity.context,
            plan: reshaped.plan,
            ..ModelInfo::clone(&info)
        });
        drop(info);
        drop(reshaped.old_head);
        Ok(notices)
    }
}

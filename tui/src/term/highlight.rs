//! Colours programs on a thread of its own, which begins with the first job.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use crate::app::msg::Msg;
use crate::chat::markdown::{Highlighter, Job};

/// Time for a job, at most.
const LONGEST: Duration = Duration::from_secs(2);

/// Takes jobs; what comes of them is sent as messages.
pub(super) struct Painter {
    sender: UnboundedSender<Msg>,
    jobs: Option<Sender<Job>>,
}

impl Painter {
    pub(super) fn new(sender: UnboundedSender<Msg>) -> Self {
        Self { sender, jobs: None }
    }

    /// Takes a job. Without a thread to do it, code stays plain, which nobody needs to be told.
    pub(super) fn ask(&mut self, job: Job) {
        if self.jobs.is_none() {
            self.jobs = begin(self.sender.clone());
        }
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

fn begin(sender: UnboundedSender<Msg>) -> Option<Sender<Job>> {
    let (jobs, inbox) = channel::<Job>();
    let work = move || {
        let mut highlighter = Highlighter::new();
        while let Ok(job) = inbox.recv() {
            let start = Instant::now();
            let colored = highlighter.run(&job, &mut || start.elapsed() < LONGEST);
            if sender.send(Msg::Highlighted(colored)).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("highlight".to_owned());
    thread.spawn(work).ok().map(|_| jobs)
}

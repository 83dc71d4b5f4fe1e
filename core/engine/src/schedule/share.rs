//! Prompts that begin alike are read once.
//!
//! Requests of one client often come together and begin with the same instructions. Keys and values of a
//! position depend on the tokens up to it and on nothing else, bit for bit, so a sequence may take them over
//! from another one that has them. Pages are copied rather than shared: a copy takes a few milliseconds where
//! reading takes seconds, and every page keeps one owner.

use super::{Active, Scheduler};
use tritone_abi::PAGE_TOKENS;

/// Fewer positions than this are not worth a copy, or waiting for.
const LEAST: usize = PAGE_TOKENS;

impl Active {
    /// Tokens that this sequence, which is still read, and another one begin with in common; its last one is not
    /// counted, as its logits are wanted. Only what the same client keeps is shared.
    fn common(&self, other: &Self) -> usize {
        let shared = self.job.keep && other.job.keep && self.job.salt == other.job.salt;
        if !shared || self.job.pool.is_some() {
            return 0;
        }
        let own = &self.job.tokens[..self.job.prompt.saturating_sub(1)];
        let pairs = own.iter().zip(&other.job.tokens);
        pairs.take_while(|(a, b)| a == b).count()
    }

    /// Whether most of its prompt is still to be read.
    fn has_unread(&self) -> bool {
        self.computed.saturating_add(LEAST) < self.job.prompt
    }
}

impl Scheduler {
    /// Lets sequences that are read take over what others of the batch have.
    pub(super) fn share(&mut self) {
        // A recurrent state stands at one position and cannot be taken over at another.
        if self.active.len() < 2 || self.runner.model().recipe().recurrent.is_some() {
            return;
        }
        for i in 0..self.active.len() {
            let reader = &self.active[i];
            if !reader.has_unread() {
                continue;
            }
            let others = self.active.iter().enumerate().filter(|(j, _)| *j != i);
            let reach = others.map(|(j, other)| (reader.common(other).min(other.computed), j));
            let Some((reach, giver)) = reach.max_by_key(|(reach, _)| *reach) else {
                continue;
            };
            let computed = reader.computed;
            if reach < computed + LEAST {
                continue;
            }
            let (from, into) = (&self.active[giver].memory, &reader.memory);
            let cache = self.runner.cache();
            cache.copy_pages(&from.pages, &into.pages, computed..reach);
            let reader = &mut self.active[i];
            reader.computed = reach;
            reader.timings.cached_tokens += reach - computed;
            self.tally.cached_tokens.add(reach - computed);
        }
    }

    /// Whether sequence `i` does not read on in this step, as one before it reads what it can take over.
    pub(super) fn waits(&self, i: usize) -> bool {
        let reader = &self.active[i];
        if !reader.has_unread() || self.runner.model().recipe().recurrent.is_some() {
            return false;
        }
        self.active[..i].iter().any(|before| {
            let known = before.computed.max(reader.computed);
            before.computed < before.job.prompt
                && reader.common(before).min(before.job.prompt) >= known + LEAST
        })
    }
}

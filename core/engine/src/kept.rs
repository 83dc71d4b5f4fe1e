//! What is kept of finished sequences, so that a request that continues one reads only what is new.

use crate::exec::{KvCache, Pages, Snapshot};

/// What a sequence has in the cache: pages, and a copy of its recurrent state as it was near the end
/// of its prompt, if the model has one. Such a state cannot go back; the copy lets an answer be
/// written anew, and lets a conversation go on whose template leaves parts of an answer out.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) pages: Pages,
    pub(crate) snapshot: Option<Snapshot>,
}

impl Memory {
    /// Gives everything back.
    pub(crate) fn release(self, cache: &mut KvCache) {
        cache.release(self.pages);
        if let Some(snapshot) = self.snapshot {
            cache.forget(snapshot);
        }
    }

    /// Copies the state, in place of an older copy.
    pub(crate) fn copy_state(&mut self, cache: &mut KvCache) {
        if let Some(old) = self.snapshot.take() {
            cache.forget(old);
        }
        self.snapshot = cache.snapshot(&self.pages);
    }

    /// Positions that a sequence can begin with which has `common` tokens in common with this one,
    /// and whether it has to go back to the copy for that.
    fn usable(&self, cache: &KvCache, common: usize) -> (usize, bool) {
        let copy = self.snapshot.as_ref().map(|snapshot| snapshot.position);
        match (cache.state_position(&self.pages), copy) {
            (None, _) => (common, false),
            (Some(now), _) if now <= common => (now, false),
            (_, Some(before)) if before <= common => (before, true),
            _ => (0, false),
        }
    }
}

/// A finished sequence.
struct Kept {
    tokens: Vec<u32>,
    memory: Memory,
    /// Of the request that left it.
    salt: u64,
}

/// Finished sequences, oldest first.
pub(crate) struct Prefixes {
    all: Vec<Kept>,
    most: usize,
}

impl Prefixes {
    /// Keeps at most `most` sequences.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            all: Vec::new(),
            most,
        }
    }

    /// Memory for `positions` positions of a sequence that begins with `prompt`, and how many of
    /// these are computed; all of them at most but the last token, whose logits are wanted. Kept
    /// sequences are given up for it, oldest first; only `reuse` lets it begin with one, of the same salt.
    /// `None` when running sequences hold too much.
    pub(crate) fn begin(
        &mut self,
        cache: &mut KvCache,
        prompt: &[u32],
        positions: usize,
        reuse: Option<u64>,
    ) -> Option<(Memory, usize)> {
        let most = prompt.len().saturating_sub(1);
        let usable = |kept: &Kept| {
            let pairs = kept.tokens.iter().zip(&prompt[..most]);
            let common = pairs.take_while(|(a, b)| a == b).count();
            kept.memory.usable(cache, common)
        };
        let candidates = (0..self.all.len()).filter(|i| reuse == Some(self.all[*i].salt));
        let best = candidates.max_by_key(|i| usable(&self.all[*i]).0);
        let best = best.map(|i| (i, usable(&self.all[i])));
        let (mut kept, (cached, back)) = match best.filter(|(_, (cached, _))| *cached > 0) {
            Some((i, usable)) => (self.all.remove(i), usable),
            None => {
                let (tokens, memory) = (Vec::new(), Memory::default());
                let salt = reuse.unwrap_or_default();
                (
                    Kept {
                        tokens,
                        memory,
                        salt,
                    },
                    (0, false),
                )
            }
        };
        cache.truncate(&mut kept.memory.pages, positions);
        while !cache.reserve(&mut kept.memory.pages, positions) {
            if self.make_room(cache) {
                continue;
            }
            // Not yet: running sequences hold the rest. What was found stays kept.
            kept.tokens.truncate(kept.memory.pages.positions());
            self.put(cache, kept.tokens, kept.memory, kept.salt);
            return None;
        }
        let mut memory = kept.memory;
        if back && let Some(snapshot) = memory.snapshot.take() {
            cache.restore(&mut memory.pages, snapshot);
        }
        Some((memory, cached))
    }

    /// Keeps a sequence of which `tokens` are computed, for requests with the same salt.
    pub(crate) fn put(
        &mut self,
        cache: &mut KvCache,
        tokens: Vec<u32>,
        mut memory: Memory,
        salt: u64,
    ) {
        cache.truncate(&mut memory.pages, tokens.len());
        if tokens.is_empty() {
            return memory.release(cache);
        }
        self.all.push(Kept {
            tokens,
            memory,
            salt,
        });
        if self.all.len() > self.most {
            self.all.remove(0).memory.release(cache);
        }
    }

    /// Room for a copy of a recurrent state: gives sequences up for it, if need be.
    pub(crate) fn make_room_for_copy(&mut self, cache: &mut KvCache) {
        while !cache.has_state() && self.make_room(cache) {}
    }

    /// Gives up the copy of a state, where states are short, or the oldest sequence; `false` when
    /// nothing is kept.
    fn make_room(&mut self, cache: &mut KvCache) -> bool {
        if !cache.has_state() {
            let copies = self.all.iter_mut();
            let mut copies = copies.filter_map(|kept| kept.memory.snapshot.take());
            if let Some(copy) = copies.next() {
                cache.forget(copy);
                return true;
            }
        }
        if self.all.is_empty() {
            return false;
        }
        self.all.remove(0).memory.release(cache);
        true
    }
}

//! Clients in turn, and what each of them waits for in the order it came.

use std::collections::{HashMap, VecDeque};

use crate::guard::ClientId;

/// Entries of clients that take turns.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    /// Clients that wait for something, the next one first.
    turns: VecDeque<ClientId>,
    entries: HashMap<ClientId, VecDeque<(u64, T)>>,
    len: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            turns: VecDeque::new(),
            entries: HashMap::new(),
            len: 0,
        }
    }
}

impl<T> FairQueue<T> {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry behind the others of its client.
    pub(super) fn push(&mut self, client: ClientId, id: u64, entry: T) {
        let own = self.entries.entry(client).or_default();
        if own.is_empty() {
            self.turns.push_back(client);
        }
        own.push_back((id, entry));
        self.len += 1;
    }

    /// The oldest entry of the client whose turn it is; the next turn is another's.
    pub(super) fn pop(&mut self) -> Option<(ClientId, T)> {
        let client = self.turns.pop_front()?;
        let own = self.entries.get_mut(&client)?;
        let (_, entry) = own.pop_front()?;
        if own.is_empty() {
            self.entries.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.len -= 1;
        Some((client, entry))
    }

    /// Takes an entry out, wherever it stands.
    pub(super) fn remove(&mut self, client: ClientId, id: u64) -> Option<T> {
        let own = self.entries.get_mut(&client)?;
        let at = own.iter().position(|(other, _)| *other == id)?;
        let (_, entry) = own.remove(at)?;
        if own.is_empty() {
            self.entries.remove(&client);
            self.turns.retain(|other| *other != client);
        }
        self.len -= 1;
        Some(entry)
    }

    /// Takes everything out, in turn.
    pub(super) fn drain(&mut self) -> Vec<T> {
        let mut all = Vec::with_capacity(self.len);
        while let Some((_, entry)) = self.pop() {
            all.push(entry);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(n: u8) -> ClientId {
        ClientId::from_bytes([n; 16])
    }

    #[test]
    fn clients_take_turns() {
        let mut queue = FairQueue::default();
        for (id, n) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3), (6, 2)] {
            queue.push(client(n), id, id);
        }
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop())
            .map(|(_, id)| id)
            .collect();
        assert_eq!(order, [1, 4, 5, 2, 6, 3]);
    }

    proptest! {
        /// Between two entries of a client no other gets more than one turn; nothing is lost or invented.
        #[test]
        fn nobody_waits_for_more_than_one_of_each_other(
            steps in proptest::collection::vec((0u8..6, 0u8..5), 1..120),
        ) {
            let mut queue = FairQueue::default();
            let mut there = Vec::new();
            let mut since: HashMap<u8, HashMap<u8, usize>> = HashMap::new();
            for (id, (kind, n)) in steps.into_iter().enumerate() {
                let id = id as u64;
                match kind {
                    0..=2 => {
                        if there.iter().all(|(_, other)| *other != n) {
                            since.insert(n, HashMap::new());
                        }
                        queue.push(client(n), id, (id, n));
                        there.push((id, n));
                    }
                    3..=4 => {
                        let popped = queue.pop();
                        prop_assert_eq!(popped.is_some(), !there.is_empty());
                        if let Some((_, entry)) = popped {
                            let first = there.iter().find(|(_, other)| *other == entry.1).copied();
                            prop_assert_eq!(first, Some(entry), "in the order of the client");
                            there.retain(|other| *other != entry);
                            since.insert(entry.1, HashMap::new());
                            for (waiting, turns) in &mut since {
                                if there.iter().any(|(_, other)| other == waiting) && *waiting != entry.1 {
                                    let turns = turns.entry(entry.1).or_default();
                                    *turns += 1;
                                    prop_assert!(*turns <= 1, "{} twice before {}", entry.1, waiting);
                                }
                            }
                        }
                    }
                    _ => {
                        if let Some(entry) = there.first().copied() {
                            prop_assert_eq!(queue.remove(client(entry.1), entry.0), Some(entry));
                            prop_assert_eq!(queue.remove(client(entry.1), entry.0), None);
                            there.remove(0);
                        }
                    }
                }
                prop_assert_eq!(queue.len(), there.len());
            }
            prop_assert_eq!(queue.drain().len(), there.len());
            prop_assert!(queue.turns.is_empty() && queue.entries.is_empty());
        }
    }
}

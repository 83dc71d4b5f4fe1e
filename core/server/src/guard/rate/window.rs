//! What was counted in the last minute, to the nearest four seconds.

use std::time::Duration;

/// Length of a cell.
const CELL: u64 = 4_000;
/// The present cell and the fifteen before it: whatever the moment, they hold the last sixty seconds.
const CELLS: usize = 16;

/// Sums of the last sixty seconds. A sum is let go as a whole, up to four seconds late and never early, so
/// that no span of sixty seconds holds more than the limit.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    cells: [u64; CELLS],
    /// Number of the newest cell since the clock began.
    newest: u64,
}

impl Window {
    /// Lets go what is older than a minute, and gives the number of the present cell.
    pub(super) fn advance(&mut self, now: Duration) -> u64 {
        let cell = u64::try_from(now.as_millis()).unwrap_or(u64::MAX) / CELL;
        let steps = cell.saturating_sub(self.newest).min(CELLS as u64);
        for step in 0..steps {
            // The cells between the old newest and the present one, or all.
            self.cells[index(cell - step)] = 0;
        }
        self.newest = self.newest.max(cell);
        self.newest
    }

    /// The sum of the last minute.
    pub(super) fn sum(&self) -> u64 {
        self.cells
            .iter()
            .fold(0, |sum: u64, cell| sum.saturating_add(*cell))
    }

    /// Adds to the present cell.
    pub(super) fn add(&mut self, amount: u64) {
        let cell = &mut self.cells[index(self.newest)];
        *cell = cell.saturating_add(amount);
    }

    /// Takes back what was added to a cell, unless it has been let go.
    pub(super) fn take_back(&mut self, cell: u64, amount: u64) {
        if cell <= self.newest && self.newest - cell < CELLS as u64 {
            let cell = &mut self.cells[index(cell)];
            *cell = cell.saturating_sub(amount);
        }
    }

    /// How long until `amount` fits under `limit`, if nothing else comes. An amount over the limit never
    /// does; the answer is then a minute.
    pub(super) fn wait(&self, now: Duration, amount: u64, limit: u64) -> Duration {
        let mut left = self.sum();
        if left.saturating_add(amount) <= limit {
            return Duration::ZERO;
        }
        let oldest = (self.newest + 1).saturating_sub(CELLS as u64);
        for cell in oldest..=self.newest {
            left = left.saturating_sub(self.cells[index(cell)]);
            if left.saturating_add(amount) <= limit {
                let free = Duration::from_millis((cell + CELLS as u64).saturating_mul(CELL));
                return free.saturating_sub(now).max(Duration::from_millis(1));
            }
        }
        Duration::from_secs(60)
    }
}

fn index(cell: u64) -> usize {
    // Below sixteen.
    (cell % CELLS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_sum_is_held_for_a_minute_and_not_much_longer() {
        let mut window = Window::default();
        window.advance(at(3_999));
        window.add(5);
        for (ms, sum) in [(4_000, 5), (63_999, 5), (64_000, 0)] {
            window.advance(at(ms));
            assert_eq!(window.sum(), sum, "{ms}");
        }
        window.add(7);
        window.advance(at(u64::MAX));
        assert_eq!(window.sum(), 0);
    }

    #[test]
    fn the_wait_is_exact() {
        let mut window = Window::default();
        for ms in [0, 10_000, 20_000] {
            window.advance(at(ms));
            window.add(10);
        }
        for (amount, limit) in [(1, 30), (10, 30), (11, 30), (25, 30), (30, 30)] {
            let wait = window.wait(at(20_000), amount, limit);
            let mut later = window.clone();
            later.advance(at(20_000) + wait);
            assert!(later.sum() + amount <= limit, "{amount}");
            if wait > Duration::ZERO {
                let mut sooner = window.clone();
                sooner.advance(at(20_000) + wait - at(1));
                assert!(sooner.sum() + amount > limit, "{amount}");
            }
        }
        assert_eq!(window.wait(at(20_000), 31, 30), Duration::from_secs(60));
    }

    #[test]
    fn what_is_taken_back_leaves_its_own_cell() {
        let mut window = Window::default();
        let cell = window.advance(at(0));
        window.add(10);
        window.advance(at(8_000));
        window.add(1);
        window.take_back(cell, 4);
        assert_eq!(window.sum(), 7);
        window.advance(at(64_000));
        window.take_back(cell, 6);
        assert_eq!(window.sum(), 1);
    }
}

//! Recurrent states of sequences: what recurrent layers keep of all positions before.
//!
//! A state is at one position and cannot go back. Whoever wants to return to a position keeps a copy
//! of it.

use std::ops::Range;

use super::shared::Shared;
use crate::recipe::Recipe;
use crate::recipe::Recurrent;

/// A copy of a sequence's state.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    slot: u32,
    /// Positions it has seen.
    pub(crate) position: usize,
}

/// All states, and which are free. A slot holds the states of all layers,
/// `[layer][value head][16 columns][row][16]`, and then the windows of the convolutions,
/// `[layer][position][channel]`.
#[derive(Debug)]
pub(crate) struct States {
    cells: Shared<f32>,
    shape: Recurrent,
    layers: usize,
    free: Vec<u32>,
    /// By slot: positions its state has seen.
    positions: Vec<usize>,
}

impl States {
    /// `slots` states for `recipe`, or `None` when their size overflows or there is no memory.
    /// Memory becomes resident when a state is first written.
    pub(crate) fn new(recipe: &Recipe, shape: Recurrent, slots: usize) -> Option<Self> {
        let bytes = usize::try_from(recipe.state_bytes()).ok()?;
        let cells = Shared::zeroed((bytes / size_of::<f32>()).checked_mul(slots)?)?;
        cells.prefer_huge_pages();
        Some(Self {
            cells,
            shape,
            layers: recipe.recurrent_layers(),
            free: (0..u32::try_from(slots).ok()?).rev().collect(),
            positions: vec![0; slots],
        })
    }

    /// Keeps all of them in memory.
    pub(super) fn lock(&self) -> std::io::Result<()> {
        self.cells.lock()
    }

    /// Slots nobody holds.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    pub(super) fn take(&mut self) -> Option<u32> {
        let slot = self.free.pop()?;
        self.positions[slot as usize] = 0;
        Some(slot)
    }

    pub(super) fn give_back(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// Whether the slot lies among these.
    pub(super) fn owns(&self, slot: u32) -> bool {
        (slot as usize) < self.positions.len()
    }

    /// Positions the state has seen.
    pub(super) fn position(&self, slot: u32) -> usize {
        self.positions[slot as usize]
    }

    pub(super) fn set_position(&mut self, slot: u32, position: usize) {
        self.positions[slot as usize] = position;
    }

    /// A copy of the state, if there is room for one.
    pub(super) fn snapshot(&mut self, slot: u32) -> Option<Snapshot> {
        let copy = self.take()?;
        let (floats, position) = (self.floats(), self.position(slot));
        let from = slot as usize * floats;
        self.cells
            .get_mut()
            .copy_within(from..from + floats, copy as usize * floats);
        self.set_position(copy, position);
        Some(Snapshot {
            slot: copy,
            position,
        })
    }

    /// Floats of a slot.
    fn floats(&self) -> usize {
        self.layers * (self.shape.state_floats() + self.shape.window_floats())
    }

    /// The state of a value head, `[16 columns][row][16]`.
    ///
    /// # Safety
    /// It belongs to the caller in this phase.
    ///
    /// # Panics
    /// When it lies outside.
    #[expect(clippy::mut_from_ref, reason = "the phase rule")]
    pub(super) unsafe fn head(&self, slot: u32, layer: usize, head: usize) -> &mut [f32] {
        let len = self.shape.head_dim * self.shape.head_dim;
        let start = slot as usize * self.floats() + layer * self.shape.state_floats() + head * len;
        // SAFETY: passed on to the caller.
        unsafe { self.cells.write(start, len) }
    }

    /// Channels `range` of the `i`-th position in the window of a convolution, oldest first.
    ///
    /// # Safety
    /// They belong to the caller in this phase.
    ///
    /// # Panics
    /// When they lie outside.
    #[expect(clippy::mut_from_ref, reason = "the phase rule")]
    pub(super) unsafe fn window(
        &self,
        slot: u32,
        layer: usize,
        i: usize,
        range: Range<usize>,
    ) -> &mut [f32] {
        let states = slot as usize * self.floats() + self.layers * self.shape.state_floats();
        let window = states + layer * self.shape.window_floats();
        let start = window + i * self.shape.channels() + range.start;
        // SAFETY: passed on to the caller.
        unsafe { self.cells.write(start, range.len()) }
    }
}

impl Snapshot {
    /// Its slot, which the caller takes over.
    pub(super) fn into_slot(self) -> u32 {
        self.slot
    }
}

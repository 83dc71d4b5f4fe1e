//! What a grade of processor brings to the product.

use tritone_abi::layout::t5r128::GROUP_ROWS;

/// Rows of a tile of [`Tiles::tile`].
pub(crate) const TILE_ROWS: usize = 32;

/// Most tokens of a tile of [`Tiles::tile`].
pub(crate) const TILE_TOKENS: usize = 6;

/// Exact sums of weights and activations for the rows of a group.
pub(crate) type Sums = [i32; GROUP_ROWS];

/// The loops of one grade. The methods are unsafe because they need its instructions.
pub(crate) trait Form {
    /// Bytes of the tables of a block.
    const TABLE_BYTES: usize;

    /// Makes the tables of blocks of five activations, given as their low and high parts.
    ///
    /// # Safety
    /// * The processor has the instructions of this form.
    /// * `tables` holds [`TABLE_BYTES`](Self::TABLE_BYTES) a block;
    /// * `low` and `high` hold five values a block and 16 more.
    unsafe fn tables(low: &[i8], high: &[i8], tables: &mut [u8]);

    /// Looks up all blocks of a row group and adds them up.
    ///
    /// # Safety
    /// * The processor has the instructions of this form.
    /// * `tables` and `weights` hold the same number of whole blocks.
    unsafe fn sums(tables: &[u8], weights: &[u8]) -> Sums;
}

/// A form that multiplies bytes faster than it looks them up, when there are tokens enough to pay
/// for unpacking the weights.
pub(crate) trait Tiles: Form {
    /// Products of the codes (weight + 1) of 32 rows with `T` rows of activations, over `quads`
    /// quads of columns.
    ///
    /// # Safety
    /// * The processor has the instructions of this form.
    /// * `4 * TILE_ROWS * quads` bytes, `[quads][TILE_ROWS][4]`, are readable at `codes`;
    /// * `4 * quads` activations are readable at every `q[t]`.
    unsafe fn tile<const T: usize>(
        codes: *const u8,
        q: [*const i8; T],
        quads: usize,
    ) -> [[i32; TILE_ROWS]; T];
}

//! Packing of ternary rows.

use tritone_abi::layout::t2r32;
use tritone_abi::{Kernel, LayoutId, PackArgs};

use crate::data::{Guarded, Rng, canonical};
use crate::matmul::{COLS, ROWS};
use crate::misuse;
use crate::suite::{Outcome, Suite, Verdict, oracle, worked};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Weights {
    Random,
    /// One code (0, 1, 2) everywhere.
    All(u8),
}

/// A matrix in canonical form and in the kernel's packing.
pub(crate) struct Packed {
    pub(crate) codes: Guarded<u8>,
    pub(crate) data: Guarded<u8>,
}

/// Packs with `kernel`, into memory full of noise at an odd place, and checks what can be
/// checked. `None` when the kernel does not support the shape.
pub(crate) fn pack(
    kernel: &dyn Kernel,
    (rows, cols): (usize, usize),
    weights: Weights,
    rng: &mut Rng,
) -> Result<Option<Packed>, String> {
    let codes = canonical(rows, cols, || match weights {
        Weights::Random => rng.below(3) as u8,
        Weights::All(code) => code,
    });
    pack_codes(kernel, (rows, cols), &codes, rng)
}

/// [`pack`] of given canonical rows.
pub(crate) fn pack_codes(
    kernel: &dyn Kernel,
    (rows, cols): (usize, usize),
    codes: &[u8],
    rng: &mut Rng,
) -> Result<Option<Packed>, String> {
    let codes = Guarded::of(codes, rng.below(64), 0xff);
    let Some(bytes) = kernel.packed_bytes(rows, cols) else {
        return if cols.is_multiple_of(64) {
            Err("no packed form for a row of whole 64-column blocks".to_owned())
        } else {
            Ok(None)
        };
    };
    let mut data = Guarded::new(bytes, rng.below(64), 0xee, 0xc3);
    let args = PackArgs {
        codes: codes.get(),
        rows,
        cols,
    };
    worked(kernel.pack(&args, data.get_mut()))?;
    data.intact("packed buffer")?;
    Ok(Some(Packed { codes, data }))
}

pub(crate) fn cases(suite: &mut Suite<'_>) {
    let align = suite.row_align();
    for cols in suite.sizes(COLS) {
        for rows in suite.sizes(ROWS) {
            suite.case(format_args!("rows {rows}, cols {cols}"), |kernel, rng| {
                let Some(packed) = pack(kernel, (rows, cols), Weights::Random, rng)? else {
                    return Ok(Outcome::Unsupported);
                };
                let (codes, data) = (packed.codes.get(), packed.data.get());
                if kernel.facts().layout == LayoutId::T2R32 {
                    let mut want = vec![0; t2r32::packed_bytes(rows, cols).unwrap_or(0)];
                    oracle(t2r32::pack(codes, rows, cols, &mut want))?;
                    if want.len() != data.len() {
                        let (got, want) = (data.len(), want.len());
                        return Err(format!("{got} bytes packed, {want} expected"));
                    }
                    if let Some(i) = (0..want.len()).find(|i| want[*i] != data[*i]) {
                        let (got, want) = (data[i], want[i]);
                        return Err(format!("byte {i}: got {got:#04x}, expected {want:#04x}"));
                    }
                }
                parts_lie_one_after_another(kernel, (rows, cols), align, &packed, rng)
            });
        }
    }
    misuse::pack_cases(suite);
}

/// A matrix packed tile by tile has the bytes of the matrix packed at once.
fn parts_lie_one_after_another(
    kernel: &dyn Kernel,
    (rows, cols): (usize, usize),
    align: usize,
    whole: &Packed,
    rng: &mut Rng,
) -> Verdict {
    let mut at = 0;
    for (i, codes) in whole
        .codes
        .get()
        .chunks(align * cols.div_ceil(4))
        .enumerate()
    {
        let tile = align.min(rows - i * align);
        let part = pack_codes(kernel, (tile, cols), codes, rng)?;
        let part = part.ok_or("a tile has no packed form, the matrix has one")?;
        let part = part.data.get();
        if whole.data.get().get(at..at + part.len()) != Some(part) {
            return Err(format!(
                "tile {i} packed alone differs from its bytes in the matrix"
            ));
        }
        at += part.len();
    }
    if at == whole.data.get().len() {
        Ok(Outcome::Passed)
    } else {
        Err("the tiles have fewer bytes than the matrix".to_owned())
    }
}

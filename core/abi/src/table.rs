//! The C table a plugin exports, and the argument structs of its functions.
//!
//! Rules of the boundary: `#[repr(C)]`, fixed widths (`usize` is the pointer width, and a library
//! of another width cannot be opened), pointer plus length, status codes. `size` and
//! `abi_version` stand first; fields are only appended, and a reader ignores what lies beyond
//! the `size` it knows. The table is plain data: the loader reads its header out of the file
//! before it opens the library, so no code of a wrong plugin ever runs.

use crate::args::ScratchNeed;
use crate::attend::KvPage;
use crate::error::Status;

/// Fixed-length text, padded with zero bytes.
pub type Text<const N: usize> = [u8; N];

/// Copies `text` into a zero-padded array, cutting what does not fit. Usable in statics.
#[must_use]
pub const fn text<const N: usize>(text: &str) -> Text<N> {
    let mut out = [0u8; N];
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() && i < N {
        out[i] = bytes[i];
        i += 1;
    }
    out
}

/// The text in a zero-padded array, if it is UTF-8 without control characters.
#[must_use]
pub fn text_of(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    core::str::from_utf8(&bytes[..end])
        .ok()
        .filter(|t| !t.chars().any(char::is_control))
}

/// First part of a table: plain bytes without pointers, readable from the file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Bytes of the whole table as the plugin knows it.
    pub size: u32,
    /// [`ABI_VERSION`](crate::ABI_VERSION) the plugin was built with.
    pub abi_version: u32,
    /// [`MAGIC`](crate::MAGIC).
    pub magic: [u8; 8],
    /// [`Facts::name`](crate::Facts::name); also the end of the symbol's name.
    pub name: Text<32>,
    /// Version of the plugin.
    pub version: Text<32>,
    /// Tells builds apart.
    pub build_id: Text<64>,
    /// Instruction sets needed, for people.
    pub isa: Text<64>,
    /// [`LayoutId`](crate::LayoutId) of packed weights.
    pub layout: u32,
    /// [`Facts::row_align`](crate::Facts::row_align).
    pub row_align: u32,
    /// [`Ops`](crate::Ops).
    pub ops: u32,
    /// Zero.
    pub reserved: u32,
}

/// Answer of the score function.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ScoreOut {
    /// Bytes of this struct as the caller knows it.
    pub size: usize,
    /// [`Score::rank`](crate::Score::rank).
    pub rank: u32,
    /// Zero.
    pub reserved: u32,
    /// [`Score::reason`](crate::Score::reason).
    pub reason: Text<240>,
}

/// A borrowed run of values.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RawSlice<T> {
    /// First value; not null, aligned.
    pub ptr: *const T,
    /// Number of values.
    pub len: usize,
}

/// A mutably borrowed run of values.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RawSliceMut<T> {
    /// First value; not null, aligned.
    pub ptr: *mut T,
    /// Number of values.
    pub len: usize,
}

impl<T> From<&[T]> for RawSlice<T> {
    fn from(s: &[T]) -> Self {
        Self {
            ptr: s.as_ptr(),
            len: s.len(),
        }
    }
}

impl<T> From<&mut [T]> for RawSliceMut<T> {
    fn from(s: &mut [T]) -> Self {
        Self {
            ptr: s.as_mut_ptr(),
            len: s.len(),
        }
    }
}

/// [`MatOut`](crate::MatOut).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OutRaw {
    /// First float of the matrix.
    pub base: *mut f32,
    /// Floats between rows.
    pub stride: usize,
    /// Rows.
    pub tokens: usize,
    /// First column to write.
    pub begin: usize,
    /// One past the last column to write.
    pub end: usize,
}

/// [`Activations`](crate::Activations).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ActivationsRaw {
    /// Rows.
    pub tokens: usize,
    /// Values in a row.
    pub cols: usize,
    /// Values that share a scale.
    pub group: usize,
    /// Padded int8 rows.
    pub q: RawSlice<i8>,
    /// Scales.
    pub scales: RawSlice<f32>,
    /// Sums.
    pub sums: RawSlice<i32>,
}

/// Arguments of `pack`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct PackRaw {
    /// Bytes of this struct as the caller knows it; the same in all argument structs.
    pub size: usize,
    /// Canonical rows.
    pub codes: RawSlice<u8>,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Packed rows.
    pub out: RawSliceMut<u8>,
}

/// Arguments of `matmul`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MatmulRaw {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// Layout of the weights.
    pub layout: u32,
    /// 0 one scale a tensor, 1 a row, 2 a group.
    pub scale_kind: u32,
    /// Columns of a scale group (kind 2).
    pub scale_group: usize,
    /// Scales; one value for kind 0.
    pub scales: RawSlice<f32>,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// Packed weights of the whole matrix.
    pub data: RawSlice<u8>,
    /// Activations.
    pub x: ActivationsRaw,
    /// Rectangle to write.
    pub out: OutRaw,
    /// Working memory.
    pub scratch: RawSliceMut<u8>,
}

/// Arguments of `head`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeadRaw {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// [`HeadFormat`](crate::HeadFormat).
    pub format: u32,
    /// Zero.
    pub reserved: u32,
    /// Vocabulary.
    pub rows: usize,
    /// Hidden size.
    pub cols: usize,
    /// Weights.
    pub data: RawSlice<u8>,
    /// Floats for the f16 format, else empty.
    pub x: RawSlice<f32>,
    /// Activations for the quantised formats.
    pub xq: ActivationsRaw,
    /// Rectangle to write.
    pub out: OutRaw,
    /// Working memory.
    pub scratch: RawSliceMut<u8>,
}

/// Arguments of `quantize`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct QuantizeRaw {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// One row.
    pub x: RawSlice<f32>,
    /// Values that share a scale.
    pub group: usize,
    /// Padded int8 row.
    pub q: RawSliceMut<i8>,
    /// Scales.
    pub scales: RawSliceMut<f32>,
    /// Sums.
    pub sums: RawSliceMut<i32>,
}

/// Arguments of `rms_norm`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NormRaw {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// One row.
    pub x: RawSlice<f32>,
    /// Weights.
    pub weight: RawSlice<f32>,
    /// Result.
    pub out: RawSliceMut<f32>,
    /// Added to the mean square.
    pub eps: f32,
}

/// Arguments of `rope`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RopeRaw {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// Heads of one token, in place.
    pub x: RawSliceMut<f32>,
    /// Values in a head.
    pub head_dim: usize,
    /// Cosines.
    pub cos: RawSlice<f32>,
    /// Sines.
    pub sin: RawSlice<f32>,
    /// [`RopeStyle`](crate::RopeStyle).
    pub style: u32,
}

/// Arguments of `gate`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct GateRaw {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// [`GateKind`](crate::GateKind).
    pub kind: u32,
    /// Gate values.
    pub gate: RawSlice<f32>,
    /// Up values.
    pub up: RawSlice<f32>,
    /// Result.
    pub out: RawSliceMut<f32>,
}

/// Arguments of `attend`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AttendRaw<'a> {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// Queries.
    pub q: RawSlice<f32>,
    /// Floats between query rows.
    pub q_stride: usize,
    /// Consecutive tokens.
    pub tokens: usize,
    /// Query heads.
    pub heads: usize,
    /// Values in a head.
    pub head_dim: usize,
    /// Pages.
    pub pages: RawSlice<KvPage<'a>>,
    /// Position of the first cell of the pages.
    pub first: usize,
    /// Positions visible to the first token.
    pub len: usize,
    /// Positions a token looks back, 0 for all.
    pub window: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// 1: write the running state instead of the result.
    pub partial: u32,
    /// Rectangle to write.
    pub out: OutRaw,
    /// Working memory.
    pub scratch: RawSliceMut<u8>,
}

/// Arguments of `attend_merge`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MergeRaw {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// Query heads.
    pub heads: usize,
    /// Values in a head.
    pub head_dim: usize,
    /// The earlier partial row, in place.
    pub acc: RawSliceMut<f32>,
    /// The later one.
    pub next: RawSlice<f32>,
}

/// Arguments of `norm_quantize`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NormQuantizeRaw {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// One row.
    pub x: RawSlice<f32>,
    /// Weights of the norm.
    pub weight: RawSlice<f32>,
    /// Added to the mean square.
    pub eps: f32,
    /// Zero.
    pub reserved: u32,
    /// Working memory, as long as the row.
    pub work: RawSliceMut<f32>,
    /// Values that share a scale.
    pub group: usize,
    /// Padded int8 row.
    pub q: RawSliceMut<i8>,
    /// Scales.
    pub scales: RawSliceMut<f32>,
    /// Sums.
    pub sums: RawSliceMut<i32>,
}

/// Arguments of `gate_quantize`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct GateQuantizeRaw {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// [`GateKind`](crate::GateKind).
    pub kind: u32,
    /// Added to the mean square.
    pub eps: f32,
    /// Gate values; working memory as well.
    pub gate: RawSliceMut<f32>,
    /// Up values.
    pub up: RawSlice<f32>,
    /// Weights of the norm; empty for none.
    pub weight: RawSlice<f32>,
    /// Working memory, as long as the row.
    pub work: RawSliceMut<f32>,
    /// Values that share a scale.
    pub group: usize,
    /// Padded int8 row.
    pub q: RawSliceMut<i8>,
    /// Scales.
    pub scales: RawSliceMut<f32>,
    /// Sums.
    pub sums: RawSliceMut<i32>,
}

/// Arguments of both probes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ProbeRaw {
    /// See [`PackRaw::size`].
    pub size: usize,
    /// Bytes to read (`probe_read`).
    pub data: RawSlice<u8>,
    /// Bytes to prefetch ahead (`probe_read`), or rounds (`probe_int8`).
    pub count: u64,
    /// Where the result goes: the sum, or the multiply-adds. Not null.
    pub result: *mut u64,
}

/// A kernel function: takes its argument struct, returns a status.
pub type Call<A> = Option<unsafe extern "C" fn(args: *const A) -> Status>;

/// What a plugin exports under `tritone_kernel_<name>`.
///
/// Absent functions are null and their bit in [`Header::ops`] is clear.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct KernelTable {
    /// Plain data, read before the library is opened.
    pub header: Header,
    /// Rank and reason on this processor. Never null.
    pub score: Option<unsafe extern "C" fn(out: *mut ScoreOut) -> Status>,
    /// Scratch bytes for shapes up to `need`. Never null.
    pub scratch_bytes: Option<unsafe extern "C" fn(need: *const ScratchNeed) -> usize>,
    /// Packed bytes of a matrix; `usize::MAX` when the shape is not supported.
    pub packed_bytes: Option<extern "C" fn(rows: usize, cols: usize) -> usize>,
    /// See [`Kernel::pack`](crate::Kernel::pack).
    pub pack: Call<PackRaw>,
    /// See [`Kernel::matmul`](crate::Kernel::matmul).
    pub matmul: Call<MatmulRaw>,
    /// See [`Kernel::head`](crate::Kernel::head).
    pub head: Call<HeadRaw>,
    /// See [`Kernel::quantize`](crate::Kernel::quantize).
    pub quantize: Call<QuantizeRaw>,
    /// See [`Kernel::rms_norm`](crate::Kernel::rms_norm).
    pub rms_norm: Call<NormRaw>,
    /// See [`Kernel::rope`](crate::Kernel::rope).
    pub rope: Call<RopeRaw>,
    /// See [`Kernel::gate`](crate::Kernel::gate).
    pub gate: Call<GateRaw>,
    /// See [`Kernel::attend`](crate::Kernel::attend).
    pub attend: Call<AttendRaw<'static>>,
    /// See [`Kernel::probe_read`](crate::Kernel::probe_read).
    pub probe_read: Call<ProbeRaw>,
    /// See [`Kernel::probe_int8`](crate::Kernel::probe_int8).
    pub probe_int8: Call<ProbeRaw>,
    /// See [`Kernel::attend_merge`](crate::Kernel::attend_merge).
    pub attend_merge: Call<MergeRaw>,
    /// See [`Kernel::norm_quantize`](crate::Kernel::norm_quantize).
    pub norm_quantize: Call<NormQuantizeRaw>,
    /// See [`Kernel::gate_quantize`](crate::Kernel::gate_quantize).
    pub gate_quantize: Call<GateQuantizeRaw>,
}

/// Bytes of [`KernelTable`] in version 2; a shorter table is refused.
pub const TABLE_BYTES: usize = size_of::<KernelTable>();

#[cfg(test)]
mod tests {
    use super::*;

    /// The offsets other builds rely on. A failure here means the ABI number must grow.
    #[test]
    fn the_table_keeps_its_shape() {
        assert_eq!(core::mem::offset_of!(Header, abi_version), 4);
        assert_eq!(core::mem::offset_of!(Header, magic), 8);
        assert_eq!(core::mem::offset_of!(Header, name), 16);
        assert_eq!(core::mem::offset_of!(Header, layout), 208);
        assert_eq!(size_of::<Header>(), 224);
        assert_eq!(core::mem::offset_of!(KernelTable, score), 224);
        if size_of::<usize>() == 8 {
            assert_eq!(TABLE_BYTES, 224 + 16 * 8);
            assert_eq!(size_of::<MatmulRaw>(), 200);
            assert_eq!(size_of::<AttendRaw<'_>>(), 160);
            assert_eq!(size_of::<KvPage<'_>>(), 48);
            assert_eq!(size_of::<GateQuantizeRaw>(), 136);
            assert_eq!(size_of::<ScoreOut>(), 256);
        }
    }

    #[test]
    fn texts_are_cut_and_checked() {
        assert_eq!(text_of(&text::<8>("avx2")), Some("avx2"));
        assert_eq!(text_of(&text::<3>("avx512")), Some("avx"));
        assert_eq!(text_of(&[0xff, 0, 0]), None);
        assert_eq!(text_of(b"a\x1b[2J"), None);
    }
}

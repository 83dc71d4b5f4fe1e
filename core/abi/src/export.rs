//! The plugin's side of the boundary: turns a [`Kernel`] into a C table.
//!
//! [`export_kernel!`](crate::export_kernel) is all a plugin writes. The functions here rebuild
//! slices from pointers, re-check lengths through the same `check` methods the host uses, and
//! catch panics: a panic never crosses into the host.

use core::ptr::NonNull;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::args::{
    Activations, GateKind, MatOut, PackArgs, QuantizedRow, RopeArgs, RopeStyle, ScratchNeed,
    TernaryMatrix, WeightScales,
};
use crate::attend::{AttendArgs, check_merge};
use crate::error::{KernelError, Status};
use crate::head::{HeadFormat, HeadInput, HeadMatrix};
use crate::kernel::{Kernel, Norm, Score};
use crate::layout::LayoutId;
use crate::table::{
    ActivationsRaw, AttendRaw, GateQuantizeRaw, GateRaw, HeadRaw, MatmulRaw, MergeRaw,
    NormQuantizeRaw, NormRaw, OutRaw, PackRaw, ProbeRaw, QuantizeRaw, RawSlice, RawSliceMut,
    RopeRaw, ScoreOut, text,
};

type Outcome = Result<(), KernelError>;

fn guard(op: &'static str, body: impl FnOnce() -> Outcome) -> Status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Status::OK,
        Ok(Err(error)) => error.status(),
        Err(_) => KernelError::Panicked(op).status(),
    }
}

/// The argument struct behind `args`, if it is there and at least as long as this build's.
///
/// # Safety
/// `args` is null or points to a struct whose first field is its size in bytes.
unsafe fn arguments<'a, A>(args: *const A) -> Result<&'a A, KernelError> {
    let bad = KernelError::BadArgument("argument struct");
    if args.is_null() || !args.is_aligned() {
        return Err(bad);
    }
    // SAFETY: not null and aligned; by contract the first field is a `usize` holding the size.
    let size = unsafe { args.cast::<usize>().read() };
    if size < size_of::<A>() {
        return Err(bad);
    }
    // SAFETY: the caller says that at least `size_of::<A>()` bytes are there.
    Ok(unsafe { &*args })
}

impl<T> RawSlice<T> {
    /// # Safety
    /// `ptr` points to `len` initialised values that live for `'a` and are not written meanwhile,
    /// or is null or unaligned (which is an error), or `len` is 0.
    unsafe fn get<'a>(self) -> Result<&'a [T], KernelError> {
        if self.len == 0 {
            return Ok(&[]);
        }
        if self.ptr.is_null() || !self.ptr.is_aligned() || self.len > isize::MAX as usize / 16 {
            return Err(KernelError::BadArgument("null or unaligned slice"));
        }
        // SAFETY: not null, aligned, not absurdly long; the rest is the caller's promise.
        Ok(unsafe { core::slice::from_raw_parts(self.ptr, self.len) })
    }
}

impl<T> RawSliceMut<T> {
    /// # Safety
    /// As for [`RawSlice::get`], and nobody else touches the values during `'a`.
    unsafe fn get<'a>(self) -> Result<&'a mut [T], KernelError> {
        if self.len == 0 {
            return Ok(&mut []);
        }
        if self.ptr.is_null() || !self.ptr.is_aligned() || self.len > isize::MAX as usize / 16 {
            return Err(KernelError::BadArgument("null or unaligned slice"));
        }
        // SAFETY: not null, aligned, not absurdly long; the rest is the caller's promise.
        Ok(unsafe { core::slice::from_raw_parts_mut(self.ptr, self.len) })
    }
}

impl OutRaw {
    /// # Safety
    /// `base` points to `tokens * stride` floats, and columns `begin..end` are the caller's alone.
    unsafe fn get<'a>(self) -> Result<MatOut<'a>, KernelError> {
        let bad = KernelError::BadArgument("output rectangle");
        let base = NonNull::new(self.base)
            .filter(|p| p.is_aligned())
            .ok_or(bad)?;
        if self.begin > self.end
            || self.end > self.stride
            || self
                .tokens
                .checked_mul(self.stride)
                .is_none_or(|n| n > isize::MAX as usize / 4)
        {
            return Err(bad);
        }
        // SAFETY: the range lies in the row; the rest is the caller's promise.
        Ok(unsafe { MatOut::from_raw(base, self.stride, self.tokens, self.begin..self.end) })
    }
}

impl ActivationsRaw {
    /// # Safety
    /// The slices fulfil [`RawSlice::get`].
    unsafe fn get<'a>(self) -> Result<Activations<'a>, KernelError> {
        // SAFETY: promised by the caller.
        let q = unsafe { self.q.get() }?;
        // SAFETY: promised by the caller.
        let scales = unsafe { self.scales.get() }?;
        // SAFETY: promised by the caller.
        let sums = unsafe { self.sums.get() }?;
        let x = Activations {
            tokens: self.tokens,
            cols: self.cols,
            group: self.group,
            q,
            scales,
            sums,
        };
        x.check()?;
        Ok(x)
    }
}

/// # Safety
/// `out` is null or points to a `ScoreOut` whose `size` field is set.
pub unsafe fn score<K: Kernel>(kernel: &K, out: *mut ScoreOut) -> Status {
    guard("score", || {
        if out.is_null() || !out.is_aligned() {
            return Err(KernelError::BadArgument("score"));
        }
        // SAFETY: not null and aligned; the first field is the size.
        if unsafe { out.cast::<usize>().read() } < size_of::<ScoreOut>() {
            return Err(KernelError::BadArgument("score"));
        }
        let Score { rank, reason } = kernel.score();
        // SAFETY: the caller's struct is at least as long as ours.
        unsafe {
            (*out).rank = rank;
            (*out).reason = text(&reason);
        }
        Ok(())
    })
}

/// # Safety
/// `need` is null or points to a `ScratchNeed`.
pub unsafe fn scratch_bytes<K: Kernel>(kernel: &K, need: *const ScratchNeed) -> usize {
    // SAFETY: null or valid, as promised.
    let Some(need) = (unsafe { need.as_ref() }) else {
        return 0;
    };
    catch_unwind(AssertUnwindSafe(|| kernel.scratch_bytes(need))).unwrap_or(0)
}

/// [`Kernel::packed_bytes`] with `usize::MAX` for "not supported".
pub fn packed_bytes<K: Kernel>(kernel: &K, rows: usize, cols: usize) -> usize {
    let bytes = catch_unwind(AssertUnwindSafe(|| kernel.packed_bytes(rows, cols)));
    bytes.ok().flatten().unwrap_or(usize::MAX)
}

/// # Safety
/// `args` is null or points to arguments whose pointers fulfil the contract of the operation.
pub unsafe fn pack<K: Kernel>(kernel: &K, args: *const PackRaw) -> Status {
    guard("pack", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        // SAFETY: promised by the caller.
        let codes = unsafe { a.codes.get() }?;
        // SAFETY: promised by the caller.
        let out = unsafe { a.out.get() }?;
        kernel.pack(
            &PackArgs {
                codes,
                rows: a.rows,
                cols: a.cols,
            },
            out,
        )
    })
}

/// # Safety
/// As for [`pack`].
pub unsafe fn matmul<K: Kernel>(kernel: &K, args: *const MatmulRaw) -> Status {
    guard("matmul", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        // SAFETY: promised by the caller.
        let scales = unsafe { a.scales.get() }?;
        let scales = match (a.scale_kind, scales) {
            (0, [scale]) => WeightScales::Tensor(*scale),
            (1, rows) => WeightScales::Row(rows),
            (2, scales) => WeightScales::Group {
                group: a.scale_group,
                scales,
            },
            _ => return Err(KernelError::BadArgument("scale kind")),
        };
        // SAFETY: promised by the caller.
        let data = unsafe { a.data.get() }?;
        let layout = LayoutId(a.layout);
        let w = TernaryMatrix {
            layout,
            rows: a.rows,
            cols: a.cols,
            scales,
            data,
        };
        w.check()?;
        // SAFETY: promised by the caller.
        let x = unsafe { a.x.get() }?;
        // SAFETY: promised by the caller.
        let mut out = unsafe { a.out.get() }?;
        // SAFETY: promised by the caller.
        let scratch = unsafe { a.scratch.get() }?;
        check_matmul(&w, &x, &out)?;
        kernel.matmul(&w, &x, &mut out, scratch)
    })
}

/// Checks the parts of a ternary product against each other (layout aside).
///
/// # Errors
/// Names the rule that is broken.
pub fn check_matmul(w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &MatOut<'_>) -> Outcome {
    if x.cols != w.cols || x.group != w.scales.activation_group(w.cols) {
        return Err(KernelError::BadArgument(
            "activations do not fit the weights",
        ));
    }
    if out.tokens() != x.tokens || out.range().end > w.rows {
        return Err(KernelError::BadArgument("output does not fit the product"));
    }
    Ok(())
}

/// # Safety
/// As for [`pack`].
pub unsafe fn head<K: Kernel>(kernel: &K, args: *const HeadRaw) -> Status {
    guard("head", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        let format = HeadFormat::from_u32(a.format).ok_or(KernelError::Unsupported("head"))?;
        // SAFETY: promised by the caller.
        let data = unsafe { a.data.get() }?;
        let w = HeadMatrix {
            format,
            rows: a.rows,
            cols: a.cols,
            data,
        };
        // SAFETY: promised by the caller.
        let mut out = unsafe { a.out.get() }?;
        let x = if format == HeadFormat::F16 {
            // SAFETY: promised by the caller.
            let x = unsafe { a.x.get() }?;
            HeadInput::F32 {
                x,
                tokens: out.tokens(),
            }
        } else {
            // SAFETY: promised by the caller.
            let x = unsafe { a.xq.get() }?;
            HeadInput::Int8(x)
        };
        // SAFETY: promised by the caller.
        let scratch = unsafe { a.scratch.get() }?;
        w.check(&x, out.tokens(), out.range())?;
        kernel.head(&w, &x, &mut out, scratch)
    })
}

/// # Safety
/// As for [`pack`].
pub unsafe fn quantize<K: Kernel>(kernel: &K, args: *const QuantizeRaw) -> Status {
    guard("quantize", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        // SAFETY: promised by the caller.
        let x = unsafe { a.x.get() }?;
        // SAFETY: promised by the caller.
        let mut out = unsafe { quantized_row(a.q, a.scales, a.sums) }?;
        out.check(x.len(), a.group)?;
        kernel.quantize(x, a.group, &mut out)
    })
}

/// # Safety
/// As for [`pack`].
pub unsafe fn rms_norm<K: Kernel>(kernel: &K, args: *const NormRaw) -> Status {
    guard("rms_norm", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        // SAFETY: promised by the caller.
        let x = unsafe { a.x.get() }?;
        // SAFETY: promised by the caller.
        let weight = unsafe { a.weight.get() }?;
        // SAFETY: promised by the caller.
        let out = unsafe { a.out.get() }?;
        check_lengths(x.len(), [weight.len(), out.len()])?;
        kernel.rms_norm(x, weight, a.eps, out)
    })
}

/// Checks that all slices of an elementwise operation have the length `n`, at least 1.
///
/// # Errors
/// When they do not.
pub fn check_lengths(n: usize, others: [usize; 2]) -> Outcome {
    if n == 0 || others != [n, n] {
        return Err(KernelError::BadArgument("slices of one length, not empty"));
    }
    Ok(())
}

/// # Safety
/// As for [`pack`].
pub unsafe fn rope<K: Kernel>(kernel: &K, args: *const RopeRaw) -> Status {
    guard("rope", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        let style = match a.style {
            0 => RopeStyle::Half,
            1 => RopeStyle::Interleaved,
            _ => return Err(KernelError::Unsupported("rope")),
        };
        // SAFETY: promised by the caller.
        let x = unsafe { a.x.get() }?;
        // SAFETY: promised by the caller.
        let cos = unsafe { a.cos.get() }?;
        // SAFETY: promised by the caller.
        let sin = unsafe { a.sin.get() }?;
        let rope = RopeArgs {
            head_dim: a.head_dim,
            cos,
            sin,
            style,
        };
        rope.check(x.len())?;
        kernel.rope(x, &rope)
    })
}

fn gate_kind(number: u32) -> Result<GateKind, KernelError> {
    Ok(match number {
        0 => GateKind::Relu2,
        1 => GateKind::Silu,
        2 => GateKind::GeluTanh,
        _ => return Err(KernelError::Unsupported("gate")),
    })
}

/// # Safety
/// As for [`pack`].
pub unsafe fn gate<K: Kernel>(kernel: &K, args: *const GateRaw) -> Status {
    guard("gate", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        let kind = gate_kind(a.kind)?;
        // SAFETY: promised by the caller.
        let g = unsafe { a.gate.get() }?;
        // SAFETY: promised by the caller.
        let up = unsafe { a.up.get() }?;
        // SAFETY: promised by the caller.
        let out = unsafe { a.out.get() }?;
        check_lengths(g.len(), [up.len(), out.len()])?;
        kernel.gate(kind, g, up, out)
    })
}

/// # Safety
/// As for [`pack`].
pub unsafe fn attend<K: Kernel>(kernel: &K, args: *const AttendRaw<'static>) -> Status {
    guard("attend", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        // SAFETY: promised by the caller.
        let q = unsafe { a.q.get() }?;
        // SAFETY: promised by the caller.
        let pages = unsafe { a.pages.get() }?;
        // SAFETY: promised by the caller.
        let mut out = unsafe { a.out.get() }?;
        // SAFETY: promised by the caller.
        let scratch = unsafe { a.scratch.get() }?;
        let attend = AttendArgs {
            q,
            q_stride: a.q_stride,
            tokens: a.tokens,
            heads: a.heads,
            head_dim: a.head_dim,
            pages,
            first: a.first,
            len: a.len,
            window: a.window,
            scale: a.scale,
            partial: a.partial != 0,
        };
        attend.check(&out)?;
        kernel.attend(&attend, &mut out, scratch)
    })
}

/// # Safety
/// As for [`pack`].
pub unsafe fn attend_merge<K: Kernel>(kernel: &K, args: *const MergeRaw) -> Status {
    guard("attend_merge", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        // SAFETY: promised by the caller.
        let acc = unsafe { a.acc.get() }?;
        // SAFETY: promised by the caller.
        let next = unsafe { a.next.get() }?;
        check_merge(a.heads, a.head_dim, acc.len(), next.len())?;
        kernel.attend_merge(a.heads, a.head_dim, acc, next)
    })
}

/// # Safety
/// As for [`pack`].
pub unsafe fn norm_quantize<K: Kernel>(kernel: &K, args: *const NormQuantizeRaw) -> Status {
    guard("norm_quantize", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        // SAFETY: promised by the caller.
        let x = unsafe { a.x.get() }?;
        // SAFETY: promised by the caller.
        let weight = unsafe { a.weight.get() }?;
        // SAFETY: promised by the caller.
        let work = unsafe { a.work.get() }?;
        // SAFETY: promised by the caller.
        let mut out = unsafe { quantized_row(a.q, a.scales, a.sums) }?;
        check_lengths(x.len(), [weight.len(), work.len()])?;
        out.check(x.len(), a.group)?;
        let norm = Norm { weight, eps: a.eps };
        kernel.norm_quantize(x, norm, work, a.group, &mut out)
    })
}

/// # Safety
/// As for [`pack`].
pub unsafe fn gate_quantize<K: Kernel>(kernel: &K, args: *const GateQuantizeRaw) -> Status {
    guard("gate_quantize", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        let kind = gate_kind(a.kind)?;
        // SAFETY: promised by the caller.
        let gate = unsafe { a.gate.get() }?;
        // SAFETY: promised by the caller.
        let up = unsafe { a.up.get() }?;
        // SAFETY: promised by the caller.
        let weight = unsafe { a.weight.get() }?;
        // SAFETY: promised by the caller.
        let work = unsafe { a.work.get() }?;
        // SAFETY: promised by the caller.
        let mut out = unsafe { quantized_row(a.q, a.scales, a.sums) }?;
        let norm = (!weight.is_empty()).then_some(Norm { weight, eps: a.eps });
        check_lengths(gate.len(), [up.len(), work.len()])?;
        if norm.is_some() {
            check_lengths(gate.len(), [weight.len(), gate.len()])?;
        }
        out.check(gate.len(), a.group)?;
        kernel.gate_quantize((kind, gate, up), norm, work, a.group, &mut out)
    })
}

/// # Safety
/// The slices fulfil [`RawSliceMut::get`].
unsafe fn quantized_row<'a>(
    q: RawSliceMut<i8>,
    scales: RawSliceMut<f32>,
    sums: RawSliceMut<i32>,
) -> Result<QuantizedRow<'a>, KernelError> {
    // SAFETY: promised by the caller.
    unsafe {
        Ok(QuantizedRow {
            q: q.get()?,
            scales: scales.get()?,
            sums: sums.get()?,
        })
    }
}

/// # Safety
/// As for [`pack`], and `result` points to a `u64` of the caller's.
pub unsafe fn probe_read<K: Kernel>(kernel: &K, args: *const ProbeRaw) -> Status {
    guard("probe_read", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        // SAFETY: promised by the caller.
        let data = unsafe { a.data.get() }?;
        // SAFETY: null or valid, as promised.
        let result = unsafe { a.result.as_mut() }.ok_or(KernelError::BadArgument("result"))?;
        *result = kernel.probe_read(data, a.count as usize)?;
        Ok(())
    })
}

/// # Safety
/// As for [`probe_read`].
pub unsafe fn probe_int8<K: Kernel>(kernel: &K, args: *const ProbeRaw) -> Status {
    guard("probe_int8", || {
        // SAFETY: promised by the caller.
        let a = unsafe { arguments(args) }?;
        // SAFETY: null or valid, as promised.
        let result = unsafe { a.result.as_mut() }.ok_or(KernelError::BadArgument("result"))?;
        *result = kernel.probe_int8(a.count)?;
        Ok(())
    })
}

/// Exports a kernel as the data symbol `tritone_kernel_<name>` and as `pub static TABLE`.
///
/// ```ignore
/// tritone_abi::export_kernel! {
///     static KERNEL: Avx2 = Avx2;          // a unit struct that implements `Kernel`
///     symbol: tritone_kernel_avx2,
///     name: "avx2",
///     isa: "AVX2, FMA, F16C",
///     layout: tritone_abi::LayoutId::T2R32,
///     row_align: 32,
///     ops: tritone_abi::Ops::ALL,
/// }
/// ```
#[macro_export]
macro_rules! export_kernel {
    (
        static $kernel:ident: $type:ty = $value:expr;
        symbol: $symbol:ident,
        name: $name:literal,
        isa: $isa:literal,
        layout: $layout:expr,
        row_align: $row_align:literal,
        ops: $ops:expr $(,)?
    ) => {
        static $kernel: $type = $value;

        /// The facts behind this kernel's table.
        pub(crate) fn facts() -> &'static $crate::Facts {
            static FACTS: std::sync::OnceLock<$crate::Facts> = std::sync::OnceLock::new();
            FACTS.get_or_init(|| $crate::host::facts_of(&$symbol.header))
        }

        $crate::export_kernel!(@shims $kernel);

        /// This plugin's table, as the loader finds it in the shared library. Linked statically
        /// it is the same table.
        // SAFETY: the name carries the plugin's own name, so no other symbol has it.
        #[unsafe(no_mangle)]
        #[allow(non_upper_case_globals)]
        pub static $symbol: $crate::table::KernelTable = $crate::table::KernelTable {
            header: $crate::table::Header {
                size: $crate::table::TABLE_BYTES as u32,
                abi_version: $crate::ABI_VERSION,
                magic: $crate::MAGIC,
                name: $crate::table::text($name),
                version: $crate::table::text(env!("CARGO_PKG_VERSION")),
                build_id: $crate::table::text(if cfg!(debug_assertions) {
                    concat!(env!("CARGO_PKG_VERSION"), "-dev")
                } else {
                    concat!(env!("CARGO_PKG_VERSION"), "-release")
                }),
                isa: $crate::table::text($isa),
                layout: $layout.0,
                row_align: $row_align,
                ops: $ops.0,
                reserved: 0,
            },
            score: Some(shims::score),
            scratch_bytes: Some(shims::scratch_bytes),
            packed_bytes: Some(shims::packed_bytes),
            pack: if $ops.contains($crate::Ops::MATMUL) { Some(shims::pack) } else { None },
            matmul: if $ops.contains($crate::Ops::MATMUL) { Some(shims::matmul) } else { None },
            head: if $ops.contains($crate::Ops::HEAD) { Some(shims::head) } else { None },
            quantize: if $ops.contains($crate::Ops::QUANTIZE) { Some(shims::quantize) } else { None },
            rms_norm: if $ops.contains($crate::Ops::RMS_NORM) { Some(shims::rms_norm) } else { None },
            rope: if $ops.contains($crate::Ops::ROPE) { Some(shims::rope) } else { None },
            gate: if $ops.contains($crate::Ops::GATE) { Some(shims::gate) } else { None },
            attend: if $ops.contains($crate::Ops::ATTEND) { Some(shims::attend) } else { None },
            probe_read: if $ops.contains($crate::Ops::PROBE) {
                Some(shims::probe_read)
            } else {
                None
            },
            probe_int8: if $ops.contains($crate::Ops::PROBE) {
                Some(shims::probe_int8)
            } else {
                None
            },
            attend_merge: if $ops.contains($crate::Ops::ATTEND) {
                Some(shims::attend_merge)
            } else {
                None
            },
            norm_quantize: if $ops.contains($crate::Ops::FUSED) {
                Some(shims::norm_quantize)
            } else {
                None
            },
            gate_quantize: if $ops.contains($crate::Ops::FUSED) {
                Some(shims::gate_quantize)
            } else {
                None
            },
        };

        /// [`KernelTable`](tritone_abi::table::KernelTable) for linking this plugin statically.
        pub static TABLE: &$crate::table::KernelTable = &$symbol;
    };
    (@shims $kernel:ident) => {
        mod shims {
            use super::$kernel as KERNEL;
            use $crate::{ScratchNeed, Status, export, table};

            $crate::export_kernel!(@shim score, *mut table::ScoreOut, Status);
            $crate::export_kernel!(@shim scratch_bytes, *const ScratchNeed, usize);
            $crate::export_kernel!(@shim pack, *const table::PackRaw, Status);
            $crate::export_kernel!(@shim matmul, *const table::MatmulRaw, Status);
            $crate::export_kernel!(@shim head, *const table::HeadRaw, Status);
            $crate::export_kernel!(@shim quantize, *const table::QuantizeRaw, Status);
            $crate::export_kernel!(@shim rms_norm, *const table::NormRaw, Status);
            $crate::export_kernel!(@shim rope, *const table::RopeRaw, Status);
            $crate::export_kernel!(@shim gate, *const table::GateRaw, Status);
            $crate::export_kernel!(@shim attend, *const table::AttendRaw<'static>, Status);
            $crate::export_kernel!(@shim probe_read, *const table::ProbeRaw, Status);
            $crate::export_kernel!(@shim probe_int8, *const table::ProbeRaw, Status);
            $crate::export_kernel!(@shim attend_merge, *const table::MergeRaw, Status);
            $crate::export_kernel!(@shim norm_quantize, *const table::NormQuantizeRaw, Status);
            $crate::export_kernel!(@shim gate_quantize, *const table::GateQuantizeRaw, Status);

            pub(super) extern "C" fn packed_bytes(rows: usize, cols: usize) -> usize {
                export::packed_bytes(&KERNEL, rows, cols)
            }
        }
    };
    (@shim $op:ident, $args:ty, $out:ty) => {
        #[allow(dead_code, reason = "a partial kernel does not export every operation")]
        pub(super) unsafe extern "C" fn $op(args: $args) -> $out {
            // SAFETY: the host's promise about `args` is passed on unchanged.
            unsafe { export::$op(&KERNEL, args) }
        }
    };
}

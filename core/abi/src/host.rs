//! The host's side of the boundary: a C table as a [`Kernel`].

use crate::args::{
    Activations, GateKind, MatOut, PackArgs, QuantizedRow, RopeArgs, ScratchNeed, TernaryMatrix,
    WeightScales,
};
use crate::attend::{AttendArgs, KvPage, check_merge};
use crate::error::KernelError;
use crate::export::{check_lengths, check_matmul};
use crate::head::{HeadInput, HeadMatrix};
use crate::kernel::{Facts, Kernel, Norm, Ops, Score};
use crate::layout::LayoutId;
use crate::table::{
    ActivationsRaw, AttendRaw, Call, GateQuantizeRaw, GateRaw, HeadRaw, Header, KernelTable,
    MatmulRaw, MergeRaw, NormQuantizeRaw, NormRaw, OutRaw, PackRaw, ProbeRaw, QuantizeRaw,
    RawSlice, RopeRaw, ScoreOut, TABLE_BYTES, text_of,
};
use crate::{ABI_VERSION, MAGIC};

/// Why a table's header is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The magic bytes are others.
    Magic([u8; 8]),
    /// Built for another version of the contract.
    Version {
        /// What the plugin says.
        found: u32,
        /// What this program speaks.
        expected: u32,
    },
    /// The table is shorter than its version demands.
    Short {
        /// Bytes the plugin declares.
        found: u32,
        /// Bytes needed.
        expected: usize,
    },
    /// The name is empty, not printable UTF-8, or not lower-case `a-z0-9_-`.
    Name,
    /// An operation is announced whose function is missing, or the other way round.
    Ops(&'static str),
    /// `row_align` is not a positive multiple of 16, or a text is not printable UTF-8.
    Fact(&'static str),
}

impl core::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Magic(found) => write!(
                f,
                "wrong magic: expected \"TRITONEK\", found {:?}",
                String::from_utf8_lossy(found)
            ),
            Self::Version { found, expected } => write!(
                f,
                "built for kernel ABI {found}, this program speaks {expected}; rebuild the plugin \
                 against this version"
            ),
            Self::Short { found, expected } => {
                write!(
                    f,
                    "table too short: {found} bytes declared, {expected} needed"
                )
            }
            Self::Name => write!(f, "the name is not 1 to 32 of a-z, 0-9, '_' and '-'"),
            Self::Ops(op) => write!(f, "operation `{op}` is announced but missing, or hidden"),
            Self::Fact(fact) => write!(f, "the table's {fact} is not usable"),
        }
    }
}

impl core::error::Error for HeaderError {}

/// Checks a header: magic, version, length, name and facts, in this order.
///
/// # Errors
/// The first rule that is broken.
pub fn check_header(header: &Header) -> Result<(), HeaderError> {
    if header.magic != MAGIC {
        return Err(HeaderError::Magic(header.magic));
    }
    if header.abi_version != ABI_VERSION {
        let found = header.abi_version;
        return Err(HeaderError::Version {
            found,
            expected: ABI_VERSION,
        });
    }
    if (header.size as usize) < TABLE_BYTES {
        return Err(HeaderError::Short {
            found: header.size,
            expected: TABLE_BYTES,
        });
    }
    let name = text_of(&header.name).unwrap_or("");
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(HeaderError::Name);
    }
    for (fact, text) in [
        ("version", &header.version[..]),
        ("build id", &header.build_id),
        ("isa", &header.isa),
    ] {
        text_of(text).ok_or(HeaderError::Fact(fact))?;
    }
    if header.row_align == 0 || !header.row_align.is_multiple_of(16) || header.row_align > 1024 {
        return Err(HeaderError::Fact("row alignment"));
    }
    Ok(())
}

/// The facts in a header; texts that are not printable become empty.
#[must_use]
pub fn facts_of(header: &Header) -> Facts {
    let text = |bytes: &[u8]| text_of(bytes).unwrap_or("").to_owned();
    Facts {
        name: text(&header.name),
        version: text(&header.version),
        build_id: text(&header.build_id),
        isa: text(&header.isa),
        layout: LayoutId(header.layout),
        row_align: header.row_align as usize,
        ops: Ops(header.ops),
    }
}

/// A kernel behind a C table. Arguments are checked here too, before they cross.
pub struct TableKernel {
    table: &'static KernelTable,
    facts: Facts,
}

impl core::fmt::Debug for TableKernel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TableKernel")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl TableKernel {
    /// Wraps a table after checking its header and that announced operations are present.
    ///
    /// # Errors
    /// What [`check_header`] finds, or operations that do not match the functions.
    ///
    /// # Safety
    /// The table's functions fulfil the contract of this crate and stay mapped for ever. For a
    /// table that [`export_kernel!`](crate::export_kernel) made and that is linked statically, or
    /// lies in a library that is never closed, that holds.
    pub unsafe fn new(table: &'static KernelTable) -> Result<Self, HeaderError> {
        check_header(&table.header)?;
        let ops = Ops(table.header.ops);
        let pairs = [
            ("matmul", Ops::MATMUL, table.matmul.is_some()),
            ("matmul", Ops::MATMUL, table.pack.is_some()),
            ("head", Ops::HEAD, table.head.is_some()),
            ("quantize", Ops::QUANTIZE, table.quantize.is_some()),
            ("rms_norm", Ops::RMS_NORM, table.rms_norm.is_some()),
            ("rope", Ops::ROPE, table.rope.is_some()),
            ("gate", Ops::GATE, table.gate.is_some()),
            ("attend", Ops::ATTEND, table.attend.is_some()),
            ("attend_merge", Ops::ATTEND, table.attend_merge.is_some()),
            ("norm_quantize", Ops::FUSED, table.norm_quantize.is_some()),
            ("gate_quantize", Ops::FUSED, table.gate_quantize.is_some()),
            ("probe_read", Ops::PROBE, table.probe_read.is_some()),
            ("probe_int8", Ops::PROBE, table.probe_int8.is_some()),
        ];
        for (name, op, present) in pairs {
            if ops.contains(op) != present {
                return Err(HeaderError::Ops(name));
            }
        }
        if table.score.is_none() || table.scratch_bytes.is_none() || table.packed_bytes.is_none() {
            return Err(HeaderError::Ops("score, scratch_bytes, packed_bytes"));
        }
        Ok(Self {
            table,
            facts: facts_of(&table.header),
        })
    }

    fn call<A>(&self, op: &'static str, f: Call<A>, args: &A) -> Result<(), KernelError> {
        let f = f.ok_or(KernelError::Unsupported(op))?;
        // SAFETY: the arguments were built from checked borrows that outlive the call, and the
        // table keeps the contract (promise of `new`).
        let status = unsafe { f(args) };
        KernelError::from_status(status, op)
    }
}

fn out_raw(out: &mut MatOut<'_>) -> OutRaw {
    let range = out.range();
    OutRaw {
        base: out.base(),
        stride: out.stride(),
        tokens: out.tokens(),
        begin: range.start,
        end: range.end,
    }
}

fn activations_raw(x: &Activations<'_>) -> ActivationsRaw {
    ActivationsRaw {
        tokens: x.tokens,
        cols: x.cols,
        group: x.group,
        q: x.q.into(),
        scales: x.scales.into(),
        sums: x.sums.into(),
    }
}

impl Kernel for TableKernel {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn score(&self) -> Score {
        let failed = |reason: String| Score { rank: 0, reason };
        let Some(score) = self.table.score else {
            return failed("no score function".into());
        };
        let size = size_of::<ScoreOut>();
        let mut out = ScoreOut {
            size,
            rank: 0,
            reserved: 0,
            reason: [0; 240],
        };
        // SAFETY: `out` is ours and its size is set.
        match KernelError::from_status(unsafe { score(&raw mut out) }, "score") {
            Ok(()) => {
                let reason = text_of(&out.reason)
                    .unwrap_or("(unreadable reason)")
                    .to_owned();
                Score {
                    rank: out.rank,
                    reason,
                }
            }
            Err(error) => failed(error.to_string()),
        }
    }

    fn scratch_bytes(&self, need: &ScratchNeed) -> usize {
        // SAFETY: `need` is a valid struct.
        self.table.scratch_bytes.map_or(0, |f| unsafe { f(need) })
    }

    fn packed_bytes(&self, rows: usize, cols: usize) -> Option<usize> {
        let bytes = self.table.packed_bytes.map(|f| f(rows, cols))?;
        (bytes != usize::MAX).then_some(bytes)
    }

    fn pack(&self, args: &PackArgs<'_>, out: &mut [u8]) -> Result<(), KernelError> {
        let raw = PackRaw {
            size: size_of::<PackRaw>(),
            codes: args.codes.into(),
            rows: args.rows,
            cols: args.cols,
            out: out.into(),
        };
        self.call("pack", self.table.pack, &raw)
    }

    fn matmul(
        &self,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        w.check()?;
        x.check()?;
        check_matmul(w, x, out)?;
        if w.layout != self.facts.layout {
            return Err(KernelError::BadArgument(
                "weights are packed for another layout",
            ));
        }
        let (scale_kind, scale_group, scales): (u32, usize, RawSlice<f32>) = match &w.scales {
            WeightScales::Tensor(scale) => (0, 0, core::slice::from_ref(scale).into()),
            WeightScales::Row(scales) => (1, 0, (*scales).into()),
            WeightScales::Group { group, scales } => (2, *group, (*scales).into()),
        };
        let raw = MatmulRaw {
            size: size_of::<MatmulRaw>(),
            layout: w.layout.0,
            scale_kind,
            scale_group,
            scales,
            rows: w.rows,
            cols: w.cols,
            data: w.data.into(),
            x: activations_raw(x),
            out: out_raw(out),
            scratch: scratch.into(),
        };
        self.call("matmul", self.table.matmul, &raw)
    }

    fn head(
        &self,
        w: &HeadMatrix<'_>,
        x: &HeadInput<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        w.check(x, out.tokens(), out.range())?;
        let nothing = Activations {
            tokens: 0,
            cols: 1,
            group: 1,
            q: &[],
            scales: &[],
            sums: &[],
        };
        let (floats, xq): (&[f32], _) = match x {
            HeadInput::F32 { x, .. } => (x, &nothing),
            HeadInput::Int8(x) => (&[], x),
        };
        let raw = HeadRaw {
            size: size_of::<HeadRaw>(),
            format: w.format as u32,
            reserved: 0,
            rows: w.rows,
            cols: w.cols,
            data: w.data.into(),
            x: floats.into(),
            xq: activations_raw(xq),
            out: out_raw(out),
            scratch: scratch.into(),
        };
        self.call("head", self.table.head, &raw)
    }

    fn quantize(
        &self,
        x: &[f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        out.check(x.len(), group)?;
        let raw = QuantizeRaw {
            size: size_of::<QuantizeRaw>(),
            x: x.into(),
            group,
            q: (&mut *out.q).into(),
            scales: (&mut *out.scales).into(),
            sums: (&mut *out.sums).into(),
        };
        self.call("quantize", self.table.quantize, &raw)
    }

    fn rms_norm(
        &self,
        x: &[f32],
        weight: &[f32],
        eps: f32,
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        check_lengths(x.len(), [weight.len(), out.len()])?;
        let raw = NormRaw {
            size: size_of::<NormRaw>(),
            x: x.into(),
            weight: weight.into(),
            out: out.into(),
            eps,
        };
        self.call("rms_norm", self.table.rms_norm, &raw)
    }

    fn rope(&self, x: &mut [f32], args: &RopeArgs<'_>) -> Result<(), KernelError> {
        args.check(x.len())?;
        let raw = RopeRaw {
            size: size_of::<RopeRaw>(),
            x: x.into(),
            head_dim: args.head_dim,
            cos: args.cos.into(),
            sin: args.sin.into(),
            style: args.style as u32,
        };
        self.call("rope", self.table.rope, &raw)
    }

    fn gate(
        &self,
        kind: GateKind,
        gate: &[f32],
        up: &[f32],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        check_lengths(gate.len(), [up.len(), out.len()])?;
        let raw = GateRaw {
            size: size_of::<GateRaw>(),
            kind: kind as u32,
            gate: gate.into(),
            up: up.into(),
            out: out.into(),
        };
        self.call("gate", self.table.gate, &raw)
    }

    fn attend(
        &self,
        args: &AttendArgs<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Result<(), KernelError> {
        args.check(out)?;
        // SAFETY: only the lifetime changes; the callee uses the pages during the call alone.
        let pages: &[KvPage<'static>] =
            unsafe { core::slice::from_raw_parts(args.pages.as_ptr().cast(), args.pages.len()) };
        let raw = AttendRaw {
            size: size_of::<AttendRaw<'_>>(),
            q: args.q.into(),
            q_stride: args.q_stride,
            tokens: args.tokens,
            heads: args.heads,
            head_dim: args.head_dim,
            pages: pages.into(),
            first: args.first,
            len: args.len,
            window: args.window,
            scale: args.scale,
            partial: u32::from(args.partial),
            out: out_raw(out),
            scratch: scratch.into(),
        };
        self.call("attend", self.table.attend, &raw)
    }

    fn attend_merge(
        &self,
        heads: usize,
        head_dim: usize,
        acc: &mut [f32],
        next: &[f32],
    ) -> Result<(), KernelError> {
        check_merge(heads, head_dim, acc.len(), next.len())?;
        let raw = MergeRaw {
            size: size_of::<MergeRaw>(),
            heads,
            head_dim,
            acc: acc.into(),
            next: next.into(),
        };
        self.call("attend_merge", self.table.attend_merge, &raw)
    }

    fn norm_quantize(
        &self,
        x: &[f32],
        norm: Norm<'_>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        check_lengths(x.len(), [norm.weight.len(), work.len()])?;
        out.check(x.len(), group)?;
        if self.table.norm_quantize.is_none() {
            self.rms_norm(x, norm.weight, norm.eps, work)?;
            return self.quantize(work, group, out);
        }
        let raw = NormQuantizeRaw {
            size: size_of::<NormQuantizeRaw>(),
            x: x.into(),
            weight: norm.weight.into(),
            eps: norm.eps,
            reserved: 0,
            work: work.into(),
            group,
            q: (&mut *out.q).into(),
            scales: (&mut *out.scales).into(),
            sums: (&mut *out.sums).into(),
        };
        self.call("norm_quantize", self.table.norm_quantize, &raw)
    }

    fn gate_quantize(
        &self,
        (kind, gate, up): (GateKind, &mut [f32], &[f32]),
        norm: Option<Norm<'_>>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Result<(), KernelError> {
        check_lengths(gate.len(), [up.len(), work.len()])?;
        if let Some(norm) = norm {
            check_lengths(gate.len(), [norm.weight.len(), gate.len()])?;
        }
        out.check(gate.len(), group)?;
        if self.table.gate_quantize.is_none() {
            self.gate(kind, gate, up, work)?;
            let Some(norm) = norm else {
                return self.quantize(work, group, out);
            };
            self.rms_norm(work, norm.weight, norm.eps, gate)?;
            return self.quantize(gate, group, out);
        }
        let raw = GateQuantizeRaw {
            size: size_of::<GateQuantizeRaw>(),
            kind: kind as u32,
            eps: norm.map_or(0.0, |norm| norm.eps),
            gate: gate.into(),
            up: up.into(),
            weight: norm.map_or(&[][..], |norm| norm.weight).into(),
            work: work.into(),
            group,
            q: (&mut *out.q).into(),
            scales: (&mut *out.scales).into(),
            sums: (&mut *out.sums).into(),
        };
        self.call("gate_quantize", self.table.gate_quantize, &raw)
    }

    fn probe_read(&self, data: &[u8], prefetch: usize) -> Result<u64, KernelError> {
        let mut result = 0;
        let raw = ProbeRaw {
            size: size_of::<ProbeRaw>(),
            data: data.into(),
            count: prefetch as u64,
            result: &raw mut result,
        };
        self.call("probe_read", self.table.probe_read, &raw)?;
        Ok(result)
    }

    fn probe_int8(&self, rounds: u64) -> Result<u64, KernelError> {
        let mut result = 0;
        let nothing: &[u8] = &[];
        let raw = ProbeRaw {
            size: size_of::<ProbeRaw>(),
            data: nothing.into(),
            count: rounds,
            result: &raw mut result,
        };
        self.call("probe_int8", self.table.probe_int8, &raw)?;
        Ok(result)
    }
}

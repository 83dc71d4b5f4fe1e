//! The scalar kernel with a fault.

use tritone_abi::export::check_lengths;
use tritone_abi::head::weight as head_weight;
use tritone_abi::layout::t2r32;
use tritone_abi::numerics::f16_to_f32;
use tritone_abi::{
    Activations, AttendArgs, Cells, Facts, GateKind, HeadFormat, HeadInput, HeadMatrix, Kernel,
    KernelError, LayoutId, MatOut, Norm, Ops, PAGE_TOKENS, PackArgs, QuantizedRow, RopeArgs, Score,
    ScratchNeed, TernaryMatrix, WeightScales,
};
use tritone_scalar::Scalar;

use crate::{attention, rows};

/// What is wrong. Those with a name are planted into that operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The lowest bit of the last element is flipped.
    LastBit(&'static str),
    /// The last element is not written.
    Unwritten(&'static str),
    /// One element after the last is written too.
    Outside(&'static str),
    Panic(&'static str),
    /// Bad arguments are answered with success.
    Accepts(&'static str),
    /// The first element is written before the arguments are checked.
    WritesFirst(&'static str),
    /// Asks for 64 bytes and writes 65.
    ScratchOverrun,
    SumsOf16Bits,
    ScaleBySteps,
    GroupsUnfused,
    SaturatedPairs,
    HalfAwayFromZero,
    PaddingKept,
    NanIsLargest,
    SumInOrder,
    WeightFirst,
    RotationUnfused,
    StdExp,
    NanPassesRelu,
    QueriesScaledFirst,
    WindowOneMore,
    WindowOneLess,
    WindowOfWholePages,
    GarbageTimesZero,
    NeighbourScales,
    ValueScaleInSum,
    BlindLeftAlone,
    StateSwapped,
    MergeUnfused,
    NothingMerged,
    LaterFirst,
    PeakBeforeNorm,
    SquaresInOrder,
    NormForgotten,
    OneGroup,
    TailNotRead,
    RoundsLeftOut,
}

/// A kernel with a fault.
pub(crate) struct Planted {
    pub(crate) facts: Facts,
    pub(crate) rank: u32,
    pub(crate) reason: String,
    /// Bytes of scratch memory it asks for, and insists on.
    pub(crate) scratch: usize,
    /// What the constructor was told; the facts may claim something else.
    ops: Ops,
    fault: Fault,
}

pub(crate) type Outcome = Result<(), KernelError>;

impl Planted {
    pub(crate) fn new(ops: Ops, fault: Fault) -> Self {
        let mut facts = Scalar.facts().clone();
        facts.ops = ops;
        facts.name = "planted".to_owned();
        if !ops.contains(Ops::MATMUL) {
            facts.layout = LayoutId::NONE;
        }
        Self {
            facts,
            rank: 5,
            reason: "for tests".to_owned(),
            scratch: if fault == Fault::ScratchOverrun {
                64
            } else {
                0
            },
            ops,
            fault,
        }
    }

    fn needs(&self, ops: Ops, op: &'static str) -> Outcome {
        match self.ops.contains(ops) {
            true => Ok(()),
            false => Err(KernelError::Unsupported(op)),
        }
    }

    /// Runs the right operation on `out` with the faults that every operation can have. `last`
    /// and `first` find elements of the output.
    fn spoil<O: ?Sized, T: Copy>(
        &self,
        op: &'static str,
        out: &mut O,
        at: impl Fn(&mut O, bool) -> Option<*mut T>,
        flip: fn(T) -> T,
        run: impl FnOnce(&mut O) -> Outcome,
    ) -> Outcome {
        let planted = |fault: fn(&'static str) -> Fault| self.fault == fault(op);
        if planted(Fault::Panic) {
            panic!("planted");
        }
        let last = at(out, true);
        // SAFETY: `at` gives elements of the output.
        let before = last.map(|p| unsafe { p.read() });
        if let (true, Some(first)) = (planted(Fault::WritesFirst), at(out, false)) {
            // SAFETY: as above.
            unsafe { first.write(flip(first.read())) };
        }
        let result = run(out);
        if planted(Fault::Accepts) {
            return Ok(());
        }
        result?;
        if let (Some(last), Some(before)) = (last, before) {
            // SAFETY: as above; the element after the last is a guard value of the suite, which
            // the fault is to write.
            unsafe {
                if planted(Fault::LastBit) {
                    last.write(flip(last.read()));
                } else if planted(Fault::Unwritten) {
                    last.write(before);
                } else if planted(Fault::Outside) {
                    let beyond = last.add(1);
                    beyond.write(flip(beyond.read()));
                }
            }
        }
        Ok(())
    }

    fn spoil_matrix(
        &self,
        op: &'static str,
        out: &mut MatOut<'_>,
        run: impl FnOnce(&mut MatOut<'_>) -> Outcome,
    ) -> Outcome {
        let at = |out: &mut MatOut<'_>, last: bool| {
            let token = if last {
                out.tokens().checked_sub(1)?
            } else {
                0
            };
            let i = if last {
                out.range().len().checked_sub(1)?
            } else {
                0
            };
            (token < out.tokens() && i < out.range().len())
                // SAFETY: `i` lies in the row.
                .then(|| unsafe { out.row(token).as_mut_ptr().add(i) })
        };
        self.spoil(op, out, at, flip_float, run)
    }

    fn spoil_floats(
        &self,
        op: &'static str,
        out: &mut [f32],
        run: impl FnOnce(&mut [f32]) -> Outcome,
    ) -> Outcome {
        self.spoil(op, out, ends, flip_float, run)
    }

    /// The sums stand for the whole row.
    fn spoil_codes(
        &self,
        op: &'static str,
        out: &mut QuantizedRow<'_>,
        run: impl FnOnce(&mut QuantizedRow<'_>) -> Outcome,
    ) -> Outcome {
        let QuantizedRow { q, scales, sums } = out;
        self.spoil(
            op,
            &mut **sums,
            ends,
            |sum: i32| sum ^ 1,
            |sums| run(&mut QuantizedRow { q, scales, sums }),
        )
    }

    fn use_scratch(&self, scratch: &mut [u8]) -> Outcome {
        if scratch.len() < self.scratch {
            return Err(KernelError::BadArgument("too little scratch memory"));
        }
        scratch.fill(0xff);
        if self.fault == Fault::ScratchOverrun {
            // SAFETY: none; the byte after the scratch memory is a guard value of the suite.
            unsafe { scratch.as_mut_ptr().add(scratch.len()).write(1) };
        }
        Ok(())
    }
}

fn flip_float(v: f32) -> f32 {
    // A flipped bit of a NaN is still a NaN.
    if v.is_nan() {
        1.0
    } else {
        f32::from_bits(v.to_bits() ^ 1)
    }
}

fn ends<T>(out: &mut [T], last: bool) -> Option<*mut T> {
    let end = if last {
        out.last_mut()
    } else {
        out.first_mut()
    };
    // Through the slice's own pointer, so that the element after the last can be reached.
    end.map(|_| ())?;
    let i = if last { out.len() - 1 } else { 0 };
    // SAFETY: `i` lies in the slice.
    Some(unsafe { out.as_mut_ptr().add(i) })
}

impl Kernel for Planted {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn score(&self) -> Score {
        Score {
            rank: self.rank,
            reason: self.reason.clone(),
        }
    }

    fn scratch_bytes(&self, _: &ScratchNeed) -> usize {
        self.scratch
    }

    fn packed_bytes(&self, rows: usize, cols: usize) -> Option<usize> {
        let rows = rows.checked_next_multiple_of(self.facts.row_align.max(32))?;
        self.needs(Ops::MATMUL, "pack").ok()?;
        Scalar.packed_bytes(rows, cols)
    }

    fn pack(&self, args: &PackArgs<'_>, out: &mut [u8]) -> Outcome {
        self.needs(Ops::MATMUL, "pack")?;
        self.spoil(
            "pack",
            out,
            ends,
            |byte: u8| byte ^ 1,
            |out| {
                if self.packed_bytes(args.rows, args.cols) != Some(out.len()) {
                    return Err(KernelError::BadArgument("packed buffer"));
                }
                let own = Scalar.packed_bytes(args.rows, args.cols).unwrap_or(0);
                let (own, padding) = out.split_at_mut(own);
                Scalar.pack(args, own)?;
                padding.fill(0x55);
                if self.facts.layout != LayoutId::T2R32 {
                    out.iter_mut().for_each(|byte| *byte ^= 0x3c);
                }
                Ok(())
            },
        )
    }

    fn matmul(
        &self,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Outcome {
        self.needs(Ops::MATMUL, "matmul")?;
        self.use_scratch(scratch)?;
        self.spoil_matrix("matmul", out, |out| {
            let range = out.range();
            let align = self.facts.row_align.max(1);
            if w.layout != self.facts.layout
                || self.packed_bytes(w.rows, w.cols) != Some(w.data.len())
                || !range.start.is_multiple_of(align)
                || !(range.end.is_multiple_of(align) || range.end == w.rows)
            {
                return Err(KernelError::BadArgument("matmul"));
            }
            let mut data = w.data.to_vec();
            if self.facts.layout != LayoutId::T2R32 {
                data.iter_mut().for_each(|byte| *byte ^= 0x3c);
            }
            let own = Scalar.packed_bytes(w.rows, w.cols).unwrap_or(0);
            let w = TernaryMatrix {
                layout: LayoutId::T2R32,
                data: &data[..own],
                ..*w
            };
            Scalar.matmul(&w, x, out, &mut [])?;
            spoil_product(self.fault, &w, x, out);
            Ok(())
        })
    }

    fn head(
        &self,
        w: &HeadMatrix<'_>,
        x: &HeadInput<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Outcome {
        self.needs(Ops::HEAD, "head")?;
        self.use_scratch(scratch)?;
        self.spoil_matrix("head", out, |out| {
            Scalar.head(w, x, out, &mut [])?;
            match x {
                HeadInput::Int8(x)
                    if self.fault == Fault::SaturatedPairs && w.format == HeadFormat::Q8 =>
                {
                    saturate_pairs(w, x, out);
                }
                _ => {}
            }
            Ok(())
        })
    }

    fn quantize(&self, x: &[f32], group: usize, out: &mut QuantizedRow<'_>) -> Outcome {
        self.needs(Ops::QUANTIZE, "quantize")?;
        self.spoil_codes("quantize", out, |out| {
            let padding: Vec<i8> = out.q.get(x.len()..).unwrap_or(&[]).to_vec();
            Scalar.quantize(x, group, out)?;
            match self.fault {
                Fault::PaddingKept => out.q[x.len()..].copy_from_slice(&padding),
                Fault::HalfAwayFromZero => {
                    for (i, x) in x.iter().enumerate() {
                        let factor = 1.0 / out.scales[i / group];
                        if x.is_finite() && factor == 1.0 {
                            out.q[i] = x.round() as i8;
                        }
                    }
                }
                Fault::NanIsLargest if x.iter().any(|v| v.is_nan()) => out.q.fill(0),
                _ => {}
            }
            Ok(())
        })
    }

    fn rms_norm(&self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) -> Outcome {
        self.needs(Ops::RMS_NORM, "rms_norm")?;
        self.spoil_floats("rms_norm", out, |out| {
            Scalar.rms_norm(x, weight, eps, out)?;
            let in_order = x.iter().fold(0.0f32, |acc, v| v.mul_add(*v, acc));
            let lanes = tritone_abi::numerics::dot(x, x);
            let r = |sum: f32| 1.0 / (sum / x.len() as f32 + eps).sqrt();
            for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
                match self.fault {
                    Fault::SumInOrder => *out = (x * r(in_order)) * w,
                    Fault::WeightFirst => *out = x * (r(lanes) * w),
                    _ => {}
                }
            }
            Ok(())
        })
    }

    fn rope(&self, x: &mut [f32], args: &RopeArgs<'_>) -> Outcome {
        self.needs(Ops::ROPE, "rope")?;
        self.spoil_floats("rope", x, |x| {
            let old = x.to_vec();
            Scalar.rope(x, args)?;
            if self.fault == Fault::RotationUnfused && args.style == tritone_abi::RopeStyle::Half {
                let pairs = args.cos.len();
                for (head, old) in x
                    .chunks_exact_mut(args.head_dim)
                    .zip(old.chunks_exact(args.head_dim))
                {
                    for i in 0..pairs {
                        head[i] = old[i] * args.cos[i] - old[i + pairs] * args.sin[i];
                    }
                }
            }
            Ok(())
        })
    }

    fn gate(&self, kind: GateKind, gate: &[f32], up: &[f32], out: &mut [f32]) -> Outcome {
        self.needs(Ops::GATE, "gate")?;
        self.spoil_floats("gate", out, |out| {
            Scalar.gate(kind, gate, up, out)?;
            for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
                match (self.fault, kind) {
                    (Fault::StdExp, GateKind::Silu) => *out = gate / (1.0 + (-gate).exp()) * up,
                    (Fault::NanPassesRelu, GateKind::Relu2) if gate.is_nan() => *out = *gate,
                    _ => {}
                }
            }
            Ok(())
        })
    }

    fn probe_read(&self, data: &[u8], prefetch: usize) -> Result<u64, KernelError> {
        self.needs(Ops::PROBE, "probe_read")?;
        let data = match self.fault {
            Fault::TailNotRead => &data[..data.len() / 8 * 8],
            _ => data,
        };
        Scalar.probe_read(data, prefetch)
    }

    fn probe_int8(&self, rounds: u64) -> Result<u64, KernelError> {
        self.needs(Ops::PROBE, "probe_int8")?;
        let rounds = if self.fault == Fault::RoundsLeftOut {
            rounds.min(1)
        } else {
            rounds
        };
        Scalar.probe_int8(rounds)
    }

    fn attend(&self, args: &AttendArgs<'_>, out: &mut MatOut<'_>, scratch: &mut [u8]) -> Outcome {
        self.needs(Ops::ATTEND, "attend")?;
        self.use_scratch(scratch)?;
        self.spoil_matrix("attend", out, |out| {
            args.check(out)?;
            let scaled: Vec<f32> = args.q.iter().map(|q| q * args.scale).collect();
            let mut args = *args;
            match self.fault {
                Fault::WindowOneMore if args.window > 0 => args.window += 1,
                Fault::WindowOneLess if args.window > 1 => args.window -= 1,
                Fault::WindowOfWholePages if args.window > 0 => {
                    let oldest = args.len.saturating_sub(args.window);
                    args.window += oldest % PAGE_TOKENS;
                }
                Fault::QueriesScaledFirst => (args.q, args.scale) = (&scaled, 1.0),
                _ => {}
            }
            let before = out.row(0).to_vec();
            Scalar.attend(&args, out, &mut [])?;
            attention::spoil(self.fault, &args, &before, out)?;
            if self.fault == Fault::GarbageTimesZero {
                let last = args.pages.last().and_then(|page| match page.cells() {
                    Cells::F16 { v, .. } => v.last(),
                    _ => None,
                });
                let garbage = f16_to_f32(last.copied().unwrap_or(0));
                out.row(0)[0] += garbage * 0.0;
            }
            Ok(())
        })
    }

    fn attend_merge(
        &self,
        heads: usize,
        head_dim: usize,
        acc: &mut [f32],
        next: &[f32],
    ) -> Outcome {
        self.needs(Ops::ATTEND, "attend_merge")?;
        self.spoil_floats("attend_merge", acc, |acc| {
            let old = acc.to_vec();
            Scalar.attend_merge(heads, head_dim, acc, next)?;
            attention::spoil_merge(self.fault, (heads, head_dim), acc, &old, next)
        })
    }

    fn norm_quantize(
        &self,
        x: &[f32],
        norm: Norm<'_>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Outcome {
        self.needs(Ops::FUSED, "norm_quantize")?;
        self.spoil_codes("norm_quantize", out, |out| {
            check_lengths(x.len(), [norm.weight.len(), work.len()])?;
            out.check(x.len(), group)?;
            rows::norm(self.fault, x, norm, work, group, out)
        })
    }

    fn gate_quantize(
        &self,
        (kind, gate, up): (GateKind, &mut [f32], &[f32]),
        norm: Option<Norm<'_>>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Outcome {
        self.needs(Ops::FUSED, "gate_quantize")?;
        self.spoil_codes("gate_quantize", out, |out| {
            let weights = norm.map_or(gate.len(), |norm| norm.weight.len());
            check_lengths(gate.len(), [up.len(), work.len()])?;
            check_lengths(gate.len(), [weights, gate.len()])?;
            out.check(gate.len(), group)?;
            Scalar.gate(kind, gate, up, work)?;
            match norm.filter(|_| self.fault != Fault::NormForgotten) {
                None => Scalar.quantize(work, group, out),
                Some(norm) => rows::norm(self.fault, work, norm, gate, group, out),
            }
        })
    }
}

/// The product with other arithmetic, row by row.
fn spoil_product(fault: Fault, w: &TernaryMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    let range = out.range();
    for t in 0..x.tokens {
        for r in range.clone() {
            let product =
                |c: usize| i32::from(t2r32::weight(w.data, w.cols, r, c)) * i32::from(x.row(t)[c]);
            let cell = &mut out.row(t)[r - range.start];
            match (fault, w.scales) {
                (Fault::SumsOf16Bits, WeightScales::Tensor(scale)) => {
                    let sum = (0..w.cols).fold(0i16, |acc, c| acc.wrapping_add(product(c) as i16));
                    *cell = f32::from(sum) * (scale * x.scales[t]);
                }
                (Fault::ScaleBySteps, WeightScales::Row(scales)) => {
                    let sum: i32 = (0..w.cols).map(product).sum();
                    *cell = sum as f32 * scales[r] * x.scales[t];
                }
                (Fault::GroupsUnfused, WeightScales::Group { group, scales }) => {
                    let groups = w.cols / group;
                    *cell = (0..groups).fold(0.0, |acc, g| {
                        let sum: i32 = (g * group..(g + 1) * group).map(product).sum();
                        let scale = scales[(r / 32 * groups + g) * 32 + r % 32];
                        acc + sum as f32 * (scale * x.scales[t * groups + g])
                    });
                }
                _ => return,
            }
        }
    }
}

/// Q8 logits by 16-bit saturating pair sums of codes and activations, as one instruction does it.
fn saturate_pairs(w: &HeadMatrix<'_>, x: &Activations<'_>, out: &mut MatOut<'_>) {
    let range = out.range();
    for t in 0..x.tokens {
        for r in range.clone() {
            let mut acc = 0.0f32;
            for g in 0..w.cols / 32 {
                let mut sum = -128 * x.sums[t * (w.cols / 32) + g];
                for c in (g * 32..g * 32 + 32).step_by(2) {
                    let code = |c| head_weight(w.format, w.data, w.cols, r, c).0 + 128;
                    let q = |c: usize| i32::from(x.row(t)[c]);
                    let pair = code(c) * q(c) + code(c + 1) * q(c + 1);
                    sum += pair.clamp(-32768, 32767);
                }
                let scale = head_weight(w.format, w.data, w.cols, r, g * 32).1;
                acc = (sum as f32).mul_add(scale * x.scales[t * (w.cols / 32) + g], acc);
            }
            out.row(t)[r - range.start] = acc;
        }
    }
}

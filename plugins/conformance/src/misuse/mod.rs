//! Arguments that contradict each other: a kernel refuses them before it writes anything.

mod attend;
mod fused;
mod head;
mod matmul;
mod rows;

pub(crate) use attend::{attend_cases, merge_cases};
pub(crate) use fused::{gate_quantize_cases, norm_quantize_cases};
pub(crate) use head::head_cases;
pub(crate) use matmul::{matmul_cases, pack_cases};
pub(crate) use rows::{gate_cases, norm_cases, quantize_cases, rope_cases};

use tritone_abi::{
    GateKind, HeadFormat, Kernel, KernelError, PackArgs, QuantizedRow, RopeArgs, RopeStyle,
    TernaryMatrix, WeightScales,
};
use tritone_scalar::Scalar;

use crate::data::{Inputs, Output, POISON, Quantized, Rng, canonical, scratch_of};
use crate::suite::{Outcome, Verdict, worked};
use attend::Attention;
use head::Logits;

/// Whether bad arguments were answered as they should be.
fn refused(result: Result<(), KernelError>) -> Result<(), String> {
    match result {
        Err(KernelError::BadArgument(_) | KernelError::Unsupported(_)) => Ok(()),
        Ok(()) => Err("accepted bad arguments".to_owned()),
        Err(error) => Err(format!("bad arguments were not refused cleanly: {error}")),
    }
}

/// The verdict on an operation that was refused: `same` when its outputs are as before.
fn verdict(same: bool) -> Verdict {
    if same {
        Ok(Outcome::Passed)
    } else {
        Err("wrote in spite of bad arguments".to_owned())
    }
}

/// Runs a good call with too little scratch memory: the kernel refuses, or does without.
fn starve(
    full: usize,
    rng: &mut Rng,
    mut call: impl FnMut(&mut Output, &mut [u8]) -> Result<(), KernelError>,
    output: impl Fn() -> Output,
) -> Verdict {
    let mut want = output();
    worked(call(&mut want, scratch_of(full, rng).get_mut()))?;
    for len in [0, full / 2, full.saturating_sub(1)] {
        let (mut got, mut scratch) = (output(), scratch_of(len, rng));
        match call(&mut got, scratch.get_mut()) {
            Ok(()) => got.same(&want)?,
            result => refused(result).and_then(|()| got.untouched())?,
        }
        scratch.intact("scratch memory")?;
    }
    Ok(Outcome::Passed)
}

/// A row range that is too long for anything, filled with zeros.
static ZEROS: [f32; 1 << 14] = [0.0; 1 << 14];

/// Calls `op` with good arguments, to see what a kernel without it answers.
pub(crate) fn plain_call(kernel: &dyn Kernel, op: &str) -> Result<(), KernelError> {
    let rng = &mut Rng::new(0, op, 0);
    let failed = |_| KernelError::Internal(0);
    let mut out = [POISON; 64];
    match op {
        "pack" | "matmul" => {
            let codes = canonical(64, 64, || rng.below(3) as u8);
            let args = PackArgs {
                codes: &codes,
                rows: 64,
                cols: 64,
            };
            let mut data = vec![0; 64 * 16];
            if op == "pack" {
                return kernel.pack(&args, &mut data);
            }
            Scalar.pack(&args, &mut data)?;
            let w = TernaryMatrix {
                layout: kernel.facts().layout,
                rows: 64,
                cols: 64,
                scales: WeightScales::Tensor(1.0),
                data: &data,
            };
            let x = Quantized::new((1, 64, 64), Inputs::Random, rng).map_err(failed)?;
            let mut out = Output::new(1, 64, 0..64, 0);
            kernel.matmul(&w, &x.view(), &mut out.view()?, &mut [])
        }
        "head" => Logits::with(HeadFormat::F16, rng, |l, _| {
            let mut out = Output::new(l.tokens, l.w.rows, l.range.clone(), 0);
            let result = out
                .view()
                .and_then(|mut out| kernel.head(&l.w, &l.x, &mut out, &mut []));
            Ok(result)
        })
        .map_err(failed)
        .flatten(),
        "quantize" => {
            let (mut q, mut scales, mut sums) = ([0; 64], [0.0], [0]);
            let mut out = QuantizedRow {
                q: &mut q,
                scales: &mut scales,
                sums: &mut sums,
            };
            kernel.quantize(&ZEROS[..64], 64, &mut out)
        }
        "rms_norm" => kernel.rms_norm(&ZEROS[..64], &ZEROS[..64], 1e-5, &mut out),
        "rope" => {
            let args = RopeArgs {
                head_dim: 64,
                cos: &ZEROS[..32],
                sin: &ZEROS[..32],
                style: RopeStyle::Half,
            };
            kernel.rope(&mut out, &args)
        }
        "gate" => kernel.gate(GateKind::Silu, &ZEROS[..64], &ZEROS[..64], &mut out),
        "attend_merge" => kernel.attend_merge(1, 62, &mut out, &ZEROS[..64]),
        "probe" => kernel
            .probe_read(&[0; 64], 0)
            .and(kernel.probe_int8(1))
            .map(drop),
        _ => Attention::with(rng, |a, _| {
            let mut out = Output::new(a.tokens, a.range.len(), a.range.clone(), 0);
            let result = out
                .view()
                .and_then(|mut out| kernel.attend(&a.args, &mut out, &mut []));
            Ok(result)
        })
        .map_err(failed)
        .flatten(),
    }
}

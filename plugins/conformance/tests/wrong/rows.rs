//! Faults of the operations that do several at once.

use tritone_abi::{Kernel, Norm, QuantizedRow, numerics};
use tritone_scalar::Scalar;

use crate::faults::{Fault, Outcome};

/// Norm and quantisation of checked arguments.
pub(crate) fn norm(
    fault: Fault,
    x: &[f32],
    norm: Norm<'_>,
    work: &mut [f32],
    group: usize,
    out: &mut QuantizedRow<'_>,
) -> Outcome {
    Scalar.rms_norm(x, norm.weight, norm.eps, work)?;
    if fault == Fault::SquaresInOrder {
        let squares = x.iter().fold(0.0f32, |acc, v| v.mul_add(*v, acc));
        let r = 1.0 / (squares / x.len() as f32 + norm.eps).sqrt();
        for ((out, x), w) in work.iter_mut().zip(x).zip(norm.weight) {
            *out = (x * r) * w;
        }
    }
    Scalar.quantize(work, group, out)?;
    match fault {
        Fault::PeakBeforeNorm => {
            for (scale, x) in out.scales.iter_mut().zip(x.chunks(group)) {
                *scale = numerics::activation_scale(numerics::abs_max(x));
            }
        }
        Fault::OneGroup => {
            let peak = numerics::abs_max(work);
            out.scales.fill(numerics::activation_scale(peak));
        }
        _ => {}
    }
    Ok(())
}

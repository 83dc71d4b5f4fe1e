//! A fenced run ends the process of a kernel that reads or writes one element too far, in every
//! operation.
#![cfg(unix)]
#![allow(unsafe_code, reason = "reading too far is the point")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use tritone_abi::{
    Activations, AttendArgs, Cells, Facts, GateKind, HeadInput, HeadMatrix, Kernel, KernelError,
    LayoutId, MatOut, Norm, Ops, PackArgs, QuantizedRow, RopeArgs, Score, TernaryMatrix,
};
use tritone_conformance::{Options, check_fenced};
use tritone_scalar::Scalar;

/// What is read one element too far, and in which operation.
const OVERREADS: [(&str, Ops); 19] = [
    ("packed weights", Ops::MATMUL),
    ("weight scales", Ops::MATMUL),
    ("activations", Ops::MATMUL),
    ("activation scales", Ops::MATMUL),
    ("activation sums", Ops::MATMUL),
    ("codes", Ops::MATMUL),
    ("head", Ops::HEAD),
    ("hidden state", Ops::HEAD),
    ("quantize", Ops::QUANTIZE),
    ("norm", Ops::RMS_NORM),
    ("norm weight", Ops::FUSED),
    ("rope", Ops::ROPE),
    ("cosines", Ops::ROPE),
    ("gate", Ops::GATE),
    ("queries", Ops::ATTEND),
    ("keys", Ops::ATTEND),
    ("values", Ops::ATTEND),
    ("key scales", Ops::ATTEND),
    ("merge", Ops::ATTEND),
];

struct Greedy {
    facts: Facts,
    reads: String,
}

impl Greedy {
    /// Reads the element behind `slice` if that is this kernel's fault.
    fn touch<T>(&self, what: &str, slice: &[T]) {
        if self.reads == what {
            // SAFETY: none; the read is to hit the fence.
            unsafe { core::ptr::read_volatile(slice.as_ptr().add(slice.len()).cast::<u8>()) };
        }
    }
}

type Outcome = Result<(), KernelError>;

impl Kernel for Greedy {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn score(&self) -> Score {
        Scalar.score()
    }

    fn packed_bytes(&self, rows: usize, cols: usize) -> Option<usize> {
        Scalar.packed_bytes(rows, cols)
    }

    fn pack(&self, args: &PackArgs<'_>, out: &mut [u8]) -> Outcome {
        Scalar.pack(args, out)?;
        self.touch("codes", args.codes);
        Ok(())
    }

    fn matmul(
        &self,
        w: &TernaryMatrix<'_>,
        x: &Activations<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Outcome {
        Scalar.matmul(w, x, out, scratch)?;
        self.touch("packed weights", w.data);
        if let tritone_abi::WeightScales::Row(scales) = w.scales {
            self.touch("weight scales", scales);
        }
        self.touch("activations", x.q);
        self.touch("activation scales", x.scales);
        self.touch("activation sums", x.sums);
        Ok(())
    }

    fn head(
        &self,
        w: &HeadMatrix<'_>,
        x: &HeadInput<'_>,
        out: &mut MatOut<'_>,
        scratch: &mut [u8],
    ) -> Outcome {
        Scalar.head(w, x, out, scratch)?;
        self.touch("head", w.data);
        if let HeadInput::F32 { x, .. } = x {
            self.touch("hidden state", x);
        }
        Ok(())
    }

    fn quantize(&self, x: &[f32], group: usize, out: &mut QuantizedRow<'_>) -> Outcome {
        Scalar.quantize(x, group, out)?;
        self.touch("quantize", x);
        Ok(())
    }

    fn rms_norm(&self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) -> Outcome {
        Scalar.rms_norm(x, weight, eps, out)?;
        self.touch("norm", out);
        Ok(())
    }

    fn norm_quantize(
        &self,
        x: &[f32],
        norm: Norm<'_>,
        work: &mut [f32],
        group: usize,
        out: &mut QuantizedRow<'_>,
    ) -> Outcome {
        Scalar.norm_quantize(x, norm, work, group, out)?;
        self.touch("norm weight", norm.weight);
        Ok(())
    }

    fn rope(&self, x: &mut [f32], args: &RopeArgs<'_>) -> Outcome {
        Scalar.rope(x, args)?;
        self.touch("rope", x);
        self.touch("cosines", args.cos);
        Ok(())
    }

    fn gate(&self, kind: GateKind, gate: &[f32], up: &[f32], out: &mut [f32]) -> Outcome {
        Scalar.gate(kind, gate, up, out)?;
        self.touch("gate", up);
        Ok(())
    }

    fn attend(&self, args: &AttendArgs<'_>, out: &mut MatOut<'_>, scratch: &mut [u8]) -> Outcome {
        Scalar.attend(args, out, scratch)?;
        self.touch("queries", args.q);
        match args.pages[0].cells() {
            Cells::F16 { k, v } => {
                self.touch("keys", k);
                self.touch("values", v);
            }
            Cells::F32 { k, v } => {
                self.touch("keys", k);
                self.touch("values", v);
            }
            Cells::Q8 { k_scales, .. } => self.touch("key scales", k_scales),
        }
        Ok(())
    }

    fn attend_merge(&self, heads: usize, dim: usize, acc: &mut [f32], next: &[f32]) -> Outcome {
        Scalar.attend_merge(heads, dim, acc, next)?;
        self.touch("merge", next);
        Ok(())
    }
}

/// Announces the operation that it spoils and nothing else.
fn greedy(reads: &str) -> Greedy {
    let found = OVERREADS.iter().find(|(what, _)| *what == reads);
    let mut facts = Scalar.facts().clone();
    facts.ops = found.map_or(Ops::GATE, |(_, ops)| *ops);
    if facts.ops != Ops::MATMUL {
        facts.layout = LayoutId::NONE;
    }
    Greedy {
        facts,
        reads: reads.to_owned(),
    }
}

/// What the child processes of the next test run.
#[test]
#[ignore = "ends the process"]
fn child() {
    let reads = std::env::var("OVERREAD").unwrap();
    let _ = check_fenced(&greedy(&reads), &Options::default());
}

#[test]
fn one_element_too_far_ends_the_process() {
    let run = |reads: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--ignored"]);
        command.env("OVERREAD", reads).output().unwrap().status
    };
    for (reads, _) in OVERREADS {
        let status = run(reads);
        // SIGSEGV, or SIGBUS on other systems.
        assert!(
            matches!(status.signal(), Some(7 | 10 | 11)),
            "{reads}: {status}"
        );
    }
    assert!(run("nothing").success());
}

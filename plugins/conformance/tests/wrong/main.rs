//! The suite finds wrong kernels: each fault here is one that a real kernel could have, planted
//! into the scalar kernel, in every operation.
#![allow(unsafe_code, reason = "one fault is a write outside the output")]

mod attention;
mod faults;
mod rows;

use faults::{Fault, Planted};
use tritone_abi::{Kernel, Ops};
use tritone_conformance::{Options, Report, check};

/// Checks a kernel with this fault that announces nothing but this operation.
fn found(op: &'static str, ops: Ops, fault: Fault) -> Report {
    let report = check(&Planted::new(ops, fault), &Options::default());
    let text = format!("{fault:?} in {op}:\n{report}");
    assert!(!report.is_ok(), "not found: {text}");
    assert!(
        report.failures.iter().any(|f| f.op == op),
        "elsewhere: {text}"
    );
    let fused = |op: &str| op.ends_with("_quantize");
    let related =
        |other: &str| other == op || (op, other) == ("pack", "matmul") || fused(op) && fused(other);
    assert!(
        report.failures.iter().all(|f| related(f.op)),
        "too much: {text}"
    );
    assert!(text.contains("FAILED"), "{text}");
    report
}

const ALL: [(&str, Ops); 11] = [
    ("pack", Ops::MATMUL),
    ("matmul", Ops::MATMUL),
    ("head", Ops::HEAD),
    ("quantize", Ops::QUANTIZE),
    ("rms_norm", Ops::RMS_NORM),
    ("rope", Ops::ROPE),
    ("gate", Ops::GATE),
    ("attend", Ops::ATTEND),
    ("attend_merge", Ops::ATTEND),
    ("norm_quantize", Ops::FUSED),
    ("gate_quantize", Ops::FUSED),
];

#[test]
fn a_bit_off_at_the_end_is_found_in_every_operation() {
    for (op, ops) in ALL {
        let report = found(op, ops, Fault::LastBit(op));
        let what = &report.failures[0].what;
        assert!(what.contains("expected"), "no values in: {what}");
    }
}

#[test]
fn an_output_left_unwritten_is_found_in_every_operation() {
    for (op, ops) in ALL {
        found(op, ops, Fault::Unwritten(op));
    }
}

#[test]
fn a_write_outside_the_output_is_found_in_every_operation() {
    for (op, ops) in ALL {
        let report = found(op, ops, Fault::Outside(op));
        let outside = |what: &str| what.contains("outside");
        assert!(report.failures.iter().any(|f| outside(&f.what)), "{report}");
    }
}

#[test]
fn a_panic_is_a_failure_in_every_operation() {
    for (op, ops) in ALL {
        let report = found(op, ops, Fault::Panic(op));
        assert!(
            report.failures[0].what.contains("panicked: planted"),
            "{report}"
        );
    }
}

#[test]
fn bad_arguments_that_are_accepted_are_found_in_every_operation() {
    for (op, ops) in ALL {
        let report = found(op, ops, Fault::Accepts(op));
        assert!(
            report.failures.iter().all(|f| f.shape.contains("bad ")),
            "{report}"
        );
    }
}

#[test]
fn writing_before_checking_is_found_in_every_operation() {
    for (op, ops) in ALL {
        found(op, ops, Fault::WritesFirst(op));
    }
}

#[test]
fn overrun_scratch_memory_is_found() {
    for (op, ops) in [
        ("matmul", Ops::MATMUL),
        ("head", Ops::HEAD),
        ("attend", Ops::ATTEND),
    ] {
        let report = found(op, ops, Fault::ScratchOverrun);
        assert!(report.failures[0].what.contains("scratch"), "{report}");
    }
}

#[test]
fn arithmetic_in_another_order_is_found() {
    for (op, ops, fault) in [
        ("matmul", Ops::MATMUL, Fault::SumsOf16Bits),
        ("matmul", Ops::MATMUL, Fault::ScaleBySteps),
        ("matmul", Ops::MATMUL, Fault::GroupsUnfused),
        ("head", Ops::HEAD, Fault::SaturatedPairs),
        ("quantize", Ops::QUANTIZE, Fault::HalfAwayFromZero),
        ("quantize", Ops::QUANTIZE, Fault::PaddingKept),
        ("quantize", Ops::QUANTIZE, Fault::NanIsLargest),
        ("rms_norm", Ops::RMS_NORM, Fault::SumInOrder),
        ("rms_norm", Ops::RMS_NORM, Fault::WeightFirst),
        ("rope", Ops::ROPE, Fault::RotationUnfused),
        ("gate", Ops::GATE, Fault::StdExp),
        ("gate", Ops::GATE, Fault::NanPassesRelu),
        ("attend", Ops::ATTEND, Fault::QueriesScaledFirst),
        ("attend", Ops::ATTEND, Fault::WindowOneMore),
        ("attend", Ops::ATTEND, Fault::WindowOneLess),
        ("attend", Ops::ATTEND, Fault::WindowOfWholePages),
        ("attend", Ops::ATTEND, Fault::GarbageTimesZero),
        ("attend", Ops::ATTEND, Fault::NeighbourScales),
        ("attend", Ops::ATTEND, Fault::ValueScaleInSum),
        ("attend", Ops::ATTEND, Fault::BlindLeftAlone),
        ("attend", Ops::ATTEND, Fault::StateSwapped),
        ("attend_merge", Ops::ATTEND, Fault::MergeUnfused),
        ("attend_merge", Ops::ATTEND, Fault::NothingMerged),
        ("attend_merge", Ops::ATTEND, Fault::LaterFirst),
        ("norm_quantize", Ops::FUSED, Fault::PeakBeforeNorm),
        ("norm_quantize", Ops::FUSED, Fault::SquaresInOrder),
        ("norm_quantize", Ops::FUSED, Fault::OneGroup),
        ("gate_quantize", Ops::FUSED, Fault::SquaresInOrder),
        ("gate_quantize", Ops::FUSED, Fault::NormForgotten),
        ("probe", Ops::PROBE, Fault::TailNotRead),
        ("probe", Ops::PROBE, Fault::RoundsLeftOut),
    ] {
        found(op, ops, fault);
    }
}

#[test]
fn unusable_facts_are_found() {
    let change = |change: fn(&mut Planted)| {
        let mut kernel = Planted::new(Ops::ALL, Fault::None);
        change(&mut kernel);
        check(&kernel, &Options::default())
    };
    for (i, report) in [
        change(|k| k.facts.name.clear()),
        change(|k| k.facts.name.push('Ä')),
        change(|k| k.facts.row_align = 0),
        change(|k| k.facts.row_align = 24),
        change(|k| k.facts.ops = Ops(0)),
        change(|k| k.facts.ops = Ops(0x3ff)),
        change(|k| k.facts.layout = tritone_abi::LayoutId::NONE),
        change(|k| k.reason.clear()),
    ]
    .iter()
    .enumerate()
    {
        assert!(
            report.failures.iter().any(|f| f.op == "facts"),
            "{i}: {report}"
        );
    }
}

#[test]
fn a_kernel_that_cannot_run_here_is_not_run() {
    let mut kernel = Planted::new(Ops::ALL, Fault::Panic("matmul"));
    kernel.rank = 0;
    kernel.reason = "needs a vector unit".to_owned();
    let report = check(&kernel, &Options::default());
    assert_eq!(report.cannot_run(), Some("needs a vector unit"));
    assert!(!report.is_ok() && report.failures.is_empty());
    assert!(report.to_string().contains("cannot run here"), "{report}");
}

#[test]
fn right_kernels_that_differ_from_the_oracle_pass() {
    // Another layout, scratch memory, coarser tiles.
    let mut kernel = Planted::new(Ops::ALL, Fault::None);
    kernel.facts.layout = tritone_abi::LayoutId(0x1234);
    kernel.facts.row_align = 64;
    kernel.scratch = 1000;
    let report = check(
        &kernel,
        &Options {
            seed: 3,
            ..Options::default()
        },
    );
    assert!(report.is_ok(), "{report}");
    // One operation only.
    for (op, ops) in &ALL[2..] {
        let kernel = Planted::new(*ops, Fault::None);
        let report = check(&kernel, &Options::default());
        assert!(report.is_ok(), "{report}");
        let announced = ALL.iter().filter(|(_, other)| other == ops).count();
        assert_eq!(report.skipped().count(), ALL.len() + 1 - announced);
        assert!(report.skipped().all(|skipped| skipped != *op));
    }
    // One that claims less than it does.
    let mut kernel = Planted::new(Ops::ALL, Fault::None);
    kernel.facts.ops = Ops(Ops::ALL.0 & !Ops::GATE.0);
    let report = check(&kernel, &Options::default());
    assert!(report.failures.iter().all(|f| f.op == "gate"), "{report}");
    assert_eq!(report.failures.len(), 1, "{report}");
    assert_eq!(kernel.facts().ops.0, 0x5f);
}

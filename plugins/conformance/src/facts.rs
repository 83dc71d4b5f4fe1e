//! What a kernel says of itself, before anything is executed.

use tritone_abi::{LayoutId, Ops, ScratchNeed};

use crate::suite::{Outcome, Suite};

fn rule(holds: bool, broken: &str) -> Result<Outcome, String> {
    if holds {
        Ok(Outcome::Passed)
    } else {
        Err(broken.to_owned())
    }
}

pub(crate) fn cases(suite: &mut Suite<'_>) {
    suite.case(format_args!("name"), |kernel, _| {
        let name = &kernel.facts().name;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        rule(
            (1..=32).contains(&name.len()) && name.bytes().all(plain),
            "the name is not 1 to 32 of a-z, 0-9, '_' and '-'",
        )
    });
    suite.case(format_args!("row_align"), |kernel, _| {
        let align = kernel.facts().row_align;
        rule(
            (16..=1024).contains(&align) && align.is_multiple_of(16),
            "row_align is not a multiple of 16 from 16 to 1024",
        )
    });
    suite.case(format_args!("ops"), |kernel, _| {
        let ops = kernel.facts().ops;
        rule(
            ops.0 != 0 && Ops::ALL.with(Ops::PROBE).with(Ops::FUSED).contains(ops),
            "announces nothing, or operations that do not exist",
        )
    });
    suite.case(format_args!("layout"), |kernel, _| {
        let facts = kernel.facts();
        rule(
            facts.ops.contains(Ops::MATMUL) == (facts.layout != LayoutId::NONE),
            "a layout goes with the ternary product, and only with it",
        )
    });
    suite.case(format_args!("score"), |kernel, _| {
        let (first, second) = (kernel.score(), kernel.score());
        rule(
            !first.reason.is_empty() && first == second,
            "the score has no reason, or changes from call to call",
        )
    });
    suite.case(format_args!("scratch_bytes"), |kernel, _| {
        let need = |n: usize| ScratchNeed {
            max_cols: n * 64,
            max_tokens: n,
            max_heads: n,
            max_head_dim: n * 16,
        };
        let bytes = [0, 1, 2, 8, 64].map(|n| kernel.scratch_bytes(&need(n)));
        rule(
            bytes.is_sorted(),
            "less scratch memory for larger shapes than for smaller ones",
        )
    });
    suite.case(
        format_args!("packed_bytes of absurd shapes"),
        |kernel, _| {
            let announced = kernel.facts().ops.contains(Ops::MATMUL);
            let absurd = kernel.packed_bytes(usize::MAX, usize::MAX);
            let usual = kernel.packed_bytes(2560, 6912);
            rule(
                absurd.is_none() && usual.is_some() == announced,
                "packed_bytes is not `None` exactly where it should be",
            )
        },
    );
}

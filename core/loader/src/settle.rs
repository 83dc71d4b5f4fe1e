//! Decides which of the kernels found are used: scores, bases of partial kernels, namesakes.

use std::cmp::Reverse;
use std::sync::Arc;

use tritone_abi::{Facts, Kernel, Ops, Score};

use crate::layered::Layered;
use crate::registry::{Found, Origin, State};

/// A kernel before the decision.
pub(crate) struct Entry {
    pub(crate) facts: Facts,
    pub(crate) origin: Origin,
    /// `None` when the kernel is disabled.
    pub(crate) kernel: Option<(Arc<dyn Kernel>, Score)>,
}

impl Entry {
    pub(crate) fn new(kernel: impl Kernel + 'static, origin: Origin) -> Self {
        let kernel: Arc<dyn Kernel> = Arc::new(kernel);
        Self {
            facts: kernel.facts().clone(),
            origin,
            kernel: Some((Arc::clone(&kernel), kernel.score())),
        }
    }

    pub(crate) fn disabled(facts: Facts, origin: Origin) -> Self {
        Self {
            facts,
            origin,
            kernel: None,
        }
    }

    fn is_complete(&self) -> bool {
        self.facts.ops.contains(Ops::ALL)
    }

    fn rank(&self) -> u32 {
        self.kernel.as_ref().map_or(0, |(_, score)| score.rank)
    }
}

/// The kernels with their states: usable ones first, best first. `entries` come in order of
/// precedence, which decides between equal ranks.
pub(crate) fn settle(entries: Vec<Entry>) -> Vec<Found> {
    // The base may itself be shadowed: a partial plugin called like a built-in kernel replaces
    // it, and still takes the other operations from it.
    let base = entries
        .iter()
        .filter(|e| e.is_complete() && e.rank() > 0)
        .min_by_key(|e| Reverse(e.rank()))
        .and_then(|e| Some((e.facts.name.clone(), Arc::clone(&e.kernel.as_ref()?.0))));
    let runs = |e: &Entry| e.rank() > 0 && (e.is_complete() || base.is_some());
    let mut found: Vec<Found> = Vec::with_capacity(entries.len());
    for entry in &entries {
        let winner = entries
            .iter()
            .filter(|e| runs(e) && e.facts.name == entry.facts.name)
            .min_by_key(|e| Reverse(e.rank()));
        let score = entry.kernel.as_ref().map(|(_, score)| score.clone());
        let mut usable = None;
        let mut under = None;
        let state = match (&entry.kernel, &score, winner) {
            (None, ..) | (_, None, _) => State::Disabled,
            (Some(_), Some(score), _) if score.rank == 0 => {
                State::CannotRun(or_silent(&score.reason))
            }
            (Some(_), Some(_), None) => State::CannotRun(format!(
                "implements only {}, and no complete kernel can run here for the rest",
                op_names(entry.facts.ops)
            )),
            (Some(_), Some(_), Some(winner)) if !std::ptr::eq(winner, entry) => State::Shadowed {
                by: winner.origin.clone(),
            },
            (Some((kernel, _)), ..) => {
                usable = Some(Arc::clone(kernel));
                if let Some((name, base)) = base.as_ref().filter(|_| !entry.is_complete()) {
                    under = Some(name.clone());
                    usable = Some(Arc::new(Layered::new(Arc::clone(kernel), Arc::clone(base))));
                }
                State::Usable
            }
        };
        found.push(Found {
            facts: entry.facts.clone(),
            score: score.unwrap_or_else(|| Score {
                rank: 0,
                reason: "disabled".to_owned(),
            }),
            origin: entry.origin.clone(),
            state,
            base: under,
            kernel: usable,
        });
    }
    found.sort_by_key(|f| (!f.is_usable(), Reverse(f.score.rank)));
    found
}

fn or_silent(reason: &str) -> String {
    if reason.is_empty() {
        "the kernel gives no reason".to_owned()
    } else {
        reason.to_owned()
    }
}

fn op_names(ops: Ops) -> String {
    let names = [
        (Ops::MATMUL, "matmul"),
        (Ops::HEAD, "head"),
        (Ops::QUANTIZE, "quantize"),
        (Ops::RMS_NORM, "rms_norm"),
        (Ops::ROPE, "rope"),
        (Ops::GATE, "gate"),
        (Ops::ATTEND, "attend"),
        (Ops::PROBE, "probe"),
    ];
    let names = names.iter().filter(|(op, _)| ops.contains(*op));
    names.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Marked, called};

    fn entry(name: &str, rank: u32, ops: Ops, mark: u32, file: Option<&str>) -> Entry {
        let kernel = Marked::kernel(name, rank, ops, mark);
        Entry {
            facts: kernel.facts().clone(),
            origin: file.map_or(Origin::BuiltIn, |f| Origin::File(f.into())),
            kernel: Some((Arc::clone(&kernel), kernel.score())),
        }
    }

    fn listing(entries: Vec<Entry>) -> Vec<String> {
        let line = |f: &Found| {
            let base = f
                .base
                .as_ref()
                .map_or(String::new(), |b| format!(" over {b}"));
            format!(
                "{} {} {}{base}: {}",
                f.facts.name, f.score.rank, f.origin, f.state
            )
        };
        settle(entries).iter().map(line).collect()
    }

    #[test]
    fn usable_kernels_come_first_and_best_first() {
        let lines = listing(vec![
            entry("scalar", 1, Ops::ALL, 1, None),
            entry("avx512", 0, Ops::ALL, 2, None),
            entry("avx2", 20, Ops::ALL, 3, None),
        ]);
        assert_eq!(
            lines,
            [
                "avx2 20 built in: usable",
                "scalar 1 built in: usable",
                "avx512 0 built in: cannot run: rank 0",
            ]
        );
    }

    #[test]
    fn of_namesakes_the_higher_score_wins_then_the_earlier() {
        let three = |a, b, c| {
            listing(vec![
                entry("avx2", a, Ops::ALL, 1, None),
                entry("avx2", b, Ops::ALL, 2, Some("/first")),
                entry("avx2", c, Ops::ALL, 3, Some("/second")),
            ])
        };
        assert_eq!(
            three(20, 21, 20),
            [
                "avx2 21 \"/first\": usable",
                "avx2 20 built in: shadowed by \"/first\"",
                "avx2 20 \"/second\": shadowed by \"/first\"",
            ]
        );
        assert_eq!(three(20, 20, 20)[0], "avx2 20 built in: usable");
        assert_eq!(three(0, 20, 20)[0], "avx2 20 \"/first\": usable");
        assert_eq!(three(0, 20, 20)[2], "avx2 0 built in: cannot run: rank 0");
    }

    #[test]
    fn a_partial_kernel_stands_on_the_best_complete_one() {
        let entries = vec![
            entry("scalar", 1, Ops::ALL, 1, None),
            entry("avx2", 20, Ops::ALL, 2, None),
            entry("lut", 30, Ops::MATMUL, 3, Some("/lut")),
        ];
        let found = settle(entries);
        assert_eq!(found[0].facts.name, "lut");
        assert_eq!(found[0].base.as_deref(), Some("avx2"));
        let kernel = found[0].kernel().unwrap();
        assert_eq!(called(&**kernel, Ops::MATMUL), [3, 3, 3]);
        assert_eq!(called(&**kernel, Ops::GATE), [2]);
        assert!(kernel.facts().ops.contains(Ops::ALL));
    }

    #[test]
    fn a_partial_namesake_stands_on_the_kernel_it_shadows() {
        let found = settle(vec![
            entry("avx2", 20, Ops::ALL, 2, None),
            entry("avx2", 30, Ops::GATE, 3, Some("/x")),
        ]);
        assert!(matches!(found[1].state, State::Shadowed { .. }));
        let kernel = found[0].kernel().unwrap();
        assert_eq!(called(&**kernel, Ops::GATE), [3]);
        assert_eq!(called(&**kernel, Ops::ROPE), [2]);
    }

    #[test]
    fn a_partial_kernel_alone_cannot_run_and_shadows_nobody() {
        let ops = Ops(Ops::GATE.0 | Ops::QUANTIZE.0);
        let lines = listing(vec![
            entry("x", 0, Ops::ALL, 1, None),
            entry("x", 30, ops, 2, Some("/x")),
        ]);
        let reason = "implements only quantize, gate, and no complete kernel can run here";
        assert_eq!(
            lines[0],
            format!("x 30 \"/x\": cannot run: {reason} for the rest")
        );
        assert_eq!(lines[1], "x 0 built in: cannot run: rank 0");
    }

    #[test]
    fn a_disabled_kernel_is_no_base_and_no_rival() {
        let mut scalar = entry("scalar", 1, Ops::ALL, 1, None);
        scalar.kernel = None;
        let found = settle(vec![scalar, entry("lut", 30, Ops::MATMUL, 3, None)]);
        assert!(found.iter().all(|f| f.kernel().is_none()));
        assert!(found.iter().any(|f| f.state == State::Disabled));
    }
}

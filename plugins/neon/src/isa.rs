//! Proof that this processor runs the crate's loops, and which of them.

use std::arch::is_aarch64_feature_detected;

/// Exists only where NEON is usable, so whoever holds one may call functions with
/// `#[target_feature(enable = "neon")]`; where [`Isa::dotprod`] or [`Isa::i8mm`] is set also those
/// that add the feature of that name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isa {
    dotprod: bool,
    i8mm: bool,
}

impl Isa {
    /// The proof, unless NEON is missing. The standard library caches the detection and asks the
    /// operating system.
    pub(crate) fn new() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then(|| {
            let dotprod = is_aarch64_feature_detected!("dotprod");
            Self {
                dotprod,
                i8mm: dotprod && is_aarch64_feature_detected!("i8mm"),
            }
        })
    }

    /// Whether `sdot` is there.
    pub(crate) fn dotprod(self) -> bool {
        self.dotprod
    }

    /// Whether `smmla` is there, and `sdot` too.
    pub(crate) fn i8mm(self) -> bool {
        self.i8mm
    }

    /// What the integer products are made of, for people.
    pub(crate) fn products(self) -> &'static str {
        match (self.dotprod, self.i8mm) {
            (false, _) => "NEON, integer products by smlal (no dotprod)",
            (true, false) => "NEON, integer products by sdot (no i8mm)",
            (true, true) => "NEON, integer products by sdot and smmla",
        }
    }
}

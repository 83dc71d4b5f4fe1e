//! Proof that this processor runs the crate's loops.

/// Exists only where AVX2, FMA and F16C are usable, so whoever holds one may call functions with
/// `#[target_feature(enable = "avx2,fma,f16c")]`; where [`Isa::vnni`] is set also those that add
/// `avxvnni`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isa {
    vnni: bool,
}

impl Isa {
    /// The proof, or the names of what is missing. The standard library caches the detection and
    /// asks for the operating system's part too.
    pub(crate) fn detect() -> Result<Self, String> {
        let features = [
            ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
            ("FMA", std::arch::is_x86_feature_detected!("fma")),
            ("F16C", std::arch::is_x86_feature_detected!("f16c")),
        ];
        let missing: Vec<&str> = features
            .iter()
            .filter(|(_, present)| !present)
            .map(|(name, _)| *name)
            .collect();
        Self::new().ok_or_else(|| missing.join(", "))
    }

    /// The proof, without reasons; does not allocate.
    pub(crate) fn new() -> Option<Self> {
        (std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma")
            && std::arch::is_x86_feature_detected!("f16c"))
        .then(|| Self {
            vnni: std::arch::is_x86_feature_detected!("avxvnni"),
        })
    }

    /// Whether `vpdpbusd` is there too, on 256 bits.
    pub(crate) fn vnni(self) -> bool {
        self.vnni
    }
}

//! Proof that this processor runs the crate's loops.

/// Exists only where AVX-512 F, BW and VL are usable, so whoever holds one may call functions
/// with `#[target_feature(enable = "avx512f,avx512bw,avx512vl")]`; where [`Isa::vnni`] is set
/// also those that add `avx512vnni`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isa {
    vnni: bool,
}

impl Isa {
    /// The proof, or the names of what is missing. The standard library caches the detection and
    /// asks for the operating system's part too.
    pub(crate) fn detect() -> Result<Self, String> {
        let features = [
            ("AVX512F", std::arch::is_x86_feature_detected!("avx512f")),
            ("AVX512BW", std::arch::is_x86_feature_detected!("avx512bw")),
            ("AVX512VL", std::arch::is_x86_feature_detected!("avx512vl")),
            ("FMA", std::arch::is_x86_feature_detected!("fma")),
            ("F16C", std::arch::is_x86_feature_detected!("f16c")),
        ];
        let missing: Vec<&str> = features
            .iter()
            .filter(|(_, present)| !present)
            .map(|(name, _)| *name)
            .collect();
        if missing.is_empty() {
            let vnni = std::arch::is_x86_feature_detected!("avx512vnni");
            Ok(Self { vnni })
        } else {
            Err(missing.join(", "))
        }
    }

    /// The proof, without reasons; does not allocate.
    pub(crate) fn new() -> Option<Self> {
        (std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vl")
            // `avx512f` in `target_feature` implies these two.
            && std::arch::is_x86_feature_detected!("fma")
            && std::arch::is_x86_feature_detected!("f16c"))
        .then(|| Self {
            vnni: std::arch::is_x86_feature_detected!("avx512vnni"),
        })
    }

    /// Whether `vpdpbusd` is there too.
    pub(crate) fn vnni(self) -> bool {
        self.vnni
    }
}

//! Instruction-set extensions, as the processor and the operating system both support them.

/// The extensions that kernels choose by, in the standard library's spelling.
///
/// Only those that matter to a kernel are listed, in a fixed order. The check includes the
/// operating system's part (saving the wide registers), which reading CPUID alone would miss.
#[cfg(target_arch = "x86_64")]
pub fn features() -> Vec<&'static str> {
    macro_rules! present {
        ($($name:tt),*) => {
            [$(($name, std::arch::is_x86_feature_detected!($name))),*]
        };
    }
    let checked = present!(
        "avx2",
        "fma",
        "f16c",
        "avxvnni",
        "avx512f",
        "avx512bw",
        "avx512vl",
        "avx512vnni",
        "avx512vbmi"
    );
    checked
        .into_iter()
        .filter(|(_, found)| *found)
        .map(|(name, _)| name)
        .collect()
}

/// The extensions that kernels choose by, in the standard library's spelling.
#[cfg(target_arch = "aarch64")]
pub fn features() -> Vec<&'static str> {
    macro_rules! present {
        ($($name:tt),*) => {
            [$(($name, std::arch::is_aarch64_feature_detected!($name))),*]
        };
    }
    let checked = present!("neon", "fp16", "dotprod", "i8mm", "sve");
    checked
        .into_iter()
        .filter(|(_, found)| *found)
        .map(|(name, _)| name)
        .collect()
}

/// The extensions that kernels choose by: none is known for this architecture.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn features() -> Vec<&'static str> {
    Vec::new()
}

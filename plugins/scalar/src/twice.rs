//! One loop, two compilations.

/// Whether the copies compiled with AVX2 and FMA can run.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_fma() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

/// Defines a function that runs `$body` (an `inline(always)` function with the same arguments) in
/// a copy compiled with AVX2 and FMA where the processor has them, else in the baseline copy.
///
/// Fused multiply-add rounds once by IEEE 754, in hardware as in the library, so both copies give
/// the same bits; only the time differs.
macro_rules! compiled_twice {
    (fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $body:path;) => {
        pub(crate) fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            if crate::twice::has_fma() {
                #[target_feature(enable = "avx2,fma")]
                fn fused($($arg: $ty),*) {
                    $body($($arg),*);
                }
                // SAFETY: `has_fma` found both features.
                unsafe { fused($($arg),*) };
                return;
            }
            $body($($arg),*);
        }
    };
}

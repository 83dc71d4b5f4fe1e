//! The grades of processors, and the loops compiled for each.

use tritone_abi::{Activations, MatOut, TernaryMatrix};

#[cfg(target_arch = "x86_64")]
use crate::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use crate::avx512::Avx512;
use crate::decode;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::gemm;
#[cfg(target_arch = "aarch64")]
use crate::neon::{Neon, NeonDot};
use crate::portable::Portable;

/// A product of checked arguments. Needs the instructions of its form.
type Product = unsafe fn(&TernaryMatrix<'_>, &Activations<'_>, &mut MatOut<'_>, &mut [u8]);

/// The loops of a grade of processors.
#[derive(Debug)]
pub(crate) struct Loops {
    /// A short name for people.
    pub(crate) name: &'static str,
    /// How weights are looked up, for people.
    pub(crate) how: &'static str,
    /// Below that of every complete kernel for the same instructions: this one pays where memory
    /// is the limit, which only a measurement can tell.
    pub(crate) rank: u32,
    /// Whether this processor and its operating system run it.
    pub(crate) runs: fn() -> bool,
    /// For few tokens. Takes [`decode::scratch_bytes`] of scratch memory.
    pub(crate) decode: Product,
    /// From so many tokens on. Takes [`gemm::scratch_bytes`](crate::gemm::scratch_bytes).
    pub(crate) gemm: Option<(usize, Product)>,
}

/// Best first.
pub(crate) static FORMS: &[Loops] = &[
    #[cfg(target_arch = "x86_64")]
    Loops {
        name: "avx512",
        how: "64 rows at a time with AVX-512 VBMI",
        rank: 15,
        runs: || {
            std::arch::is_x86_feature_detected!("avx512f")
                && std::arch::is_x86_feature_detected!("avx512bw")
                && std::arch::is_x86_feature_detected!("avx512vbmi")
                && std::arch::is_x86_feature_detected!("avx512vnni")
                && runs_avx2()
        },
        decode: avx512_decode,
        gemm: Some((5, avx512_gemm)),
    },
    #[cfg(target_arch = "x86_64")]
    Loops {
        name: "avx2",
        how: "32 rows at a time with AVX2",
        rank: 10,
        runs: runs_avx2,
        decode: avx2_decode,
        gemm: Some((5, avx2_gemm)),
    },
    #[cfg(target_arch = "aarch64")]
    Loops {
        name: "neon-dotprod",
        how: "16 rows at a time with NEON",
        rank: 10,
        runs: || std::arch::is_aarch64_feature_detected!("dotprod"),
        decode: decode::product::<NeonDot>,
        gemm: Some((5, gemm::product::<NeonDot>)),
    },
    #[cfg(target_arch = "aarch64")]
    Loops {
        name: "neon",
        how: "16 rows at a time with NEON",
        rank: 10,
        runs: || true,
        decode: decode::product::<Neon>,
        gemm: Some((5, gemm::product::<Neon>)),
    },
    Loops {
        name: "portable",
        how: "one byte at a time",
        rank: 1,
        runs: || true,
        decode: decode::product::<Portable>,
        gemm: None,
    },
];

#[cfg(target_arch = "x86_64")]
fn runs_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

/// Compiles a product for the instructions of a form, with everything it inlines.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled_for {
    ($features:literal: $(fn $name:ident = $module:ident::$body:ident::<$form:ty>;)*) => {$(
        #[target_feature(enable = $features)]
        fn $name(
            w: &TernaryMatrix<'_>,
            x: &Activations<'_>,
            out: &mut MatOut<'_>,
            scratch: &mut [u8],
        ) {
            // SAFETY: the features of this function are the form's.
            unsafe { $module::$body::<$form>(w, x, out, scratch) }
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
compiled_for! { "avx2,fma":
    fn avx2_decode = decode::product::<Avx2>;
    fn avx2_gemm = gemm::product::<Avx2>;
}

#[cfg(target_arch = "x86_64")]
compiled_for! { "avx2,fma,avx512f,avx512bw,avx512vbmi,avx512vnni":
    fn avx512_decode = decode::product::<Avx512>;
    fn avx512_gemm = gemm::product::<Avx512>;
}

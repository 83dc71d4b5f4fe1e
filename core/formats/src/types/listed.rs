//! Types that are known by number, name and size, so that files with them can be inspected.

use super::size::Size;

/// A type that is known by number, name and size, but not computed with.
#[derive(Debug, PartialEq, Eq)]
pub struct ListedType {
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) size: Size,
    pub(super) advice: &'static str,
}

const LATER: &str = "not supported; convert the model to I2_S, TQ2_0 or TQ1_0 with embeddings in F16, \
                     Q8_0, Q6_K or Q4_K";
const TILED: &str = "its tile sizes are chosen when bitnet.cpp is built and are not in the file; \
                     use the I2_S file of the same model";
const SHARED: &str = "several programs give this number to different layouts, none of which is \
                      supported; use the I2_S file of the same model if there is one";
const PRIVATE_42: &str = "neither blocks of 64 nor blocks of 128 with the scale first fit the file \
                          (OxiBonsai has written a layout of its own under this number); use the \
                          PQ2_0 or Q2_0 file that PrismML publishes";
const REMOVED: &str =
    "an interleaved layout that llama.cpp has removed; convert the model again from its source";

pub(super) static IQ4_NL_4_4: ListedType = blocks(36, "IQ4_NL_4_4", 32, 18, REMOVED);

/// Number 42 in a file where neither known layout fits.
pub(super) static OTHER_42: ListedType =
    other(42, "Q2_0 of another program", Size::ToNext, PRIVATE_42);

const fn blocks(
    id: u32,
    name: &'static str,
    elements: usize,
    bytes: usize,
    advice: &'static str,
) -> ListedType {
    ListedType {
        id,
        name,
        size: Size::Blocks { elements, bytes },
        advice,
    }
}

const fn other(id: u32, name: &'static str, size: Size, advice: &'static str) -> ListedType {
    ListedType {
        id,
        name,
        size,
        advice,
    }
}

/// The type with this number.
pub(super) fn find(id: u32) -> Option<&'static ListedType> {
    ALL.iter().find(|ty| ty.id == id)
}

/// Types by number: llama.cpp, then the ones of bitnet.cpp, ik_llama.cpp and PrismML.
pub(super) static ALL: &[ListedType] = &[
    blocks(6, "Q5_0", 32, 22, LATER),
    blocks(7, "Q5_1", 32, 24, LATER),
    blocks(9, "Q8_1", 32, 36, LATER),
    blocks(10, "Q2_K", 256, 84, LATER),
    blocks(11, "Q3_K", 256, 110, LATER),
    blocks(15, "Q8_K", 256, 292, LATER),
    blocks(16, "IQ2_XXS", 256, 66, LATER),
    blocks(17, "IQ2_XS", 256, 74, LATER),
    blocks(18, "IQ3_XXS", 256, 98, LATER),
    blocks(19, "IQ1_S", 256, 50, LATER),
    blocks(21, "IQ3_S", 256, 110, LATER),
    blocks(22, "IQ2_S", 256, 82, LATER),
    blocks(23, "IQ4_XS", 256, 136, LATER),
    blocks(24, "I8", 1, 1, LATER),
    blocks(25, "I16", 1, 2, LATER),
    blocks(26, "I32", 1, 4, LATER),
    blocks(27, "I64", 1, 8, LATER),
    blocks(28, "F64", 1, 8, LATER),
    blocks(29, "IQ1_M", 256, 56, LATER),
    blocks(31, "Q4_0_4_4", 32, 18, REMOVED),
    blocks(32, "Q4_0_4_8", 32, 18, REMOVED),
    blocks(33, "Q4_0_8_8", 32, 18, REMOVED),
    other(37, "I8_S or IQ4_NL_4_8", Size::ToNext, SHARED),
    other(38, "TL1", Size::ToNext, TILED),
    other(39, "TL2 or MXFP4", Size::ToNext, TILED),
    blocks(40, "NVFP4", 64, 36, LATER),
];

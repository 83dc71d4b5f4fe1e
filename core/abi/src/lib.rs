//! The contract between Tritone's engine and its kernels.
//!
//! A *kernel* owns every hot loop of a decoder step: the ternary product, the head, attention,
//! norms, rotation, gating and activation quantisation. Kernels are plugins: they live in shared
//! libraries that are opened at run time, or are linked in statically; both arrive through the
//! same C table ([`table::KernelTable`]) and are used through the same trait ([`Kernel`]).
//!
//! Three parties read this crate:
//!
//! * a **plugin author** implements [`Kernel`] for a unit type and writes
//!   [`export_kernel!`](crate::export_kernel); nothing else crosses the boundary;
//! * the **loader** reads the header of a table out of a file, checks it, opens the file and
//!   wraps the table in a [`host::TableKernel`];
//! * the **engine** holds an `Arc<dyn Kernel>` and never learns which instruction set it runs on.
//!
//! # One answer
//!
//! All kernels give the same bits for the same input. [`numerics`] *is* the definition of every
//! operation that rounds; a kernel may reorder nothing that is not declared free there.
//!
//! # Thread safety
//!
//! A kernel is shared by all threads of a team and called concurrently on disjoint outputs. It
//! keeps no state between calls; what it needs as working memory is passed in as `scratch`.
#![expect(
    unsafe_code,
    reason = "the C boundary and the disjoint output views are what this crate is for"
)]

mod args;
mod attend;
mod error;
pub mod export;
pub mod head;
pub mod host;
mod kernel;
pub mod layout;
pub mod numerics;
pub mod table;

pub use args::{
    Activations, GateKind, MatOut, PackArgs, QuantizedRow, RopeArgs, RopeStyle, ScratchNeed,
    TernaryMatrix, WeightScales, padded_stride,
};
pub use attend::{
    AttendArgs, Cells, KvFormat, KvPage, PAGE_TOKENS, attend_width, check_merge, merge_partial,
};
pub use error::{KernelError, Status};
pub use head::{HeadFormat, HeadInput, HeadMatrix};
pub use kernel::{Facts, Kernel, Norm, Ops, Score};
pub use layout::LayoutId;

/// Number of the binary contract. It grows when a table or an argument struct changes meaning;
/// appending a field at the end of a table does not change it.
pub const ABI_VERSION: u32 = 2;

/// First eight bytes of every exported table.
pub const MAGIC: [u8; 8] = *b"TRITONEK";

/// Every plugin exports exactly one data symbol whose name is this prefix followed by the
/// kernel's name, for example `tritone_kernel_avx512`. The name is part of the symbol so that
/// several plugin crates can also be linked into one executable.
pub const SYMBOL_PREFIX: &str = "tritone_kernel_";

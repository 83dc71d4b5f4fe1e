//! The kernel against the definitions of `tritone_abi`, written as plain loops, over awkward
//! sizes. Everything goes through the exported table, as the engine's calls do.
#![expect(unsafe_code, reason = "wrapping the exported table")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use tritone_abi::Kernel;
use tritone_abi::host::TableKernel;

mod attention;
mod data;
mod heads;
mod misuse;
mod products;
mod rows;

/// The kernel, or `None` where the processor cannot run it.
fn kernel() -> Option<TableKernel> {
    // SAFETY: the table was made by `export_kernel!` and is linked in.
    let kernel = unsafe { TableKernel::new(tritone_avx2::TABLE) }.unwrap();
    (kernel.score().rank > 0).then_some(kernel)
}

//! Arguments that contradict each other.

use tritone_abi::layout::{LayoutId, t2r32};
use tritone_abi::{
    AttendArgs, Kernel, KernelError, KvPage, MatOut, PAGE_TOKENS, PackArgs, ScratchNeed,
    TernaryMatrix, WeightScales,
};

use crate::data::{Random, activations};
use crate::kernel;

#[test]
fn contradicting_arguments_are_refused() {
    let Some(kernel) = kernel() else { return };
    let bad = |result: Result<(), KernelError>| {
        assert!(
            matches!(result, Err(KernelError::BadArgument(_))),
            "{result:?}"
        );
    };
    let (rows, cols, tokens) = (64, 64, 8);
    let data = vec![0x55; t2r32::packed_bytes(rows, cols).unwrap()];
    let w = |data| TernaryMatrix {
        layout: LayoutId::T2R32,
        rows,
        cols,
        scales: WeightScales::Tensor(1.0),
        data,
    };
    let x = activations(&mut Random(1), tokens, cols, cols);
    let x = x.view(tokens, cols, cols);
    let need = ScratchNeed {
        max_cols: cols,
        max_tokens: tokens,
        ..ScratchNeed::default()
    };
    let enough = kernel.scratch_bytes(&need);
    let product = |w: &TernaryMatrix<'_>, range, scratch| {
        let mut buffer = vec![0.0; tokens * rows];
        let mut out = MatOut::new(&mut buffer, rows, range).unwrap();
        let scratch: &mut [u8] = &mut vec![0; scratch];
        kernel.matmul(w, &x, &mut out, scratch)
    };
    product(&w(&data), 0..64, enough).unwrap();
    product(&w(&data), 32..32, enough).unwrap();
    bad(product(&w(&data[1..]), 0..64, enough));
    bad(product(&w(&data), 16..64, enough));
    bad(product(&w(&data), 0..40, enough));
    bad(product(&w(&data), 0..64, 100));
    let other = TernaryMatrix {
        layout: LayoutId(77),
        ..w(&data)
    };
    bad(product(&other, 0..64, enough));
    bad(kernel.pack(
        &PackArgs {
            codes: &[0; 3],
            rows: 1,
            cols: 16,
        },
        &mut [0; 128],
    ));
    assert_eq!(kernel.packed_bytes(0, 1), None);
    assert_eq!(kernel.packed_bytes(1, 131_073), None);

    let cells = vec![0; 8 * PAGE_TOKENS];
    let pages = [KvPage::f16(&cells, &cells, 8).unwrap()];
    let args = AttendArgs {
        q: &[0.0; 64],
        q_stride: 8,
        tokens,
        heads: 1,
        head_dim: 8,
        pages: &pages,
        first: 0,
        len: 1,
        window: 0,
        scale: 1.0,
        partial: false,
    };
    let mut buffer = vec![0.0; 64];
    let mut out = MatOut::new(&mut buffer, 8, 0..8).unwrap();
    bad(kernel.attend(&args, &mut out, &mut []));
}

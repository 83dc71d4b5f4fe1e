//! A kernel that answers with a number instead of computing.

use std::sync::Arc;

use tritone_abi::{
    Activations, AttendArgs, Facts, GateKind, HeadFormat, HeadInput, HeadMatrix, Kernel,
    KernelError, LayoutId, MatOut, Norm, Ops, PackArgs, QuantizedRow, RopeArgs, RopeStyle, Score,
    ScratchNeed, TernaryMatrix, WeightScales,
};

/// Every operation fails with `Internal(mark)`, so that a test sees who was asked.
pub(crate) struct Marked {
    facts: Facts,
    rank: u32,
    mark: u32,
}

impl Marked {
    pub(crate) fn kernel(name: &str, rank: u32, ops: Ops, mark: u32) -> Arc<dyn Kernel> {
        let facts = Facts {
            name: name.into(),
            version: "1".into(),
            build_id: format!("b{mark}"),
            isa: format!("i{mark}"),
            layout: LayoutId(mark),
            row_align: 16 * mark as usize,
            ops,
        };
        Arc::new(Self { facts, rank, mark })
    }

    fn answer(&self) -> Result<(), KernelError> {
        Err(KernelError::Internal(self.mark))
    }
}

/// Calls everything that belongs to `op` and returns the marks of those who answered.
pub(crate) fn called(kernel: &dyn Kernel, op: Ops) -> Vec<u32> {
    let mut buffer = [0.0f32];
    let mut out = MatOut::new(&mut buffer, 1, 0..1).unwrap();
    let x = Activations {
        tokens: 0,
        cols: 1,
        group: 1,
        q: &[],
        scales: &[],
        sums: &[],
    };
    let answers = match op {
        Ops::MATMUL => {
            let w = TernaryMatrix {
                layout: LayoutId::NONE,
                rows: 1,
                cols: 1,
                scales: WeightScales::Tensor(1.0),
                data: &[],
            };
            let args = PackArgs {
                codes: &[],
                rows: 1,
                cols: 1,
            };
            vec![
                Err(KernelError::Internal(
                    kernel.packed_bytes(1, 1).unwrap() as u32
                )),
                kernel.pack(&args, &mut []),
                kernel.matmul(&w, &x, &mut out, &mut []),
            ]
        }
        Ops::HEAD => {
            let w = HeadMatrix {
                format: HeadFormat::F16,
                rows: 1,
                cols: 1,
                data: &[],
            };
            vec![kernel.head(&w, &HeadInput::Int8(x), &mut out, &mut [])]
        }
        Ops::QUANTIZE => {
            let mut row = QuantizedRow {
                q: &mut [],
                scales: &mut [],
                sums: &mut [],
            };
            vec![kernel.quantize(&[], 1, &mut row)]
        }
        Ops::RMS_NORM => vec![kernel.rms_norm(&[], &[], 0.0, &mut [])],
        Ops::ROPE => {
            let args = RopeArgs {
                head_dim: 1,
                cos: &[],
                sin: &[],
                style: RopeStyle::Half,
            };
            vec![kernel.rope(&mut [], &args)]
        }
        Ops::GATE => vec![kernel.gate(GateKind::Silu, &[], &[], &mut [])],
        Ops::ATTEND => {
            let args = AttendArgs {
                q: &[],
                q_stride: 1,
                tokens: 1,
                heads: 1,
                head_dim: 1,
                pages: &[],
                first: 0,
                len: 1,
                window: 0,
                scale: 1.0,
                partial: false,
            };
            vec![
                kernel.attend(&args, &mut out, &mut []),
                kernel.attend_merge(1, 1, &mut [], &[]),
            ]
        }
        Ops::FUSED => {
            let row = || QuantizedRow {
                q: &mut [],
                scales: &mut [],
                sums: &mut [],
            };
            let norm = Norm {
                weight: &[],
                eps: 0.0,
            };
            let gate = (GateKind::Silu, &mut [][..], &[][..]);
            vec![
                kernel.norm_quantize(&[], norm, &mut [], 1, &mut row()),
                kernel.gate_quantize(gate, Some(norm), &mut [], 1, &mut row()),
            ]
        }
        other => panic!("{other:?} is not one operation"),
    };
    let mark = |answer| match answer {
        Err(KernelError::Internal(mark)) => mark,
        other => panic!("expected a mark, got {other:?}"),
    };
    answers.into_iter().map(mark).collect()
}

impl Kernel for Marked {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn score(&self) -> Score {
        Score {
            rank: self.rank,
            reason: format!("rank {}", self.rank),
        }
    }

    fn scratch_bytes(&self, _: &ScratchNeed) -> usize {
        self.mark as usize
    }

    fn packed_bytes(&self, _: usize, _: usize) -> Option<usize> {
        Some(self.mark as usize)
    }

    fn pack(&self, _: &PackArgs<'_>, _: &mut [u8]) -> Result<(), KernelError> {
        self.answer()
    }

    fn matmul(
        &self,
        _: &TernaryMatrix<'_>,
        _: &Activations<'_>,
        _: &mut MatOut<'_>,
        _: &mut [u8],
    ) -> Result<(), KernelError> {
        self.answer()
    }

    fn head(
        &self,
        _: &HeadMatrix<'_>,
        _: &HeadInput<'_>,
        _: &mut MatOut<'_>,
        _: &mut [u8],
    ) -> Result<(), KernelError> {
        self.answer()
    }

    fn quantize(&self, _: &[f32], _: usize, _: &mut QuantizedRow<'_>) -> Result<(), KernelError> {
        self.answer()
    }

    fn rms_norm(&self, _: &[f32], _: &[f32], _: f32, _: &mut [f32]) -> Result<(), KernelError> {
        self.answer()
    }

    fn rope(&self, _: &mut [f32], _: &RopeArgs<'_>) -> Result<(), KernelError> {
        self.answer()
    }

    fn gate(&self, _: GateKind, _: &[f32], _: &[f32], _: &mut [f32]) -> Result<(), KernelError> {
        self.answer()
    }

    fn attend(
        &self,
        _: &AttendArgs<'_>,
        _: &mut MatOut<'_>,
        _: &mut [u8],
    ) -> Result<(), KernelError> {
        self.answer()
    }

    fn attend_merge(
        &self,
        _: usize,
        _: usize,
        _: &mut [f32],
        _: &[f32],
    ) -> Result<(), KernelError> {
        self.answer()
    }
}

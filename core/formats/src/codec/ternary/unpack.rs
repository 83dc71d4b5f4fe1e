//! The stored forms: where blocks and scales lie, and the codes in a block.

use half::f16;

use super::Span;
use super::digits::DIGITS;
use crate::types::TensorType;

/// Rows that are interleaved where any are.
const ROWS: usize = 4;

/// A stored form of ternary weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    I2s {
        block: usize,
    },
    I2sRows4,
    Tq1_0,
    Tq2_0,
    Q1_0,
    /// So many neighbours, four in a byte, after the scale.
    Q2 {
        block: usize,
    },
    Ptq1_0,
    Iq1Bn,
    Iq2Bn,
    Iq2BnR4,
}

impl Form {
    pub(super) fn of(ty: TensorType) -> Option<Self> {
        Some(match ty {
            TensorType::I2S => Self::I2s { block: 128 },
            TensorType::I2sArm => Self::I2s { block: 64 },
            TensorType::I2sRows4 => Self::I2sRows4,
            TensorType::Tq1_0 => Self::Tq1_0,
            TensorType::Tq2_0 => Self::Tq2_0,
            TensorType::Q1_0 => Self::Q1_0,
            TensorType::Q2_0 => Self::Q2 { block: 64 },
            TensorType::Q2_0G128 | TensorType::Pq2_0 => Self::Q2 { block: 128 },
            TensorType::Ptq1_0 => Self::Ptq1_0,
            TensorType::Iq1Bn => Self::Iq1Bn,
            TensorType::Iq2Bn => Self::Iq2Bn,
            TensorType::Iq2BnR4 => Self::Iq2BnR4,
            _ => return None,
        })
    }

    pub(super) fn span(self) -> Span {
        match self {
            Self::I2s { .. } | Self::I2sRows4 => Span::Tensor,
            Self::Iq1Bn | Self::Iq2Bn | Self::Iq2BnR4 => Span::Row,
            _ => Span::Columns(self.elements()),
        }
    }

    /// Elements of one row in a block.
    pub(super) fn elements(self) -> usize {
        match self {
            Self::I2s { block } | Self::Q2 { block } => block,
            Self::I2sRows4 => 4,
            Self::Tq1_0 | Self::Tq2_0 => 256,
            Self::Q1_0 | Self::Ptq1_0 => 128,
            Self::Iq1Bn | Self::Iq2Bn | Self::Iq2BnR4 => 64,
        }
    }

    /// Bytes of a block, for all rows that are interleaved in it.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::I2s { block } => block / 4,
            Self::I2sRows4 => 4,
            Self::Tq1_0 => 54,
            Self::Tq2_0 => 66,
            Self::Q1_0 => 18,
            Self::Q2 { block } => 2 + block / 4,
            Self::Ptq1_0 => 28,
            Self::Iq1Bn => 13,
            Self::Iq2Bn => 16,
            Self::Iq2BnR4 => 64,
        }
    }

    /// Rows in a block.
    pub(super) fn lanes(self) -> usize {
        match self {
            Self::I2sRows4 | Self::Iq2BnR4 => ROWS,
            _ => 1,
        }
    }

    /// Bytes before the blocks of a row, or of a group of rows.
    pub(super) fn header(self) -> usize {
        match self {
            Self::Iq1Bn => 2,
            Self::Iq2Bn => 4,
            Self::Iq2BnR4 => 4 * ROWS,
            _ => 0,
        }
    }

    /// Bytes of a group of rows, most often of one row.
    pub(super) fn group_bytes(self, columns: usize) -> usize {
        self.header() + columns / self.elements() * self.bytes()
    }

    /// Where block `number` of `row` begins, and which of its interleaved rows that is.
    pub(super) fn place(self, columns: usize, row: usize, number: usize) -> (usize, usize) {
        let (group, lane) = (row / self.lanes(), row % self.lanes());
        let start = group * self.group_bytes(columns) + self.header() + number * self.bytes();
        (start, lane)
    }

    /// Where the scale in a block lies.
    pub(super) fn scale_at(self) -> usize {
        match self {
            Self::Tq1_0 | Self::Tq2_0 | Self::Ptq1_0 => self.bytes() - 2,
            _ => 0,
        }
    }

    /// The scale in a block of a form that has one there.
    pub(super) fn block_scale(self, block: &[u8]) -> f32 {
        let at = self.scale_at();
        f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
    }

    /// The scale before a row of a form that has one there.
    pub(super) fn row_scale(self, bytes: &[u8], columns: usize, row: usize) -> f32 {
        let start = row / self.lanes() * self.group_bytes(columns);
        let header = &bytes[start..][..self.header()];
        match header.as_chunks::<4>().0.get(row % self.lanes()) {
            Some(scale) => f32::from_le_bytes(*scale),
            None => f16::from_le_bytes([header[0], header[1]]).to_f32(),
        }
    }

    /// The scale behind the codes of a form that has one there.
    pub(super) fn tensor_scale(self, bytes: &[u8]) -> f32 {
        let tail = bytes.last_chunk::<32>();
        tail.map_or(f32::NAN, |&[a, b, c, d, ..]| {
            f32::from_le_bytes([a, b, c, d])
        })
    }

    /// Writes the code of every element of row `lane` of a block.
    pub(super) fn unpack(self, block: &[u8], lane: usize, codes: &mut [u8]) {
        match self {
            Self::I2s { block: elements } => {
                let bytes = elements / 4;
                for (i, code) in codes.iter_mut().enumerate() {
                    *code = block[i % bytes] >> (6 - 2 * (i / bytes)) & 3;
                }
            }
            Self::I2sRows4 => {
                for (code, byte) in codes.iter_mut().zip(block) {
                    *code = byte >> (6 - 2 * lane) & 3;
                }
            }
            Self::Tq2_0 => {
                let halves = codes.as_chunks_mut::<128>().0.iter_mut();
                for (codes, block) in halves.zip(block.as_chunks::<32>().0) {
                    strided(block, codes);
                }
            }
            Self::Tq1_0 => {
                let (five, rest) = codes.split_at_mut(240);
                let (wide, narrow) = five.split_at_mut(160);
                digits(&block[..32], wide);
                digits(&block[32..48], narrow);
                digits(&block[48..52], rest);
            }
            Self::Ptq1_0 => {
                let (five, rest) = codes.split_at_mut(120);
                let (wide, narrow) = five.split_at_mut(80);
                digits(&block[..16], wide);
                digits(&block[16..24], narrow);
                digits(&block[24..26], rest);
            }
            Self::Q1_0 => {
                for (i, code) in codes.iter_mut().enumerate() {
                    *code = 2 * (block[2 + i / 8] >> (i % 8) & 1);
                }
            }
            Self::Q2 { .. } => {
                for (codes, byte) in codes.as_chunks_mut::<4>().0.iter_mut().zip(&block[2..]) {
                    *codes = [byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6];
                }
            }
            Self::Iq1Bn => {
                for (group, codes) in codes.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                    let (fives, last) = codes.split_at_mut(15);
                    let fives = fives.as_chunks_mut::<5>().0.iter_mut();
                    for (codes, byte) in fives.zip(&block[3 * group..]) {
                        *codes = DIGITS[usize::from(*byte)];
                        codes.reverse();
                    }
                    last[0] = DIGITS[usize::from(block[12])][4 - group];
                }
            }
            Self::Iq2Bn => strided(block, codes),
            Self::Iq2BnR4 => {
                for (l, codes) in codes.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                    strided(&block[16 * l + 4 * lane..][..4], codes);
                }
            }
        }
    }
}

/// Codes `i`, `i + n`, `i + 2n` and `i + 3n` out of byte `i` of `n`, lowest bits first.
fn strided(block: &[u8], codes: &mut [u8]) {
    for (part, codes) in codes.chunks_exact_mut(block.len()).enumerate() {
        for (code, byte) in codes.iter_mut().zip(block) {
            *code = byte >> (2 * part) & 3;
        }
    }
}

/// Digit `d` of byte `i` of `n` is code `d * n + i`.
fn digits(block: &[u8], codes: &mut [u8]) {
    for (digit, codes) in codes.chunks_exact_mut(block.len()).enumerate() {
        for (code, byte) in codes.iter_mut().zip(block) {
            *code = DIGITS[usize::from(*byte)][digit];
        }
    }
}

//! Ternary weights into every stored form.

use half::f16;

use super::digits::byte;
use super::unpack::Form;
use super::{MAX_BLOCK, Scales, Span, sound_scale};
use crate::codec::CodecError;
use crate::types::{SizeError, TensorType};

/// What to do about scales that a type cannot hold exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Refuse them.
    Exact,
    /// Store the nearest one.
    Nearest,
}

/// The type that holds rows of `columns` ternary weights with these scales exactly, and that most programs
/// know; `None` if there is none.
pub fn lossless_type(scales: &Scales, columns: usize) -> Option<TensorType> {
    let ty = match scales {
        Scales::Tensor(_) if columns.is_multiple_of(128) => TensorType::I2S,
        Scales::Tensor(_) | Scales::Row(_) => TensorType::Iq2Bn,
        Scales::Group { columns, values } => {
            let exact = |scale: &f32| f16::from_f32(*scale).to_f32() == *scale;
            let ty = match columns {
                256 => TensorType::Tq2_0,
                128 => TensorType::Pq2_0,
                64 => TensorType::Q2_0,
                _ => return None,
            };
            values.iter().all(exact).then_some(ty)?
        }
    };
    ty.tensor_bytes(&[columns]).ok().map(|_| ty)
}

/// Encodes a whole tensor: `ternary` holds `rows` rows of `columns` values −1, 0 or +1.
///
/// # Errors
///
/// When the type is not ternary, the shape does not suit it, `ternary` has another length than the
/// shape asks for, a value is not ternary (or zero, for Q1_0), a scale is negative, not finite or differs
/// where the type has one, or, unless `rounding` allows it, a scale is not stored exactly.
pub fn encode_ternary(
    ty: TensorType,
    ternary: &[i8],
    (rows, columns): (usize, usize),
    scales: &Scales,
    rounding: Rounding,
) -> Result<Vec<u8>, CodecError> {
    let form = Form::of(ty).ok_or(CodecError::NotTernaryType { ty })?;
    let size = |source| CodecError::Size { ty, source };
    let len = ty.tensor_bytes(&[columns, rows]).map_err(size)?;
    let expected = rows.checked_mul(columns).ok_or(size(SizeError::Overflow))?;
    if ternary.len() != expected {
        let got = ternary.len();
        return Err(CodecError::SliceLength { expected, got });
    }
    let zero_refused = form == Form::Q1_0;
    let wrong = |t: &i8| !(-1..=1).contains(t) || (zero_refused && *t == 0);
    if let Some(at) = ternary.iter().position(wrong) {
        let (row, column, value) = (at / columns, at % columns, ternary[at]);
        return Err(match value {
            0 => CodecError::Zero { row, column, ty },
            _ => CodecError::NotTernary { row, column, value },
        });
    }
    let writer = Writer {
        ty,
        form,
        columns,
        scales,
        rounding,
    };
    let mut out = vec![0; len];
    for (row, ternary) in ternary.chunks_exact(columns.max(1)).enumerate() {
        writer.row(row, ternary, &mut out)?;
    }
    Ok(out)
}

struct Writer<'a> {
    ty: TensorType,
    form: Form,
    columns: usize,
    scales: &'a Scales,
    rounding: Rounding,
}

impl Writer<'_> {
    fn row(&self, row: usize, ternary: &[i8], out: &mut [u8]) -> Result<(), CodecError> {
        let form = self.form;
        let mut codes = [0; MAX_BLOCK];
        let codes = &mut codes[..form.elements()];
        for (number, ternary) in ternary.chunks_exact(form.elements()).enumerate() {
            for (code, t) in codes.iter_mut().zip(ternary) {
                *code = (t + 1).cast_unsigned();
            }
            let (start, lane) = form.place(self.columns, row, number);
            let block = &mut out[start..][..form.bytes()];
            pack(form, codes, lane, block);
            if let Span::Columns(n) = form.span() {
                let scale = self.one(row, number * n, n)?;
                let at = form.scale_at();
                block[at..at + 2].copy_from_slice(&self.half(scale)?);
            }
        }
        let scale = self.one(row, 0, self.columns);
        match form.span() {
            Span::Columns(_) => {}
            Span::Row => {
                let start = row / form.lanes() * form.group_bytes(self.columns);
                let header = &mut out[start..][..form.header()];
                let lane = row % form.lanes();
                match header.as_chunks_mut::<4>().0.get_mut(lane) {
                    Some(place) => *place = scale?.to_le_bytes(),
                    None => header.copy_from_slice(&self.half(scale?)?),
                }
            }
            Span::Tensor => {
                let at = out.len() - 32;
                let scale = scale?.to_le_bytes();
                if row > 0 && out[at..at + 4] != scale {
                    return Err(self.varies(row, 0));
                }
                out[at..at + 4].copy_from_slice(&scale);
            }
        }
        Ok(())
    }

    /// The one scale over `n` columns from `first`.
    fn one(&self, row: usize, first: usize, n: usize) -> Result<f32, CodecError> {
        let at = |column| self.scales.at(self.columns, row, column);
        let scale = at(first).ok_or_else(|| self.varies(row, first))?;
        if !sound_scale(scale) {
            return Err(CodecError::BadScale { scale });
        }
        // Finer scales than one for 32 columns are not known in any form.
        match (first..first + n)
            .step_by(32)
            .find(|column| at(*column) != Some(scale))
        {
            None => Ok(scale),
            Some(column) => Err(self.varies(row, column)),
        }
    }

    fn varies(&self, row: usize, column: usize) -> CodecError {
        let ty = self.ty;
        CodecError::ScaleVaries { row, column, ty }
    }

    fn half(&self, scale: f32) -> Result<[u8; 2], CodecError> {
        let stored = f16::from_f32(scale);
        let exact = stored.to_f32() == scale;
        if stored.is_infinite() || (!exact && self.rounding == Rounding::Exact) {
            let ty = self.ty;
            return Err(CodecError::InexactScale { scale, ty });
        }
        Ok(stored.to_le_bytes())
    }
}

/// The inverse of [`Form::unpack`]; `block` begins as zeros, or holds other interleaved rows.
fn pack(form: Form, codes: &[u8], lane: usize, block: &mut [u8]) {
    match form {
        Form::I2s { block: elements } => {
            let bytes = elements / 4;
            for (i, code) in codes.iter().enumerate() {
                block[i % bytes] |= code << (6 - 2 * (i / bytes));
            }
        }
        Form::I2sRows4 => {
            for (code, byte) in codes.iter().zip(block) {
                *byte |= code << (6 - 2 * lane);
            }
        }
        Form::Tq2_0 => {
            let blocks = block.as_chunks_mut::<32>().0.iter_mut();
            for (codes, block) in codes.as_chunks::<128>().0.iter().zip(blocks) {
                strided(codes, block);
            }
        }
        Form::Tq1_0 => {
            digits(&codes[..160], &mut block[..32]);
            digits(&codes[160..240], &mut block[32..48]);
            digits(&codes[240..], &mut block[48..52]);
        }
        Form::Ptq1_0 => {
            digits(&codes[..80], &mut block[..16]);
            digits(&codes[80..120], &mut block[16..24]);
            digits(&codes[120..], &mut block[24..26]);
        }
        Form::Q1_0 => {
            for (i, code) in codes.iter().enumerate() {
                block[2 + i / 8] |= (code / 2) << (i % 8);
            }
        }
        Form::Q2 { .. } => {
            for (&[a, b, c, d], byte) in codes.as_chunks().0.iter().zip(&mut block[2..]) {
                *byte = a | b << 2 | c << 4 | d << 6;
            }
        }
        Form::Iq1Bn => {
            let mut last = [0; 5];
            for (group, codes) in codes.as_chunks::<16>().0.iter().enumerate() {
                for (k, codes) in codes.as_chunks::<5>().0.iter().enumerate() {
                    let [a, b, c, d, e] = *codes;
                    block[3 * group + k] = byte([e, d, c, b, a]);
                }
                last[4 - group] = codes[15];
            }
            block[12] = byte(last);
        }
        Form::Iq2Bn => strided(codes, block),
        Form::Iq2BnR4 => {
            for (l, codes) in codes.as_chunks::<16>().0.iter().enumerate() {
                strided(codes, &mut block[16 * l + 4 * lane..][..4]);
            }
        }
    }
}

fn strided(codes: &[u8], block: &mut [u8]) {
    for (part, codes) in codes.chunks_exact(block.len()).enumerate() {
        for (code, byte) in codes.iter().zip(block.iter_mut()) {
            *byte |= code << (2 * part);
        }
    }
}

fn digits(codes: &[u8], block: &mut [u8]) {
    let n = block.len();
    for (i, place) in block.iter_mut().enumerate() {
        *place = byte(std::array::from_fn(|digit| {
            codes.get(digit * n + i).copied().unwrap_or(0)
        }));
    }
}

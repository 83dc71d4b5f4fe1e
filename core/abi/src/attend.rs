//! Attention: pages of the KV cache and the arguments of the operation.

use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;

use crate::args::MatOut;
use crate::error::KernelError;
use crate::numerics;

/// Positions in one page of the KV cache, and the length of one attention chunk.
pub const PAGE_TOKENS: usize = 64;

/// Stored form of cached keys and values.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvFormat {
    /// binary16.
    F16 = 0,
    /// int8 with one scale a position (and KV head), quantised as activations are: see
    /// [`numerics::quantize_row`].
    Q8 = 1,
    /// binary32: nothing is rounded.
    F32 = 2,
}

impl KvFormat {
    /// The format with this number.
    #[must_use]
    pub const fn from_u32(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::F16),
            1 => Some(Self::Q8),
            2 => Some(Self::F32),
            _ => None,
        }
    }
}

/// What a page holds.
#[derive(Clone, Copy, Debug)]
pub enum Cells<'a> {
    /// [`KvFormat::F16`].
    F16 {
        /// Keys `[head_dim][64]`.
        k: &'a [u16],
        /// Values `[64][head_dim]`.
        v: &'a [u16],
    },
    /// [`KvFormat::F32`].
    F32 {
        /// Keys `[head_dim][64]`.
        k: &'a [f32],
        /// Values `[64][head_dim]`.
        v: &'a [f32],
    },
    /// [`KvFormat::Q8`].
    Q8 {
        /// Keys `[head_dim][64]`.
        k: &'a [i8],
        /// Values `[64][head_dim]`.
        v: &'a [i8],
        /// What one step of a position's key is worth.
        k_scales: &'a [f32; PAGE_TOKENS],
        /// What one step of a position's value is worth.
        v_scales: &'a [f32; PAGE_TOKENS],
    },
}

/// One page of the KV cache for one layer and KV head: [`PAGE_TOKENS`] positions.
///
/// Keys lie transposed, `[head_dim][64]`, so that a vector of scores needs no horizontal sum;
/// values lie `[64][head_dim]`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct KvPage<'a> {
    k: NonNull<u8>,
    v: NonNull<u8>,
    k_scales: NonNull<f32>,
    v_scales: NonNull<f32>,
    head_dim: usize,
    format: u32,
    cells: PhantomData<&'a [u16]>,
}

// SAFETY: a page is a pair of shared borrows of plain numbers.
unsafe impl Send for KvPage<'_> {}
// SAFETY: as above.
unsafe impl Sync for KvPage<'_> {}

impl<'a> KvPage<'a> {
    /// A page of heads of `head_dim` values in binary16.
    ///
    /// # Errors
    /// When a slice is not `head_dim * 64` long.
    pub fn f16(k: &'a [u16], v: &'a [u16], head_dim: usize) -> Result<Self, KernelError> {
        check_page(head_dim, k.len(), v.len())?;
        Ok(Self {
            k: NonNull::from(k).cast(),
            v: NonNull::from(v).cast(),
            k_scales: NonNull::dangling(),
            v_scales: NonNull::dangling(),
            head_dim,
            format: KvFormat::F16 as u32,
            cells: PhantomData,
        })
    }

    /// A page of heads of `head_dim` values in binary32.
    ///
    /// # Errors
    /// When a slice is not `head_dim * 64` long.
    pub fn f32(k: &'a [f32], v: &'a [f32], head_dim: usize) -> Result<Self, KernelError> {
        check_page(head_dim, k.len(), v.len())?;
        Ok(Self {
            k: NonNull::from(k).cast(),
            v: NonNull::from(v).cast(),
            k_scales: NonNull::dangling(),
            v_scales: NonNull::dangling(),
            head_dim,
            format: KvFormat::F32 as u32,
            cells: PhantomData,
        })
    }

    /// A page of heads of `head_dim` values in int8, with one scale a position.
    ///
    /// # Errors
    /// When a slice of codes is not `head_dim * 64` long.
    pub fn q8(
        (k, k_scales): (&'a [i8], &'a [f32; PAGE_TOKENS]),
        (v, v_scales): (&'a [i8], &'a [f32; PAGE_TOKENS]),
        head_dim: usize,
    ) -> Result<Self, KernelError> {
        check_page(head_dim, k.len(), v.len())?;
        Ok(Self {
            k: NonNull::from(k).cast(),
            v: NonNull::from(v).cast(),
            k_scales: NonNull::from(k_scales).cast(),
            v_scales: NonNull::from(v_scales).cast(),
            head_dim,
            format: KvFormat::Q8 as u32,
            cells: PhantomData,
        })
    }

    /// Values in a head.
    #[inline]
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Stored form, if it is one this build knows.
    #[inline]
    #[must_use]
    pub fn format(&self) -> Option<KvFormat> {
        KvFormat::from_u32(self.format)
    }

    /// Keys and values. A page of an unknown format, which [`AttendArgs::check`] refuses, is
    /// empty.
    #[inline]
    #[must_use]
    pub fn cells(&self) -> Cells<'a> {
        let n = self.head_dim * PAGE_TOKENS;
        match self.format() {
            // SAFETY: the page was built from slices of this type and length that live for `'a`.
            Some(KvFormat::F16) => unsafe {
                Cells::F16 {
                    k: core::slice::from_raw_parts(self.k.cast().as_ptr(), n),
                    v: core::slice::from_raw_parts(self.v.cast().as_ptr(), n),
                }
            },
            // SAFETY: as above.
            Some(KvFormat::F32) => unsafe {
                Cells::F32 {
                    k: core::slice::from_raw_parts(self.k.cast().as_ptr(), n),
                    v: core::slice::from_raw_parts(self.v.cast().as_ptr(), n),
                }
            },
            // SAFETY: as above; the scales are arrays of 64.
            Some(KvFormat::Q8) => unsafe {
                Cells::Q8 {
                    k: core::slice::from_raw_parts(self.k.cast().as_ptr(), n),
                    v: core::slice::from_raw_parts(self.v.cast().as_ptr(), n),
                    k_scales: self.k_scales.cast().as_ref(),
                    v_scales: self.v_scales.cast().as_ref(),
                }
            },
            None => Cells::F16 { k: &[], v: &[] },
        }
    }
}

fn check_page(head_dim: usize, k: usize, v: usize) -> Result<(), KernelError> {
    let want = head_dim.checked_mul(PAGE_TOKENS);
    if head_dim == 0 || want != Some(k) || want != Some(v) {
        return Err(KernelError::BadArgument(
            "a KV page is head_dim x 64 values",
        ));
    }
    Ok(())
}

/// Attention of the query heads that share one KV head, for one or more consecutive tokens of
/// one sequence.
///
/// Token `t` sees positions `start(t) .. len + t` with `start(t) = len + t - window` (0 without a
/// window), as far as they lie in `pages`. For every query head, over chunks of 64 positions
/// aligned to multiples of 64:
///
/// * score `s[j] = (fold over d increasing: acc = fma(q[d], k[j][d], acc), from 0) * scale`;
/// * `m = max(s) + 0` over the visible `j` (a zero is +0 whatever the order of comparisons),
///   `p[j] = exp(s[j] - m)`, 0 for the others;
/// * `l`: lane `i` of 16 adds `p[i]`, `p[i + 16]`, `p[i + 32]`, `p[i + 48]` in this order, then
///   the tree of [`sum_lanes`](crate::numerics::sum_lanes);
/// * `o[d] = fold over visible j increasing: acc = fma(p[j], v[j][d], acc)`, from 0;
/// * the first chunk starts the running `(M, L, O)`; each further one is merged in order:
///   `N = max(M, m)`, `a = exp(M - N)`, `b = exp(m - N)`, `L = fma(L, a, l * b)`,
///   `O[d] = fma(O[d], a, o[d] * b)`, `M = N`.
///
/// With [`KvFormat::Q8`], `k` and `v` are the codes as floats, the score's factor is
/// `scale * k_scale[j]` instead of `scale`, and the fold of `o` takes `p[j] * v_scale[j]` instead
/// of `p[j]`.
///
/// The result is `O[d] * (1 / L)`; with [`partial`](Self::partial) it is `(M, L, O)` itself, to be
/// merged by `attend_merge` (online softmax: Milakov & Gimelshein 2018; chunks: FlashDecoding).
#[derive(Clone, Copy, Debug)]
pub struct AttendArgs<'a> {
    /// `tokens` rows of `q_stride` floats; the heads of this group lie together at the start of
    /// each row (the last row may end after them).
    pub q: &'a [f32],
    /// Floats between two query rows.
    pub q_stride: usize,
    /// Consecutive tokens.
    pub tokens: usize,
    /// Query heads that share the KV head.
    pub heads: usize,
    /// Values in a head.
    pub head_dim: usize,
    /// Pages of this layer and KV head, in order of position, all of one format.
    pub pages: &'a [KvPage<'a>],
    /// Position of the first cell of `pages`, a multiple of 64.
    pub first: usize,
    /// Positions visible to the first token, its own included: at least 1.
    pub len: usize,
    /// Positions a token may look back, its own included; 0 for all.
    pub window: usize,
    /// Usually `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// Write the running state instead of the result: an output row is then `O` of all heads
    /// followed by `M, L` of every head. A token that sees none of the pages writes zeros.
    pub partial: bool,
}

impl AttendArgs<'_> {
    /// Floats in a row of the output.
    #[must_use]
    pub const fn width(&self) -> usize {
        attend_width(self.heads, self.head_dim, self.partial)
    }

    /// The cells that token `token` sees, counted from the first cell of the first page. May be
    /// empty with [`partial`](Self::partial).
    #[inline]
    #[must_use]
    pub fn visible(&self, token: usize) -> Range<usize> {
        let end = self.len + token;
        let start = match self.window {
            0 => 0,
            window => end.saturating_sub(window),
        };
        let cells = self.pages.len() * PAGE_TOKENS;
        let start = start.saturating_sub(self.first);
        start..end.saturating_sub(self.first).min(cells).max(start)
    }

    /// Checks that queries, pages and output fit the shape.
    ///
    /// # Errors
    /// Names the rule that is broken.
    pub fn check(&self, out: &MatOut<'_>) -> Result<(), KernelError> {
        let bad = |rule| Err(KernelError::BadArgument(rule));
        let Some(width) = self.heads.checked_mul(self.head_dim) else {
            return bad("attention shape overflows");
        };
        if width == 0 || self.tokens == 0 || self.len == 0 {
            return bad("attention needs a head, a token and a position");
        }
        let need = (self.tokens - 1)
            .checked_mul(self.q_stride)
            .and_then(|n| n.checked_add(width));
        if self.q_stride < width || need.is_none_or(|n| n > self.q.len()) {
            return bad("queries do not fit the shape");
        }
        if !self.first.is_multiple_of(PAGE_TOKENS) {
            return bad("the first page starts on a multiple of 64 positions");
        }
        let held = self.pages.len().checked_mul(PAGE_TOKENS);
        let held = held.and_then(|cells| cells.checked_add(self.first));
        let positions = self.len.checked_add(self.tokens - 1);
        let (Some(held), Some(positions)) = (held, positions) else {
            return bad("attention positions overflow");
        };
        if self.pages.is_empty() || !self.partial && positions > held {
            return bad("too few KV pages for the positions");
        }
        let oldest = match self.window {
            0 => 0,
            window => self.len.saturating_sub(window),
        };
        if !self.partial && self.first > oldest {
            return bad("the first KV page lies behind the first visible position");
        }
        if self.pages.iter().any(|page| page.head_dim != self.head_dim) {
            return bad("KV pages are of another head size");
        }
        let format = self.pages[0].format();
        if format.is_none() || self.pages.iter().any(|page| page.format() != format) {
            return bad("KV pages are of one known format");
        }
        let Some(width) = self.heads.checked_mul(2).and_then(|n| n.checked_add(width)) else {
            return bad("attention shape overflows");
        };
        let width = width - if self.partial { 0 } else { 2 * self.heads };
        if out.tokens() != self.tokens || out.range().len() != width {
            return bad("attention output does not fit the shape");
        }
        Ok(())
    }
}

/// Floats that attention writes for one token: the heads, and with `partial` two more a head.
#[must_use]
pub const fn attend_width(heads: usize, head_dim: usize, partial: bool) -> usize {
    heads * head_dim + if partial { 2 * heads } else { 0 }
}

/// The definition of merging two partial results of attention, `next` after `acc`: rows as
/// [`AttendArgs::partial`] describes them.
///
/// For every head: a state with `L = 0` saw nothing; merging it changes nothing, and anything
/// merged into it replaces it. Else `N = max(M, m)`, `a = exp(M - N)`, `b = exp(m - N)`,
/// `L = fma(L, a, l * b)`, `O[d] = fma(O[d], a, o[d] * b)`, `M = N`.
#[inline(always)]
pub fn merge_partial(heads: usize, head_dim: usize, acc: &mut [f32], next: &[f32]) {
    let (acc, acc_state) = acc.split_at_mut(heads * head_dim);
    let (next, next_state) = next.split_at(heads * head_dim);
    let heads = acc
        .chunks_exact_mut(head_dim)
        .zip(next.chunks_exact(head_dim));
    let states = acc_state
        .chunks_exact_mut(2)
        .zip(next_state.chunks_exact(2));
    for ((acc, next), (state, other)) in heads.zip(states) {
        if other[1] == 0.0 {
            continue;
        }
        if state[1] == 0.0 {
            acc.copy_from_slice(next);
            state.copy_from_slice(other);
            continue;
        }
        let max = if other[0] > state[0] {
            other[0]
        } else {
            state[0]
        };
        let (a, b) = (numerics::exp(state[0] - max), numerics::exp(other[0] - max));
        state[1] = state[1].mul_add(a, other[1] * b);
        state[0] = max;
        for (o, new) in acc.iter_mut().zip(next) {
            *o = o.mul_add(a, *new * b);
        }
    }
}

/// Checks the arguments of `attend_merge`.
///
/// # Errors
/// When a row is not as long as the shape says.
pub fn check_merge(
    heads: usize,
    head_dim: usize,
    acc: usize,
    next: usize,
) -> Result<(), KernelError> {
    let width = head_dim
        .checked_add(2)
        .and_then(|n| n.checked_mul(heads))
        .filter(|_| heads > 0 && head_dim > 0);
    if width != Some(acc) || width != Some(next) {
        return Err(KernelError::BadArgument(
            "partial attention rows are heads x (head_dim + 2) floats",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args<'a>(q: &'a [f32], pages: &'a [KvPage<'a>], len: usize) -> AttendArgs<'a> {
        AttendArgs {
            q,
            q_stride: 16,
            tokens: 1,
            heads: 2,
            head_dim: 8,
            pages,
            first: 0,
            len,
            window: 0,
            scale: 1.0,
            partial: false,
        }
    }

    #[test]
    fn shapes_that_contradict_themselves_are_refused() {
        let cells = [0u16; 8 * PAGE_TOKENS];
        let codes = [0i8; 8 * PAGE_TOKENS];
        let scales = [0.0; PAGE_TOKENS];
        assert!(KvPage::f16(&cells, &cells[1..], 8).is_err());
        assert!(KvPage::q8((&codes, &scales), (&codes[1..], &scales), 8).is_err());
        let half = KvPage::f16(&cells, &cells, 8).unwrap();
        let int8 = KvPage::q8((&codes, &scales), (&codes, &scales), 8).unwrap();
        let pages = [half, int8];
        let (one, q) = (&pages[..1], [0.0f32; 16]);
        let mut buffer = [0.0f32; 20];
        let out = MatOut::new(&mut buffer, 20, 0..16).unwrap();
        assert!(args(&q, one, 64).check(&out).is_ok());
        assert!(args(&q, one, 65).check(&out).is_err(), "one page: 64");
        assert!(args(&q, one, 0).check(&out).is_err());
        assert!(args(&q, &pages, 65).check(&out).is_err(), "two formats");
        let later = |window| AttendArgs {
            first: 64,
            window,
            ..args(&q, one, 128)
        };
        assert!(later(0).check(&out).is_err(), "position 0 is missing");
        assert!(later(65).check(&out).is_err(), "position 63 is missing");
        assert!(later(64).check(&out).is_ok());
        let odd = AttendArgs {
            first: 32,
            ..later(64)
        };
        assert!(odd.check(&out).is_err());
        let other_dim = AttendArgs {
            head_dim: 4,
            heads: 4,
            ..args(&q, one, 64)
        };
        assert!(other_dim.check(&out).is_err(), "another head size");
        let partial = AttendArgs {
            partial: true,
            ..later(0)
        };
        assert!(partial.check(&out).is_err(), "no room for the state");
        let out = MatOut::new(&mut buffer, 20, 0..20).unwrap();
        assert!(partial.check(&out).is_ok());
    }

    #[test]
    fn a_token_sees_what_lies_in_the_pages() {
        let cells = [0u16; PAGE_TOKENS];
        let pages = [KvPage::f16(&cells, &cells, 1).unwrap(); 2];
        let q = [0.0f32; 16];
        let at = |first, len, window| {
            let all = args(&q, &pages, len);
            let cut = AttendArgs {
                first,
                window,
                partial: true,
                ..all
            };
            cut.visible(3)
        };
        assert_eq!(at(0, 1, 0), 0..4);
        assert_eq!(at(0, 400, 0), 0..128);
        assert_eq!(at(64, 100, 0), 0..39);
        assert_eq!(at(64, 100, 10), 29..39);
        assert!(at(128, 100, 0).is_empty());
        assert!(at(0, 400, 10).is_empty());
    }

    #[test]
    fn merging_nothing_changes_nothing() {
        let state = [1.0, 2.0, 5.0, 0.5];
        let nothing = [0.0; 4];
        let mut acc = state;
        merge_partial(1, 2, &mut acc, &nothing);
        assert_eq!(acc, state);
        let mut acc = nothing;
        merge_partial(1, 2, &mut acc, &state);
        assert_eq!(acc, state);
        let mut acc = state;
        merge_partial(1, 2, &mut acc, &state);
        assert_eq!(
            acc,
            [2.0, 4.0, 5.0, 1.0],
            "the same again: twice the weight"
        );
        assert!(check_merge(1, 2, 4, 4).is_ok());
        assert!(check_merge(1, 2, 4, 3).is_err());
        assert!(check_merge(0, 2, 0, 0).is_err());
    }
}

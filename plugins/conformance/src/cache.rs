//! Pages of a KV cache with garbage wherever no token may look.

use core::ops::Range;

use tritone_abi::{KernelError, KvFormat, KvPage, PAGE_TOKENS};

use crate::data::{Guarded, Rng};

/// Keys and values of a page.
enum Page {
    F16([Guarded<u16>; 2]),
    F32([Guarded<f32>; 2]),
    Q8 {
        codes: [Guarded<i8>; 2],
        scales: [Guarded<f32>; 2],
    },
}

/// The pages of one sequence.
pub(crate) struct Cache {
    head_dim: usize,
    pages: Vec<Page>,
}

impl Cache {
    /// `count` pages, of which the positions `seen` are visible to some token.
    pub(crate) fn new(
        format: KvFormat,
        head_dim: usize,
        seen: Range<usize>,
        count: usize,
        rng: &mut Rng,
    ) -> Self {
        let pages = (0..count).map(|page| {
            let seen = |j: usize| seen.contains(&(page * PAGE_TOKENS + j));
            match format {
                KvFormat::F16 => Page::F16(cells(
                    head_dim,
                    (0, 0x7e77),
                    |j, rng| if seen(j) { rng.half() } else { rng.bad_half() },
                    rng,
                )),
                KvFormat::F32 => Page::F32(cells(
                    head_dim,
                    (0.0, f32::MAX),
                    |j, rng| {
                        let bad = [f32::NAN, f32::INFINITY, -1e30][rng.below(3)];
                        if seen(j) { 2.0 * rng.float() } else { bad }
                    },
                    rng,
                )),
                KvFormat::Q8 => Page::Q8 {
                    codes: [0, 1].map(|_| {
                        let mut codes =
                            Guarded::new(head_dim * PAGE_TOKENS, rng.below(32), 0, 0x2a);
                        codes.get_mut().fill_with(|| rng.next() as i8);
                        codes
                    }),
                    scales: [0, 1].map(|_| {
                        let mut scales = Guarded::new(PAGE_TOKENS, rng.below(16), 0.0, f32::MAX);
                        for (j, scale) in scales.get_mut().iter_mut().enumerate() {
                            *scale = match seen(j) {
                                true => rng.scale().abs(),
                                false => [f32::NAN, f32::INFINITY, -1e30][rng.below(3)],
                            };
                        }
                        scales
                    }),
                },
            }
        });
        let pages = pages.collect();
        Self { head_dim, pages }
    }

    /// Puts NaN into the values of a position: into the first and the last, or all of them.
    pub(crate) fn spoil(&mut self, position: usize) {
        let cell = position % PAGE_TOKENS;
        match &mut self.pages[position / PAGE_TOKENS] {
            Page::F16([_, v]) => {
                v.get_mut()[cell * self.head_dim] = 0x7e01;
                v.get_mut()[(cell + 1) * self.head_dim - 1] = 0xfe55;
            }
            Page::F32([_, v]) => {
                v.get_mut()[cell * self.head_dim] = f32::NAN;
                v.get_mut()[(cell + 1) * self.head_dim - 1] = f32::NAN;
            }
            Page::Q8 { scales, .. } => scales[1].get_mut()[cell] = f32::NAN,
        }
    }

    pub(crate) fn view(&self) -> Result<Vec<KvPage<'_>>, String> {
        let views = self.pages.iter().map(|page| match page {
            Page::F16([k, v]) => KvPage::f16(k.get(), v.get(), self.head_dim),
            Page::F32([k, v]) => KvPage::f32(k.get(), v.get(), self.head_dim),
            Page::Q8 { codes, scales } => {
                let [k, v] = [0, 1].map(|i| Some((codes[i].get(), scales[i].get().as_array()?)));
                let scales = KernelError::BadArgument("scales of a page");
                KvPage::q8(k.ok_or(scales)?, v.ok_or(scales)?, self.head_dim)
            }
        });
        views
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }
}

/// Keys and values out of `make`, which takes the cell's position; `zero` and `guard` lie around.
fn cells<T: Copy + PartialEq + core::fmt::Debug>(
    head_dim: usize,
    (zero, guard): (T, T),
    mut make: impl FnMut(usize, &mut Rng) -> T,
    rng: &mut Rng,
) -> [Guarded<T>; 2] {
    let cells = head_dim * PAGE_TOKENS;
    let mut k = Guarded::new(cells, rng.below(32), zero, guard);
    let mut v = Guarded::new(cells, rng.below(32), zero, guard);
    for i in 0..cells {
        // Keys lie [head_dim][64], values [64][head_dim].
        for (out, j) in [(&mut k, i % PAGE_TOKENS), (&mut v, i / head_dim)] {
            out.get_mut()[i] = make(j, rng);
        }
    }
    [k, v]
}

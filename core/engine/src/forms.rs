//! In which form the output head and the KV cache are kept.

use std::fmt;

use tritone_abi::{HeadFormat, KvFormat};

/// Form of the output head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Head {
    /// binary16: the reference, used from the model file as it stands.
    #[default]
    F16,
    /// 8 bits a weight.
    Q8,
    /// 6 bits a weight.
    Q6,
    /// 4 bits a weight.
    Q4,
    /// 4 bits a weight to find the best rows, which are then computed again from binary16: the
    /// greedy choice and the top of the distribution are those of [`F16`](Self::F16) unless the
    /// 4-bit logits miss a row altogether.
    Q4Exact,
    /// One more ternary matrix, multiplied as those of the layers are: for models whose file holds
    /// the head in a ternary type. Nothing of its weights is lost.
    Ternary,
}

impl Head {
    /// All forms, from the largest to the smallest.
    pub const ALL: [Self; 6] = [
        Self::F16,
        Self::Q8,
        Self::Q6,
        Self::Q4Exact,
        Self::Q4,
        Self::Ternary,
    ];

    /// The name in profiles, flags and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8 => "q8",
            Self::Q6 => "q6",
            Self::Q4 => "q4",
            Self::Q4Exact => "q4+exact",
            Self::Ternary => "ternary",
        }
    }

    /// The stored format that every row is computed from; `None` where it is the kernel's ternary
    /// layout.
    #[must_use]
    pub const fn format(self) -> Option<HeadFormat> {
        match self {
            Self::F16 => Some(HeadFormat::F16),
            Self::Q8 => Some(HeadFormat::Q8),
            Self::Q6 => Some(HeadFormat::Q6),
            Self::Q4 | Self::Q4Exact => Some(HeadFormat::Q4),
            Self::Ternary => None,
        }
    }

    /// Whether the best rows are computed again from binary16.
    #[must_use]
    pub const fn exact(self) -> bool {
        matches!(self, Self::Q4Exact)
    }

    /// Bytes of a head of `vocab` rows of `hidden` values, the binary16 rows of
    /// [`Q4Exact`](Self::Q4Exact) included; `None` when the format does not take the shape, or, of
    /// [`Ternary`](Self::Ternary), the kernel decides.
    #[must_use]
    pub fn bytes(self, vocab: usize, hidden: usize) -> Option<u64> {
        let bytes = self.format()?.bytes(vocab, hidden)? as u64;
        if self.exact() {
            bytes.checked_add(HeadFormat::F16.bytes(vocab, hidden)? as u64)
        } else {
            Some(bytes)
        }
    }

    /// Bytes that one token reads of the head; `None` where [`bytes`](Self::bytes) is.
    #[must_use]
    pub fn token_bytes(self, vocab: usize, hidden: usize) -> Option<u64> {
        let bytes = self.format()?.bytes(vocab, hidden)? as u64;
        let exact = if self.exact() {
            HeadFormat::F16.bytes(EXACT_ROWS.min(vocab), hidden)? as u64
        } else {
            0
        };
        bytes.checked_add(exact)
    }
}

/// Rows that [`Head::Q4Exact`] computes again for every logit row.
pub(crate) const EXACT_ROWS: usize = 256;

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|head| head.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("'{}' is no head; expected {names}", name.escape_default())
        })
    }
}

/// The forms of everything that has a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms {
    /// Output head.
    pub head: Head,
    /// Cached keys and values.
    pub kv: KvFormat,
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            head: Head::F16,
            kv: KvFormat::F16,
        }
    }
}

/// The name of a KV format in profiles, flags and reports.
#[must_use]
pub const fn kv_name(format: KvFormat) -> &'static str {
    match format {
        KvFormat::F16 => "f16",
        KvFormat::Q8 => "q8",
        KvFormat::F32 => "f32",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_heads() {
        for head in Head::ALL {
            assert_eq!(head.name().parse(), Ok(head));
        }
        let error = "q5".parse::<Head>().unwrap_err();
        assert!(error.contains("q4+exact"), "{error}");
    }

    #[test]
    fn an_exact_head_reads_little_more_than_its_codes() {
        let (codes, both) = (Head::Q4.bytes(1000, 64), Head::Q4Exact.bytes(1000, 64));
        assert_eq!(both.zip(codes).map(|(a, b)| a - b), Some(1000 * 64 * 2));
        let token = Head::Q4Exact.token_bytes(1000, 64).zip(codes);
        assert_eq!(token.map(|(a, b)| a - b), Some(256 * 64 * 2));
    }
}

//! GGUF bytes made by hand, sound or not: an encoder that shares nothing with the crate's writer.

#![allow(dead_code, reason = "every test file uses a part of it")]

/// Appends numbers and strings as they stand in a file.
#[derive(Clone, Default)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Raw {
    /// Magic, version and the two counts.
    pub(crate) fn header(version: u32, tensors: u64, keys: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(version).u64(tensors).u64(keys)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn u32(self, n: u32) -> Self {
        self.bytes(&n.to_le_bytes())
    }

    pub(crate) fn u64(self, n: u64) -> Self {
        self.bytes(&n.to_le_bytes())
    }

    pub(crate) fn text(self, text: &[u8]) -> Self {
        self.u64(text.len() as u64).bytes(text)
    }

    /// A key, its type number and the value's bytes.
    pub(crate) fn key(self, key: &str, ty: u32, value: &[u8]) -> Self {
        self.text(key.as_bytes()).u32(ty).bytes(value)
    }

    /// A key with an array: element type, count, bytes.
    pub(crate) fn array(self, key: &str, elem: u32, count: u64, elements: &[u8]) -> Self {
        self.text(key.as_bytes())
            .u32(9)
            .u32(elem)
            .u64(count)
            .bytes(elements)
    }

    /// A tensor info.
    pub(crate) fn tensor(self, name: &str, dims: &[u64], ty: u32, offset: u64) -> Self {
        let head = self.text(name.as_bytes()).u32(dims.len() as u32);
        dims.iter()
            .fold(head, |raw, &dim| raw.u64(dim))
            .u32(ty)
            .u64(offset)
    }

    /// Zeros up to a multiple of `alignment`, then the data section.
    pub(crate) fn data(mut self, alignment: usize, data: &[u8]) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
        self.0.extend(data);
        self.0
    }
}

/// A sound file with every value type and a tensor of every kind of type, in about 2 KB.
pub(crate) fn rich() -> Vec<u8> {
    let strings = Raw::default()
        .text(b"<s>")
        .text(b"")
        .text(b"\xff\xfe")
        .text(b"tok");
    let raw = Raw::header(3, 7, 16)
        .key(
            "general.architecture",
            8,
            &Raw::default().text(b"bitnet-b1.58").0,
        )
        .key("general.alignment", 4, &64_u32.to_le_bytes())
        .key("k.u8", 0, &[200])
        .key("k.i8", 1, &[0x80])
        .key("k.u16", 2, &65_535_u16.to_le_bytes())
        .key("k.i16", 3, &(-2_i16).to_le_bytes())
        .key("k.i32", 5, &(-3_i32).to_le_bytes())
        .key("k.f32", 6, &1e-5_f32.to_le_bytes())
        .key("k.bool", 7, &[1])
        .key("k.u64", 10, &u64::MAX.to_le_bytes())
        .key("k.i64", 11, &i64::MIN.to_le_bytes())
        .key("k.f64", 12, &0.1_f64.to_le_bytes())
        .array("k.tokens", 8, 4, &strings.0)
        .array(
            "k.types",
            5,
            3,
            &[1, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        )
        .array("k.flags", 7, 2, &[1, 0])
        .array("k.empty", 8, 0, &[])
        // Offsets are multiples of 64; sizes in the data below.
        .tensor("token_embd.weight", &[32, 4], 1, 0)
        .tensor("output_norm.weight", &[8], 0, 256)
        .tensor("blk.0.attn_q.weight", &[128, 2], 36, 320)
        .tensor("q8", &[32], 8, 448)
        .tensor("q6", &[256], 14, 512)
        .tensor("tl2", &[32, 32], 39, 768)
        .tensor("bf16", &[2, 1, 2, 1], 30, 896);
    let mut data = vec![0; 896 + 8];
    for (i, byte) in data.iter_mut().enumerate() {
        *byte = (i * 37 % 251) as u8;
    }
    // 64 bytes of codes without a 3, then the scale.
    data[320..384].fill(0b01_10_00_01);
    data[384..388].copy_from_slice(&0.5_f32.to_le_bytes());
    raw.data(64, &data)
}

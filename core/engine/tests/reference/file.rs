//! A random model as a GGUF file.

use tritone_formats::TensorType;
use tritone_formats::codec::{Rounding, encode_row, encode_ternary};
use tritone_formats::write::{GgufWriter, Strings};

use super::{EPS, Matrix, Random, VOCAB};

impl Random {
    /// The model as a GGUF file.
    pub fn file(&self) -> Vec<u8> {
        let shape = &self.shape;
        let mut plan = GgufWriter::new();
        plan.metadata("general.architecture", shape.arch).unwrap();
        let mut number = |key: &str, value: usize| {
            let key = format!("{}.{key}", shape.arch);
            plan.metadata(&key, value as u32).unwrap();
        };
        number("block_count", shape.layers);
        number("context_length", 512);
        number("embedding_length", shape.hidden);
        if let Some((count, used, _)) = shape.experts {
            number("expert_count", count);
            number("expert_used_count", used);
            number("expert_feed_forward_length", shape.ffn);
        } else {
            number("feed_forward_length", shape.ffn);
        }
        number("attention.head_count", shape.heads);
        number("attention.head_count_kv", shape.kv_heads);
        number("attention.key_length", shape.head_dim);
        let key = |key: &str| format!("{}.{key}", shape.arch);
        plan.metadata(&key("rope.freq_base"), shape.theta as f32)
            .unwrap();
        plan.metadata(&key("attention.layer_norm_rms_epsilon"), EPS as f32)
            .unwrap();
        if let Some((factor, original)) = shape.yarn {
            plan.metadata(&key("rope.scaling.type"), "yarn").unwrap();
            plan.metadata(&key("rope.scaling.factor"), factor as f32)
                .unwrap();
            let original = original as u32;
            plan.metadata(&key("rope.scaling.original_context_length"), original)
                .unwrap();
        }
        if let Some((_, _, gain, original)) = &shape.factors {
            plan.metadata(&key("rope.scaling.type"), "longrope")
                .unwrap();
            plan.metadata(&key("rope.scaling.attn_factor"), *gain as f32)
                .unwrap();
            let original = *original as u32;
            plan.metadata(&key("rope.scaling.original_context_length"), original)
                .unwrap();
        }
        if let Some(windows) = &shape.windows {
            let size = windows.size as u32;
            plan.metadata(&key("attention.sliding_window"), size)
                .unwrap();
            let pattern: Vec<bool> = (1..=shape.layers)
                .map(|i| !i.is_multiple_of(windows.period))
                .collect();
            plan.metadata(&key("attention.sliding_window_pattern"), &pattern[..])
                .unwrap();
            plan.metadata(&key("rope.freq_base_swa"), windows.theta as f32)
                .unwrap();
        }
        if let Some((_, _, clamp)) = shape.experts {
            let clamps = vec![clamp as f32; shape.layers];
            plan.metadata(&key("swiglu_clamp_exp"), &clamps[..])
                .unwrap();
        }
        if let Some(hybrid) = &shape.hybrid {
            hybrid.describe(shape.layers, &key, &mut plan);
        }
        if let Some(folded) = &shape.folded {
            folded.describe(self, &mut plan);
        }
        for (name, value) in &shape.keys {
            plan.metadata(&key(name), *value as f32).unwrap();
        }
        for (name, value) in &shape.numbers {
            plan.metadata(&key(name), *value).unwrap();
        }
        if let Some(eos) = shape.eos {
            plan.metadata("tokenizer.ggml.eos_token_id", eos).unwrap();
            let kind = |id| if id == eos as usize { 3 } else { 1 };
            let kinds: Vec<i32> = (0..VOCAB).map(kind).collect();
            plan.metadata("tokenizer.ggml.token_type", &kinds[..])
                .unwrap();
        }
        let tokens = byte_tokens();
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        plan.metadata("tokenizer.ggml.model", "gpt2").unwrap();
        plan.metadata("tokenizer.ggml.pre", "llama-bpe").unwrap();
        plan.metadata("tokenizer.ggml.tokens", Strings(&tokens[..]))
            .unwrap();
        plan.metadata("tokenizer.chat_template", "{{ messages }}")
            .unwrap();
        for (name, ty, matrix) in self.ternary() {
            let stacked = match shape.experts {
                Some((count, ..)) if name.contains("_exps") => count,
                _ => 1,
            };
            let dims = [matrix.cols, matrix.rows / stacked, stacked];
            let dims = if stacked > 1 { &dims[..] } else { &dims[..2] };
            plan.tensor(name, ty, dims).unwrap();
        }
        let floats = self
            .floats
            .iter()
            .filter(|(name, _)| !self.tables.contains_key(*name))
            .map(|(name, (rows, values))| (name.as_str(), *rows, values.as_slice()));
        let mut floats: Vec<_> = floats.collect();
        if let Some((short, long, ..)) = &shape.factors {
            floats.push(("rope_factors_short.weight", 1, short));
            floats.push(("rope_factors_long.weight", 1, long));
        }
        for (name, rows, values) in &floats {
            let (ty, cols) = (self.float_type(name, *rows), values.len() / rows);
            let dims: &[usize] = if *rows == 1 { &[cols] } else { &[cols, *rows] };
            plan.tensor(name, ty, dims).unwrap();
        }
        let mut body = plan.begin(Vec::new()).unwrap();
        for (name, ty, m) in self.ternary() {
            let (dims, exact) = ((m.rows, m.cols), Rounding::Exact);
            let bytes = encode_ternary(ty, &m.ternary, dims, &m.scales, exact).unwrap();
            body.write(name, &bytes).unwrap();
        }
        for (name, rows, values) in &floats {
            let mut bytes = Vec::new();
            encode_row(self.float_type(name, *rows), values, &mut bytes).unwrap();
            body.write(name, &bytes).unwrap();
        }
        body.finish().unwrap()
    }

    /// All ternary tensors with their types.
    fn ternary(&self) -> impl Iterator<Item = (&String, TensorType, &Matrix)> {
        let table = self.shape.table.map_or(self.shape.ty, |(ty, _)| ty);
        let matrices = self.matrices.iter();
        let matrices = matrices.map(|(name, matrix)| (name, self.shape.ty, matrix));
        let tables = self.tables.iter();
        matrices.chain(tables.map(move |(name, matrix)| (name, table, matrix)))
    }

    fn float_type(&self, name: &str, rows: usize) -> TensorType {
        match rows {
            1 if self.shape.half_norms && name.contains("norm") => TensorType::F16,
            1 => TensorType::F32,
            _ if name.contains("ffn_gate_inp") => TensorType::F32,
            _ if name.contains("ssm_conv1d") => TensorType::F32,
            _ if name.contains("ssm_") => TensorType::Bf16,
            _ => TensorType::F16,
        }
    }
}

/// One token for every byte, in the alphabet of GPT-2, and some more.
fn byte_tokens() -> Vec<String> {
    let plain = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut others = 0x100_u32..;
    let bytes = (0..256).map(|byte| match plain(byte) {
        true => byte,
        false => others.next().unwrap(),
    });
    let mut tokens: Vec<String> = bytes
        .map(|code| char::from_u32(code).unwrap().to_string())
        .collect();
    tokens.extend((tokens.len()..VOCAB).map(|i| format!("more{i}")));
    tokens
}

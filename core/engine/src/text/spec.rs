/// What a tokenizer is built from: the `tokenizer.ggml.*` keys of a GGUF file, or their equals
/// from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct TokenizerSpec<'a> {
    /// `tokenizer.ggml.model`: the family; only `gpt2` (byte-level BPE) is supported.
    pub model: &'a str,
    /// `tokenizer.ggml.pre`: the rule that cuts text into words.
    pub pre: Option<&'a str>,
    /// `general.architecture`: decides what to do where keys are missing.
    pub architecture: &'a str,
    /// `tokenizer.ggml.tokens`, by id. Ordinary ones are spelled in the byte alphabet of GPT-2.
    pub tokens: Vec<&'a [u8]>,
    /// `tokenizer.ggml.merges` by rank: two tokens with a space between them.
    pub merges: Vec<&'a [u8]>,
    /// `tokenizer.ggml.token_type` by id (1 normal, 2 unknown, 3 control, 4 user-defined,
    /// 5 unused, 6 byte). Empty if the file has none.
    pub token_types: &'a [i32],
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.eot_token_id`.
    pub eot: Option<u32>,
    /// `tokenizer.ggml.padding_token_id`.
    pub pad: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`: a prompt begins with the BOS token.
    pub add_bos: bool,
    /// `tokenizer.ggml.add_eos_token`: a document for embedding ends with the EOS token.
    pub add_eos: bool,
}

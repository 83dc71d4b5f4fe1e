//! Contracts of folded weights that are refused, each with its reason.
#![allow(clippy::unwrap_used, reason = "test code outside test functions")]

use tritone_engine::Recipe;
use tritone_formats::write::{GgufWriter, Strings};
use tritone_formats::{GgufFile, TensorType};

/// What a file says; the default is one with all of it in order.
#[derive(Clone)]
struct Contract {
    version: Option<u32>,
    tied_output: bool,
    block: u32,
    transform: &'static str,
    axis: &'static str,
    mode: &'static str,
    names: Vec<&'static str>,
    inverse: Vec<&'static str>,
    widths: Vec<u32>,
    values: Vec<i32>,
    grouped: bool,
    /// There is a head of its own.
    head: bool,
}

impl Default for Contract {
    fn default() -> Self {
        Self {
            version: Some(1),
            tied_output: false,
            block: 64,
            transform: "normalized-sylvester-walsh-hadamard",
            axis: "input-last-dimension",
            mode: "explicit",
            names: vec![
                "blk.0.attn_qkv.weight",
                "blk.0.attn_gate.weight",
                "blk.0.ssm_out.weight",
                "blk.1.attn_output.weight",
                "output.weight",
            ],
            inverse: vec!["token_embd.weight"],
            widths: vec![128, 192, 256],
            values: vec![-1; 128 + 192 + 256],
            grouped: true,
            head: true,
        }
    }
}

fn recipe(contract: &Contract) -> Result<Recipe, String> {
    let mut plan = GgufWriter::new();
    plan.metadata("general.architecture", "qwen35").unwrap();
    for (key, value) in [
        ("block_count", 2u32),
        ("embedding_length", 128),
        ("feed_forward_length", 256),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("attention.key_length", 64),
        ("context_length", 64),
        ("full_attention_interval", 2),
        ("ssm.conv_kernel", 4),
        ("ssm.inner_size", 192),
        ("ssm.state_size", 32),
        ("ssm.time_step_rank", 6),
        ("ssm.group_count", 2),
    ] {
        plan.metadata(&format!("qwen35.{key}"), value).unwrap();
    }
    let key = |name: &str| format!("prism.hadamard.{name}");
    if let Some(version) = contract.version {
        plan.metadata(&key("version"), version).unwrap();
    }
    plan.metadata(&key("tied_output"), contract.tied_output)
        .unwrap()
        .metadata(&key("block_size"), contract.block)
        .unwrap()
        .metadata(&key("transform"), contract.transform)
        .unwrap()
        .metadata(&key("axis"), contract.axis)
        .unwrap()
        .metadata(&key("sign_mode"), contract.mode)
        .unwrap()
        .metadata(&key("weight_names"), Strings(&contract.names[..]))
        .unwrap()
        .metadata(&key("inverse_weight_names"), Strings(&contract.inverse[..]))
        .unwrap()
        .metadata(&key("sign_widths"), &contract.widths[..])
        .unwrap()
        .metadata(&key("sign_values"), &contract.values[..])
        .unwrap()
        .metadata(&key("gdn_v_grouped"), contract.grouped)
        .unwrap();
    let mut tables = vec!["token_embd.weight"];
    if contract.head {
        tables.push("output.weight");
    }
    for name in &tables {
        plan.tensor(name, TensorType::F32, &[128, 3]).unwrap();
    }
    let mut body = plan.begin(Vec::new()).unwrap();
    for name in &tables {
        body.write(name, &[0; 4 * 3 * 128]).unwrap();
    }
    Recipe::from_gguf(&GgufFile::new(body.finish().unwrap()).unwrap())
}

#[test]
fn a_contract_in_order_is_read() {
    let recipe = recipe(&Contract::default()).unwrap();
    let hadamard = recipe.hadamard.unwrap();
    assert_eq!((hadamard.block, hadamard.folded.len()), (64, 4));
    assert!(hadamard.embedding && hadamard.head && hadamard.grouped);
    assert_eq!(hadamard.signs.len(), 3);
    let tied = Contract {
        version: Some(2),
        tied_output: true,
        head: false,
        names: vec!["blk.0.ffn_down.weight"],
        ..Contract::default()
    };
    let hadamard = self::recipe(&tied).unwrap().hadamard.unwrap();
    assert!(hadamard.embedding && hadamard.head);
    let unsigned = Contract {
        mode: "identity",
        widths: vec![],
        values: vec![],
        ..Contract::default()
    };
    assert!(
        self::recipe(&unsigned)
            .unwrap()
            .hadamard
            .unwrap()
            .signs
            .is_empty()
    );
}

#[test]
fn what_is_not_understood_is_refused() {
    let refused = |change: &dyn Fn(&mut Contract), says: &str| {
        let mut contract = Contract::default();
        change(&mut contract);
        let error = recipe(&contract).unwrap_err();
        assert!(error.contains(says), "{error}\nshould say: {says}");
    };
    refused(&|c| c.version = None, "no prism.hadamard.version");
    refused(&|c| c.version = Some(3), "version is 3");
    refused(&|c| c.version = Some(2), "version 2 with tied_output false");
    refused(&|c| c.tied_output = true, "version 1 with tied_output true");
    refused(
        &|c| (c.version, c.tied_output) = (Some(2), true),
        "tied_output is set, but there is an 'output.weight'",
    );
    refused(
        &|c| c.block = 96,
        "block_size is 96; expected a power of two",
    );
    refused(&|c| c.block = 0, "block_size is 0");
    refused(
        &|c| c.block = 128,
        "'blk.0.ssm_out.weight' has 192 columns, which are not whole Hadamard blocks of 128",
    );
    refused(&|c| c.transform = "fourier", "transform is 'fourier'");
    refused(&|c| c.axis = "output", "axis is 'output'");
    refused(&|c| c.mode = "random", "sign_mode is 'random'");
    refused(
        &|c| c.names.push("blk.0.ssm_alpha.weight"),
        "'blk.0.ssm_alpha.weight', whose input is not transformed",
    );
    refused(
        &|c| c.names.push("output_norm.weight"),
        "which cannot be folded",
    );
    refused(
        &|c| c.names.push("blk.0.attn_output.weight"),
        "which layers of this kind do not have",
    );
    refused(
        &|c| c.names.push("blk.1.ffn_up.weight"),
        "which have one input, only one is folded",
    );
    refused(
        &|c| c.inverse = vec!["output.weight"],
        "only 'token_embd.weight' is looked up",
    );
    refused(
        &|c| {
            c.head = false;
            c.inverse.clear();
        },
        "'output.weight', which is not there",
    );
    refused(
        &|c| {
            c.head = false;
            c.names.pop();
        },
        "the folded embedding is the head too",
    );
    refused(&|c| c.widths = vec![128, 256], "192 values more than");
    refused(
        &|c| (c.widths, c.values) = (vec![128, 256], vec![1; 384]),
        "no signs for the 192 columns",
    );
    refused(&|c| c.widths.push(64), "fewer than sign_widths asks for");
    refused(&|c| c.values[7] = 0, "sign_values holds 0");
    refused(
        &|c| {
            c.widths.push(128);
            c.values.extend([1; 128]);
        },
        "sign_widths holds 128 twice",
    );
}

#[test]
fn layers_that_guess_ahead_are_left_out() {
    let contract = Contract {
        names: vec!["blk.2.attn_q.weight", "blk.0.ffn_down.weight"],
        ..Contract::default()
    };
    let hadamard = recipe(&contract).unwrap().hadamard.unwrap();
    assert_eq!(hadamard.folded.len(), 1);
}

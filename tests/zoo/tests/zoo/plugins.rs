//! Libraries that are plugins, or pretend to be.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use tritone_abi::numerics;
use tritone_abi::{
    Activations, GateKind, Kernel, KernelError, LayoutId, MatOut, Ops, QuantizedRow, TernaryMatrix,
    WeightScales,
};
use tritone_loader::{Origin, SelectError, State};

use crate::cage::{Cage, discover, specimen};

/// The control of all tests here: opening such a plugin really ends a process.
#[test]
#[cfg(target_os = "linux")]
fn opening_a_specimen_that_must_not_be_opened_aborts() {
    let preload = |name: &str| {
        let mut command = Command::new("/bin/true");
        command.env("LD_PRELOAD", specimen(name)).status().unwrap()
    };
    const SIGABRT: i32 = 6;
    for name in ["old_abi", "wrong_magic", "two_symbols", "zeros", "aborting"] {
        assert_eq!(preload(name).signal(), Some(SIGABRT), "{name}");
    }
    assert!(preload("good_stranger").success());
}

#[test]
fn each_specimen_is_refused_in_its_own_words() {
    let words = [
        (
            "wrong_magic",
            "wrong magic: expected \"TRITONEK\", found \"NOTAKERN\"",
        ),
        (
            "old_abi",
            "built for kernel ABI 0, this program speaks 2; rebuild the plugin",
        ),
        (
            "future_abi",
            "built for kernel ABI 999, this program speaks 2; rebuild the plugin",
        ),
        (
            "short_table",
            "table too short: 64 bytes declared, 352 needed",
        ),
        (
            "bad_text",
            "the name is not 1 to 32 of a-z, 0-9, '_' and '-'",
        ),
        ("bad_align", "the table's row alignment is not usable"),
        (
            "name_mismatch",
            "the table says its name is `somebody_else`, but it is exported as \
             `tritone_kernel_name_mismatch`",
        ),
        (
            "no_operation",
            "implements no operation that this version knows",
        ),
        (
            "missing_symbol",
            "exports no data symbol `tritone_kernel_*`; is it a kernel plugin?",
        ),
        (
            "two_symbols",
            "exports several kernels (tritone_kernel_one, tritone_kernel_two), expected one",
        ),
        (
            "function_symbol",
            "symbol `tritone_kernel_function_symbol` is no kernel table: it is a function, not data",
        ),
        (
            "cut_table",
            "symbol `tritone_kernel_cut_table` is no kernel table: 224 bytes long, 352 needed",
        ),
        (
            "zeros",
            "symbol `tritone_kernel_zeros` is no kernel table: its bytes are not in the file",
        ),
        (
            "ops_lie",
            "operation `rope` is announced but missing, or hidden",
        ),
        (
            "undefined",
            "cannot be opened: undefined symbol: tritone_zoo_defined_nowhere",
        ),
    ];
    for (name, expected) in words {
        let refusal = Cage::with(&[name]).refusal();
        assert!(refusal.contains(expected), "{name}: {refusal}");
    }
}

#[test]
fn a_refused_plugin_is_named_when_it_is_asked_for() {
    let cage = Cage::with(&["old_abi"]);
    let error = cage.discover().by_name("old_abi").err().unwrap();
    let text = error.to_string();
    assert!(text.starts_with("kernel `old_abi` was refused: "), "{text}");
    assert!(text.contains("built for kernel ABI 0"), "{text}");
    assert!(matches!(error, SelectError::Refused { path, .. } if path == cage.file("old_abi")));
}

#[test]
fn a_stranger_is_taken_and_put_over_the_base() {
    let cage = Cage::with(&["good_stranger"]);
    let registry = cage.discover();
    assert!(registry.refused().is_empty(), "{registry:?}");
    let found = &registry.kernels()[0];
    assert_eq!(found.facts.name, "stranger");
    assert_eq!(found.origin, Origin::File(cage.file("good_stranger")));
    assert_eq!(found.score.rank, 500);
    assert_eq!(found.score.reason, "plain loops, runs anywhere");
    assert_eq!(found.base.as_deref(), Some("base"));
    let kernel = registry.best().unwrap();
    assert_eq!(kernel.facts().name, "stranger");
    assert_eq!(kernel.facts().ops, Ops::ALL);
    assert_eq!(kernel.facts().layout, LayoutId::T2R32);

    let gate = [1.5f32, -2.0, 0.25];
    let up = [2.0f32, 3.0, -4.0];
    let mut out = [0.0f32; 3];
    kernel.gate(GateKind::Silu, &gate, &up, &mut out).unwrap();
    let expected = [0, 1, 2].map(|i| numerics::silu(gate[i]) * up[i]);
    assert_eq!(out.map(f32::to_bits), expected.map(f32::to_bits));

    let (mut q, mut scales, mut sums) = ([1i8; 64], [0.0f32; 1], [0i32; 1]);
    let mut row = QuantizedRow {
        q: &mut q,
        scales: &mut scales,
        sums: &mut sums,
    };
    kernel
        .quantize(&[1.0, -2.0, 0.0, 0.5], 4, &mut row)
        .unwrap();
    assert_eq!(q[..5], [64, -127, 0, 32, 0]);
    assert_eq!((scales, sums), ([2.0 / 127.0], [-31]));

    // The base is asked for what the stranger leaves.
    assert_eq!(norm(&*kernel), Err(KernelError::WrongIsa));
}

fn norm(kernel: &dyn Kernel) -> Result<(), KernelError> {
    kernel.rms_norm(&[1.0], &[1.0], 0.0, &mut [0.0])
}

fn product(kernel: &dyn Kernel) -> Result<(), KernelError> {
    let w = TernaryMatrix {
        layout: LayoutId::T2R32,
        rows: 32,
        cols: 64,
        scales: WeightScales::Tensor(1.0),
        data: &[0; 512],
    };
    let x = Activations {
        tokens: 1,
        cols: 64,
        group: 64,
        q: &[0; 64],
        scales: &[1.0],
        sums: &[0],
    };
    let mut buffer = [0.0f32; 32];
    let mut out = MatOut::new(&mut buffer, 32, 0..32).unwrap();
    kernel.matmul(&w, &x, &mut out, &mut [])
}

#[test]
fn a_panic_in_an_operation_is_an_error_and_nothing_more() {
    let cage = Cage::with(&["matmul_panics", "good_stranger"]);
    let registry = cage.discover();
    let kernel = registry.by_name("matmul_panics").unwrap();
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..3 {
                    assert_eq!(product(&*kernel), Err(KernelError::Panicked("matmul")));
                    assert_eq!(norm(&*kernel), Err(KernelError::WrongIsa));
                }
            });
        }
    });
    // Another kernel, and another discovery of the same plugin, are not affected.
    let other = registry.by_name("stranger").unwrap();
    assert_eq!(
        other.gate(GateKind::Relu2, &[3.0], &[2.0], &mut [0.0]),
        Ok(())
    );
    let again = cage.discover().by_name("matmul_panics").unwrap();
    assert_eq!(product(&*again), Err(KernelError::Panicked("matmul")));
}

#[test]
fn kernels_that_cannot_run_say_why() {
    let registry = Cage::with(&["score_panics", "wont_run"]).discover();
    let reason = |name: &str| match registry.by_name(name).err() {
        Some(SelectError::CannotRun {
            reason, available, ..
        }) => {
            assert_eq!(available, ["base"]);
            reason
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason("score_panics"),
        "the kernel's code panicked in `score`"
    );
    assert_eq!(reason("wont_run"), "needs AVX-4096");
    assert!(registry.refused().is_empty());
    assert_eq!(registry.best().unwrap().facts().name, "base");
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let registry = Cage::with(&["good_stranger"]).discover();
    let text = registry.by_name("avx9").err().unwrap().to_string();
    assert_eq!(
        text,
        "no kernel is called \"avx9\"; available: stranger, base"
    );
}

#[test]
fn a_disabled_plugin_is_listed_but_not_opened() {
    // Opening it would abort.
    let cage = Cage::with(&["aborting"]);
    let registry = discover(&[&cage], "aborting");
    let found = registry
        .kernels()
        .iter()
        .find(|f| f.facts.name == "aborting")
        .unwrap();
    assert_eq!(found.state, State::Disabled);
    assert!(found.kernel().is_none());
    assert_eq!(found.origin, Origin::File(cage.file("aborting")));
    let error = registry.by_name("aborting").err().unwrap();
    assert!(matches!(error, SelectError::Disabled { .. }));
}

#[test]
fn with_everything_disabled_the_reasons_are_listed() {
    let cage = Cage::with(&["good_stranger", "old_abi"]);
    let registry = discover(&[&cage], "base");
    let text = registry.best().err().unwrap().to_string();
    assert!(text.starts_with("no kernel can run here: "), "{text}");
    assert!(text.contains("base (built in): disabled"), "{text}");
    assert!(
        text.contains("implements only quantize, gate, and no complete kernel"),
        "{text}"
    );
    assert!(
        text.contains("was refused: built for kernel ABI 0"),
        "{text}"
    );
}

#[test]
fn of_two_equal_plugins_the_first_directory_wins() {
    let (first, second) = (
        Cage::with(&["good_stranger"]),
        Cage::with(&["good_stranger"]),
    );
    let registry = discover(&[&first, &second], "");
    let states: Vec<_> = registry
        .kernels()
        .iter()
        .filter(|f| f.facts.name == "stranger")
        .map(|f| (f.origin.clone(), f.state.clone()))
        .collect();
    let winner = Origin::File(first.file("good_stranger"));
    let loser = Origin::File(second.file("good_stranger"));
    let shadowed = State::Shadowed { by: winner.clone() };
    assert_eq!(states, [(winner, State::Usable), (loser, shadowed)]);
}

//! Checks of the tree itself: what the architecture promises and the compiler does not see.
//!
//! Every rule is a function from the tree's files to its faults, so that the second half of this
//! file can show each rule a fault it must find.

#[path = "tidy/directions.rs"]
mod directions;
#[path = "tidy/sources.rs"]
mod sources;
#[path = "tidy/tree.rs"]
mod tree;

use tree::Source;

/// A rule: the faults it finds in a tree, one line each, beginning with the path.
type Rule = fn(&[Source]) -> Vec<String>;

fn check(rule: Rule) {
    let faults = rule(&tree::read());
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_whole_tree_is_read() {
    let files = tree::read();
    for path in [
        "Cargo.toml",
        "core/abi/src/lib.rs",
        "tests/tests/tidy.rs",
        ".ci/run",
        "justfile",
    ] {
        assert!(
            files.iter().any(|file| file.path == path),
            "{path} was not read"
        );
    }
    assert!(files.iter().all(|file| !file.path.starts_with("target/")));
}

#[test]
fn crates_depend_in_one_direction() {
    check(directions::ours);
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    check(directions::foreign);
}

#[test]
fn every_crate_has_the_workspace_lints_and_is_a_member() {
    check(directions::lints_and_members);
}

#[test]
fn the_engine_never_names_an_instruction_set() {
    check(sources::instruction_sets_in_engine);
}

#[test]
fn only_the_loader_opens_libraries() {
    check(sources::library_loading);
}

#[test]
fn terminal_modes_change_in_one_module() {
    check(sources::terminal_modes);
}

#[test]
fn unsafe_code_stays_in_its_modules() {
    check(sources::unsafe_code);
}

#[test]
fn files_are_short() {
    check(sources::length);
}

#[test]
fn nothing_is_left_for_later() {
    check(sources::leftovers);
}

#[test]
fn no_machine_path_is_named() {
    check(sources::machine_paths);
}

#[test]
fn every_crate_says_what_it_is() {
    check(sources::crate_docs);
}

#[test]
fn every_rule_finds_its_fault() {
    use directions::{foreign, lints_and_members, ours};
    use sources::{
        crate_docs, instruction_sets_in_engine as isa, leftovers, length, library_loading,
        machine_paths, terminal_modes, unsafe_code,
    };

    let with = |section: &str, name: &str| format!("[{section}]\n{name}.workspace = true\n");
    let normal = |name: &str| with("dependencies", name);
    let renamed = "[dependencies]\nx = { package = \"tritone-formats\", path = \"../formats\" }\n";
    let code = |text: &str| format!("//! Docs.\n{text}\n");
    let manifests: &[(Rule, &str, String)] = &[
        (ours, "core/abi", normal("tritone-formats")),
        (ours, "core/abi", renamed.to_owned()),
        (ours, "core/attic", normal("half")),
        (ours, "core/engine", normal("tritone-scalar")),
        (
            ours,
            "core/formats",
            with("dev-dependencies", "tritone-abi"),
        ),
        (
            ours,
            "core/machine",
            with("target.'cfg(unix)'.dependencies", "tritone-abi"),
        ),
        (ours, "plugins/avx2", normal("tritone-engine")),
        (
            ours,
            "plugins/avx2",
            with("build-dependencies", "tritone-engine"),
        ),
        (foreign, "core/abi", normal("half")),
        (foreign, "core/engine", normal("crossterm")),
        (foreign, "core/engine", normal("libloading")),
        (foreign, "core/engine", normal("tokio")),
        (lints_and_members, "core/abi", normal("half")),
    ];
    // Cut in two, so that these lines are no fault themselves.
    let (later, print) = (concat!("// TO", "DO: x"), concat!("db", "g!(x);"));
    let sources: &[(Rule, &str, String)] = &[
        (isa, "core/engine/src/x.rs", code("fn has_avx2() {}")),
        (isa, "core/engine/src/x.rs", code("// NEON")),
        (
            isa,
            "core/engine/src/x.rs",
            code("#[cfg(target_arch = \"arm\")]"),
        ),
        (
            library_loading,
            "tui/src/x.rs",
            code("use libloading::Library;"),
        ),
        (
            library_loading,
            "core/engine/src/x.rs",
            code("libc::dlopen(p, 1);"),
        ),
        (
            terminal_modes,
            "tui/src/ui/x.rs",
            code("enable_raw_mode()?;"),
        ),
        (
            terminal_modes,
            "tui/src/terminal.rs",
            code("enable_raw_mode()?;"),
        ),
        (unsafe_code, "tui/src/x.rs", code("#![allow(unsafe_code)]")),
        (
            unsafe_code,
            "core/engine/src/x.rs",
            code("#[expect(\n    unsafe_code,\n)]"),
        ),
        (
            unsafe_code,
            "fuzz/fuzz_targets/x.rs",
            code("unsafe { f() }"),
        ),
        (length, "tui/src/x.rs", "\n".repeat(1000)),
        (leftovers, "tui/src/x.rs", code(later)),
        (leftovers, "tui/src/x.rs", code(print)),
        (
            machine_paths,
            "README.md",
            concat!("cd /wo", "rk/x\n").to_owned(),
        ),
        (crate_docs, "tui/src/lib.rs", "mod a;\n".to_owned()),
    ];
    let manifests = manifests.iter().map(|(rule, crate_, text)| {
        (
            *rule,
            Source {
                path: format!("{crate_}/Cargo.toml"),
                text: text.clone(),
            },
        )
    });
    let sources = sources.iter().map(|(rule, path, text)| {
        (
            *rule,
            Source {
                path: (*path).to_owned(),
                text: text.clone(),
            },
        )
    });
    for (rule, source) in manifests.chain(sources) {
        let tree = [source];
        let [Source { path, text }] = &tree;
        assert!(!rule(&tree).is_empty(), "not found in {path}:\n{text}");
    }
}

//! What may stand in which file.

use crate::tree::Source;

/// Files are split by noun long before this.
const MOST_LINES: usize = 999;

/// Where unsafe code may be: the C boundary, libraries, kernels, and in the engine threads and
/// the map. Among the tests, plugins that break the rules on purpose, an allocator that counts, and
/// the engine's, which wrap the tables of linked kernels without the loader.
const UNSAFE_ROOMS: &[&str] = &[
    "core/abi",
    "core/loader",
    "plugins",
    "core/engine/src/exec",
    "core/engine/src/map.rs",
    "core/engine/tests/common",
    "core/formats/tests/hostile.rs",
    "tests/zoo",
];

fn fault(file: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", file.path)
}

/// The parts of identifiers and words, in lower case: `has_avx2` is `has` and `avx2`.
fn words(line: &str) -> Vec<String> {
    line.split(|char: char| !char.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

/// The kernel arrives as a value: the engine does not know on what it runs, not in comments either. Its
/// tests, in files of their own, link every kernel in.
pub(crate) fn instruction_sets_in_engine(tree: &[Source]) -> Vec<String> {
    const BEGINNINGS: [&str; 3] = ["avx", "vnni", "x86"];
    const WORDS: [&str; 12] = [
        "sse", "sse2", "sse3", "ssse3", "sse4", "neon", "sve", "sve2", "fma3", "amx", "aarch64",
        "bmi2",
    ];
    const ATTRIBUTES: [&str; 4] = ["target_arch", "target_feature", "core::arch", "std::arch"];
    let mut faults = Vec::new();
    let engine =
        |file: &&Source| file.is_in("core/engine/src") && !file.path.ends_with("/tests.rs");
    for file in tree.iter().filter(engine) {
        for (index, line) in file.text.lines().enumerate() {
            let named = words(line).iter().any(|word| {
                WORDS.contains(&word.as_str()) || BEGINNINGS.iter().any(|b| word.starts_with(b))
            });
            if named || ATTRIBUTES.iter().any(|attribute| line.contains(attribute)) {
                faults.push(fault(
                    file,
                    index + 1,
                    "the engine names an instruction set",
                ));
            }
        }
    }
    faults
}

/// The faults of lines of Rust code outside `rooms` that contain one of `needles`. This file and
/// its tests, which must name them, are left out.
fn confined(tree: &[Source], needles: &[&str], rooms: &[&str], what: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.iter().filter(|file| file.is_rust() && !is_tidy(file)) {
        if rooms.iter().any(|room| file.is_in(room)) {
            continue;
        }
        for (line, text) in file.code() {
            if needles.iter().any(|needle| text.contains(needle)) {
                faults.push(fault(file, line, what));
            }
        }
    }
    faults
}

fn is_tidy(file: &Source) -> bool {
    file.path == "tests/tests/tidy.rs" || file.is_in("tests/tests/tidy")
}

/// Opening a library runs its code, so one place does it, after checks.
pub(crate) fn library_loading(tree: &[Source]) -> Vec<String> {
    const CALLS: [&str; 3] = ["libloading", "dlopen", "LoadLibrary"];
    confined(
        tree,
        &CALLS,
        &["core/loader"],
        "only the loader opens libraries",
    )
}

/// The terminal comes back because one guard knows every mode that was set.
pub(crate) fn terminal_modes(tree: &[Source]) -> Vec<String> {
    const MODES: [&str; 13] = [
        "enable_raw_mode",
        "disable_raw_mode",
        "EnterAlternateScreen",
        "LeaveAlternateScreen",
        "EnableMouseCapture",
        "DisableMouseCapture",
        "EnableBracketedPaste",
        "DisableBracketedPaste",
        "EnableFocusChange",
        "DisableFocusChange",
        "PushKeyboardEnhancementFlags",
        "PopKeyboardEnhancementFlags",
        "tcsetattr",
    ];
    let rooms = ["tui/src/term", "tui/src/term.rs"];
    confined(
        tree,
        &MODES,
        &rooms,
        "only the terminal guard changes modes",
    )
}

/// The lint that forbids unsafe code is lifted in these rooms only, and unsafe code is there only.
/// The fuzzing crate has no such lint, and the same rule.
pub(crate) fn unsafe_code(tree: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.iter().filter(|file| file.is_rust() && !is_tidy(file)) {
        if UNSAFE_ROOMS.iter().any(|room| file.is_in(room)) {
            continue;
        }
        for (line, text) in file.code() {
            let lifted = text.contains("unsafe_code") && !text.contains("forbid(unsafe_code)");
            let used = [
                "unsafe {",
                "unsafe fn",
                "unsafe impl",
                "unsafe trait",
                "unsafe extern",
            ]
            .iter()
            .any(|form| text.contains(form));
            if lifted || used {
                faults.push(fault(file, line, "unsafe code outside its modules"));
            }
        }
    }
    faults
}

/// No file is so long that nobody reads it.
pub(crate) fn length(tree: &[Source]) -> Vec<String> {
    tree.iter()
        .filter(|file| file.text.lines().count() > MOST_LINES)
        .map(|file| fault(file, MOST_LINES + 1, "too long: split it"))
        .collect()
}

/// Work that is left is an issue, not a comment, and prints for debugging are taken out.
pub(crate) fn leftovers(tree: &[Source]) -> Vec<String> {
    // Cut in two, so that they are not found here.
    const LATER: [&str; 4] = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
    ];
    const PRINTS: [&str; 3] = [
        concat!("db", "g!("),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
    ];
    let mut faults = Vec::new();
    for file in tree {
        for (index, line) in file.text.lines().enumerate() {
            let later = line
                .split(|char: char| !char.is_ascii_alphanumeric())
                .any(|word| LATER.contains(&word));
            if later || file.is_rust() && PRINTS.iter().any(|print| line.contains(print)) {
                faults.push(fault(file, index + 1, "left for later"));
            }
        }
    }
    faults
}

/// Paths of a developer's machine mean nothing on another.
pub(crate) fn machine_paths(tree: &[Source]) -> Vec<String> {
    const PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let mut faults = Vec::new();
    for file in tree {
        for (index, line) in file.text.lines().enumerate() {
            if PATHS.iter().any(|path| line.contains(path)) {
                faults.push(fault(file, index + 1, "names a path of one machine"));
            }
        }
    }
    faults
}

/// A crate begins by saying what it is.
pub(crate) fn crate_docs(tree: &[Source]) -> Vec<String> {
    tree.iter()
        .filter(|file| file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs"))
        .filter(|file| {
            let first = file.text.lines().find(|line| !line.trim().is_empty());
            !first.is_some_and(|line| line.starts_with("//! ") && line.len() > 8)
        })
        .map(|file| fault(file, 1, "the crate does not say what it is"))
        .collect()
}

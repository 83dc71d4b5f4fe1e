//! Who may depend on whom.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::tree::Source;

/// Names of our crates.
type Names = &'static [&'static str];

/// Stands for all of ours.
const ALL: Names = &["*"];
const ABI: Names = &["tritone-abi"];
const VECTORS: Names = &["tritone-abi", "tritone-simd"];
const PLUGINS: Names = &[
    "tritone-scalar",
    "tritone-avx2",
    "tritone-avx512",
    "tritone-neon",
    "tritone-lut",
];
/// Kernels, and what lays partial ones over complete ones.
const KERNELS: Names = &[
    "tritone-scalar",
    "tritone-avx2",
    "tritone-avx512",
    "tritone-neon",
    "tritone-lut",
    "tritone-loader",
];
const ORACLE: Names = &["tritone-scalar", "tritone-conformance"];

/// The directory of a crate, which of our crates it uses, and which its tests use besides.
const ROOMS: &[(&str, Names, Names)] = &[
    ("core/abi", &[], &[]),
    ("core/formats", &[], &[]),
    ("core/machine", &[], &[]),
    ("core/profile", &[], &[]),
    ("core/monitor", &[], &[]),
    ("core/store", &[], &[]),
    (
        "core/probe",
        &["tritone-engine", "tritone-machine", "tritone-monitor"],
        &[],
    ),
    ("core/engine", &["tritone-abi", "tritone-formats"], KERNELS),
    ("core/loader", ABI, PLUGINS),
    (
        "core/server",
        &[
            "tritone-engine",
            "tritone-machine",
            "tritone-monitor",
            "tritone-probe",
        ],
        KERNELS,
    ),
    ("core/client", &[], &[]),
    (
        "core/strategy",
        &[
            "tritone-client",
            "tritone-engine",
            "tritone-formats",
            "tritone-machine",
        ],
        KERNELS,
    ),
    ("plugins/scalar", ABI, ORACLE),
    ("plugins/simd", ABI, ORACLE),
    ("plugins/avx2", VECTORS, ORACLE),
    ("plugins/avx512", VECTORS, ORACLE),
    (
        "plugins/lut",
        ABI,
        &[
            "tritone-scalar",
            "tritone-avx2",
            "tritone-avx512",
            "tritone-conformance",
            "tritone-loader",
        ],
    ),
    ("plugins/neon", VECTORS, ORACLE),
    (
        "plugins/conformance",
        &["tritone-abi", "tritone-scalar"],
        PLUGINS,
    ),
    ("tui", ALL, ALL),
    ("tests", ALL, ALL),
    ("tests/zoo", ABI, &["tritone-loader"]),
];

/// Foreign crates that only some rooms may use: the crates, and the rooms.
const FOREIGN: &[(&[&str], &[&str])] = &[
    // The engine is synchronous on its own threads.
    (
        &["tokio", "async-std", "smol", "futures"],
        &[
            "core/server",
            "core/client",
            "core/strategy",
            "tui",
            "tests",
        ],
    ),
    (&["libloading"], &["core/loader"]),
    (&["memmap2"], &["core/engine"]),
    (
        &["crossterm", "ratatui", "clap", "anyhow"],
        &["tui", "tests"],
    ),
];

fn is_ours(name: &str) -> bool {
    name == "tritone" || name.starts_with("tritone-")
}

fn parsed(file: &Source) -> Table {
    let table = file.text.parse();
    table.unwrap_or_else(|err| panic!("{}: {err}", file.path))
}

/// The manifests of crates, parsed, with the room each lies in.
fn manifests(tree: &[Source]) -> impl Iterator<Item = (&str, Table)> {
    tree.iter().filter_map(|file| {
        let room = file.path.strip_suffix("/Cargo.toml")?;
        Some((room, parsed(file)))
    })
}

/// The names of the crates in one kind of section, including sections for targets, with renamed
/// crates under their true names.
fn section(manifest: &Table, kind: &str) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    std::iter::once(manifest)
        .chain(per_target)
        .filter_map(|table| table.get(kind)?.as_table())
        .flatten()
        .map(|(name, value)| {
            let renamed = value.get("package").and_then(Value::as_str);
            renamed.unwrap_or(name).to_owned()
        })
        .collect()
}

/// Our crates use each other in the direction of the architecture. A new crate needs a place here.
pub(crate) fn ours(tree: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, manifest) in manifests(tree).filter(|(path, _)| !path.starts_with("fuzz")) {
        let Some((_, uses, tests_use)) = ROOMS.iter().find(|room| room.0 == path) else {
            faults.push(format!(
                "{path}: a crate without a place in the order of dependencies"
            ));
            continue;
        };
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for used in section(&manifest, kind)
                .into_iter()
                .filter(|name| is_ours(name))
            {
                let allowed = |names: Names| names == ALL || names.contains(&used.as_str());
                if !(allowed(uses) || kind == "dev-dependencies" && allowed(tests_use)) {
                    faults.push(format!("{path}: may not use {used} in [{kind}]"));
                }
            }
        }
    }
    faults
}

/// Foreign crates are used where they belong, and by `abi` not at all.
pub(crate) fn foreign(tree: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, manifest) in manifests(tree) {
        let mut used = section(&manifest, "dependencies");
        used.append(&mut section(&manifest, "build-dependencies"));
        for name in used {
            let elsewhere = FOREIGN
                .iter()
                .any(|(names, rooms)| names.contains(&name.as_str()) && !rooms.contains(&path));
            if elsewhere || path == "core/abi" {
                faults.push(format!("{path}: may not depend on {name}"));
            }
        }
    }
    faults
}

/// Without the workspace's lints nothing forbids unsafe code, and without membership nothing is
/// tested. The crate for fuzzing is a workspace of its own.
pub(crate) fn lints_and_members(tree: &[Source]) -> Vec<String> {
    let root = tree
        .iter()
        .find(|file| file.path == "Cargo.toml")
        .map(parsed)
        .unwrap_or_default();
    let members: Vec<&str> = root
        .get("workspace")
        .and_then(|workspace| workspace.get("members")?.as_array())
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut faults = Vec::new();
    for (path, manifest) in manifests(tree).filter(|(path, _)| !path.starts_with("fuzz")) {
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace")?.as_bool());
        if lints != Some(true) {
            faults.push(format!("{path}: needs [lints] workspace = true"));
        }
        if !members.contains(&path) {
            faults.push(format!("{path}: is not a member of the workspace"));
        }
    }
    faults
}

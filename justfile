# Commands for people who work on Tritone. `just` lists them; `just ci` is what a change must pass.

# A nightly toolchain for the fuzz targets.
nightly := "nightly"
# Coverage feedback for libFuzzer, without cargo-fuzz.
sancov := "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"

_default:
    @just --list

# Run the program: `just run` opens the chat, `just run run "What is 7 + 5?"` answers once.
run *ARGS:
    cargo run --release --locked -- {{ ARGS }}

# All tests.
test *ARGS:
    cargo test --workspace --locked {{ ARGS }}

# Formatting and lints, as the gate runs them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Format everything.
fmt:
    cargo fmt --all

# Documentation, with warnings as errors.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Every kernel against the scalar oracle.
kernels:
    cargo run -q --release --locked -- kernels --check

# Fuzz one target for some seconds: `just fuzz gguf 300`. New finds stay in fuzz/corpus.
fuzz TARGET="gguf" SECONDS="60":
    cd fuzz && RUSTFLAGS="{{ sancov }}" cargo +{{ nightly }} run --release \
        --target "$(rustc -vV | sed -n 's/^host: //p')" --bin {{ TARGET }} -- \
        "corpus/{{ TARGET }}" -rss_limit_mb=256 -max_len=8192 -max_total_time={{ SECONDS }}

# The same for a target of fuzz/whole, for which nearly the whole program is built.
fuzz-whole TARGET="request" SECONDS="60":
    cd fuzz/whole && cp ../../Cargo.lock . && RUSTFLAGS="{{ sancov }}" cargo +{{ nightly }} run --release \
        --target "$(rustc -vV | sed -n 's/^host: //p')" --bin {{ TARGET }} -- \
        "../corpus/{{ TARGET }}" -rss_limit_mb=256 -max_len=8192 -max_total_time={{ SECONDS }}

# Licences, sources and duplicate versions of the dependencies.
deny:
    cargo deny check licenses bans sources

# Known vulnerabilities; needs the network for the advisory database.
advisories:
    cargo deny check advisories

# The gate: what a change must pass.
ci *ARGS:
    .ci/run {{ ARGS }}

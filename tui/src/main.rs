//! The program `tritone`: chat with 1.58-bit language models in the terminal.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tritone::main()
}

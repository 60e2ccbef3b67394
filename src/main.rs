//! The `hypertide` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    hypertide::cli::main()
}

//! `completions` and `man`: made from the same definitions the parser uses.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::Cli;
use super::exit;
use super::failure::Failure;

/// Prints completions for a shell.
pub fn run(shell: Shell) -> u8 {
    generate(shell, &mut Cli::command(), "hypertide", &mut std::io::stdout());
    exit::DONE
}

/// Prints the manual page.
pub fn man() -> Result<u8, Failure> {
    clap_mangen::Man::new(Cli::command())
        .render(&mut std::io::stdout())
        .map_err(|error| Failure::new(exit::FAILED, format!("cannot print the manual page: {error}")))?;
    Ok(exit::DONE)
}

//! What can be typed after `load`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The table: `schema.table`
    pub table: String,
    /// A CSV file whose first line names columns; `-` is standard input
    pub file: PathBuf,
    /// Between fields
    #[arg(long, value_name = "CHARACTER", default_value = ",")]
    pub delimiter: char,
    /// A column of the file that has another name in the table; may be given several times
    #[arg(long, value_name = "FILE=TABLE")]
    pub map: Vec<String>,
    /// A column of the file that goes nowhere; may be given several times
    #[arg(long, value_name = "COLUMN")]
    pub ignore: Vec<String>,
    /// Where refused rows go [default: the file's name with `.rejected.csv`]
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Load nothing when more rows are refused; within it, refused rows are no failure
    #[arg(long, value_name = "COUNT")]
    pub max_rejects: Option<u64>,
    /// As whom: app or postgres
    #[arg(long, value_name = "ROLE", default_value = "app", value_parser = ["app", "postgres"])]
    pub role: String,
}

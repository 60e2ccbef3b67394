//! Tells Cargo that the binary embeds `sql/`, so that an added or removed file rebuilds it.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks to Cargo")]

fn main() {
    println!("cargo:rerun-if-changed=sql");
}

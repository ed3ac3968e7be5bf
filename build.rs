//! Folders that are compiled in: a file that is added to one of them is a reason to build again.

#![allow(
    clippy::print_stdout,
    reason = "this is how a build script speaks to cargo"
)]

fn main() {
    for folder in ["templates/providers", "ui", "src/codes"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}

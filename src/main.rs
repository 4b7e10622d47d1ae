//! Arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    landbridge::cli::main(landbridge::cli::Arguments::parse())
}

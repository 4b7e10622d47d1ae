//! The command line: one file per subcommand.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod check;
mod demo;
mod run;

/// Carries AWS DMS change data into the warehouse, each file exactly once.
#[derive(Debug, Parser)]
#[command(name = "landbridge", version, about, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load what is announced until SIGTERM
    Run {
        /// The configuration
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// End when all announced files are final
        #[arg(long)]
        until_idle: bool,
    },
    /// Show it: DMS-shaped traffic of 70 tables into a lake, and a reconciliation of every row
    Demo(demo::Arguments),
    /// Say what is wrong with a configuration, without starting anything
    Check {
        /// The configuration
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Runs the command and answers the exit code: 0 done, 1 failed, 2 wrong arguments.
pub fn main(arguments: Arguments) -> ExitCode {
    crate::cloud::install_crypto();
    match arguments.command {
        Command::Run { config, until_idle } => run::run(&config, until_idle),
        Command::Demo(arguments) => demo::demo(arguments),
        Command::Check { config } => check::check(&config),
    }
}

//! `landbridge demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::app::demo::{Options, run};
use crate::app::run::system;
use crate::demo::generate::generate;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The working directory; a demo that was killed goes on there
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    dir: PathBuf,
    /// How long traffic is made
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Rows a second, over all tables
    #[arg(long, default_value_t = 5_000)]
    rows_per_second: u64,
    /// The window of every table, in seconds
    #[arg(long, default_value_t = 5)]
    window_seconds: u64,
    /// End with one line of JSON on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the files of one table, and a landbridge.toml beside them
    Generate {
        /// Where
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Rows in all
        #[arg(long)]
        rows: u64,
        /// Rows in one file
        #[arg(long, default_value_t = 400)]
        rows_per_file: u64,
    },
}

/// Runs the demo or writes its files.
pub(super) fn demo(arguments: Arguments) -> ExitCode {
    if let Some(Command::Generate { dir, rows, rows_per_file }) = arguments.command {
        return match generate(&dir, rows, rows_per_file) {
            Ok(generated) => {
                let config = generated.config.display();
                println!("wrote {} rows in {} files; load them with", generated.rows, generated.files);
                println!("  landbridge run --config {config} --until-idle");
                ExitCode::SUCCESS
            }
            Err(fault) => super::run::cannot(&fault),
        };
    }
    let options = Options {
        dir: arguments.dir,
        seconds: arguments.seconds,
        rows_per_second: arguments.rows_per_second,
        window_seconds: arguments.window_seconds.clamp(1, 300),
        json: arguments.json,
    };
    super::run::outcome(system(run(options)))
}

//! The command line: one file per subcommand.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod admin;
mod check;
mod compact;
mod cost;
mod demo;
mod describe;
mod dlq;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod ledger;
mod notify;
mod plan;
mod run;
mod schema;
mod verify;

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
    /// How the tables do; those that need a person come first
    Status(admin::StatusArguments),
    /// What today, this month and the whole month cost, by what was really done
    Cost(cost::Arguments),
    /// Stop a table until it is resumed; its files wait
    Pause(admin::ActArguments),
    /// Let a table go on, whatever stopped it
    Resume(admin::ActArguments),
    /// Load what a table has gathered so far
    Flush(admin::ActArguments),
    /// Poison files: what they are, load them after all, or give them up
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// The columns of a table, how they came to be, and what changed
    #[command(subcommand)]
    Schema(schema::Command),
    /// Copy a ledger, or make a lost one anew
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Make an admin token, and the hash that the configuration wants
    Token,
    /// Prove it: every row of every loaded file is in the warehouse exactly once
    Verify(verify::Arguments),
    /// Write into a mapping what the source database says of its tables: types of columns, primary keys
    Describe(describe::Arguments),
    /// DMS's Parquet files into one, as they would be loaded without a mapping: nothing is masked, and nothing loaded
    Compact(compact::Arguments),
    /// What windows, jobs and freshness to expect, before anything is loaded
    Plan(plan::Arguments),
    /// Tell receivers of loaded batches a sample, and say what they answer
    Notify(notify::Arguments),
    /// Say what is wrong with a configuration, without starting anything
    Check {
        /// The configuration
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Runs the command and answers the exit code: 0 done, 1 failed (of `verify`: something was found; of `describe`: something
/// differs), 2 wrong arguments (or not verified, not described).
pub fn main(arguments: Arguments) -> ExitCode {
    crate::cloud::install_crypto();
    match arguments.command {
        Command::Run { config, until_idle } => run::run(&config, until_idle),
        Command::Demo(arguments) => demo::demo(arguments),
        Command::Status(arguments) => admin::status(&arguments),
        Command::Cost(arguments) => cost::cost(&arguments),
        Command::Pause(arguments) => admin::act("pause", &arguments),
        Command::Resume(arguments) => admin::act("resume", &arguments),
        Command::Flush(arguments) => admin::act("flush", &arguments),
        Command::Dlq(command) => dlq::dlq(&command),
        Command::Schema(command) => schema::schema(&command),
        Command::Ledger(command) => ledger::ledger(&command),
        Command::Token => admin::token_command(),
        Command::Verify(arguments) => verify::verify(&arguments),
        Command::Describe(arguments) => describe::describe(&arguments),
        Command::Compact(arguments) => compact::compact(arguments),
        Command::Plan(arguments) => plan::plan(&arguments),
        Command::Notify(arguments) => notify::notify(&arguments),
        Command::Check { config } => check::check(&config),
    }
}

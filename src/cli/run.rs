//! `landbridge run`.

use std::path::Path;
use std::process::ExitCode;

use crate::app::run::{run as run_app, system};
use crate::config::load;
use crate::domain::fault::Fault;

/// Runs the configuration at `path`.
pub(super) fn run(path: &Path, until_idle: bool) -> ExitCode {
    match load(path, std::env::vars()) {
        Ok(config) => outcome(system(run_app(config, until_idle))),
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a run, its fault told.
pub(super) fn outcome(result: std::io::Result<Result<ExitCode, Fault>>) -> ExitCode {
    match result {
        Ok(Ok(code)) => code,
        Ok(Err(fault)) => cannot(&fault),
        Err(error) => cannot(&Fault::from_io("cannot start the runtime", error)),
    }
}

/// Tells why it cannot go on, and what to do.
pub(super) fn cannot(fault: &Fault) -> ExitCode {
    eprintln!("landbridge: {}\n    {}", fault.chain(), fault.kind.remedy());
    ExitCode::FAILURE
}

//! `landbridge run`.

use std::path::Path;
use std::process::ExitCode;

use crate::app::run::{run as run_app, system};
use crate::config::load;

/// Runs the configuration at `path`.
pub(super) fn run(path: &Path, until_idle: bool) -> ExitCode {
    let config = match load(path, std::env::vars()) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::FAILURE;
        }
    };
    match system(run_app(config, until_idle)) {
        Ok(Ok(code)) => code,
        Ok(Err(fault)) => {
            eprintln!("landbridge cannot start: {}\n    {}", fault.chain(), fault.kind.remedy());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("landbridge cannot start: no runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

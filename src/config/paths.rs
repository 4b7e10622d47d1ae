//! Paths against each other.

use super::ConfigError;
use super::mapping::Placed;
use super::types::{Config, Ledger, Source, Warehouse};

/// What landbridge writes must not lie in what it reads.
pub(super) fn check(config: &Config, mappings: &[Placed], errors: &mut Vec<ConfigError>) {
    let lake = match &config.warehouse {
        Warehouse::Lake { path } => Some(("warehouse.path", path.as_path())),
        Warehouse::BigQuery(_) => None,
    };
    let ledger = match &config.ledger {
        Ledger::Sqlite { path, .. } => Some(("ledger.path", path.parent().unwrap_or(path))),
        Ledger::DynamoDb { .. } => None,
    };
    let spool = ("spool.path", config.spool.path.as_path());
    for placed in mappings {
        let source = match &placed.mapping.source {
            Source::Directory(source) => source,
            Source::S3 { .. } => continue,
        };
        for (key, path) in lake.into_iter().chain(ledger).chain([spool]) {
            if path.starts_with(source) {
                errors.push(ConfigError {
                    place: placed.source_at.clone(),
                    key: "source".to_owned(),
                    problem: format!(
                        "{key} ({}) lies within the source {}",
                        path.display(),
                        source.display()
                    ),
                    expected: "expected them apart: landbridge would read what it writes".to_owned(),
                    nearest: None,
                });
            }
        }
    }
}

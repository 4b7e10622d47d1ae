//! `[status]`: where the tables' status is written.

use super::ConfigError;
use super::load::Settings;
use super::types::{Config, StatusTable};
use crate::domain::table_status::TABLE;

const SECTION: &str = "status";

/// `None` when a value was wrong; that error is told already. Within: none where no dataset is named.
pub(super) fn read(settings: &Settings<'_>) -> Option<Option<StatusTable>> {
    let every = settings.duration(SECTION, "every")?;
    let dataset = settings.text(SECTION, "dataset");
    Some(dataset.map(|dataset| StatusTable { dataset: dataset.into(), every }))
}

/// It must be the name of a dataset, and the table must be no other's.
pub(super) fn check(config: &Config, settings: &Settings<'_>, errors: &mut Vec<ConfigError>) {
    let Some(status) = &config.status else { return };
    let dataset = &*status.dataset;
    let error = |problem: String, expected: &str| ConfigError {
        place: settings.place(SECTION, "dataset"),
        key: "status.dataset".to_owned(),
        problem,
        expected: expected.to_owned(),
        nearest: None,
    };
    if !dataset.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        errors.push(error(format!("\"{dataset}\" cannot be a dataset"), "expected letters, digits and `_`"));
    }
    let mut routes = config.mappings.iter().flat_map(|mapping| &mapping.route.tables);
    let taken = routes.find(|route| {
        let destination = &route.destination;
        *destination.dataset == *dataset && destination.table.eq_ignore_ascii_case(TABLE)
    });
    if let Some(taken) = taken {
        let problem = format!("{dataset}.{TABLE} is where {} goes", taken.table);
        errors.push(error(problem, "expected a dataset of its own"));
    }
}

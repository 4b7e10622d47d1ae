//! `[planner]`: whether what the tables want can be planned at all.

use std::time::Duration;

use super::ConfigError;
use super::load::Settings;
use super::types::{Config, Warehouse};
use crate::domain::planner::{Planner, Quotas, TableNeeds};

/// What each table whose window is planned is given.
fn needs(config: &Config) -> impl Iterator<Item = TableNeeds> {
    let planner = config.planner.filter(|_| matches!(config.warehouse, Warehouse::BigQuery(_)));
    let tables = config.mappings.iter().flat_map(|mapping| &mapping.tables);
    planner.into_iter().flat_map(move |planner| {
        tables.clone().filter(|table| table.window.is_none()).map(move |table| TableNeeds {
            class: table.class,
            max_staleness: table.max_staleness.unwrap_or(planner.max_staleness),
        })
    })
}

/// The longest window that may be planned.
pub(super) fn longest(config: &Config) -> Option<Duration> {
    needs(config).map(|needs| needs.max_staleness).max()
}

/// Tables that all speak and wait as long as they may must not need more jobs than there are.
pub(super) fn check(config: &Config, settings: &Settings<'_>, errors: &mut Vec<ConfigError>) {
    let Some(planner) = config.planner else { return };
    let quotas = Quotas { jobs_per_day: planner.jobs_per_day, ..Quotas::BIGQUERY };
    let (least, there) = (Planner::least_jobs(needs(config)), quotas.jobs());
    if least <= there {
        return;
    }
    let tables = needs(config).count();
    errors.push(ConfigError {
        place: settings.place("planner", "max_staleness"),
        key: "planner.max_staleness".to_owned(),
        problem: format!(
            "{tables} tables that wait no longer than they may need {least:.0} load jobs a day, and {there:.0} can be planned"
        ),
        expected: "expected a longer `max_staleness`, for all or for some tables".to_owned(),
        nearest: None,
    });
}

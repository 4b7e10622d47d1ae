//! `[planner]`: whether what the tables want can be planned at all.

use super::ConfigError;
use super::load::Settings;
use super::types::{Config, TableSettings, Warehouse};
use crate::domain::planner::{Carrier, Planner, Quotas, TableNeeds};
use crate::domain::shape::Policy;
use crate::domain::treatment::Fallback;

impl Config {
    /// The quotas within which windows are planned; none where they are fixed, or the warehouse has none.
    pub fn quotas(&self) -> Option<Quotas> {
        let planner = self.planner.filter(|_| matches!(self.warehouse, Warehouse::BigQuery(_)))?;
        Some(Quotas { jobs_per_day: planner.jobs_per_day, ..Quotas::BIGQUERY })
    }

    /// What the planner gives a table; none where its window is fixed, or there is nothing to be shared.
    pub fn needs(&self, table: &TableSettings) -> Option<TableNeeds> {
        let planner = self.planner.filter(|_| self.quotas().is_some())?;
        let max_staleness = table.max_staleness.unwrap_or(planner.max_staleness);
        // A file that is held for longer is deferred.
        let max_staleness = max_staleness.min(self.timing.defer_after / 2);
        let (class, carrier) = (table.class, table.delivery);
        table.window.is_none().then_some(TableNeeds { class, max_staleness, carrier })
    }

    /// What is JSON at the source is JSON in the table, as far as its rows go by streams (which no lake has). Not where they do so for a
    /// part of each month only: half of a column would stand beside it. Nor where the table keeps its columns: a text that JSON does
    /// not hold exactly would need another one.
    pub fn has_native_json(&self, table: &TableSettings) -> bool {
        let streams = match table.delivery {
            Carrier::StorageWrite => true,
            Carrier::LoadJobs | Carrier::FreeStorageWrite => false,
        };
        let grows = match table.schema_changes {
            Policy::Evolve | Policy::Rescue => true,
            Policy::Freeze => false,
        };
        streams && grows && self.json == Fallback::Native
    }
}

/// Where a table's rows are to go by streams, its warehouse must have some.
pub(super) fn check_delivery(config: &Config, settings: &Settings<'_>, errors: &mut Vec<ConfigError>) {
    let tables = config.mappings.iter().flat_map(|mapping| mapping.route.tables.iter().zip(&mapping.tables));
    let streamed = tables.filter(|(_, settings)| settings.delivery != Carrier::LoadJobs);
    let Some((route, _)) = streamed.into_iter().next() else { return };
    if matches!(config.warehouse, Warehouse::BigQuery(_)) {
        return;
    }
    errors.push(ConfigError {
        place: settings.place("warehouse", "kind"),
        key: "warehouse.kind".to_owned(),
        problem: format!("{} has `delivery = \"storage_write\"`, and a lake has no streams", route.table),
        expected: "expected `kind = \"bigquery\"`, or the table without `delivery`".to_owned(),
        nearest: None,
    });
}

/// Tables that all speak and wait as long as they may must not need more jobs than there are.
pub(super) fn check(config: &Config, settings: &Settings<'_>, errors: &mut Vec<ConfigError>) {
    let Some(quotas) = config.quotas() else { return };
    let tables = config.mappings.iter().flat_map(|mapping| &mapping.tables);
    let needs: Vec<_> = tables.filter_map(|table| config.needs(table)).collect();
    let (tables, least, there) = (needs.len(), Planner::least_jobs(needs), quotas.jobs());
    if least <= there {
        return;
    }
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

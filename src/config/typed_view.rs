//! `typed_view`: whether tables have a typed view beside them, per mapping and per table.

use std::collections::BTreeMap;

use super::document::Section;
use super::mapping::Placed;
use super::types::Warehouse;
use super::{ConfigError, Place};
use crate::domain::batch::Destination;
use crate::domain::ids::TableId;
use crate::domain::typed_view::name_of;

/// The key.
pub(super) const KEY: &str = "typed_view";
/// What holds where nothing is said.
pub(super) const DEFAULT: bool = true;

/// Reads the key of a section; nothing when it is not there, or is wrong.
pub(super) fn read(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Option<bool> {
    section.flag(KEY, errors)
}

/// No table has the name of another's view: only one of the two could be made. A lake has no views.
pub(super) fn check_names(warehouse: Option<&Warehouse>, mappings: &[Placed], errors: &mut Vec<ConfigError>) {
    match warehouse {
        Some(Warehouse::BigQuery(_)) => {}
        Some(Warehouse::Lake { .. }) | None => return,
    }
    let tables = || {
        mappings.iter().flat_map(|placed| {
            let routes = placed.mapping.route.tables.iter();
            routes.zip(&placed.mapping.tables).zip(&placed.tables_at)
        })
    };
    let name = |destination: &Destination, table: &str| {
        (destination.dataset.to_string(), table.to_ascii_lowercase())
    };
    let views: BTreeMap<_, (&TableId, &Place)> = tables()
        .filter(|((_, settings), _)| settings.typed_view)
        .map(|((route, _), place)| {
            let destination = &route.destination;
            (name(destination, &name_of(&destination.table)), (&route.table, place))
        })
        .collect();
    for ((route, _), place) in tables() {
        let destination = &route.destination;
        if let Some((other, first)) = views.get(&name(destination, &destination.table)) {
            errors.push(ConfigError {
                place: place.clone(),
                key: "table.name".to_owned(),
                problem: format!(
                    "{} goes to {}.{}, which is the name of the typed view of {other}",
                    route.table, destination.dataset, destination.table
                ),
                expected: format!("give it another `as`, or say `{KEY} = false` for {other} at {first}"),
                nearest: None,
            });
        }
    }
}

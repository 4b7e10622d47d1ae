//! `[planner]`, `class` and `max_staleness`.

use std::time::Duration;

use super::{MAPPING, Place, check};
use crate::domain::planner::{Carrier, Class};

const BIGQUERY: &str = "[warehouse]\nkind = \"bigquery\"\nproject = \"p\"\nlocation = \"EU\"\ncredentials = \"anonymous\"\n\
                        endpoint = \"http://localhost:1\"\n";

#[test]
fn how_urgent_a_table_is_is_read() {
    let text = format!("{MAPPING}class = \"critical\"\nmax_staleness = \"90s\"\n");
    let config = Place::new(&text).load(&[]).unwrap();
    let table = &config.mappings[0].tables[0];
    assert_eq!((table.class, table.max_staleness), (Class::Critical, Some(Duration::from_secs(90))));
    assert_eq!(config.planner.unwrap().jobs_per_day, 100_000);
    let fixed = format!("[planner]\nwindows = \"fixed\"\n{MAPPING}");
    assert!(Place::new(&fixed).load(&[]).unwrap().planner.is_none());
    check(
        &format!("{MAPPING}class = \"critcal\"\n"),
        &["table.class: \"critcal\" is no choice", "did you mean `critical`?"],
    );
    check(&format!("{MAPPING}max_staleness = \"1s\"\n"), &["table.max_staleness"]);
}

#[test]
fn what_no_plan_can_hold_is_refused_at_once() {
    let small = format!("{BIGQUERY}[planner]\njobs_per_day = 200\n{MAPPING}");
    check(
        &small,
        &["1 tables that wait no longer than they may need 288 load jobs a day, and 188 can be planned"],
    );
    // A lake has no quotas.
    assert!(Place::new(&format!("[planner]\njobs_per_day = 200\n{MAPPING}")).load(&[]).is_ok());
    // No window is so long that its files would be deferred.
    let config = Place::new(&format!("{BIGQUERY}{MAPPING}max_staleness = \"20m\"\n")).load(&[]).unwrap();
    let needs = config.needs(&config.mappings[0].tables[0]).unwrap();
    assert_eq!(needs.max_staleness, Duration::from_secs(300));
}

#[test]
fn a_table_says_by_what_its_rows_go_and_a_lake_has_no_streams() {
    let delivery = |value: &str| format!("{MAPPING}delivery = \"{value}\"\n");
    check(&delivery("storage_write"), &["warehouse.kind", "a lake has no streams"]);
    check(&delivery("storage"), &["table.delivery: \"storage\" is no choice"]);
    let config = Place::new(&format!("{BIGQUERY}{}", delivery("storage_write_free"))).load(&[]).unwrap();
    assert_eq!(config.mappings[0].tables[0].delivery, Carrier::FreeStorageWrite);
}

#[test]
fn json_is_native_where_all_rows_go_by_streams_and_columns_may_be_added() {
    let native = |warehouse: &str, table: &str| {
        let config = Place::new(&format!("{BIGQUERY}{warehouse}{MAPPING}{table}")).load(&[]).unwrap();
        config.has_native_json(&config.mappings[0].tables[0])
    };
    let streamed = "delivery = \"storage_write\"\n";
    assert!(native("", streamed));
    assert!(native("", &format!("{streamed}schema_changes = \"rescue\"\n")));
    for table in ["", "delivery = \"load_jobs\"\n", "delivery = \"storage_write_free\"\n"] {
        assert!(!native("", table), "{table}");
    }
    assert!(!native("", &format!("{streamed}schema_changes = \"freeze\"\n")));
    assert!(!native("json = \"string\"\n", streamed));
    check(
        &format!("{BIGQUERY}json = \"text\"\n{MAPPING}"),
        &["warehouse.json: \"text\" is not what is expected", "`\"json\"` or `\"string\"`"],
    );
}

//! The demo's world: six clusters, seventy tables, heavy-tailed sizes.

use std::fmt::Write;

use super::rows::{Column, Values};

/// The clusters.
pub const CLUSTERS: [&str; 6] = ["game-a", "game-b", "game-c", "game-d", "game-e", "game-f"];
/// Tables in all.
pub const TABLES: usize = 70;
/// The MySQL schema of every table.
pub const SCHEMA: &str = "casino";

const NAMES: [&str; 12] = [
    "bet_history",
    "payment",
    "session",
    "player",
    "bonus",
    "jackpot",
    "login_log",
    "wallet",
    "game_round",
    "coupon",
    "friend",
    "mission",
];

/// One table.
#[derive(Clone, Debug)]
pub struct DemoTable {
    /// Its cluster.
    pub cluster: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its share of all rows, heavy-tailed.
    pub share: f64,
}

impl DemoTable {
    /// `schema/table/`, the prefix of its keys.
    pub fn prefix(&self) -> String {
        format!("{SCHEMA}/{}/", self.name)
    }
}

fn column(name: &'static str, values: Values, nulls: u32) -> Column {
    Column { name, values, nulls }
}

fn columns(kind: usize) -> Vec<Column> {
    let mut columns = vec![column("id", Values::Number, 0), column("user_id", Values::User, 0)];
    columns.extend(match kind % 4 {
        0 => vec![
            column("amount", Values::Money(15, 2, 10_000_000), 0),
            column("currency", Values::OneOf(&["USD", "EUR", "KRW", "JPY", "GBP"]), 0),
            column("is_free", Values::Flag(10), 3),
            column("status", Values::Small(4), 0),
            column("meta", Values::Json, 20),
        ],
        1 => vec![
            column("reference", Values::Hex(32), 0),
            column("amount", Values::Money(23, 4, 500_000_000), 0),
            column("token", Values::Token, 5),
            column("settled_on", Values::Day, 40),
        ],
        2 => vec![
            column("ip", Values::Address, 0),
            column("device", Values::OneOf(&["ios", "android", "web", "kiosk"]), 2),
            column("counter", Values::Unsigned, 0),
            column("score", Values::Double, 10),
        ],
        _ => vec![
            column("level", Values::Int(100), 0),
            column("nickname", Values::OneOf(&["", "Åse", "Zoë", "빛나", "O'Neil", "x"]), 5),
            column("points", Values::Big, 0),
        ],
    });
    columns.extend([column("created_at", Values::Before, 0), column("updated_at", Values::At, 0)]);
    columns
}

/// All tables. The first of each cluster are the busiest: shares fall as one over the rank.
pub fn tables() -> Vec<DemoTable> {
    (0..TABLES)
        .filter_map(|number| {
            let cluster = CLUSTERS.get(number % CLUSTERS.len())?;
            let name = NAMES.get(number / CLUSTERS.len())?;
            let share = 1.0 / (number + 1) as f64;
            Some(DemoTable { cluster, name, columns: columns(number), share })
        })
        .collect()
}

/// The column that a table gets in the middle of the demo.
pub const ADDED_COLUMN: Column =
    Column { name: "campaign", values: Values::OneOf(&["spring", "autumn"]), nulls: 50 };

/// The demo's configuration, for `landbridge.toml` in its working directory.
pub fn config(window_seconds: u64) -> String {
    let mut text = format!(
        "# Written by `landbridge demo`.\n\n[http]\nlisten = \"off\"\n\n[log]\nfilter = \"info\"\n\n[batching]\nwindow = \"{window_seconds}s\"\n\n[timing]\nrescan_interval = \"5s\"\n"
    );
    let tables = tables();
    for cluster in CLUSTERS {
        let dataset = cluster.replace('-', "_");
        let _ = write!(
            text,
            "\n[[mapping]]\ncluster = \"{cluster}\"\nsource = \"bucket/{cluster}\"\ndataset = \"{dataset}\"\n\n\
             [mapping.dms]\ntimestamp = \"dms_timestamp\"\nsequence = \"dms_change_seq\"\n"
        );
        for table in tables.iter().filter(|table| table.cluster == cluster) {
            let _ = write!(text, "\n[[mapping.table]]\nname = \"{SCHEMA}.{}\"\nkey = [\"id\"]\n", table.name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_seventy_tables_in_six_clusters_and_a_few_do_most() {
        let tables = tables();
        assert_eq!(tables.len(), TABLES);
        let clusters: std::collections::BTreeSet<_> = tables.iter().map(|table| table.cluster).collect();
        assert_eq!(clusters.len(), 6);
        let names: std::collections::BTreeSet<_> =
            tables.iter().map(|table| (table.cluster, table.name)).collect();
        assert_eq!(names.len(), TABLES);
        let all: f64 = tables.iter().map(|table| table.share).sum();
        let busiest: f64 = tables.iter().take(7).map(|table| table.share).sum();
        assert!(busiest > all / 2.0);
    }
}

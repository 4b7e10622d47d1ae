//! Bucket and key to table: whose file is this?

use std::sync::Arc;

use wildmatch::WildMatch;

use super::batch::Destination;
use super::ids::TableId;

/// What a mapping says of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRoute {
    /// The source table.
    pub table: TableId,
    /// Where its rows go.
    pub destination: Destination,
    /// When set, every key under the source's prefix that matches this pattern (`*`, `?`) is a file of the table,
    /// whatever its folder and name; else the files are `schema/table/…` as DMS writes them.
    pub files: Option<Arc<str>>,
}

/// What becomes of files whose table no mapping names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmapped {
    /// Written down as deferred: the table that is added tomorrow has today's files too.
    Defer,
    /// Not ours.
    Ignore,
}

/// What a mapping says of one source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRoute {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// The bucket's name.
    pub bucket: Arc<str>,
    /// The prefix of all its keys, empty or ending in `/`.
    pub prefix: Arc<str>,
    /// What becomes of files of unnamed tables.
    pub unmapped: Unmapped,
    /// Its tables.
    pub tables: Vec<TableRoute>,
}

/// Full load or changes, from the file's name (AWS DMS user guide, S3 target).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `LOAD00000001.parquet`, `SEGMENT1_LOAD00000001.parquet`, …
    FullLoad,
    /// `20240809-192717787.parquet`.
    Changes,
    /// Named by a mapping's own pattern.
    Other,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
    /// A file of a mapped table.
    Table {
        /// The table.
        table: TableId,
        /// Full load or changes.
        kind: FileKind,
    },
    /// A DMS file of a table that no mapping names and that is to be deferred.
    Unmapped {
        /// The table, from the key.
        table: TableId,
    },
    /// Not for landbridge, with the reason as a metric label.
    NotOurs(&'static str),
}

/// All mappings, ready to be asked. Asking is a walk over sources and, within one, its tables: tens of comparisons.
#[derive(Clone, Debug, Default)]
pub struct Router {
    sources: Vec<(SourceRoute, Vec<Option<WildMatch>>)>,
}

impl Router {
    /// Takes the mappings. The longest matching prefix wins, whatever the order here.
    pub fn new(sources: impl IntoIterator<Item = SourceRoute>) -> Self {
        let mut sources: Vec<_> = sources
            .into_iter()
            .map(|source| {
                let patterns =
                    source.tables.iter().map(|table| table.files.as_deref().map(WildMatch::new)).collect();
                (source, patterns)
            })
            .collect();
        sources.sort_by_key(|(source, _)| std::cmp::Reverse(source.prefix.len()));
        Self { sources }
    }

    /// Whose file `bucket/key` is.
    pub fn route(&self, bucket: &str, key: &str) -> Route {
        let found = self.sources.iter().find_map(|(source, patterns)| {
            let rest = (*source.bucket == *bucket).then(|| key.strip_prefix(&*source.prefix)).flatten()?;
            Some((source, patterns, rest))
        });
        let Some((source, patterns, rest)) = found else {
            return Route::NotOurs("no_such_prefix");
        };
        if key.ends_with('/') {
            return Route::NotOurs("folder_marker");
        }
        let by_pattern = source
            .tables
            .iter()
            .zip(patterns)
            .find(|(_, pattern)| pattern.as_ref().is_some_and(|pattern| pattern.matches(rest)));
        if let Some((table, _)) = by_pattern {
            let name = rest.rsplit('/').next().unwrap_or(rest);
            return Route::Table {
                table: table.table.clone(),
                kind: file_kind(name).unwrap_or(FileKind::Other),
            };
        }
        by_folder(source, rest)
    }
}

/// Routes by DMS's layout: `schema/table/[partition or date folders/]file`.
fn by_folder(source: &SourceRoute, rest: &str) -> Route {
    let mut parts = rest.split('/');
    let (Some(schema), Some(table), Some(_)) = (parts.next(), parts.next(), parts.clone().next()) else {
        return Route::NotOurs("no_table_folder");
    };
    if table.starts_with("awsdms_") {
        return Route::NotOurs("dms_control_table");
    }
    let Some(kind) = parts.next_back().and_then(file_kind) else {
        return Route::NotOurs("no_dms_file_name");
    };
    let known = source.tables.iter().find(|route| {
        route.files.is_none() && *route.table.schema == *schema && *route.table.table == *table
    });
    match (known, source.unmapped) {
        (Some(route), _) => Route::Table { table: route.table.clone(), kind },
        (None, Unmapped::Defer) => {
            Route::Unmapped { table: TableId::new(Arc::clone(&source.cluster), schema, table) }
        }
        (None, Unmapped::Ignore) => Route::NotOurs("unmapped_table"),
    }
}

/// Recognises the names that DMS gives (AWS DMS user guide, S3 target); `None` for any other.
pub fn file_kind(name: &str) -> Option<FileKind> {
    let stem = name.strip_suffix(".parquet")?;
    let load = match stem.split_once("_LOAD") {
        Some((segment, load)) => {
            let number = segment.strip_prefix("SEGMENT")?;
            (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(load)?
        }
        None => match stem.strip_prefix("LOAD") {
            Some(load) => load,
            None => return changes_kind(stem),
        },
    };
    (load.len() == 8 && load.bytes().all(|b| b.is_ascii_hexdigit())).then_some(FileKind::FullLoad)
}

fn changes_kind(stem: &str) -> Option<FileKind> {
    let (date, time) = stem.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let right = date.len() == 8 && (time.len() == 9 || time.len() == 10) && digits(date) && digits(time);
    right.then_some(FileKind::Changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(unmapped: Unmapped) -> Router {
        let destination = |table: &str| Destination {
            project: "".into(),
            location: "".into(),
            dataset: "game_a".into(),
            table: table.into(),
        };
        let tables = vec![
            TableRoute {
                table: TableId::new("a", "casino", "bets"),
                destination: destination("bets"),
                files: None,
            },
            TableRoute {
                table: TableId::new("a", "public", "odd"),
                destination: destination("odd"),
                files: Some("odd_*.parquet".into()),
            },
        ];
        Router::new([SourceRoute {
            cluster: "a".into(),
            bucket: "cdc".into(),
            prefix: "dms/".into(),
            unmapped,
            tables,
        }])
    }

    fn table(cluster: &str, schema: &str, table: &str) -> TableId {
        TableId::new(cluster, schema, table)
    }

    #[test]
    fn keys_find_their_tables() {
        let bets = || table("a", "casino", "bets");
        let cases = [
            (
                "dms/casino/bets/LOAD0000000A.parquet",
                Route::Table { table: bets(), kind: FileKind::FullLoad },
            ),
            (
                "dms/casino/bets/p0/SEGMENT2_LOAD00000001.parquet",
                Route::Table { table: bets(), kind: FileKind::FullLoad },
            ),
            (
                "dms/casino/bets/20240809-192717787.parquet",
                Route::Table { table: bets(), kind: FileKind::Changes },
            ),
            (
                "dms/casino/bets/2024/08/09/20240809-1927177871.parquet",
                Route::Table { table: bets(), kind: FileKind::Changes },
            ),
            (
                "dms/odd_LOAD00000001.parquet",
                Route::Table { table: table("a", "public", "odd"), kind: FileKind::Other },
            ),
            ("dms/casino/new/LOAD00000001.parquet", Route::Unmapped { table: table("a", "casino", "new") }),
            ("dms/casino/awsdms_status/LOAD00000001.parquet", Route::NotOurs("dms_control_table")),
            ("dms/casino/bets/readme.txt", Route::NotOurs("no_dms_file_name")),
            ("dms/casino/bets/", Route::NotOurs("folder_marker")),
            ("dms/LOAD00000001.parquet", Route::NotOurs("no_table_folder")),
            ("other/casino/bets/LOAD00000001.parquet", Route::NotOurs("no_such_prefix")),
        ];
        for (key, expected) in cases {
            assert_eq!(router(Unmapped::Defer).route("cdc", key), expected, "{key}");
        }
        assert_eq!(
            router(Unmapped::Defer).route("else", "dms/casino/bets/LOAD00000001.parquet"),
            Route::NotOurs("no_such_prefix")
        );
        let key = "dms/casino/new/LOAD00000001.parquet";
        assert_eq!(router(Unmapped::Ignore).route("cdc", key), Route::NotOurs("unmapped_table"));
    }

    #[test]
    fn names_that_dms_does_not_write_are_refused() {
        for name in [
            "LOAD1.parquet",
            "LOAD0000000G.parquet",
            "2024080-192717787.parquet",
            "20240809-1927177.parquet",
            "LOAD00000001.csv",
            "SEGMENT_LOAD00000001.parquet",
        ] {
            assert_eq!(file_kind(name), None, "{name}");
        }
    }
}

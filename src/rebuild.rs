//! What a lost ledger knew, as far as others know it too: which files are loaded says the warehouse, by the lineage of
//! its rows; which files there are says a listing of the buckets.
//!
//! A file without a row is announced again, as a deferred one: it was never loaded, or has no rows. What only the ledger
//! knew is gone: poison is tried again, modes and strikes begin anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::bucket::listing::{Listed, Listing};
use crate::domain::batch::Destination;
use crate::domain::fault::Fault;
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::route::{Route, Router, SourceRoute};
use crate::warehouse::audit::Audit;

mod lines;

pub use lines::{TablePlan, lines};

/// Pages that wait to be read.
const PAGES_WAITING: usize = 2;

/// A file that is in its bucket, and when it was written.
pub type Present = BTreeMap<String, (FileId, Instant)>;

/// All files in the buckets that a mapping names, by table and `bucket/key@etag`: some 300 bytes a file. Tables that no
/// mapping names are among them where their files are deferred.
pub async fn listed(
    sources: &[(SourceRoute, Arc<dyn Listing>)],
    router: &Router,
) -> Result<BTreeMap<TableId, Present>, Fault> {
    let mut tables: BTreeMap<TableId, Present> = BTreeMap::new();
    for (source, listing) in sources {
        for route in &source.tables {
            tables.entry(route.table.clone()).or_default();
        }
        let (pages, mut coming) = mpsc::channel::<Vec<Listed>>(PAGES_WAITING);
        let listing = listing.objects(&source.bucket, &source.prefix, pages);
        let sorting = async {
            while let Some(page) = coming.recv().await {
                for object in page {
                    let table = match router.route(&source.bucket, &object.key) {
                        Route::Table { table, .. } | Route::Unmapped { table } => table,
                        Route::NotOurs(_) => continue,
                    };
                    let Listed { key, etag, size_bytes, modified } = object;
                    let bucket = Arc::clone(&source.bucket);
                    let file = FileId { table: table.clone(), bucket, key, etag, size_bytes };
                    // Of two versions with one content the first is when it came.
                    let files = tables.entry(table).or_default();
                    let known = files.entry(file.source_file()).or_insert((file, modified));
                    known.1 = known.1.min(modified);
                }
            }
        };
        let (result, ()) = tokio::join!(listing, sorting);
        result?;
    }
    Ok(tables)
}

/// The rows of one table, by `_source_file` and `_batch_id`. Several tables may share a destination: rows of a file that
/// the mapping gives to another one are that one's.
pub async fn loaded(
    audit: &dyn Audit,
    router: &Router,
    table: &TableId,
    destination: &Destination,
) -> Result<lines::Loaded, Fault> {
    let is_of_another = |file: &str| {
        let place = file.rsplit_once('@').and_then(|(path, _)| path.split_once('/'));
        let route = place.map(|(bucket, key)| router.route(bucket, key));
        matches!(route, Some(Route::Table { table: other, .. }) if other != *table)
    };
    let mut loaded = lines::Loaded::default();
    let (pages, mut coming) = mpsc::channel(PAGES_WAITING);
    let counting = audit.rows_by_file(destination, None, pages);
    let gathering = async {
        while let Some(page) = coming.recv().await {
            page.into_iter().filter(|found| !is_of_another(&found.file)).for_each(|found| loaded.add(found));
        }
    };
    let (survey, ()) = tokio::join!(counting, gathering);
    survey?;
    Ok(loaded)
}

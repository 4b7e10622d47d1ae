//! Both sides of the comparison on disk, so that memory does not grow with the number of files: a private SQLite file in
//! SQLite's folder for temporary files (`TMPDIR`, else `/var/tmp` or `/tmp`), gone with the process.

use std::error::Error;

use rusqlite::{Connection, Row, params};

use crate::domain::audit::{Expected, Found, Standing};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::{BatchId, JobId};
use crate::domain::instant::Instant;
use crate::domain::transition::BatchState;
use crate::ledger::reader::LooseFile;

/// The journal is off: the file is gone with the process, whatever happens.
const SCHEMA: &str = "
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16384;
    CREATE TABLE expected (place INTEGER, file TEXT, batch TEXT, reading INTEGER, row_count INTEGER, state INTEGER,
        claimed_at INTEGER, job TEXT, PRIMARY KEY (place, file, batch)) WITHOUT ROWID;
    CREATE TABLE batches (id TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE found (file TEXT, batch TEXT, row_count INTEGER, numbers TEXT, claimed_from INTEGER, claimed_to INTEGER,
        PRIMARY KEY (file, batch)) WITHOUT ROWID;
    CREATE TABLE loose (file TEXT PRIMARY KEY, state TEXT) WITHOUT ROWID;
";

/// The columns of `found`, as `found_of` reads them.
const FOUND: &str = "found.file, found.batch, found.row_count, numbers, claimed_from, claimed_to";

/// A file and batch that the ledger has, and what was found of them.
pub(super) struct Pair {
    pub(super) expected: Expected,
    /// The reading of the ledger that told of the batch.
    pub(super) reading: u64,
    pub(super) found: Option<Found>,
}

/// Where a page ended: file and batch.
pub(super) type Mark = (String, String);

/// The two sides.
pub(super) struct Workbook {
    connection: Connection,
}

impl Workbook {
    pub(super) fn new() -> Result<Self, Fault> {
        let open = || {
            let connection = Connection::open("")?;
            connection.execute_batch(SCHEMA)?;
            Ok(Self { connection })
        };
        open().map_err(fault)
    }

    /// True when the batch was not asked about before.
    pub(super) fn is_new(&mut self, batch: &BatchId) -> Result<bool, Fault> {
        let insert = "INSERT OR IGNORE INTO batches VALUES (?1)";
        let inserted = self.connection.execute(insert, [batch.as_str()]);
        inserted.map(|inserted| inserted > 0).map_err(fault)
    }

    /// Writes down what the ledger has; the newest word on a file and batch counts.
    pub(super) fn expect(
        &mut self,
        place: usize,
        reading: u64,
        files: impl Iterator<Item = Expected>,
    ) -> Result<(), Fault> {
        let write = || {
            let step = self.connection.transaction()?;
            let mut insert = step
                .prepare_cached("INSERT OR REPLACE INTO expected VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
            for file in files {
                insert.execute(params![
                    stored(place),
                    file.file,
                    file.batch.as_str(),
                    stored(reading),
                    stored(file.rows),
                    state_number(file.state),
                    file.claimed_at.micros(),
                    file.job.as_ref().map(JobId::as_str),
                ])?;
            }
            drop(insert);
            step.commit()
        };
        write().map_err(fault)
    }

    /// Writes down files that are in no batch.
    pub(super) fn loose(&mut self, files: &[LooseFile]) -> Result<(), Fault> {
        let mut write = || {
            let step = self.connection.transaction()?;
            let mut insert = step.prepare_cached("INSERT OR REPLACE INTO loose VALUES (?1, ?2)")?;
            for LooseFile { file, state, .. } in files {
                insert.execute(params![file.source_file(), state.label()])?;
            }
            drop(insert);
            step.commit()
        };
        write().map_err(fault)
    }

    /// Forgets what was found: another table follows.
    pub(super) fn turn_over(&mut self) -> Result<(), Fault> {
        self.connection.execute("DELETE FROM found", []).map(|_| ()).map_err(fault)
    }

    /// Writes down what was found; parts of one file and batch are put together.
    pub(super) fn found(&mut self, page: Vec<Found>) -> Result<(), Fault> {
        let write = || {
            let step = self.connection.transaction()?;
            let select = format!("SELECT {FOUND} FROM found WHERE file = ?1 AND batch = ?2");
            let mut select = step.prepare_cached(&select)?;
            let mut insert =
                step.prepare_cached("INSERT OR REPLACE INTO found VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for mut part in page {
                let known = select.query_map([&part.file, &part.batch], found_of)?;
                for known in known {
                    part.merge(known?);
                }
                let numbers = serde_json::to_string(&part.numbers).map_err(foreign)?;
                let (from, to) = part.claimed.unzip();
                insert.execute(params![
                    part.file,
                    part.batch,
                    stored(part.rows),
                    numbers,
                    from.map(Instant::micros),
                    to.map(Instant::micros),
                ])?;
            }
            drop((select, insert));
            step.commit()
        };
        write().map_err(fault)
    }

    /// At most `limit` files and batches that the ledger has for a place, in order, after `after`.
    pub(super) fn pairs(&self, place: usize, after: &Mark, limit: usize) -> Result<Vec<Pair>, Fault> {
        let read = || {
            let mut select = self.connection.prepare_cached(&format!(
                "SELECT {FOUND}, expected.file, expected.batch, expected.row_count, state, claimed_at, job, reading
                 FROM expected LEFT JOIN found ON found.file = expected.file AND found.batch = expected.batch
                 WHERE place = ?1 AND (expected.file, expected.batch) > (?2, ?3)
                 ORDER BY expected.file, expected.batch LIMIT ?4"
            ))?;
            let rows = select.query_map(params![stored(place), after.0, after.1, stored(limit)], |row| {
                let found = row.get::<_, Option<String>>(0)?.map(|_| found_of(row)).transpose()?;
                let expected = Expected {
                    file: row.get(6)?,
                    batch: BatchId::from_stored(row.get::<_, String>(7)?),
                    rows: unsigned(row.get(8)?),
                    state: state_of(row.get(9)?),
                    claimed_at: Instant::from_micros(row.get(10)?),
                    job: row.get::<_, Option<String>>(11)?.map(JobId::from_stored),
                };
                Ok(Pair { expected, reading: unsigned(row.get(12)?), found })
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(fault)
    }

    /// At most `limit` of what was found and the ledger does not have for the place, in order, after `after`.
    pub(super) fn strangers(
        &self,
        place: usize,
        after: Option<&Mark>,
        limit: usize,
    ) -> Result<Vec<Found>, Fault> {
        let (file, batch) = after.cloned().unzip();
        let read = || {
            let mut select = self.connection.prepare_cached(&format!(
                "SELECT {FOUND} FROM found
                 LEFT JOIN expected ON place = ?1 AND expected.file = found.file AND expected.batch = found.batch
                 WHERE place IS NULL AND (?2 IS NULL OR (found.file, found.batch) > (?2, ?3))
                 ORDER BY found.file, found.batch LIMIT ?4"
            ))?;
            let rows = select.query_map(params![stored(place), file, batch, stored(limit)], found_of)?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(fault)
    }

    /// What the ledger knows of a file for the place.
    pub(super) fn standing(&self, place: usize, file: &str) -> Result<Standing, Fault> {
        let read = || {
            let mut select = self.connection.prepare_cached(
                "SELECT batch, state FROM expected WHERE place = ?1 AND file = ?2 ORDER BY state DESC LIMIT 1",
            )?;
            let mut rows = select.query(params![stored(place), file])?;
            if let Some(row) = rows.next()? {
                let batch = BatchId::from_stored(row.get::<_, String>(0)?);
                return Ok(Standing::InBatch { batch, state: state_of(row.get(1)?) });
            }
            let mut select = self.connection.prepare_cached("SELECT state FROM loose WHERE file = ?1")?;
            let mut rows = select.query([file])?;
            rows.next()?.map_or(Ok(Standing::Unknown), |row| Ok(Standing::Loose(row.get(0)?)))
        };
        read().map_err(fault)
    }
}

/// Reads `FOUND`, the first columns of a row.
fn found_of(row: &Row<'_>) -> rusqlite::Result<Found> {
    let instant = |micros: Option<i64>| micros.map(Instant::from_micros);
    Ok(Found {
        file: row.get(0)?,
        batch: row.get(1)?,
        rows: unsigned(row.get(2)?),
        numbers: serde_json::from_str(&row.get::<_, String>(3)?).map_err(foreign)?,
        claimed: instant(row.get(4)?).zip(instant(row.get(5)?)),
    })
}

/// As a number of the file; a loaded batch is the greatest.
fn state_number(state: BatchState) -> i64 {
    match state {
        BatchState::Abandoned => 0,
        BatchState::Open => 1,
        BatchState::Held => 2,
        BatchState::Loaded => 3,
    }
}

fn state_of(number: i64) -> BatchState {
    match number {
        1 => BatchState::Open,
        2 => BatchState::Held,
        3 => BatchState::Loaded,
        _ => BatchState::Abandoned,
    }
}

fn stored<T>(number: T) -> i64
where
    i64: TryFrom<T>,
{
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn foreign(error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

fn fault(error: rusqlite::Error) -> Fault {
    let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
    let kind = if full { FaultKind::DiskFull } else { FaultKind::Unavailable };
    let context = "cannot compare in a temporary file (in TMPDIR, else /var/tmp or /tmp)";
    Fault::from_error(kind, context, error)
}

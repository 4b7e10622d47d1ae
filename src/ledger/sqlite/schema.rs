//! The file's format, and how it is made and checked.

use std::path::Path;

use rusqlite::Connection;

use super::fault_of;
use crate::domain::fault::{Fault, FaultKind};

/// "lbrg", in the header of every ledger.
pub(super) const APPLICATION_ID: i64 = 0x6c62_7267;
/// The format that this version writes; each step of `MIGRATIONS` raises it by one.
const VERSION: i64 = MIGRATIONS.len() as i64;
/// Ledgers up to this size are checked whole at start.
const CHECKED_BYTES_MAX: u64 = 64 << 20;

/// Each brings the format from its index to the next.
pub(super) const MIGRATIONS: [&str; 12] = [
    "
CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    table_id TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    destination TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    parent TEXT,
    manifest TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX open_batches ON batches (number) WHERE state IN (0, 1);
CREATE TABLE files (
    key BLOB NOT NULL PRIMARY KEY,
    home INTEGER NOT NULL CHECK (home BETWEEN 0 AND 3),
    batch INTEGER REFERENCES batches (number),
    table_id TEXT,
    identity TEXT,
    reason TEXT,
    at INTEGER,
    CHECK ((home = 0) = (batch IS NOT NULL)),
    CHECK ((home = 0) = (identity IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX deferred_files ON files (table_id, at) WHERE home = 3;
CREATE TABLE attempts (
    batch INTEGER NOT NULL REFERENCES batches (number),
    number INTEGER NOT NULL,
    job_id TEXT NOT NULL,
    destination TEXT NOT NULL,
    manifest_hash TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 2),
    reason TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (batch, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE strikes (
    key BLOB NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE modes (
    table_id TEXT NOT NULL PRIMARY KEY,
    mode INTEGER NOT NULL CHECK (mode BETWEEN 1 AND 3),
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE dead_letters (
    number INTEGER PRIMARY KEY,
    queue TEXT NOT NULL,
    body TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
",
    include_str!("schema/summary.sql"),
    // What became of an abandoned batch's files, as a hash: the same step again is told from another one.
    "ALTER TABLE batches ADD COLUMN homes TEXT;",
    include_str!("schema/discarded.sql"),
    // Invariant I-7: the ledger's name, and how often a process has started on it.
    "CREATE TABLE identity (ledger TEXT NOT NULL, epoch INTEGER NOT NULL) STRICT;
     INSERT INTO identity VALUES (lower(hex(randomblob(16))), 0);",
    // What is forgotten after the horizon is found by its age.
    "CREATE INDEX vanished_files ON files (at) WHERE home = 2;
     CREATE TRIGGER file_forgotten AFTER DELETE ON files WHEN OLD.home <> 0 BEGIN
         UPDATE homes SET files = files - 1
             WHERE table_id = OLD.table_id AND home = iif(OLD.discarded_at IS NULL, OLD.home, 4);
     END;",
    // What was forgotten stays known, and a ledger that was not filled to its end is told from a whole one. Batches that a
    // rebuilt ledger took in any order are forgotten by their ends.
    "ALTER TABLE identity ADD COLUMN forgotten_before INTEGER;
     ALTER TABLE identity ADD COLUMN filling INTEGER NOT NULL DEFAULT 0 CHECK (filling IN (0, 1));
     CREATE INDEX ended_batches ON batches (updated_at) WHERE state IN (2, 3);",
    // Which column of a table became which, and when.
    "CREATE TABLE shapes (
         table_id TEXT NOT NULL,
         number INTEGER NOT NULL,
         entry TEXT NOT NULL,
         PRIMARY KEY (table_id, number)
     ) STRICT, WITHOUT ROWID;",
    // The stream of the Storage Write API by which an attempt's rows go.
    "ALTER TABLE attempts ADD COLUMN stream TEXT;",
    // What receivers are still to be told of loaded batches.
    "CREATE TABLE notices (
         receiver TEXT NOT NULL,
         loaded_at INTEGER NOT NULL,
         batch TEXT NOT NULL,
         table_id TEXT NOT NULL,
         body TEXT NOT NULL,
         PRIMARY KEY (receiver, loaded_at, batch)
     ) STRICT, WITHOUT ROWID;",
    include_str!("schema/commits.sql"),
    // What each process has done on each day, as far as somebody is paid for it.
    "CREATE TABLE usage (
         day INTEGER NOT NULL,
         writer TEXT NOT NULL,
         counted_from INTEGER NOT NULL,
         tally TEXT NOT NULL,
         PRIMARY KEY (day, writer)
     ) STRICT, WITHOUT ROWID;",
];

/// Checks that the file is a ledger of this version or an older one, and brings it up to date.
pub(super) fn prepare(connection: Connection, path: &Path) -> Result<Connection, Fault> {
    let context = format!("cannot open the ledger {}", path.display());
    let prepared = || -> Result<Result<(), Fault>, rusqlite::Error> {
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        let version = match version(&connection, path)? {
            Ok(version) => version,
            Err(fault) => return Ok(Err(fault)),
        };
        // Invariant I-2 rests on `synchronous`: an answered step is on the disk.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;",
        )?;
        let first = usize::try_from(version).unwrap_or(usize::MAX);
        for (step, migration) in MIGRATIONS.iter().enumerate().skip(first) {
            let next = step + 1;
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {migration} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {next}; COMMIT;"
            ))?;
        }
        check(&connection, path)
    };
    prepared().map_err(|error| fault_of(&context, error))??;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The format of the file; 0 for an empty one. Refuses what is no ledger, and what a newer version wrote.
fn version(connection: &Connection, path: &Path) -> Result<Result<i64, Fault>, rusqlite::Error> {
    let shown = path.display();
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && tables > 0 {
        let text = format!("{shown} is a SQLite file but no ledger of landbridge: name another path");
        return Ok(Err(Fault::new(FaultKind::LedgerCorrupt, text)));
    }
    if version > VERSION {
        let text = format!(
            "the ledger {shown} has format {version}, this landbridge knows up to {VERSION}: use the newer version that wrote it"
        );
        return Ok(Err(Fault::new(FaultKind::LedgerCorrupt, text)));
    }
    Ok(Ok(version))
}

/// Checks that the file is a ledger of this very version: who only reads it cannot bring it up to date.
pub(super) fn check_readable(connection: &Connection, path: &Path) -> Result<(), Fault> {
    let shown = path.display();
    let found = version(connection, path)
        .map_err(|error| fault_of(&format!("cannot read the ledger {shown}"), error))??;
    if found == VERSION {
        return Ok(());
    }
    let text = format!(
        "the ledger {shown} has format {found}, this landbridge reads {VERSION}: `landbridge run` of this version brings it up to date"
    );
    Err(Fault::new(FaultKind::LedgerCorrupt, text))
}

fn check(connection: &Connection, path: &Path) -> Result<Result<(), Fault>, rusqlite::Error> {
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if size > CHECKED_BYTES_MAX {
        return Ok(Ok(()));
    }
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(Ok(()));
    }
    let text = format!("the ledger {} is damaged ({verdict}): restore it from its backup", path.display());
    Ok(Err(Fault::new(FaultKind::LedgerCorrupt, text)))
}

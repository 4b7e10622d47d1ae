//! `landbridge demo generate`: one table's files alone, for benchmarks and first tries.

use std::fs;
use std::path::{Path, PathBuf};

use super::rows::{Column, Layout, Slice, Values, rows};
use super::writer::{Codec, write};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::instant::Instant;

/// 2025-11-23 00:00:00 UTC.
const COMMIT: Instant = Instant::from_micros(1_763_856_000_000_000);
/// 40 million rows a day.
const STEP_MICROS: i64 = 2_160;
/// The seed: the same arguments give the same files.
const SEED: u64 = 7;
/// Threads that write.
const THREADS: u64 = 2;

const fn column(name: &'static str, values: Values) -> Column {
    Column { name, values, nulls: 0 }
}

/// The table's 17 own columns; with `Op`, timestamp and sequence a file has 20.
const COLUMNS: [Column; 17] = [
    column("id", Values::Number),
    column("user_id", Values::User),
    column("game_id", Values::Int(60)),
    column("round_id", Values::Hex(16)),
    column("bet_amount", Values::Money(23, 4, 500_000_000)),
    column("win_amount", Values::Money(23, 4, 500_000_000)),
    column("currency", Values::OneOf(&["USD", "EUR", "KRW", "JPY", "GBP"])),
    column("status", Values::Small(4)),
    column("is_free", Values::Flag(10)),
    Column { name: "device", values: Values::OneOf(&["ios", "android", "web", "kiosk"]), nulls: 2 },
    column("ip", Values::Address),
    column("session_id", Values::Hex(36)),
    Column { name: "meta", values: Values::Json, nulls: 2 },
    column("created_at", Values::Before),
    column("updated_at", Values::At),
    column("ledger_id", Values::Big),
    column("balance", Values::Money(23, 4, 10_000_000_000_000)),
];

const CONFIG: &str = "\
[http]
listen = \"off\"

[ledger]
path = \"state/ledger.db\"

[warehouse]
kind = \"lake\"
path = \"lake\"

[[mapping]]
cluster = \"game-a\"
source = \"bucket\"
dataset = \"game_a\"

[mapping.dms]
timestamp = \"dms_timestamp\"
sequence = \"dms_change_seq\"

[[mapping.table]]
name = \"casino.bet_history\"
key = [\"id\"]
";

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Files.
    pub files: u64,
    /// Rows in all.
    pub rows: u64,
    /// The configuration beside them.
    pub config: PathBuf,
}

/// Writes `rows_in_all` rows in files of `rows_per_file` below `dir/bucket`, and `dir/landbridge.toml` beside them.
pub fn generate(dir: &Path, rows_in_all: u64, rows_per_file: u64) -> Result<Generated, Fault> {
    if rows_in_all == 0 || rows_per_file == 0 {
        return Err(Fault::new(FaultKind::SchemaConflict, "--rows and --rows-per-file must be at least 1"));
    }
    let folder = dir.join("bucket/casino/bet_history");
    fs::create_dir_all(&folder)
        .map_err(|error| Fault::from_io(format!("cannot create {}", folder.display()), error))?;
    let files = rows_in_all.div_ceil(rows_per_file);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let folder = &folder;
                scope.spawn(move || {
                    let mut numbers = (thread..files).step_by(usize::try_from(THREADS).unwrap_or(1));
                    numbers.try_for_each(|number| one(folder, number, rows_in_all, rows_per_file))
                })
            })
            .collect();
        let panicked = |_| Err(Fault::new(FaultKind::Internal, "a writing thread panicked"));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
    })?;
    let config = dir.join("landbridge.toml");
    fs::write(&config, CONFIG)
        .map_err(|error| Fault::from_io(format!("cannot write {}", config.display()), error))?;
    Ok(Generated { files, rows: rows_in_all, config })
}

fn one(folder: &Path, number: u64, rows_in_all: u64, rows_per_file: u64) -> Result<(), Fault> {
    let first = number * rows_per_file;
    let count = rows_per_file.min(rows_in_all - first);
    let offset = i64::try_from(first).unwrap_or(i64::MAX).saturating_mul(STEP_MICROS);
    let slice = Slice {
        first,
        rows: usize::try_from(count).unwrap_or(usize::MAX),
        commit: Instant::from_micros(COMMIT.micros().saturating_add(offset)),
        step_micros: STEP_MICROS,
        seed: SEED.wrapping_add(number),
    };
    let rows = rows(&COLUMNS, Layout::Changes, slice)
        .map_err(|error| Fault::from_error(FaultKind::Internal, "cannot make rows", error))?;
    let written =
        i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(60_000_000).saturating_add(717_000);
    let path = folder.join(file_name(Instant::from_micros(COMMIT.micros().saturating_add(written))));
    let temporary = path.with_extension("tmp");
    write(&temporary, &rows, Codec::Gzip)?;
    fs::rename(&temporary, &path)
        .map_err(|error| Fault::from_io(format!("cannot rename {}", temporary.display()), error))
}

/// `20240809-192717787.parquet`, as DMS names a file of changes.
pub fn file_name(at: Instant) -> String {
    let moment = chrono::DateTime::from_timestamp_micros(at.micros()).unwrap_or_default();
    format!("{}.parquet", moment.format("%Y%m%d-%H%M%S%3f"))
}

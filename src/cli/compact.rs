//! `landbridge compact`: DMS's files in, one Parquet file out, by the very code that builds what is loaded. Nothing is loaded
//! and no ledger is asked: for a look at what a table's files become, and for measurements.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::columns::footer::read_footer;
use crate::columns::layout::Layout;
use crate::columns::plan::ColumnPlan;
use crate::columns::rules::ColumnRules;
use crate::columns::transcode::{Input, build};
use crate::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::object::Object;

/// `landbridge compact FILE... --out OUT.parquet`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The files, in the order in which their rows are wanted
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The Parquet file to write
    #[arg(long, value_name = "OUT")]
    out: PathBuf,
    /// The operation column
    #[arg(long, default_value = "Op", value_name = "COLUMN")]
    op: String,
    /// The column of the commit time
    #[arg(long, value_name = "COLUMN")]
    timestamp: Option<String>,
    /// The column of the change sequence
    #[arg(long, value_name = "COLUMN")]
    sequence: Option<String>,
    /// A column whose values are moments in UTC (MySQL TIMESTAMP); may be given again
    #[arg(long, value_name = "COLUMN")]
    instant: Vec<String>,
}

/// Writes the file. Exit code 1 says that it was not written.
pub(super) fn compact(arguments: Arguments) -> ExitCode {
    let out = arguments.out.clone();
    match written(arguments) {
        Ok((rows, bytes)) => {
            println!("{rows} rows, {bytes} bytes in {}", out.display());
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{}", fault.chain());
            ExitCode::FAILURE
        }
    }
}

fn written(arguments: Arguments) -> Result<(u64, u64), Fault> {
    let rules = ColumnRules {
        op: arguments.op.into(),
        timestamp: arguments.timestamp.map(Into::into),
        sequence: arguments.sequence.map(Into::into),
        instants: arguments.instant.into_iter().collect(),
        ..ColumnRules::default()
    };
    let table = TableId::new("local", "files", "table");
    let (mut inputs, mut plan) = (Vec::new(), ColumnPlan::empty());
    // The same files are the same body: their own time is that of the batch.
    let mut newest = 0;
    for path in &arguments.files {
        let (input, modified) = open(path, &table, &rules)?;
        newest = newest.max(modified);
        plan = plan.unify(input.footer.plan()).map_err(|conflict| {
            Fault::new(
                FaultKind::SchemaConflict,
                format!("{} does not fit the files before: {conflict}", path.display()),
            )
        })?;
        inputs.push(input);
    }
    let entries =
        inputs.iter().map(|input| ManifestEntry { file: input.file.clone(), rows: input.footer.rows() });
    let manifest = Manifest { entries: entries.collect() };
    let destination = Destination {
        project: "".into(),
        location: "".into(),
        dataset: "local".into(),
        table: "table".into(),
    };
    let batch = Batch::plan(table, destination, Instant::from_micros(newest), None, manifest);
    // A body is removed when it is dropped: it is built beside the file that is wanted, and then takes its name.
    let mut beside = arguments.out.clone().into_os_string();
    beside.push(".part");
    let body = build(&Layout::DEFAULT, &batch, &plan, &rules, &inputs, beside.into(), &|| true);
    let body = body.map_err(|failure| failure.fault)?;
    std::fs::rename(body.path(), &arguments.out)
        .map_err(|error| Fault::from_io(format!("cannot write {}", arguments.out.display()), error))?;
    Ok((body.rows(), body.size_bytes()))
}

/// Opens a file; gives when it was written, too, in microseconds since the Unix epoch.
fn open(path: &Path, table: &TableId, rules: &ColumnRules) -> Result<(Input, i64), Fault> {
    let cannot = |error| Fault::from_io(format!("cannot open {}", path.display()), error);
    let handle = File::open(path).map_err(cannot)?;
    let metadata = handle.metadata().map_err(cannot)?;
    let modified = metadata.mtime().saturating_mul(1_000_000).saturating_add(metadata.mtime_nsec() / 1000);
    let size_bytes = metadata.size();
    let file = FileId {
        table: table.clone(),
        bucket: "local".into(),
        key: path.to_string_lossy().trim_start_matches('/').into(),
        etag: format!("{modified}-{size_bytes}").into(),
        size_bytes,
    };
    let object: Arc<dyn Object> = Arc::new(Handle { handle, size_bytes, path: path.to_owned() });
    let footer = read_footer(&file, Arc::clone(&object), rules)?;
    Ok((Input { file, object, footer }, modified))
}

/// An open file.
#[derive(Debug)]
struct Handle {
    handle: File,
    size_bytes: u64,
    path: PathBuf,
}

impl Object for Handle {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read(&self, offset: u64, length: usize) -> Result<Bytes, Fault> {
        let mut bytes = BytesMut::zeroed(length);
        let read = self.handle.read_exact_at(&mut bytes, offset);
        read.map_err(|error| Fault::from_io(format!("cannot read {}", self.path.display()), error))?;
        Ok(bytes.freeze())
    }
}

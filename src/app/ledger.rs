//! What is done to a ledger on which no landbridge runs: it is copied, or made anew.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::SystemClock;
use super::edges::{START_AGAIN, START_PATIENCE, is_passing, open_ledger};
use super::membership::{Opened, enter, judge_all};
use super::readers::ledger_reader;
use crate::config::types::{Config, Ledger as LedgerConfig, Warehouse as WarehouseConfig};
use crate::domain::clock::Clock;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::identity::Identity;
use crate::domain::instant::Instant;
use crate::ledger::archive::{self, Counts, FORMAT, Head, Line, replay};
use crate::ledger::reader::{BatchCursor, LedgerReader, Scope};
use crate::ledger::sqlite::SqliteLedger;
use crate::ledger::{Ledger, SharedLedger};
use crate::warehouse::bigquery::{BigQuery, Keys};
use crate::warehouse::jobs::Jobs;
use crate::warehouse::lake::Lake;
use crate::warehouse::stamps::Stamps;

mod rebuild;

pub use rebuild::{Wish, rebuild};

/// What a process wrote last may not be in DynamoDB's indexes yet, which are late by less than a second as a rule; a batch
/// that an export misses would be loaded again.
const INDEXES_SETTLE: Duration = Duration::from_secs(20);
/// Lines that are written into a ledger at one time.
const LINES_AT_ONCE: usize = 16;

/// Writes the ledger of `config` to a new file at `to`. Answers how much it is.
pub async fn export(config: &Config, to: &Path) -> Result<Counts, Fault> {
    // SQLite's lock says that no process runs on it; of DynamoDB it is seen when something changes meanwhile.
    let reader = ledger_reader(config).await?;
    let _lock = match &config.ledger {
        LedgerConfig::Sqlite { path, .. } => Some(SqliteLedger::open(path)?),
        LedgerConfig::DynamoDb { .. } => {
            tokio::time::sleep(INDEXES_SETTLE).await;
            None
        }
    };
    let begun = SystemClock.now();
    let identity = reader.identity().await?;
    let cannot = |error| Fault::from_io(format!("cannot write {}", to.display()), error);
    let unfinished = to.with_extension("unfinished");
    if to.exists() {
        return Err(cannot(std::io::Error::new(std::io::ErrorKind::AlreadyExists, "there is such a file")));
    }
    let mut counts = Counts::default();
    let mut file = BufWriter::new(File::create(&unfinished).map_err(cannot)?);
    let write = |file: &mut BufWriter<File>, line: &Line| {
        serde_json::to_writer(&mut *file, line).map_err(std::io::Error::from).map_err(cannot)?;
        file.write_all(b"\n").map_err(cannot)
    };
    write(&mut file, &Line::Ledger(Head::new(identity.clone(), begun, reader.forgotten_before().await?)))?;
    let mut take = |line: Line| {
        counts.add(&line);
        write(&mut file, &line)
    };
    archive::read(&*reader, &mut take).await?;
    if reader.identity().await? != identity || changed_since(&*reader, begun).await? {
        let _ = std::fs::remove_file(&unfinished);
        let text = "the ledger changed while it was read: stop every landbridge on it, then export again";
        return Err(Fault::new(FaultKind::Unavailable, text));
    }
    write(&mut file, &Line::End(counts))?;
    let file = file.into_inner().map_err(|error| cannot(error.into_error()))?;
    file.sync_all().and_then(|()| std::fs::rename(&unfinished, to)).map_err(cannot)?;
    Ok(counts)
}

/// True when a batch was claimed, or ended, since `begun`: the newest batches are looked at again.
async fn changed_since(reader: &dyn LedgerReader, begun: Instant) -> Result<bool, Fault> {
    let since = begun.minus(Duration::from_secs(3_600));
    let (scope, mut next) = (Scope { since: Some(since), ..Scope::default() }, BatchCursor::new());
    loop {
        let page = reader.batches(&scope, &next, 200).await?;
        if page.batches.iter().any(|account| account.changed_at >= begun) {
            return Ok(true);
        }
        next = page.next;
        if !page.more {
            return Ok(false);
        }
    }
}

/// Reads the file that `export` wrote into the ledger of `config`, which must be a new one, and takes the datasets over:
/// the ledger that it came from is refused from then on. Answers how much it is.
pub async fn import(config: &Config, from: &Path) -> Result<Counts, Fault> {
    let mut lines = Lines::open(from)?;
    let Some(Line::Ledger(head)) = lines.next()? else {
        return Err(lines.unlike("it does not begin with a ledger"));
    };
    if head.format != FORMAT {
        return Err(lines.unlike(&format!("it has format {}, this landbridge reads {FORMAT}", head.format)));
    }
    let counts = Lines::open(from)?.counted()?;
    let (stamps, _) = custody(config).await?;
    judge_all(config, &head.identity(), &*stamps).await?;
    let opened = fresh(config).await?;
    let known = opened.ledger().summary(SystemClock.now()).await?;
    if !known.is_empty() && opened.identity().await?.ledger != head.ledger {
        let text = "the ledger of this configuration holds something else: name a new one in [ledger], which landbridge makes";
        return Err(Fault::new(FaultKind::AccessDenied, text));
    }
    // A replay that is interrupted leaves a ledger of this name on which nobody can start: its epoch is none.
    take(&opened, &Identity { epoch: 0, ..head.identity() }).await?;
    opened.fill(true).await?;
    if let Some(before) = head.forgotten_before {
        opened.remember_forgotten(before).await?;
    }
    write(&opened.ledger(), || lines.next()).await?;
    take(&opened, &head.identity()).await?;
    // From here on it is as good as the one that it came from: whichever starts first goes on.
    opened.fill(false).await?;
    enter(config, &opened, &*stamps).await?;
    opened.ledger().close().await?;
    Ok(counts)
}

/// Writes lines into the ledger, some at a time.
async fn write(
    ledger: &SharedLedger,
    mut lines: impl FnMut() -> Result<Option<Line>, Fault>,
) -> Result<(), Fault> {
    let mut steps = JoinSet::new();
    loop {
        let line = lines()?;
        let is_last = line.is_none();
        if let Some(line) = line {
            let ledger = Arc::clone(ledger);
            steps.spawn(async move { replayed(&*ledger, line).await });
        }
        while steps.len() >= LINES_AT_ONCE || (is_last && !steps.is_empty()) {
            let step = steps.join_next().await.transpose();
            step.map_err(|error| Fault::from_error(FaultKind::Internal, "a replay has ended", error))?
                .transpose()?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Writes one line, again while the service cannot be heard.
async fn replayed(ledger: &dyn Ledger, line: Line) -> Result<(), Fault> {
    let begun = tokio::time::Instant::now();
    loop {
        match replay(ledger, line.clone(), SystemClock.now()).await {
            Err(fault) if is_passing(fault.kind) && begun.elapsed() < START_PATIENCE => {
                tokio::time::sleep(START_AGAIN).await;
            }
            answer => return answer,
        }
    }
}

/// The ledger of the configuration, on which no process may ever have started.
async fn fresh(config: &Config) -> Result<Opened, Fault> {
    let opened = open_ledger(config, &Arc::default()).await?;
    let epoch = opened.identity().await?.epoch;
    if epoch == 0 {
        return Ok(opened);
    }
    let text = format!(
        "the ledger of this configuration has been started {epoch} times, or was imported to its end: name a new one in [ledger], which landbridge makes, or go on with this one"
    );
    Err(Fault::new(FaultKind::AccessDenied, text))
}

async fn take(opened: &Opened, identity: &Identity) -> Result<(), Fault> {
    if opened.take_identity(identity).await? {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::AccessDenied,
        "a landbridge has started on the ledger meanwhile: begin again with a new one",
    ))
}

/// Whose the datasets are, and what is being loaded into them.
async fn custody(config: &Config) -> Result<(Arc<dyn Stamps>, Arc<dyn Jobs>), Fault> {
    Ok(match &config.warehouse {
        WarehouseConfig::Lake { path } => {
            let lake = Arc::new(Lake::open(path.clone())?);
            (Arc::clone(&lake) as Arc<dyn Stamps>, lake)
        }
        WarehouseConfig::BigQuery(settings) => {
            let bigquery = Arc::new(BigQuery::new(settings, Keys::default()).await?);
            (Arc::clone(&bigquery) as Arc<dyn Stamps>, bigquery)
        }
    })
}

/// The lines of a file.
struct Lines {
    name: String,
    number: u64,
    lines: std::io::Lines<BufReader<File>>,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, Fault> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Fault::from_io(format!("cannot read {name}"), error))?;
        Ok(Self { name, number: 0, lines: BufReader::new(file).lines() })
    }

    fn next(&mut self) -> Result<Option<Line>, Fault> {
        self.number += 1;
        let Some(text) = self.lines.next() else { return Ok(None) };
        let text = text.map_err(|error| Fault::from_io(format!("cannot read {}", self.name), error))?;
        serde_json::from_str(&text).map(Some).map_err(|error| self.unlike(&error.to_string()))
    }

    fn unlike(&self, why: &str) -> Fault {
        let text = format!("{}, line {}: {why}: is it a whole export?", self.name, self.number);
        Fault::new(FaultKind::LedgerCorrupt, text)
    }

    /// Reads all of it: what was cut, or lacks a line, is refused before anything is written.
    fn counted(mut self) -> Result<Counts, Fault> {
        let mut counts = Counts::default();
        while let Some(line) = self.next()? {
            if let Line::End(end) = line {
                return if end == counts { Ok(counts) } else { Err(self.unlike("lines are missing")) };
            }
            counts.add(&line);
        }
        Err(self.unlike("its end is missing"))
    }
}

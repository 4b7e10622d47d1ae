//! Before anything is loaded: does this ledger know what is loaded there? (Invariant I-7.)

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::edges::patiently;
use crate::config::types::{Config, Ledger as LedgerConfig};
use crate::domain::batch::Destination;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::identity::{Identity, Stamp, Standing, standing};
use crate::domain::instant::Instant;
use crate::ledger::SharedLedger;
use crate::ledger::dynamodb::DynamoDbLedger;
use crate::ledger::sqlite::SqliteLedger;
use crate::telemetry::events;
use crate::warehouse::stamps::{Found, Stamps};

/// Tries to stamp a dataset that others change at the same time.
const TRIES_MAX: usize = 10;
/// The wait before the next.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// A ledger as it was opened.
pub(super) enum Opened {
    Sqlite(SqliteLedger),
    DynamoDb(DynamoDbLedger),
}

impl Opened {
    pub(super) async fn identity(&self) -> Result<Identity, Fault> {
        match self {
            Self::Sqlite(ledger) => ledger.identity().await,
            Self::DynamoDb(ledger) => ledger.identity().await,
        }
    }

    /// The ledger as the steps take it.
    pub(super) fn ledger(&self) -> SharedLedger {
        match self {
            Self::Sqlite(ledger) => Arc::new(ledger.clone()),
            Self::DynamoDb(ledger) => Arc::new(ledger.clone()),
        }
    }

    /// Between `true` and `false` it is filled, by whoever alone has it, and nobody starts on it.
    pub(super) async fn fill(&self, filling: bool) -> Result<(), Fault> {
        match self {
            Self::Sqlite(ledger) => ledger.fill(filling).await,
            Self::DynamoDb(ledger) => ledger.fill(filling).await,
        }
    }

    /// Writes down that what ended before may be forgotten.
    pub(super) async fn remember_forgotten(&self, before: Instant) -> Result<(), Fault> {
        match self {
            Self::Sqlite(ledger) => ledger.remember_forgotten(before).await,
            Self::DynamoDb(ledger) => ledger.remember_forgotten(before).await,
        }
    }

    pub(super) async fn is_filling(&self) -> Result<bool, Fault> {
        match self {
            Self::Sqlite(ledger) => ledger.is_filling().await,
            Self::DynamoDb(ledger) => ledger.is_filling().await,
        }
    }

    pub(super) async fn take_identity(&self, identity: &Identity) -> Result<bool, Fault> {
        match self {
            Self::Sqlite(ledger) => ledger.take_identity(identity).await,
            Self::DynamoDb(ledger) => ledger.take_identity(identity).await,
        }
    }

    async fn raise_epoch(&self) -> Result<Identity, Fault> {
        match self {
            Self::Sqlite(ledger) => ledger.raise_epoch().await,
            Self::DynamoDb(ledger) => ledger.raise_epoch().await,
        }
    }
}

/// Refuses a ledger that was not filled to its end, that has not loaded what is in the datasets, or has forgotten it. Then
/// its epoch rises, and is written on all of them.
pub(super) async fn enter(config: &Config, ledger: &Opened, stamps: &dyn Stamps) -> Result<(), Fault> {
    if patiently("identity", async || ledger.is_filling().await).await? {
        let text = "the ledger is being made by `landbridge ledger import` or `rebuild`, or that did not come to its end: repeat it, or begin again with a new ledger";
        return Err(Fault::new(FaultKind::AccessDenied, text));
    }
    let found = stamped(config, stamps).await?;
    // Read after the stamps: an epoch is raised before it is written on a dataset, so that no process that starts at the
    // same time makes this one look old.
    let own = patiently("identity", async || ledger.identity().await).await?;
    for (destination, stamp, _) in &found {
        judge(config, &own, destination, stamp.as_ref())?;
    }
    raise_among(config, ledger, stamps, found).await
}

/// Raises the epoch, and writes it on the datasets: a copy of the ledger that stays behind is older from now on.
pub(super) async fn raise(config: &Config, ledger: &Opened, stamps: &dyn Stamps) -> Result<(), Fault> {
    let found = stamped(config, stamps).await?;
    raise_among(config, ledger, stamps, found).await
}

async fn raise_among(
    config: &Config,
    ledger: &Opened,
    stamps: &dyn Stamps,
    found: Stamped<'_>,
) -> Result<(), Fault> {
    let stamp = patiently("identity", async || ledger.raise_epoch().await).await?;
    stamps.remember(&stamp);
    for (destination, known, version) in found {
        write(config, stamps, destination, &stamp, Some(Found::Dataset { stamp: known, version })).await?;
    }
    Ok(())
}

/// Destinations, with the stamp of each one's dataset and the state in which it was read.
type Stamped<'a> = Vec<(&'a Destination, Option<Stamp>, String)>;

/// One destination of each dataset of the configuration, with what is written on it.
async fn stamped<'a>(config: &'a Config, stamps: &dyn Stamps) -> Result<Stamped<'a>, Fault> {
    let routes = config.mappings.iter().flat_map(|mapping| &mapping.route.tables);
    let datasets: BTreeMap<_, _> = routes
        .map(|route| ((&route.destination.project, &route.destination.dataset), &route.destination))
        .collect();
    let mut found = Vec::new();
    for destination in datasets.into_values() {
        if let Some(Found::Dataset { stamp, version }) = read(stamps, destination).await? {
            found.push((destination, stamp, version));
        }
    }
    Ok(found)
}

/// Refuses, before anything is written, a ledger of this identity that would be refused at its start.
pub(super) async fn judge_all(
    config: &Config,
    identity: &Identity,
    stamps: &dyn Stamps,
) -> Result<(), Fault> {
    let found = stamped(config, stamps).await?;
    found.iter().try_for_each(|(destination, stamp, _)| judge(config, identity, destination, stamp.as_ref()))
}

/// Finds out, before hours of work, whether the datasets' stamps may be written: each is written as it is.
pub(super) async fn must_be_ours_to_stamp(config: &Config, stamps: &dyn Stamps) -> Result<(), Fault> {
    for (destination, stamp, version) in stamped(config, stamps).await? {
        if let Some(stamp) = stamp {
            stamps.write(destination, &stamp, &version).await?;
        }
    }
    Ok(())
}

/// Gives the datasets to a ledger that was made anew from them, whatever ledger loaded them so far. The stamps come first:
/// as long as they are not all written, nobody starts on either ledger.
pub(super) async fn take_over(config: &Config, ledger: &Opened, stamps: &dyn Stamps) -> Result<(), Fault> {
    let own = ledger.identity().await?;
    let stamp = Stamp { epoch: own.epoch.saturating_add(1), ..own };
    for (destination, _, version) in stamped(config, stamps).await? {
        if !stamps.write(destination, &stamp, &version).await? {
            let text =
                format!("{} was changed by another meanwhile: is a landbridge running?", shown(destination));
            return Err(Fault::new(FaultKind::Unavailable, text));
        }
    }
    ledger.raise_epoch().await.map(|_| ())
}

/// What is written on a dataset; `None` when nobody may look, which is told.
async fn read(stamps: &dyn Stamps, destination: &Destination) -> Result<Option<Found>, Fault> {
    match patiently("identity", async || stamps.read(destination).await).await {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.kind == FaultKind::AccessDenied => {
            tell_unstamped(destination, &fault);
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

fn judge(
    config: &Config,
    own: &Identity,
    destination: &Destination,
    stamp: Option<&Stamp>,
) -> Result<(), Fault> {
    let Some(stamp) = stamp else { return Ok(()) };
    let ledger = match &config.ledger {
        LedgerConfig::Sqlite { path, .. } => path.display().to_string(),
        LedgerConfig::DynamoDb { table, .. } => format!("DynamoDB's table {table}"),
    };
    let name = shown(destination);
    let (what, remedy) = match standing(own, Some(stamp)) {
        Standing::Ours | Standing::Unstamped => return Ok(()),
        Standing::Foreign => (
            format!(
                "{name} is loaded by the ledger {}, and {ledger} is {}: an empty or foreign ledger would load again what is loaded",
                stamp.ledger, own.ledger
            ),
            "name the right one in [ledger]; where it is on a volume, is that mounted?",
        ),
        Standing::Older => (
            format!(
                "{name} was loaded by a later state of the ledger {ledger} (start {}, here it is at {}): a copy or a backup would load again what was loaded since",
                stamp.epoch, own.epoch
            ),
            "go on with the ledger that loaded last",
        ),
    };
    let lost = "if that is lost for good, docs/ledger.md says what to do";
    Err(Fault::new(FaultKind::AccessDenied, format!("{what}. {remedy}; {lost}")))
}

async fn write(
    config: &Config,
    stamps: &dyn Stamps,
    destination: &Destination,
    stamp: &Stamp,
    mut known: Option<Found>,
) -> Result<(), Fault> {
    let mut failed = None;
    for _ in 0..TRIES_MAX {
        let now = match known.take() {
            Some(known) => Some(known),
            None => read(stamps, destination).await?,
        };
        let Some(Found::Dataset { stamp: found, version }) = now else { return Ok(()) };
        // Another process on this ledger may have started since: its epoch stays.
        if found.as_ref().is_some_and(|found| found.ledger == stamp.ledger && found.epoch >= stamp.epoch) {
            return Ok(());
        }
        judge(config, stamp, destination, found.as_ref())?;
        match patiently("identity", async || stamps.write(destination, stamp, &version).await).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(fault) if fault.kind == FaultKind::AccessDenied => {
                tell_unstamped(destination, &fault);
                return Ok(());
            }
            // Two that write at one time may both be refused, in words that are the service's own.
            Err(fault) => {
                events::LedgerFailed { step: "identity", fault: &fault }.emit();
                failed = Some(fault);
            }
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    if let Some(fault) = failed {
        return Err(fault);
    }
    let text = format!("{} changes again and again while it is stamped", shown(destination));
    Err(Fault::new(FaultKind::Unavailable, text))
}

fn tell_unstamped(destination: &Destination, fault: &Fault) {
    tracing::warn!(
        dataset = %shown(destination),
        error = fault.chain(),
        remedy = "grant it: an empty, foreign or older ledger is not noticed otherwise",
        "nothing tells by which ledger the dataset is loaded"
    );
}

fn shown(destination: &Destination) -> String {
    if destination.project.is_empty() {
        return "the lake".to_owned();
    }
    format!("the dataset {}.{}", destination.project, destination.dataset)
}

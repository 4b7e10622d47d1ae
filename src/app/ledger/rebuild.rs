//! A ledger made anew from what the warehouse holds and the buckets list.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{custody, fresh, take, write};
use crate::app::SystemClock;
use crate::app::membership::{must_be_ours_to_stamp, take_over};
use crate::app::readers::audit;
use crate::bucket::listing::Listing;
use crate::bucket::local::LocalBucket;
use crate::bucket::s3::{S3Bucket, Spooling};
use crate::cloud;
use crate::config::types::{Config, Source};
use crate::domain::batch::{Destination, hex};
use crate::domain::clock::Clock;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::identity::Identity;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::route::{Router, SourceRoute};
use crate::rebuild::{TablePlan, lines, listed, loaded};
use crate::warehouse::jobs::{Jobs, Which};

/// How long jobs that are not done are waited for, and how often they are looked for.
const JOBS_PATIENCE: Duration = Duration::from_secs(600);
const JOBS_AGAIN: Duration = Duration::from_secs(5);
/// Jobs that are looked at before and after: two hours of them.
const RECENT: Duration = Duration::from_secs(2 * 3_600);

/// What is wished.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Files without rows that were written before are left alone.
    pub since: Option<Instant>,
    /// Write it; else it is only told.
    pub write: bool,
}

/// Tells, table by table, what a rebuilt ledger would hold, and with `wish.write` writes it into the ledger of the
/// configuration, which must be a new one, and gives it the datasets.
pub async fn rebuild(
    config: &Config,
    wish: Wish,
    told: &mut (dyn FnMut(&TableId, &TablePlan) + Send),
) -> Result<(), Fault> {
    let audit = audit(config, None).await?;
    let target = if wish.write {
        let ((stamps, jobs), ledger) = (custody(config).await?, fresh(config).await?);
        must_be_ours_to_stamp(config, &*stamps).await?;
        // An import that was interrupted has left another's name here.
        take(&ledger, &Identity { ledger: hex(&rand::random::<[u8; 16]>()), epoch: 0 }).await?;
        ledger.fill(true).await?;
        Some((ledger, stamps, jobs))
    } else {
        None
    };
    let begun = SystemClock.now();
    let routes: Vec<_> = config.mappings.iter().flat_map(|mapping| &mapping.route.tables).collect();
    let datasets = routes.iter().map(|route| Arc::clone(&route.destination.dataset)).collect();
    // BigQuery's clock is not this machine's: what is new is told by its id.
    let recent = Which::MadeSince(begun.minus(RECENT));
    let mut known_jobs = BTreeSet::new();
    if let Some((_, _, jobs)) = &target {
        until_done(&**jobs, &datasets).await?;
        known_jobs.extend(jobs.jobs(&datasets, recent).await?);
    }
    must_be_mounted(config)?;
    let router = Router::new(config.mappings.iter().map(|mapping| mapping.route.clone()));
    let present = listed(&sources(config).await, &router).await?;
    for (table, files) in present {
        let route = routes.iter().find(|route| route.table == table);
        let rows = match route {
            Some(route) => loaded(&*audit, &router, &table, &route.destination).await?,
            None => Default::default(),
        };
        let destination = route.map_or_else(Destination::default, |route| route.destination.clone());
        let (plan, lines) = lines(&table, &destination, files, rows, wish.since, SystemClock.now());
        told(&table, &plan);
        if let Some((ledger, ..)) = &target {
            let mut lines = lines.into_iter();
            write(&ledger.ledger(), || Ok(lines.next())).await?;
        }
    }
    if let Some((ledger, stamps, jobs)) = &target {
        let made = jobs.jobs(&datasets, recent).await?;
        if let Some(job) = made.iter().find(|job| !known_jobs.contains(*job)) {
            let text = format!(
                "the load job {job} was made while the rows were counted: stop every landbridge, wait a minute, and rebuild again"
            );
            return Err(Fault::new(FaultKind::Unavailable, text));
        }
        // As long as the datasets are not its own, nobody starts on it.
        ledger.fill(false).await?;
        take_over(config, ledger, &**stamps).await?;
        ledger.ledger().close().await?;
    }
    Ok(())
}

/// A directory that is not mounted lists nothing, and what is loaded from it would be taken to be gone for good.
fn must_be_mounted(config: &Config) -> Result<(), Fault> {
    for mapping in &config.mappings {
        let root = match &mapping.source {
            Source::Directory(root) => root,
            Source::S3 { .. } => continue,
        };
        let cannot = |error| Fault::from_io(format!("cannot list {}", root.display()), error);
        if std::fs::read_dir(root).map_err(cannot)?.next().is_none() {
            let text = format!("the source {} is empty: is it mounted?", root.display());
            return Err(Fault::new(FaultKind::Vanished, text));
        }
    }
    Ok(())
}

/// Waits until no load job of landbridge goes on: what it loads would be announced again.
async fn until_done(jobs: &dyn Jobs, datasets: &BTreeSet<Arc<str>>) -> Result<(), Fault> {
    let begun = tokio::time::Instant::now();
    loop {
        let undone = jobs.jobs(datasets, Which::Undone).await?;
        let Some(job) = undone.first() else { return Ok(()) };
        if begun.elapsed() >= JOBS_PATIENCE {
            let text =
                format!("{} load jobs are not done ({job}): wait for them, then rebuild", undone.len());
            return Err(Fault::new(FaultKind::Unavailable, text));
        }
        tokio::time::sleep(JOBS_AGAIN).await;
    }
}

async fn sources(config: &Config) -> Vec<(SourceRoute, Arc<dyn Listing>)> {
    let mut sources: Vec<(SourceRoute, Arc<dyn Listing>)> = Vec::new();
    for mapping in &config.mappings {
        let listing: Arc<dyn Listing> = match &mapping.source {
            Source::Directory(root) => {
                Arc::new(LocalBucket::new([(Arc::clone(&mapping.route.bucket), root.clone())]))
            }
            Source::S3 { queue } => {
                let region = cloud::aws::region_of(&config.aws, queue);
                let sdk = cloud::aws::connect(&config.aws, region.as_deref()).await;
                let spooling = Spooling {
                    path: config.spool.path.clone(),
                    threshold_bytes: config.spool.threshold_bytes,
                };
                Arc::new(S3Bucket::new(&sdk, config.aws.path_style, spooling))
            }
        };
        sources.push((mapping.route.clone(), listing));
    }
    sources
}

//! The stamp of a dataset: two of its labels.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::BigQuery;
use crate::domain::batch::Destination;
use crate::domain::fault::Fault;
use crate::domain::identity::Stamp;
use crate::warehouse::stamps::{Found, Stamps};

const LEDGER: &str = "landbridge_ledger";
const EPOCH: &str = "landbridge_epoch";

/// The labels that make a stamp.
pub(super) fn labels(stamp: &Stamp) -> HashMap<String, String> {
    let labels = [(LEDGER, stamp.ledger.clone()), (EPOCH, stamp.epoch.to_string())];
    labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The stamp among a dataset's labels. An epoch that is no number is older than any.
fn stamp_of(dataset: &Value) -> Option<Stamp> {
    let labels = dataset.get("labels")?;
    let ledger = labels.get(LEDGER)?.as_str()?.to_owned();
    let epoch = labels.get(EPOCH).and_then(Value::as_str).and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    Some(Stamp { ledger, epoch })
}

fn path(destination: &Destination) -> String {
    format!("projects/{}/datasets/{}", destination.project, destination.dataset)
}

#[async_trait]
impl Stamps for BigQuery {
    async fn read(&self, destination: &Destination) -> Result<Found, Fault> {
        let context = format!("cannot read the labels of {}.{}", destination.project, destination.dataset);
        let Some(dataset) = self.rest.resource(&context, &path(destination)).await? else {
            return Ok(Found::NoDataset);
        };
        let version = dataset.get("etag").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Found::Dataset { stamp: stamp_of(&dataset), version })
    }

    async fn write(&self, destination: &Destination, stamp: &Stamp, version: &str) -> Result<bool, Fault> {
        let context = format!(
            "cannot label {}.{} with its ledger (needs bigquery.datasets.update)",
            destination.project, destination.dataset
        );
        let change = json!({"labels": labels(stamp)});
        self.rest.change(&context, &path(destination), &change, version).await
    }

    fn remember(&self, stamp: &Stamp) {
        self.tables.remember(stamp);
    }
}

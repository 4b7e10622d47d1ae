//! Many items by their keys.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::batches::name_of;
use super::item::Item;
use super::{DynamoDbLedger, StepError};
use crate::domain::fault::{Fault, FaultKind};

/// Items that one call gets (Amazon DynamoDB API Reference, BatchGetItem).
pub(super) const GETS_MAX: usize = 100;
/// Calls for the items that a call had no capacity for; the wait before each.
const GET_AGAIN_MAX: usize = 10;
const GET_AGAIN: Duration = Duration::from_millis(50);

impl DynamoDbLedger {
    /// Items by their keys, strongly consistent each; those that are not there are left out.
    pub(super) async fn get_many(
        &self,
        step: &str,
        keys: Vec<Item>,
        fields: Option<&str>,
    ) -> Result<HashMap<(String, String), Item>, StepError> {
        let mut distinct = HashMap::new();
        for key in keys {
            distinct.insert(name_of(&key)?, key);
        }
        let wanted: Vec<_> = distinct.into_values().collect();
        let mut found = HashMap::new();
        for some in wanted.chunks(GETS_MAX) {
            let request = KeysAndAttributes::builder().set_keys(Some(some.to_vec())).consistent_read(true);
            let request = request.set_projection_expression(fields.map(str::to_owned)).build();
            let request = request.map_err(|error| StepError::Misused(error.to_string()))?;
            let mut left = Some(HashMap::from([(self.inner.table.to_string(), request)]));
            for again in 0.. {
                let call = self.inner.client.batch_get_item().set_request_items(left.take());
                let answer = call.send().await;
                let answer = answer.map_err(|error| self.failed(step, "dynamodb:BatchGetItem", error))?;
                for item in answer.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                    found.insert(name_of(&item)?, item);
                }
                left = answer.unprocessed_keys.filter(|left| !left.is_empty());
                if left.is_none() {
                    break;
                }
                if again >= GET_AGAIN_MAX {
                    let text = format!("{}: not all items were answered", self.context(step));
                    return Err(Fault::new(FaultKind::Throttled, text).into());
                }
                tokio::time::sleep(GET_AGAIN).await;
            }
        }
        Ok(found)
    }
}

//! Calls that read or put, which many steps share.

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

/// One page of a query.
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) next: Option<Item>,
}

impl DynamoDbLedger {
    pub(super) async fn get(&self, step: &str, key: Item) -> Result<Option<Item>, StepError> {
        let call = self.inner.client.get_item().table_name(&*self.inner.table);
        let answer = call.set_key(Some(key)).consistent_read(true).send().await;
        Ok(answer.map_err(|error| self.failed(step, "dynamodb:GetItem", error))?.item)
    }

    pub(super) async fn put_item(&self, step: &str, item: Item) -> Result<(), StepError> {
        let call = self.inner.client.put_item().table_name(&*self.inner.table).set_item(Some(item));
        call.send().await.map_err(|error| self.failed(step, "dynamodb:PutItem", error))?;
        Ok(())
    }

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

    /// One page of the table, strongly consistent, or of an index, which may be late.
    pub(super) async fn page(
        &self,
        step: &str,
        index: Option<&str>,
        condition: &str,
        values: Item,
        limit: usize,
        from: Option<Item>,
    ) -> Result<Page, StepError> {
        let call =
            self.inner.client.query().table_name(&*self.inner.table).set_index_name(index.map(str::to_owned));
        let call = call.key_condition_expression(condition).set_expression_attribute_values(Some(values));
        let call = call.consistent_read(index.is_none()).set_exclusive_start_key(from);
        let call = call.limit(i32::try_from(limit.max(1)).unwrap_or(i32::MAX));
        let answer = call.send().await.map_err(|error| self.failed(step, "dynamodb:Query", error))?;
        let next = answer.last_evaluated_key.filter(|key| !key.is_empty());
        Ok(Page { items: answer.items.unwrap_or_default(), next })
    }

    /// All of a partition, in order.
    pub(super) async fn query(
        &self,
        step: &str,
        condition: &str,
        values: Item,
    ) -> Result<Vec<Item>, StepError> {
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let page = self.page(step, None, condition, values.clone(), usize::MAX, from).await?;
            items.extend(page.items);
            from = page.next;
            if from.is_none() {
                return Ok(items);
            }
        }
    }
}

//! One conditional step: what is written, all or nothing, and what must hold for it.

use std::time::Duration;

use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, Delete, Put, TransactWriteItem, Update};

use super::item::Item;
use super::{DynamoDbLedger, StepError};
use crate::cloud::aws::fault;
use crate::domain::fault::{Fault, FaultKind};

/// Changes in one transaction (Amazon DynamoDB Developer Guide, "Service, account, and table quotas").
pub(super) const CHANGES_MAX: usize = 100;
/// Sends of one transaction that others' transactions over the same items, or throttling, come in the way of.
const SENDS_MAX: u32 = 10;
/// The wait after the first of them; each next one is twice as long, up to `PAUSE_MAX`.
const PAUSE: Duration = Duration::from_millis(15);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// One write.
pub(super) struct Change {
    what: What,
    condition: Option<String>,
    values: Item,
}

enum What {
    Put(Item),
    Update(Item, String),
    Delete(Item),
}

impl Change {
    pub(super) fn put(item: Item) -> Self {
        Self { what: What::Put(item), condition: None, values: Item::new() }
    }

    pub(super) fn update(key: Item, expression: impl Into<String>, values: Item) -> Self {
        Self { what: What::Update(key, expression.into()), condition: None, values }
    }

    pub(super) fn delete(key: Item) -> Self {
        Self { what: What::Delete(key), condition: None, values: Item::new() }
    }

    /// The whole step is refused unless this holds.
    pub(super) fn when(mut self, condition: impl Into<String>, values: Item) -> Self {
        self.condition = Some(condition.into());
        self.values.extend(values);
        self
    }

    fn built(&self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let values = (!self.values.is_empty()).then(|| self.values.clone());
        let condition = self.condition.clone();
        let built = TransactWriteItem::builder();
        Ok(match &self.what {
            What::Put(item) => {
                let put = Put::builder().table_name(table).set_item(Some(item.clone()));
                let put = put.set_condition_expression(condition).set_expression_attribute_values(values);
                built.put(put.build()?)
            }
            What::Update(key, expression) => {
                let update = Update::builder().table_name(table).set_key(Some(key.clone()));
                let update = update.update_expression(expression).set_condition_expression(condition);
                built.update(update.set_expression_attribute_values(values).build()?)
            }
            What::Delete(key) => {
                let delete = Delete::builder().table_name(table).set_key(Some(key.clone()));
                let delete = delete.set_condition_expression(condition);
                built.delete(delete.set_expression_attribute_values(values).build()?)
            }
        }
        .build())
    }
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It is written.
    Done,
    /// Nothing is: the conditions of these changes, by their place, do not hold.
    Refused(Vec<usize>),
}

impl DynamoDbLedger {
    /// Writes all of it or nothing. What has failed without an answer may be written: who calls reads before it writes
    /// again. Within one call the SDK's token makes repeats harmless.
    pub(super) async fn send(&self, step: &'static str, changes: &[Change]) -> Result<Sent, StepError> {
        if changes.len() > CHANGES_MAX {
            let text = format!("a step of {} changes is more than one transaction takes", changes.len());
            return Err(StepError::Misused(text));
        }
        let items: Result<Vec<_>, _> = changes.iter().map(|change| change.built(&self.inner.table)).collect();
        let items = items.map_err(|error| StepError::Misused(error.to_string()))?;
        let mut pause = PAUSE;
        for send in 1.. {
            let call = self.inner.client.transact_write_items().set_transact_items(Some(items.clone()));
            let error = match call.send().await {
                Ok(_) => return Ok(Sent::Done),
                Err(error) => error,
            };
            let reasons = reasons_of(&error);
            let refused = places(reasons, |code| code == "ConditionalCheckFailed");
            if !refused.is_empty() {
                return Ok(Sent::Refused(refused));
            }
            let busy = |code: &str| {
                ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"].contains(&code)
            };
            if send >= SENDS_MAX || places(reasons, busy).is_empty() {
                return Err(StepError::Store(self.cannot(step, error)));
            }
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(Sent::Refused(Vec::new()))
    }

    fn cannot(&self, step: &'static str, error: SdkError<TransactWriteItemsError>) -> Fault {
        let reasons: Vec<_> = reasons_of(&error).iter().filter_map(told).collect();
        let invalid = places(reasons_of(&error), |code| code == "ValidationError");
        let mut context = self.context(step);
        if !reasons.is_empty() {
            context.push_str(&format!(" ({})", reasons.join("; ")));
        }
        let mut fault =
            fault(context, "dynamodb:PutItem, dynamodb:UpdateItem and dynamodb:DeleteItem", error);
        if !invalid.is_empty() {
            fault.kind = FaultKind::Internal;
        }
        fault
    }
}

fn reasons_of(error: &SdkError<TransactWriteItemsError>) -> &[CancellationReason] {
    let cancelled = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled,
        Some(_) | None => return &[],
    };
    cancelled.cancellation_reasons()
}

fn places(reasons: &[CancellationReason], wanted: impl Fn(&str) -> bool) -> Vec<usize> {
    let coded = reasons.iter().enumerate();
    coded.filter(|(_, reason)| reason.code().is_some_and(&wanted)).map(|(place, _)| place).collect()
}

fn told(reason: &CancellationReason) -> Option<String> {
    let code = reason.code().filter(|code| *code != "None")?;
    Some(format!("{code}: {}", reason.message().unwrap_or_default()))
}

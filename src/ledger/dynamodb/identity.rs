//! The ledger's name and epoch (Invariant I-7).

use aws_sdk_dynamodb::types::ReturnValue;

use super::item::{Fields, item, key, number, text};
use super::{DynamoDbLedger, StepError};
use crate::domain::batch::hex;
use crate::domain::fault::Fault;
use crate::domain::identity::Identity;

impl DynamoDbLedger {
    /// Its name, and its epoch so far; the name is drawn by whoever asks first.
    pub async fn identity(&self) -> Result<Identity, Fault> {
        self.told("identity", self.step_identity(0).await)
    }

    /// Raises the epoch by one, and answers what it is now.
    pub async fn raise_epoch(&self) -> Result<Identity, Fault> {
        self.told("identity", self.step_identity(1).await)
    }

    async fn step_identity(&self, by: u64) -> Result<Identity, StepError> {
        let drawn: [u8; 16] = rand::random();
        let values = item([(":drawn", text(hex(&drawn))), (":by", number(by))]);
        let call = self.inner.client.update_item().table_name(&*self.inner.table);
        let call = call.set_key(Some(key("LEDGER", "ledger"))).set_expression_attribute_values(Some(values));
        let call =
            call.update_expression("SET l_identity = if_not_exists(l_identity, :drawn) ADD l_epoch :by");
        let answer = call.return_values(ReturnValue::AllNew).send().await;
        let answer = answer.map_err(|error| self.failed("identity", "dynamodb:UpdateItem", error))?;
        let stored = answer.attributes.unwrap_or_default();
        Ok(Identity { ledger: stored.text_of("l_identity")?.to_owned(), epoch: stored.number_of("l_epoch")? })
    }

    /// The same for who only reads: a ledger on which no process has ever started has no name.
    pub(super) async fn known_identity(&self) -> Result<Identity, StepError> {
        let stored = self.get("identity", key("LEDGER", "ledger")).await?.unwrap_or_default();
        let ledger = stored.maybe_text("l_identity")?.unwrap_or_default().to_owned();
        Ok(Identity { ledger, epoch: stored.maybe_number("l_epoch")?.unwrap_or(0) })
    }

    /// True while it is filled, or since a filling that did not come to its end.
    pub async fn is_filling(&self) -> Result<bool, Fault> {
        let stored = self.told("identity", self.get("identity", key("LEDGER", "ledger")).await)?;
        Ok(stored.is_some_and(|stored| stored.contains_key("l_filling")))
    }

    /// Marks it as being filled: until the mark is taken away nobody starts on it.
    pub async fn fill(&self, filling: bool) -> Result<(), Fault> {
        let call = self.inner.client.update_item().table_name(&*self.inner.table);
        let call = call.set_key(Some(key("LEDGER", "ledger")));
        let call = match filling {
            true => call
                .update_expression("SET l_filling = :one")
                .set_expression_attribute_values(Some(item([(":one", number(1))]))),
            false => call.update_expression("REMOVE l_filling"),
        };
        let answer = call.send().await;
        answer.map(|_| ()).map_err(|error| self.failed("identity", "dynamodb:UpdateItem", error))
    }

    /// Gives a ledger on which no process has started another's name and epoch; `false` when one has.
    pub async fn take_identity(&self, identity: &Identity) -> Result<bool, Fault> {
        let values = item([
            (":ledger", text(&identity.ledger)),
            (":epoch", number(identity.epoch)),
            (":none", number(0)),
        ]);
        let call = self.inner.client.update_item().table_name(&*self.inner.table);
        let call = call.set_key(Some(key("LEDGER", "ledger"))).set_expression_attribute_values(Some(values));
        let call = call.update_expression("SET l_identity = :ledger, l_epoch = :epoch");
        let call = call.condition_expression("attribute_not_exists(l_epoch) OR l_epoch = :none");
        let taken = self.if_it_held("identity", "dynamodb:UpdateItem", call.send().await)?;
        Ok(taken.is_some())
    }
}

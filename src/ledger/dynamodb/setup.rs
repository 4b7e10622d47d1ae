//! The table: how it is made, and that it is a ledger of a format that this version knows.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableDescription, TableStatus,
};

use super::item::{Fields, Item, PK, SK, item, key, number};
use super::{DynamoDbLedger, StepError};
use crate::domain::fault::{Fault, FaultKind};

/// The format that this version writes.
const FORMAT: i64 = 1;
/// How often a table that is being made is asked for, and how long between.
const LOOKS_MAX: u32 = 150;
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The indexes: name, partition key, sort key and its type. Items without these attributes are not in them, and cost
/// nothing there.
const INDEXES: [(&str, &str, &str, ScalarAttributeType); 3] = [
    ("loose", "loose_table", "loose_order", ScalarAttributeType::S),
    ("waiting", "wait_table", "wait_since", ScalarAttributeType::N),
    ("claims", "claim_table", "claim_order", ScalarAttributeType::S),
];

impl DynamoDbLedger {
    /// Makes the table unless it is there, and refuses one that is no ledger, or of a newer format.
    pub(super) async fn prepare(&self) -> Result<(), StepError> {
        let mut asked = false;
        for look in 0.. {
            let described = self.described().await?;
            let status = described.as_ref().and_then(|table| table.table_status.clone());
            match status {
                Some(TableStatus::Active) => {
                    self.check_shape(described.as_ref())?;
                    break;
                }
                None if !asked => {
                    self.make_table().await?;
                    asked = true;
                }
                Some(TableStatus::Creating | TableStatus::Updating) | None if look < LOOKS_MAX => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                status => {
                    let state = status.map_or("not there".to_owned(), |status| status.to_string());
                    let text = format!("{}: the table is {state}", self.context("open"));
                    return Err(Fault::new(FaultKind::Unavailable, text).into());
                }
            }
        }
        self.check_format(true).await
    }

    /// A table with other keys or without the indexes is no ledger.
    fn check_shape(&self, table: Option<&TableDescription>) -> Result<(), StepError> {
        let keys = table.and_then(|table| table.key_schema.as_deref()).unwrap_or_default();
        let keys: Vec<_> = keys.iter().map(KeySchemaElement::attribute_name).collect();
        let indexes = table.and_then(|table| table.global_secondary_indexes.as_deref()).unwrap_or_default();
        let has = |name: &str| indexes.iter().any(|index| index.index_name.as_deref() == Some(name));
        let missing: Vec<_> = INDEXES.iter().map(|(name, ..)| *name).filter(|name| !has(name)).collect();
        if keys == [PK, SK] && missing.is_empty() {
            return Ok(());
        }
        let text = format!(
            "{}: the table is no ledger of landbridge (its keys are {keys:?}, the indexes {missing:?} are not there): name another one, which landbridge makes",
            self.context("open")
        );
        Err(Fault::new(FaultKind::AccessDenied, text).into())
    }

    async fn described(&self) -> Result<Option<TableDescription>, StepError> {
        let call = self.inner.client.describe_table().table_name(&*self.inner.table).send().await;
        match call {
            Ok(answer) => Ok(answer.table),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failed("open", "dynamodb:DescribeTable", error).into()),
        }
    }

    async fn make_table(&self) -> Result<(), StepError> {
        let mut call = self.inner.client.create_table().table_name(&*self.inner.table);
        call = call.billing_mode(BillingMode::PayPerRequest).deletion_protection_enabled(true);
        let keys = [(PK, ScalarAttributeType::S), (SK, ScalarAttributeType::S)];
        let indexed = INDEXES.into_iter();
        let indexed =
            indexed.flat_map(|(_, table, order, kind)| [(table, ScalarAttributeType::S), (order, kind)]);
        for (name, kind) in keys.into_iter().chain(indexed) {
            let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build();
            call = call.attribute_definitions(attribute.map_err(misused)?);
        }
        for element in key_schema(PK, SK)? {
            call = call.key_schema(element);
        }
        for (name, table, order, _) in INDEXES {
            let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
            let index = GlobalSecondaryIndex::builder().index_name(name).projection(projection);
            let index = index.set_key_schema(Some(key_schema(table, order)?)).build();
            call = call.global_secondary_indexes(index.map_err(misused)?);
        }
        match call.send().await {
            Ok(_) => Ok(()),
            // Another process makes it at this moment.
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_resource_in_use_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(self.failed("create the table", "dynamodb:CreateTable", error).into()),
        }
    }

    /// The format stands in an item of its own, written once, by whoever comes first.
    pub(super) async fn check_format(&self, may_write: bool) -> Result<(), StepError> {
        let name = key("LEDGER", "ledger");
        let mut stored = self.get("open", name.clone()).await?;
        if stored.is_none() && may_write {
            let mut own = name.clone();
            own.extend(item([("l_format", number(FORMAT))]));
            self.put_new(own).await?;
            stored = self.get("open", name).await?;
        }
        let Some(stored) = stored else {
            let text =
                format!("{}: the table is no ledger of landbridge, or a new one", self.context("open"));
            return Err(Fault::new(FaultKind::AccessDenied, text).into());
        };
        let format = stored.number_of::<i64>("l_format")?;
        if format > FORMAT {
            let text = format!(
                "{}: it has format {format}, and this version of landbridge knows none beyond {FORMAT}: run the version that wrote it, or a later one",
                self.context("open")
            );
            return Err(Fault::new(FaultKind::AccessDenied, text).into());
        }
        Ok(())
    }

    /// Puts an item, unless another process was faster.
    async fn put_new(&self, own: Item) -> Result<(), StepError> {
        let call = self.inner.client.put_item().table_name(&*self.inner.table).set_item(Some(own));
        let answer = call.condition_expression("attribute_not_exists(pk)").send().await;
        self.if_it_held("open", "dynamodb:PutItem", answer)?;
        Ok(())
    }
}

fn is_missing(error: &SdkError<DescribeTableError>) -> bool {
    error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception)
}

fn key_schema(partition: &str, sort: &str) -> Result<Vec<KeySchemaElement>, StepError> {
    let element = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let schema = [element(partition, KeyType::Hash), element(sort, KeyType::Range)];
    schema.into_iter().collect::<Result<_, _>>().map_err(misused)
}

fn misused(error: aws_sdk_dynamodb::error::BuildError) -> StepError {
    StepError::Misused(error.to_string())
}

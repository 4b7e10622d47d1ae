//! Items of the table: how values become attributes, and what is read back.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::ledger::stored::Unreadable;

/// An item, or the values of an expression.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The partition key.
pub(super) const PK: &str = "pk";
/// The sort key.
pub(super) const SK: &str = "sk";

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn bytes(value: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

pub(super) fn item<const N: usize>(fields: [(&str, AttributeValue); N]) -> Item {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    item([(PK, text(pk)), (SK, text(sk))])
}

/// Puts the field where there is a value.
pub(super) fn put(item: &mut Item, name: &str, value: Option<AttributeValue>) {
    item.extend(value.map(|value| (name.to_owned(), value)));
}

/// A number that sorts as a text, for times since 1970.
pub(super) fn sortable(number: i64) -> String {
    format!("{:020}", number.max(0))
}

/// What stands in an item.
pub(super) trait Fields {
    fn maybe_text(&self, name: &str) -> Result<Option<&str>, Unreadable>;
    fn maybe_number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Unreadable>;
    fn maybe_bytes(&self, name: &str) -> Result<Option<&[u8]>, Unreadable>;

    fn text_of(&self, name: &str) -> Result<&str, Unreadable> {
        self.maybe_text(name)?.ok_or_else(|| missing(name))
    }

    fn number_of<T: FromStr>(&self, name: &str) -> Result<T, Unreadable> {
        self.maybe_number(name)?.ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> Unreadable {
    Unreadable(format!("an item without {name} cannot be read back"))
}

fn strange(name: &str) -> Unreadable {
    Unreadable(format!("{name} of an item cannot be read back: it has another type"))
}

impl Fields for Item {
    fn maybe_text(&self, name: &str) -> Result<Option<&str>, Unreadable> {
        let value = self.get(name).map(|value| value.as_s().map_err(|_| strange(name)));
        Ok(value.transpose()?.map(String::as_str))
    }

    fn maybe_number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Unreadable> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let digits = value.as_n().map_err(|_| strange(name))?;
        digits.parse().map(Some).map_err(|_| strange(name))
    }

    fn maybe_bytes(&self, name: &str) -> Result<Option<&[u8]>, Unreadable> {
        let value = self.get(name).map(|value| value.as_b().map_err(|_| strange(name)));
        Ok(value.transpose()?.map(Blob::as_ref))
    }
}

//! What a shape does not take, in words for whoever must decide.

use std::fmt;
use std::sync::Arc;

use crate::domain::column_type::ColumnType;

/// A column that gets no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Its name in the file.
    pub column: Arc<str>,
    /// The file, `bucket/key@etag`.
    pub file: Option<Arc<str>>,
    /// Why.
    pub cause: Cause,
}

/// Why a column gets no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The destination's column cannot hold its type, and the policy is `freeze`.
    Frozen {
        /// The column of the destination.
        target: Arc<str>,
        /// Its type; `None` when landbridge does not write it.
        has: Option<ColumnType>,
        /// The type in the file.
        kind: ColumnType,
    },
    /// The mapping gives two columns of one file one place.
    Together {
        /// The other column.
        other: Arc<str>,
        /// The place.
        target: Arc<str>,
    },
    /// The destination takes no more columns than this.
    TooMany(usize),
    /// The name is longer than this many bytes.
    NameTooLong(usize),
}

impl Conflict {
    /// True when the table, or its mapping, needs a person; false when the file alone is at fault.
    pub const fn is_the_tables(&self) -> bool {
        match self.cause {
            Cause::Frozen { .. } | Cause::Together { .. } | Cause::TooMany(_) => true,
            Cause::NameTooLong(_) => false,
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, file, cause } = self;
        let file = file.as_deref().unwrap_or("a file");
        match cause {
            Cause::Frozen { target, has, kind } => {
                let has = has.map_or_else(
                    || "of a type that landbridge does not write".to_owned(),
                    |has| has.to_string(),
                );
                let word = kind.word();
                write!(
                    formatter,
                    "column {column} is {kind} in {file}, and the destination's column {target} is {has}: no type holds \
                     both, and the mapping says schema_changes = \"freeze\". The table is held and its files wait. \
                     Either say \"evolve\" (the values go into a new column, {target}__{word}), or give the column its \
                     type back by a DMS transformation and discard the file; then resume the table"
                )
            }
            Cause::Together { other, target } => write!(
                formatter,
                "columns {column} and {other} of {file} both go into {target}: the mapping, or an earlier one, names it \
                 for both, and a file had only one of them until now. The table is held and its files wait: map one of \
                 them elsewhere, or leave it out by a DMS transformation"
            ),
            Cause::TooMany(limit) => write!(
                formatter,
                "column {column} of {file} would be one more than the {limit} columns that a table takes. The table is \
                 held and its files wait: leave columns out by a DMS transformation"
            ),
            Cause::NameTooLong(limit) => write!(
                formatter,
                "a column's name in {file} is {} bytes long, and {limit} at most are taken",
                column.len()
            ),
        }
    }
}

impl std::error::Error for Conflict {}

//! The mapping, brought up to date with what the source says of its tables, by `landbridge describe`.
//!
//! What people wrote stays as it is: comments, order, keys of their own. Written are the tables that are new, the key where
//! none is named, and each column's `type`. Nothing is taken out: files of yesterday may have a column that is gone today.

pub mod change;
mod entries;
pub mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod mapping;
pub mod report;
pub mod selection;

#[cfg(test)]
mod tests;

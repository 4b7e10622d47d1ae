//! Parquet in, Parquet out: types, schema, transcode. Synchronous: callers run it on the CPU pool.
//!
//! The files of a batch become one Parquet object whose schema is the union of theirs by name, followed by the lineage
//! columns. What is not carried is a refusal of the file, never another value.

pub mod body;
pub mod committed;
pub mod convert;
pub mod footer;
pub mod lineage;
pub mod plan;
pub mod reader;
pub mod rules;
pub mod transcode;
pub mod types;

#[cfg(test)]
mod tests;

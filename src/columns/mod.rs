//! Parquet in, Parquet out: types, schema, transcode. Synchronous: callers run it on the CPU pool.
//!
//! A file's way: `footer` decides how each column is carried (`stored`, `types`, `rules`) and refuses what cannot be;
//! `plan` says which files fit into one batch; `transcode` writes the batch, taking rows from `rows`, values from
//! `values`, and writing through `spool`. Nothing that a file says of itself is believed: `outline` counts what a footer
//! claims, `pages` holds each page against it, and `limits` says what is too much.

pub mod body;
mod commit_time;
pub mod footer;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod labels;
mod limits;
pub mod lineage;
mod outline;
mod pages;
pub mod plan;
mod rows;
pub mod rules;
mod source;
mod spool;
mod stored;
#[cfg(test)]
mod tests;
mod thrift;
pub mod transcode;
pub mod types;
mod values;
#[cfg(any(test, fuzzing))]
mod written;

//! Parquet in, Parquet out: types, schema, transcode. Synchronous: callers run it on the CPU pool.
//!
//! A file's way: `footer` decides how each column is carried (`stored`, `types`, `rules`) and refuses what cannot be;
//! `plan` says which files fit into one batch; `transcode` writes the batch: `layout` says which row groups become one,
//! `chunks` writes each column of it in the cheapest way that is right, with `values` changing what must change, and `output`
//! is the file. Nothing that a file says of itself is believed: `outline` counts what a footer claims, `pages` holds each page
//! against it, and `limits` says what is too much.

pub mod arrow_rows;
mod bits;
pub mod body;
mod chunks;
mod commit_time;
mod dms;
pub mod footer;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod gathering;
pub mod labels;
pub mod layout;
mod limits;
pub mod lineage;
mod outline;
mod output;
mod pages;
pub mod plan;
mod reading;
mod rescue;
pub mod rules;
mod signs;
mod source;
mod spelling;
mod stored;
mod synthesised;
mod target;
#[cfg(test)]
mod tests;
mod thrift;
pub mod transcode;
mod treated;
pub mod types;
mod values;
#[cfg(any(test, fuzzing))]
mod written;

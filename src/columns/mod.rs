//! Parquet in, Parquet out: types, schema, transcode. Synchronous: callers run it on the CPU pool.
//!
//! A file's way: `footer` decides how each column is carried (`stored`, `types`, `rules`) and refuses what cannot be;
//! `plan` says which files fit into one batch; `transcode` writes the batch, taking rows from `rows`, values from
//! `values`, and writing through `spool`.

pub mod body;
mod commit_time;
pub mod footer;
pub mod labels;
pub mod lineage;
pub mod plan;
mod rows;
pub mod rules;
mod source;
mod spool;
mod stored;
#[cfg(test)]
mod tests;
pub mod transcode;
pub mod types;
mod values;

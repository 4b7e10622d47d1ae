//! Parquet in, Parquet out: types, schema, transcode. Synchronous: callers run it on the CPU pool.

pub mod body;

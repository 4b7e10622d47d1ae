//! The lake: an embedded warehouse of Parquet files.

//! Configuration: read, checked, explained.

pub mod types;

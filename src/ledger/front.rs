//! The front: loaded files in memory.

//! Fuzz targets: every parser of bytes that come from elsewhere, each with what must hold whatever the bytes are.
//!
//! Compiled for tests and for cargo-fuzz (`cfg(fuzzing)`), never into the product. A target's code stands beside the code
//! that it tests, in a `fuzz.rs`. `make test` replays `fuzz/corpus` and mutates it for a minute; `make fuzz` follows
//! coverage (CONTRIBUTING.md, docs/adr/0009).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

use crate::{cli, cloud, columns, config, describe, domain, ledger, warehouse, web};

#[cfg(test)]
mod tests;

/// A target: takes bytes, and panics when something does not hold.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    run: fn(&[u8]),
}

impl Target {
    /// Runs it once.
    pub fn run(&self, bytes: &[u8]) {
        (self.run)(bytes);
    }
}

/// All targets.
pub const TARGETS: [Target; 11] = [
    Target { name: "notification", run: domain::fuzz::notification },
    Target { name: "key", run: domain::fuzz::key },
    Target { name: "parquet_bytes", run: columns::fuzz::bytes },
    Target { name: "parquet_shapes", run: columns::fuzz::shapes },
    Target { name: "config", run: config::fuzz::document },
    Target { name: "admin", run: web::fuzz::request },
    Target { name: "bigquery", run: warehouse::bigquery::fuzz::answer },
    Target { name: "ledger", run: ledger::fuzz::stored },
    Target { name: "cloud", run: cloud::fuzz::credentials },
    Target { name: "cli", run: cli::fuzz::answer },
    Target { name: "describe", run: describe::fuzz::mapping },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}

/// Bytes as a row of choices. When they end, every further choice is the first.
#[derive(Clone, Debug)]
pub(crate) struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                *byte
            }
            None => 0,
        }
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below `limit`, which is at least 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let wide = if limit > 256 {
            usize::from(self.byte()) << 8 | usize::from(self.byte())
        } else {
            self.byte().into()
        };
        wide % limit
    }

    /// Any number, the remarkable ones often.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0 => u64::from(self.byte()),
            1 => u64::MAX - u64::from(self.byte()),
            2 => (i64::MAX as u64).wrapping_add(u64::from(self.byte())).wrapping_sub(8),
            3 => (i32::MAX as u64).wrapping_add(u64::from(self.byte())).wrapping_sub(8),
            4 => 1 << (self.byte() % 64),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    /// At most `most` bytes.
    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        bytes.to_vec()
    }

    /// A text of at most `most` bytes before what is no UTF-8 is replaced.
    pub(crate) fn text(&mut self, most: usize) -> String {
        String::from_utf8_lossy(&self.bytes(most)).into_owned()
    }

    pub(crate) fn pick<'b, T>(&mut self, from: &'b [T]) -> &'b T {
        &from[self.below(from.len())]
    }

    /// What was not chosen by yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

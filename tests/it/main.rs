//! The one integration binary: it is linked once.

#![allow(missing_docs, unreachable_pub)]
// Clippy's leniency in tests knows `#[test]` functions, not what they call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod admin;
mod alerts;
mod architecture;
mod beside;
mod bigquery;
mod board;
mod chaos;
mod cli;
mod demo;
mod deploy;
mod describe;
mod full_loads;
mod holding;
mod horizon;
mod identity;
mod ledger;
mod lost;
mod model;
mod notify;
mod page;
mod peers;
mod pipeline;
mod plan;
mod planning;
mod refusals;
mod s3;
mod simulation;
mod sqs;
mod supervision;
mod support;
mod verify;
mod watchdog;
mod watermarks;

//! landbridge carries AWS DMS change data from S3 into BigQuery, each file exactly once.
//!
//! The map: `domain` decides, `actors` perform, `queue`, `bucket`, `warehouse` and `ledger` are the edges, `columns`
//! turns the files of a batch into one Parquet object, `app` puts it all together. `ARCHITECTURE.md` says more.

#[cfg(not(panic = "unwind"))]
compile_error!("landbridge isolates tables by unwinding; build with panic = \"unwind\"");

// The conformance suites of the ports name the crate, so that the integration tests take them in as well.
#[cfg(test)]
extern crate self as landbridge;

pub mod actors;
pub mod alerts;
pub mod app;
pub mod bucket;
pub mod cli;
pub mod cloud;
pub mod columns;
pub mod config;
pub mod demo;
pub mod describe;
pub mod domain;
pub mod flow;
pub mod forecast;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod ledger;
pub mod messages;
pub mod queue;
pub mod rebuild;
pub mod receivers;
pub mod source;
pub mod telemetry;
pub mod verify;
pub mod warehouse;
pub mod web;

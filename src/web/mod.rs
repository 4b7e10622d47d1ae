//! What is served over HTTP: health, metrics, the admin API and the status page, from a thread of its own.
//!
//! Nothing here knows an actor or the ledger: what is asked of them goes through `console::Console`, which `app`
//! implements.

pub mod access;
mod api;
pub mod console;
pub mod cost;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod health;
pub mod human;
mod page;
mod routes;
pub mod schema;
pub mod server;
pub mod token;

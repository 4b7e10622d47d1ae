//! The tree. Actors translate and perform; `domain` decides. House rules are in `CONTRIBUTING.md`.

pub mod batcher;
pub mod delivery;
pub mod directory;
pub mod fetcher;
pub mod loader;
pub mod outbox;
pub mod planner;
pub mod poller;
pub mod root;
pub mod shapes;
pub mod supervision;
pub mod views;
pub mod watchdog;
pub mod world;

//! Plain data between actors, one file per receiving actor.
//!
//! Commands are imperatives, facts are past tense. Each message says who sends it, what comes back, and what happens
//! when it is lost. Guards inside (leases, credits) free themselves when a mailbox is thrown away.

pub mod batcher;
pub mod child;
pub mod fetcher;
pub mod loader;
pub mod outbox;
pub mod planner;
pub mod poller;
pub mod root;
pub mod watchdog;

//! DMS-shaped traffic, its own record of what it wrote, and the reconciliation of a lake against that record.

pub mod generate;
pub mod progress;
pub mod reconcile;
pub mod record;
pub mod report;
pub mod rows;
pub mod traffic;
pub mod world;
pub mod writer;

//! Pure decisions: no I/O, no async, no clock, no foreign client types.
//!
//! Every machine here is a synchronous `step(now, event) -> effects`. The actors translate and perform; the tests,
//! the simulation and the model call the same functions.

pub mod alert;
pub mod audit;
pub mod batch;
pub mod bisection;
pub mod by_age;
pub mod clock;
pub mod column_type;
pub mod cost;
pub mod dead_letter;
pub mod delivery;
pub mod drain;
pub mod exact_json;
pub mod fault;
pub mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod identity;
pub mod ids;
pub mod instant;
pub mod intake;
pub mod job;
pub mod lane;
pub mod lineage;
pub mod notice;
pub mod notification;
pub mod object;
pub mod outbox;
pub mod planner;
pub mod pressure;
pub mod rate;
pub mod restart;
pub mod route;
pub mod shape;
pub mod signature;
pub mod source_type;
pub mod summary;
pub mod table;
pub mod table_status;
pub mod taking_over;
pub mod transition;
pub mod treatment;
pub mod typed_view;
pub mod watchdog;
pub mod watermark;

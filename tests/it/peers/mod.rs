//! The real binary against stand-ins of the clouds, through real HTTP. What is in BigQuery afterwards is compared with what is in
//! S3 by a script that shares no code with landbridge.

pub mod cloud;
mod cost;
mod dead_letters;
mod every_type;
mod faults;
mod foreign_jobs;
pub mod journeys;
mod native_json;
mod notifications;
pub mod process;
mod proxy;
mod schema;
mod streams;
mod table_status;
mod tap;
mod typed_view;
mod verify;

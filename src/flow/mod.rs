//! What travels inside messages and frees itself: leases, credits; the bounded pool for CPU work; the pulses of tasks; the
//! meter of what is paid for.

pub mod cpu;
pub mod credit;
pub mod lease;
pub mod meter;
pub mod pace;
pub mod pulse;
pub mod slots;

//! What travels inside messages and frees itself: leases, credits; and the bounded pool for CPU work.

pub mod cpu;
pub mod credit;
pub mod lease;

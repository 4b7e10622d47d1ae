//! What the operating system says of this process, read when metrics are served.

use std::fs;

use super::catalogue::{CPU_SECONDS, RESIDENT_BYTES};

/// Kernel clock ticks in a second: Linux has shown 100 to user space on every architecture for two decades.
const TICKS_PER_SECOND: f64 = 100.0;

/// Moves the process gauges. Where there is no `/proc`, they stay away.
pub fn observe() {
    if let Some(bytes) = resident_bytes() {
        metrics::gauge!(RESIDENT_BYTES.name).set(bytes as f64);
    }
    if let Some(seconds) = cpu_seconds() {
        metrics::gauge!(CPU_SECONDS.name).set(seconds);
    }
}

/// Resident memory, from `VmRSS` in `/proc/self/status`.
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// User and system time, fields 14 and 15 of `/proc/self/stat`.
pub fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold spaces.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_has_used_the_cpu() {
        assert!(resident_bytes().unwrap() > 1 << 20);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }
}

//! The target that `LANDBRIDGE_FUZZ_TARGET` names, under libFuzzer, in bounded memory. One binary for all of them: it is
//! linked once.

#![no_main]

use std::alloc::System;
use std::sync::LazyLock;

use cap::Cap;
use landbridge::fuzz::{TARGETS, Target, target};
use libfuzzer_sys::fuzz_target;

/// What a target may allocate, whatever an input of some kilobytes claims; more ends the process, and is a finding.
const ALLOCATED_BYTES_MAX: usize = 1 << 30;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, ALLOCATED_BYTES_MAX);

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("LANDBRIDGE_FUZZ_TARGET").unwrap_or_default();
    let names = TARGETS.map(|target| target.name).join(", ");
    target(&name).unwrap_or_else(|| panic!("LANDBRIDGE_FUZZ_TARGET is {name:?} and not one of {names}"))
});

fuzz_target!(|bytes: &[u8]| TARGET.run(bytes));

//! landbridge.
fn main() {}

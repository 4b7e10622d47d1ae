//! The one integration binary: it is linked once.

mod architecture;
mod cli;
mod demo;
mod pipeline;
mod simulation;
mod supervision;
mod support;

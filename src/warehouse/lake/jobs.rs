//! A lake has no jobs that go on by themselves: what a process had not linked when it ended is never there.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::Lake;
use crate::domain::fault::Fault;
use crate::warehouse::jobs::{Jobs, Which};

#[async_trait]
impl Jobs for Lake {
    async fn jobs(&self, _: &BTreeSet<Arc<str>>, _: Which) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }
}

//! How far tables are loaded, and where that is shown.

use tracing::{debug, info, warn};

use super::{c, count, event, label, level};
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;

event! {
    /// A table's watermark, and the latest commit time in what is loaded.
    WatermarkShown<'a> { table: &'a TableId, watermark: Instant, newest: Instant } |e| {
        let table = [label("table", e.table)];
        level(&c::WATERMARK, &table, e.watermark.seconds());
        level(&c::LAST_COMMIT, &table, e.newest.seconds());
    }
}

event! {
    /// The tables' status is in the warehouse.
    StatusWritten<'a> { dataset: &'a str, table: &'static str, rows: usize, by_another: bool } |e| {
        debug!(dataset = e.dataset, table = e.table, rows = e.rows, by_another = e.by_another, "the tables' status is written");
        count(&c::STATUS_WRITES, &[label("outcome", if e.by_another { "by_another" } else { "written" })], 1);
    }
}

event! {
    /// The tables' status could not be written.
    StatusUnwritten<'a> { error: &'a str, remedy: &'a str } |e| {
        warn!(error = e.error, remedy = e.remedy,
            "could not write the tables' status: loads go on, and it is tried again in the next slot of `status.every`");
        count(&c::STATUS_WRITES, &[label("outcome", "failed")], 1);
    }
}

/// The tables' status waits: what there is of jobs is for loads.
#[derive(Clone, Copy, Debug)]
pub struct StatusPutOff;

impl StatusPutOff {
    /// Writes the log line and moves the metrics.
    pub fn emit(self) {
        info!("the day's load jobs run low: the tables' status is written later");
        count(&c::STATUS_WRITES, &[label("outcome", "put_off")], 1);
    }
}

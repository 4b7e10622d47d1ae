//! The settings as one `Config`.

use super::load::Settings;
use super::types::{
    Alerts, Aws, Batching, Config, Cost, Http, Ledger, Limits, Log, LogFormat, Mapping, Planner, Spool,
    Timing, Warehouse,
};
use super::{ledger, status};
use crate::domain::treatment::Fallback;

impl Settings<'_> {
    /// `None` when a value was wrong; that error is told already.
    pub(super) fn config(
        &self,
        warehouse: Warehouse,
        ledger: Ledger,
        alerts: Alerts,
        cost: Cost,
        mappings: Vec<Mapping>,
    ) -> Option<Config> {
        let spool = match &warehouse {
            Warehouse::Lake { path } => path.join(".spool"),
            Warehouse::BigQuery(_) => ledger::spool(self, &ledger),
        };
        let format = if self.text("log", "format")? == "json" { LogFormat::Json } else { LogFormat::Text };
        Some(Config {
            http: Http {
                listen: self.listen()?,
                admin_token_sha256: self.text("http", "admin_token_sha256").map(str::to_owned),
            },
            log: Log { format, filter: self.text("log", "filter")?.to_owned() },
            ledger,
            spool: Spool {
                path: self.path("spool", "path").unwrap_or(spool),
                limit_bytes: self.number("spool", "limit")?,
                threshold_bytes: self.number("spool", "threshold")?,
                objects_limit_bytes: self.number("spool", "objects_limit")?,
            },
            warehouse,
            datetimes: Fallback::of(self.text("warehouse", "datetimes")?),
            times: Fallback::of(self.text("warehouse", "times")?),
            json: Fallback::of(self.text("warehouse", "json")?),
            mask_key: None,
            aws: Aws {
                region: self.text("aws", "region").map(str::to_owned),
                endpoint: self.text("aws", "endpoint").map(str::to_owned),
                path_style: self.text("aws", "path_style")? == "always",
            },
            alerts,
            receivers: Vec::new(),
            give_up_after: self.duration("notify", "give_up_after")?,
            batching: Batching {
                window: self.duration("batching", "window")?,
                bytes_max: self.number("batching", "bytes")?,
                files_max: self.count("batching", "files")?,
                copied_bytes_min: self.number("batching", "copy_from")?,
            },
            planner: (self.text("planner", "windows")? == "planned").then_some(Planner {
                max_staleness: self.duration("planner", "max_staleness")?,
                jobs_per_day: self.number("planner", "jobs_per_day")?,
                lists_jobs: self.text("planner", "other_jobs")? == "listed",
            }),
            status: status::read(self)?,
            cost,
            limits: Limits {
                memory_credit_bytes: self.number("limits", "memory_credit")?,
                fetchers: self.count("limits", "fetchers")?,
                fetches_per_fetcher: self.count("limits", "fetches_per_fetcher")?,
                loads_in_flight: self.count("limits", "loads_in_flight")?,
                loads_per_table: self.count("limits", "loads_per_table")?,
                held_messages_per_queue: self.count("limits", "held_messages_per_queue")?,
                parked_files_per_queue: self.count("limits", "parked_files_per_queue")?,
                files_per_table: self.count("limits", "files_per_table")?,
                loaded_front_files: self.count("limits", "loaded_front_files")?,
            },
            horizon: self.duration("ledger", "horizon")?,
            timing: Timing {
                visibility_timeout: self.duration("timing", "visibility_timeout")?,
                defer_after: self.duration("timing", "defer_after")?,
                drain_timeout: self.duration("timing", "drain_timeout")?,
                rescan_interval: self.duration("timing", "rescan_interval")?,
                job_timeout: self.duration("timing", "job_timeout")?,
            },
            mappings,
        })
    }
}

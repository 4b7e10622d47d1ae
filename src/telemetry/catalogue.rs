//! The metric catalogue: every name, kind, unit, label and bucket. `docs/metrics.md` is written from it.

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, in explicit buckets.
    Histogram,
}

impl Kind {
    /// The kind's name in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, with unit.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What it says, in one sentence.
    pub help: &'static str,
    /// Its label keys, all of them from closed sets.
    pub labels: &'static [&'static str],
    /// Upper bounds of a histogram's buckets.
    pub buckets: &'static [f64],
}

/// Buckets of durations from event to warehouse.
const LAG: &[f64] = &[0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 90.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
/// Buckets of durations of one call or job.
const CALL: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Buckets of file counts.
const FILES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 90.0];

macro_rules! catalogue {
    ($($constant:ident = $name:literal, $kind:ident, [$($label:literal),*], $buckets:expr, $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: Metric = Metric {
            name: $name, kind: Kind::$kind, help: $help, labels: &[$($label),*], buckets: $buckets,
        };)*
        /// All metrics.
        pub const CATALOGUE: &[Metric] = &[$($constant),*];
    };
}

catalogue! {
    BUILD_INFO = "landbridge_build_info", Gauge, ["version"], &[], "Always 1; the version is a label.";
    FILES_TOTAL = "landbridge_files_total", Counter, ["table", "outcome"], &[], "Files that became final: loaded, poisoned, vanished, deferred, held, or duplicate (announced again after that).";
    FILES_NOT_OURS = "landbridge_files_not_ours_total", Counter, ["queue", "reason"], &[], "Announced objects that no mapping wants.";
    ROWS_TOTAL = "landbridge_rows_total", Counter, ["table"], &[], "Rows loaded.";
    INPUT_BYTES = "landbridge_input_bytes_total", Counter, ["table"], &[], "Bytes of the files loaded.";
    BODY_BYTES = "landbridge_body_bytes_total", Counter, ["table"], &[], "Bytes handed to the warehouse.";
    BATCHES = "landbridge_batches_total", Counter, ["table", "reason"], &[], "Windows closed, by why they closed.";
    BATCH_FILES = "landbridge_batch_files", Histogram, ["table"], FILES, "Files in a loaded batch.";
    BATCH_OUTCOMES = "landbridge_batch_outcomes_total", Counter, ["table", "outcome"], &[], "Batches by outcome: claimed, loaded, rehomed, held, claim_lost, unbuilt, superseded, resumed.";
    SCHEMA_CHANGES = "landbridge_schema_changes_total", Counter, ["table", "change"], &[], "Columns of files that were first seen with their type, by what became of them: found, added, widened, narrowed, renamed, beside, rescued.";
    WINDOW_SECONDS = "landbridge_window_seconds", Gauge, ["table"], &[], "How long the table's window stays open at the longest, as the planner says.";
    TABLE_JOBS = "landbridge_table_jobs", Gauge, ["table"], &[], "Load jobs of the table in the last 24 hours, failed ones among them.";
    PROJECT_STREAMS = "landbridge_project_streams", Gauge, [], &[], "Streams of the Storage Write API that landbridge made in the last hour, of the 10,000 that BigQuery admits in a project.";
    PROJECT_JOBS = "landbridge_project_jobs", Gauge, [], &[], "Load jobs of the project in the last 24 hours, of the 100,000 that BigQuery admits: those of all landbridges on this ledger, and others as far as they are listed.";
    PROJECT_STRANGERS = "landbridge_project_foreign_jobs", Gauge, [], &[], "Those among them that are in no ledger of this landbridge: other tools, another landbridge, loads of no rows.";
    PROJECT_RESERVE = "landbridge_project_jobs_reserve_ratio", Gauge, [], &[], "The share of those 100,000 that nobody has used.";
    PLANNERS = "landbridge_planners", Gauge, [], &[], "Processes that share the quotas, as far as this one has heard of them lately, itself among them.";
    JOB_LISTINGS = "landbridge_job_listings_total", Counter, ["outcome"], &[], "Times that the project's load jobs were asked for, by what came of it: listed, in_part (there were too many), failed (what was counted stays).";
    CALL_WAIT = "landbridge_warehouse_call_wait_seconds", Histogram, ["call"], CALL, "How long calls to BigQuery waited for their turn, of those that had to: rest (all calls of its REST API) or create_stream. Their rate is limited below what BigQuery admits.";
    QUOTA_REFUSALS = "landbridge_quota_refusals_total", Counter, ["table"], &[], "Jobs that BigQuery refused because a quota was used up, or a rate too high.";
    VALUES_CHANGED = "landbridge_values_changed_total", Counter, ["table", "column", "change"], &[], "Values loaded otherwise than the file has them, by what was done: nulled (the column's type does not hold them), replaced (no UTF-8: U+FFFD stands for what is not), or cut (as long as DMS's LobMaxSize: most likely cut before).";
    JSON_AS_TEXT = "landbridge_json_as_text_total", Counter, ["table", "column"], &[], "Batches in which a column of JSON was loaded as text, beside the others, because BigQuery's JSON does not hold every value exactly.";
    VIEW_FAILURES = "landbridge_view_failures_total", Counter, ["table", "reason"], &[], "Times that the typed view of a table could not be made or made anew; loads go on, and it is tried again after a later one.";
    ATTEMPTS = "landbridge_attempts_total", Counter, ["table", "state", "reason"], &[], "Load attempts by state (submitted, duplicate, failed, fenced, unknown) and reason.";
    LOAD_SECONDS = "landbridge_load_seconds", Histogram, ["table"], CALL, "From the start of a batch's build to its commit.";
    STAGE_SECONDS = "landbridge_stage_seconds", Histogram, ["table", "stage"], LAG, "How long each stage of a loaded batch took, of its oldest file: writing (from the first commit in the batch to the object, as S3 tells it), announcing (to S3's event), fetching (to its footer read), waiting (to the end of its window and a load slot), building, submitting (claim and upload), loading (the job, until the ledger says so). Together they are the whole lag; what cannot be told apart is a part of the next.";
    FRESHNESS_SECONDS = "landbridge_freshness_seconds", Histogram, ["table"], LAG, "From the first commit in a file of changes, at the source, to its rows in the warehouse.";
    LAG_SECONDS = "landbridge_lag_seconds", Histogram, ["table"], LAG, "From a file's event to its rows in the warehouse.";
    WATERMARK = "landbridge_watermark_timestamp_seconds", Gauge, ["table"], &[], "Everything that was committed at the source before this time is in the warehouse, as far as it was announced; Unix time.";
    LAST_COMMIT = "landbridge_last_commit_timestamp_seconds", Gauge, ["table"], &[], "The latest commit time at the source in what is loaded, in Unix time; later than the watermark where something older is missing.";
    STATUS_WRITES = "landbridge_table_status_writes_total", Counter, ["outcome"], &[], "Slots of `status.every` by what became of them: written, by_another, failed; and each time that a write was put_off because the day's jobs run low.";
    LAST_SUCCESS = "landbridge_last_success_timestamp_seconds", Gauge, ["table"], &[], "When the table last loaded, in Unix time.";
    POISON_MENDED = "landbridge_poison_mended_total", Counter, ["table", "mending"], &[], "Poison files that a person has redriven or discarded.";
    POISON_COPIES = "landbridge_poison_copies_total", Counter, ["table", "outcome"], &[], "Copies of poison files for the dead-letter queue: sent or failed (the ledger has the file all the same).";
    RECEIVED = "landbridge_received_messages_total", Counter, ["queue"], &[], "Messages received.";
    ANNOUNCEMENTS = "landbridge_announcements_total", Counter, ["queue", "kind"], &[], "What messages said: created, copied, removed, other (each object by itself), test_event, redrive, unparsable.";
    DELETED = "landbridge_deleted_messages_total", Counter, ["queue"], &[], "Messages deleted.";
    UNPARSABLE = "landbridge_unparsable_messages_total", Counter, ["queue"], &[], "Messages that are no S3 notification; put aside as dead letters.";
    LOST_RECEIPTS = "landbridge_lost_receipts_total", Counter, ["queue"], &[], "Receipts that were stale when used; their messages come back.";
    QUEUE_FAILURES = "landbridge_queue_failures_total", Counter, ["queue", "call", "reason"], &[], "Queue calls that failed.";
    QUEUE_VISIBLE = "landbridge_queue_visible_messages", Gauge, ["queue"], &[], "Messages waiting in the queue.";
    QUEUE_IN_FLIGHT = "landbridge_queue_in_flight_messages", Gauge, ["queue"], &[], "Messages received and not yet deleted, by anyone.";
    QUEUE_AGE = "landbridge_queue_oldest_age_seconds", Gauge, ["queue"], &[], "Age of the oldest waiting message.";
    QUEUE_DRAINED = "landbridge_queue_drained_timestamp_seconds", Gauge, ["queue"], &[], "All that was sent to the queue before this time was received, as far as SQS lets it be seen; Unix time. No watermark of its tables passes it: where it stands still, there is a backlog, or the queue does not answer.";
    HELD_MESSAGES = "landbridge_held_messages", Gauge, ["queue"], &[], "Messages held by this process.";
    PARKED_FILES = "landbridge_parked_files", Gauge, ["queue"], &[], "Files waiting for a table that does not run or has enough in hand.";
    CREDIT_AVAILABLE = "landbridge_credit_available_bytes", Gauge, ["kind"], &[], "Credit that is free: memory, objects (on disk), the shares of both that are kept for rebuilds, spool, and what full loads have of all of these.";
    CREDIT_LIMIT = "landbridge_credit_limit_bytes", Gauge, ["kind"], &[], "The same credit in all.";
    CREDIT_WAIT = "landbridge_credit_wait_seconds_total", Counter, ["kind"], &[], "Time that fetches waited for credit.";
    DEFERRED_TAKEN_UP = "landbridge_deferred_files_taken_up_total", Counter, ["table"], &[], "Deferred files taken up again.";
    STRIKES = "landbridge_strikes_total", Counter, ["table", "reason"], &[], "Strikes against files; three make one poison.";
    FETCH_FAILURES = "landbridge_fetch_failures_total", Counter, ["table", "reason"], &[], "Objects that could not be opened or whose footer could not be read.";
    SCHEMA_SPLITS = "landbridge_schema_splits_total", Counter, ["table"], &[], "Windows closed because the next file's columns contradict theirs.";
    LEDGER_FAILURES = "landbridge_ledger_failures_total", Counter, ["step", "reason"], &[], "Ledger steps without an answer; repeated.";
    LEDGER_EXPIRED = "landbridge_ledger_expired_total", Counter, [], &[], "Batches and vanished files that were forgotten because they are older than `ledger.horizon`.";
    STARTS = "landbridge_child_starts_total", Counter, ["child"], &[], "Starts of actors; more than one of a kind's number are restarts.";
    RESTARTS = "landbridge_restarts_total", Counter, ["child"], &[], "Ends of actors that were followed by a restart or a quarantine.";
    WEDGED = "landbridge_wedged_total", Counter, ["child"], &[], "Children, deliveries and fetches that had work in hand and did not move; they were ended.";
    PANICS = "landbridge_panics_total", Counter, ["child"], &[], "Panics, by what panicked; `all` counts every panic of the process.";
    TABLE_MODE = "landbridge_table_mode", Gauge, ["table", "mode"], &[], "1 for the table's mode: running, paused, quarantined or held.";
    ALERTS_SENT = "landbridge_alerts_sent_total", Counter, ["kind"], &[], "Messages that the webhook took.";
    ALERTS_FAILED = "landbridge_alert_failures_total", Counter, ["kind"], &[], "Messages that the webhook did not take, after all tries; a later message tells of their alerts.";
    ALERTS_DROPPED = "landbridge_alerts_dropped_total", Counter, ["kind"], &[], "Alerts that came too fast to be told one by one; the next message says how many.";
    NOTICES = "landbridge_notices_total", Counter, ["receiver", "outcome"], &[], "Notices of loaded batches: told, and, of tries that are repeated, unavailable, failed and refused; given_up after `notify.give_up_after`.";
    NOTICE_SECONDS = "landbridge_notice_seconds", Histogram, ["receiver"], CALL, "From the commit of a batch until the receiver had its notice.";
    NOTICES_WAITING = "landbridge_notices_waiting", Gauge, ["receiver"], &[], "Notices in memory that the receiver has not taken; beyond 2,000 they wait in the ledger alone.";
    NOTICES_AGE = "landbridge_notices_oldest_age_seconds", Gauge, ["receiver"], &[], "How long the oldest of them has waited.";
    COST = "landbridge_cost_usd", Gauge, ["period", "item"], &[], "What landbridge costs, in US dollars, by item: today, month (so far), projected (the whole month). Made out every five minutes from what all its processes did: each of them shows the same sum.";
    COST_BUDGET = "landbridge_cost_budget_usd", Gauge, [], &[], "What a month may cost, as `cost.budget_usd_month` says.";
    RESIDENT_BYTES = "landbridge_process_resident_bytes", Gauge, [], &[], "Resident memory of the process.";
    CPU_SECONDS = "landbridge_process_cpu_seconds", Gauge, [], &[], "CPU time of the process, user and system.";
}

/// What `docs/metrics.md` says.
pub fn document() -> String {
    let mut text = String::from(
        "# Metrics\n\nServed as Prometheus text on `GET /metrics`. Written from `src/telemetry/catalogue.rs`; a test \
         fails when this page is stale (`UPDATE_DOCS=1 make test` writes it). Labels come from closed sets: `table` is \
         `cluster/schema.table`, `queue` is the cluster. No label ever holds a file name.\n\n\
         | Name | Kind | Labels | Meaning |\n|---|---|---|---|\n",
    );
    for metric in CATALOGUE {
        let labels = metric.labels.join(", ");
        text.push_str(&format!(
            "| `{}` | {} | {labels} | {} |\n",
            metric.name,
            metric.kind.name(),
            metric.help
        ));
    }
    text.push_str("\nBuckets:\n\n");
    for metric in CATALOGUE.iter().filter(|metric| metric.kind == Kind::Histogram) {
        text.push_str(&format!("- `{}`: {:?}\n", metric.name, metric.buckets));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_convention() {
        for metric in CATALOGUE {
            let counter = metric.kind == Kind::Counter;
            assert!(metric.name.starts_with("landbridge_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), counter, "{}", metric.name);
            assert_eq!(metric.buckets.is_empty(), metric.kind != Kind::Histogram, "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
        let names: std::collections::BTreeSet<_> = CATALOGUE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
    }

    #[test]
    fn every_metric_of_the_catalogue_is_moved_by_an_event() {
        let sources = concat!(
            include_str!("events/alerts.rs"),
            include_str!("events/cost.rs"),
            include_str!("outlet.rs"),
            include_str!("events/notices.rs"),
            include_str!("events/planner.rs"),
            include_str!("events/queues.rs"),
            include_str!("events/shapes.rs"),
            include_str!("events/tables.rs"),
            include_str!("events/tree.rs"),
            include_str!("events/warehouse.rs"),
            include_str!("events/watermarks.rs"),
            include_str!("process.rs"),
            include_str!("logging.rs"),
        );
        // The macro's lines: `NAME = "landbridge_…", Kind, [labels], buckets, help;`
        let lines = include_str!("catalogue.rs").lines().map(str::trim);
        let constants: Vec<_> = lines
            .filter(|line| line.ends_with(".\";"))
            .filter_map(|line| line.split_once(" = \"landbridge_").map(|(constant, _)| constant))
            .collect();
        assert_eq!(constants.len(), CATALOGUE.len());
        for constant in constants {
            assert!(sources.contains(constant), "{constant} is never moved");
        }
    }

    #[test]
    fn the_page_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), document());
    }
}

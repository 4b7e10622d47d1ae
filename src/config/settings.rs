//! Every setting of the main file, in one table: it drives the loader, the suggestions and `docs/config.md`.

use std::time::Duration;

use super::values::Kind;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The section, without brackets.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// The kind of value and its range.
    pub kind: Kind,
    /// The default, written as in the file.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn seconds(from: u64, to: u64) -> Kind {
    Kind::Duration(Duration::from_secs(from), Duration::from_secs(to))
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

macro_rules! settings {
    ($($section:literal $key:literal, $kind:expr, $default:literal, $help:literal;)*) => {
        /// All settings.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            section: $section, key: $key, kind: $kind, default: $default, help: $help,
        }),*];
    };
}

settings! {
    "http" "listen", Kind::Listen, "127.0.0.1:9464", "Address of the status page, the admin API, `/health/live`, `/health/ready` and `/metrics`; `off` serves nothing. Loopback needs no token; any other address needs `admin_token_sha256`.";
    "http" "admin_token_sha256", Kind::Digest, "", "SHA-256 of the token that the status page and the admin API ask for, as `landbridge token` prints it. Health and metrics stay open.";
    "log" "format", Kind::Choice(&["text", "json"]), "text", "`text` for people, `json` for machines; written to standard error.";
    "log" "filter", Kind::Text, "info,actix_server=warn", "Level, or filters as `info,landbridge=debug`.";
    "ledger" "kind", Kind::Choice(&["sqlite", "dynamodb"]), "sqlite", "`sqlite`: one file, for one process. `dynamodb`: a table of Amazon DynamoDB, which several processes may share and no machine's disk can lose.";
    "ledger" "path", Kind::Path, "state/ledger.db", "The SQLite ledger. Its folder must be on a durable volume: losing it means loading files twice.";
    "ledger" "volume", Kind::Choice(&["undeclared", "durable"]), "undeclared", "`durable` says that the SQLite ledger's folder is on a volume that outlives process and machine (EBS, not a container's own disk and no instance store). Without it nothing is loaded from S3.";
    "ledger" "horizon", Kind::Duration(Duration::from_secs(30 * 86_400), Duration::from_secs(3_660 * 86_400)), "400d", "How long the ledger remembers a loaded file. One that is announced later is loaded only if the warehouse has no row of it, which costs a query.";
    "ledger" "table", Kind::Text, "landbridge-ledger", "DynamoDB's table; made at the first start unless it is there.";
    "ledger" "region", Kind::Text, "", "The table's region. Default: `aws.region`, then `AWS_REGION`, the profile, the machine's own.";
    "warehouse" "kind", Kind::Choice(&["lake", "bigquery"]), "lake", "`lake`: Parquet files in a directory. `bigquery`: Google BigQuery.";
    "warehouse" "path", Kind::Path, "lake", "The lake's directory.";
    "warehouse" "project", Kind::Text, "", "BigQuery's project: its datasets are loaded, and the jobs run in it.";
    "warehouse" "location", Kind::Text, "", "The datasets' location, as `EU` or `asia-northeast3`; sent with every call. A dataset that is not there is created in it.";
    "warehouse" "credentials", Kind::Text, "default", "`default`: application default credentials. A path: a service account's key file. `anonymous`: none, for a stand-in on `http://`.";
    "warehouse" "endpoint", Kind::Text, "https://bigquery.googleapis.com", "BigQuery's address; another for a stand-in or a private endpoint.";
    "warehouse" "storage_endpoint", Kind::Text, "https://bigquerystorage.googleapis.com", "The address of BigQuery's Storage Write API, for tables with `delivery = \"storage_write\"`.";
    "warehouse" "datetimes", Kind::Choice(&["datetime", "timestamp", "string"]), "datetime", "What a MySQL DATETIME is loaded as, where the warehouse does not take DATETIME from Parquet: `timestamp` writes the same digits as if they were UTC, `string` as text. The typed view shows a DATETIME in any case.";
    "warehouse" "times", Kind::Choice(&["time", "string"]), "time", "What a TIME column of a file is loaded as. (DMS writes MySQL's TIME as text.)";
    "warehouse" "json", Kind::Choice(&["json", "string"]), "json", "What a column with `type = \"json\"` is loaded as in a table with `delivery = \"storage_write\"` ([types.md](types.md)): `string` keeps every letter of the text. Everywhere else it is a STRING: load jobs of Parquet take no JSON. A column that is STRING already stays so.";
    "masking" "key", Kind::Secret, "", "The key of columns with `mask = \"hash\"` (HMAC-SHA256), at least 32 bytes. It is a secret: give it as `LANDBRIDGE__MASKING__KEY`. Under another key equal values no longer get equal hashes.";
    "masking" "key_file", Kind::Path, "", "A file that holds the key, instead.";
    "aws" "region", Kind::Text, "", "The region of the queues and buckets. Default: the one that a queue's URL names, then `AWS_REGION`, the profile, the machine's own.";
    "aws" "endpoint", Kind::Text, "", "Another address for S3, SQS, SNS and DynamoDB: a stand-in. `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL_SQS` and `AWS_ENDPOINT_URL_DYNAMODB` work too.";
    "aws" "path_style", Kind::Choice(&["never", "always"]), "never", "`always` puts the bucket's name into the path instead of the host name, as stand-ins need.";
    "alerts" "webhook_url", Kind::Secret, "", "A Slack-compatible webhook that is told of quarantines, poison, vanished files, held tables, used-up quotas, a budget that will not do, and receivers that take no notices, with the remedy. It is a secret: give it as `LANDBRIDGE__ALERTS__WEBHOOK_URL`.";
    "notify" "give_up_after", seconds(600, 30 * 86_400), "1d", "How long a receiver is told of a loaded batch, again and again, before it is given up and counted ([notify.md](notify.md)).";
    "spool" "path", Kind::Path, "", "Where batches are built; emptied at start. Default: the hidden folder `.spool` in the lake, so that a finished body is linked and not copied; with BigQuery, `spool` beside the ledger's file, else `state/spool`.";
    "spool" "threshold", Kind::Size(64 * KIB, 16 * GIB), "8MiB", "Fetched objects larger than this go to disk instead of memory.";
    "spool" "objects_limit", Kind::Size(16 * MIB, 1024 * GIB), "4GiB", "The most disk that fetched objects may occupy. One larger than all of it passes alone.";
    "spool" "limit", Kind::Size(16 * MIB, 1024 * GIB), "4GiB", "The most disk that bodies being built or loaded may occupy.";
    "planner" "windows", Kind::Choice(&["planned", "fixed"]), "planned", "`planned`: with BigQuery, each table's window is as short as the quotas of the day admit ([freshness.md](freshness.md)). `fixed`: `batching.window` for all. With the lake, which has no quotas, it is always that.";
    "planner" "max_staleness", seconds(10, 3600), "5m", "No planned window is open longer, nor longer than half of `timing.defer_after`. A table may have its own.";
    "planner" "jobs_per_day", Kind::Count(100, 100_000_000), "100000", "The load jobs that BigQuery admits in the project in 24 hours. A twentieth is never planned with. Others who load into the project need some of them, too: where their jobs cannot be listed (`other_jobs`), say what is left for landbridge.";
    "planner" "other_jobs", Kind::Choice(&["listed", "ignored"]), "listed", "`listed`: every five minutes BigQuery is asked which load jobs the project has had, and those that are in no ledger of landbridge are counted too ([freshness.md](freshness.md)). All of them can be seen with `bigquery.jobs.listAll` alone. `ignored`: it is not asked.";
    "status" "dataset", Kind::Text, "", "The dataset of `table_status`, a small table with one row a table: how far it is loaded, by commit times at the source, and how it is ([freshness.md](freshness.md)). Nothing is written unless it is named, as `landbridge`: the dataset must be there, and two ledgers need two.";
    "status" "every", seconds(60, 86_400), "5m", "How often it is written: with BigQuery a load job each time, out of what loads do not want.";
    "cost" "budget_usd_month", Kind::Count(1, 1_000_000), "", "What a month may cost, in US dollars. When it is projected to cost more, that is told, once a day at most (docs/cost.md).";
    "cost" "on_budget", Kind::Choice(&["warn", "slow_down"]), "warn", "`warn`: it is told, and nothing else. `slow_down`: planned windows of tables that are not `critical` are as long as their `max_staleness` for as long as the projection is above the budget.";
    "cost" "prices", Kind::Path, "", "What things cost, as `config/prices.toml` has it. Default: the list prices that landbridge comes with.";
    "batching" "window", seconds(1, 3600), "60s", "A table's batch closes when its first file is this old, where no planner says otherwise. Shorter is fresher and makes more load jobs.";
    "batching" "bytes", Kind::Size(64 * KIB, 16 * GIB), "64MiB", "A batch closes at this many bytes of files.";
    "batching" "files", Kind::Count(1, 90), "90", "A batch closes at this many files.";
    "batching" "copy_from", Kind::Size(KIB, GIB), "32KiB", "Columns whose chunks in the files have at least this many bytes unpacked, on the mean, are copied as they are compressed, where their values stay as they are: a quarter of the processor time, and with DMS's gzip an eighth more bytes to send. `1GiB` copies nothing.";
    "limits" "memory_credit", Kind::Size(16 * MIB, 1024 * GIB), "128MiB", "Memory that fetched files may occupy until they are loaded; an open local or spooled file counts 256 KiB. A quarter is kept for batches that are built again after a failure or a restart, another for full loads (as of `spool.objects_limit`, and of `spool.limit` one for full loads).";
    "limits" "fetchers", Kind::Count(1, 64), "2", "Fetcher actors.";
    "limits" "fetches_per_fetcher", Kind::Count(1, 256), "4", "Files that one fetcher opens at one time.";
    "limits" "loads_in_flight", Kind::Count(1, 256), "64", "Batches being built or loaded at one time; beside them an eighth as many of full loads.";
    "limits" "loads_per_table", Kind::Count(1, 16), "2", "Batches of one table in flight at one time; beside them one of its full loads.";
    "limits" "held_messages_per_queue", Kind::Count(10, 100_000), "1000", "Messages of one queue held at one time; then no more are received.";
    "limits" "parked_files_per_queue", Kind::Count(1, 100_000), "500", "Files of one queue that wait for a table which does not run or has enough in hand; the oldest beyond that are deferred.";
    "limits" "files_per_table", Kind::Count(1, 10_000), "400", "Files of one table in hand at one time, of changes and of full loads each.";
    "limits" "loaded_front_files", Kind::Count(2, 100_000_000), "200000", "Loaded files remembered in memory, so that a repeated announcement does not ask the ledger; about 100 bytes each.";
    "timing" "visibility_timeout", seconds(30, 43_200), "120s", "How long a received message stays hidden; extended at half of it.";
    "timing" "defer_after", seconds(10, 86_400), "10m", "A file held unclaimed for longer is written down as deferred, and its message is settled.";
    "timing" "drain_timeout", seconds(1, 3600), "100s", "How long the drain after SIGTERM may take; below ECS's `stopTimeout`.";
    "timing" "rescan_interval", seconds(1, 86_400), "30s", "How often a directory is listed in addition to being watched.";
    "timing" "job_timeout", seconds(10, 86_400), "15m", "How long refusals of a destination are endured before its batch is fenced, its files deferred and its table held.";
}

/// The section names.
pub fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> = SETTINGS.iter().map(|setting| setting.section).collect();
    sections.dedup();
    sections
}

/// What `docs/config.md` says.
pub fn document() -> String {
    let mut text = String::from(include_str!("head.md"));
    for section in sections() {
        text.push_str(&format!(
            "\n## `[{section}]`\n\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n"
        ));
        for setting in SETTINGS.iter().filter(|setting| setting.section == section) {
            let default = if setting.default.is_empty() { "" } else { &format!("`{}`", setting.default) };
            text.push_str(&format!(
                "| `{}` | {} | {default} | {} |\n",
                setting.key,
                setting.kind.describe(),
                setting.help
            ));
        }
    }
    text.push_str(include_str!("tail.md"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), document());
    }
}

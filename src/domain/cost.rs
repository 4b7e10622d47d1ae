//! What landbridge costs: everything of AWS and Google that it causes, item by item.
//!
//! One list of items (`Item`) serves the forecast and the meter: what `landbridge plan` expects of a mapping and what a
//! running landbridge has done become `Amounts` of the same items, which one function prices.

use std::collections::BTreeMap;

use serde::Deserialize;

pub mod book;
pub mod budget;
pub mod report;
pub mod request_units;
pub mod usage;

use usage::{Measure, Usage};

/// Days of a month, on the mean.
pub const DAYS: f64 = 365.25 / 12.0;
const HOURS: f64 = DAYS * 24.0;
const GB: f64 = 1e9;
const GIB: f64 = 1_073_741_824.0;
const TIB: f64 = GIB * 1024.0;

/// Prices in US dollars, as `config/prices.toml` has them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// When they were looked up.
    pub date: String,
    /// Of AWS.
    pub aws: Aws,
    /// Of Google.
    pub google: Google,
    /// What is not counted.
    pub assumed: Assumed,
}

/// Prices of AWS, and of the machine that is rented there.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Aws {
    pub sqs_requests_million: f64,
    pub sqs_requests_free: f64,
    pub s3_gets_thousand: f64,
    pub s3_lists_thousand: f64,
    pub dynamodb_writes_million: f64,
    pub dynamodb_reads_million: f64,
    pub data_out_gb: f64,
    pub data_out_free_gb: f64,
    pub machine_hour: f64,
    pub disk_gb_month: f64,
    pub disk_gb: f64,
    pub public_ipv4_hour: f64,
    pub nat_hour: f64,
    pub nat_gb: f64,
    pub logs_gb: f64,
}

/// Prices of Google Cloud.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Google {
    pub load_jobs: f64,
    pub streamed_gib: f64,
    pub streamed_free_gib: f64,
    pub queried_tib: f64,
    pub queried_free_tib: f64,
}

/// What nobody counts, and so is assumed; the last is for forecasts, which have nothing that was counted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Assumed {
    pub call_bytes: f64,
    pub wire_share: f64,
    pub log_bytes_per_job: f64,
}

/// What a bill has, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Bytes that leave AWS for BigQuery, what HTTP adds to them included.
    DataOut,
    /// The machine that it runs on.
    Machine,
    /// The machine's public IPv4 address.
    Address,
    /// A NAT gateway, where there is one.
    Nat,
    /// The machine's volume.
    Disk,
    /// GET and HEAD of objects.
    S3Gets,
    /// LIST, and whatever S3 has at the price of PUT.
    S3Lists,
    /// All that is asked of SQS.
    SqsRequests,
    /// The ledger's writes in DynamoDB.
    LedgerWrites,
    /// The ledger's reads there.
    LedgerReads,
    /// What is written to the log, where it is kept in CloudWatch.
    Logs,
    /// Load jobs.
    LoadJobs,
    /// What queries read.
    Queries,
    /// What the Storage Write API takes.
    Streamed,
}

impl Item {
    /// Every item.
    pub const ALL: [Self; 14] = [
        Self::DataOut,
        Self::Machine,
        Self::Address,
        Self::Nat,
        Self::Disk,
        Self::S3Gets,
        Self::S3Lists,
        Self::SqsRequests,
        Self::LedgerWrites,
        Self::LedgerReads,
        Self::Logs,
        Self::LoadJobs,
        Self::Queries,
        Self::Streamed,
    ];

    /// Its name in metrics and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DataOut => "data_out",
            Self::Machine => "machine",
            Self::Address => "public_ipv4",
            Self::Nat => "nat_gateway",
            Self::Disk => "disk",
            Self::S3Gets => "s3_gets",
            Self::S3Lists => "s3_lists",
            Self::SqsRequests => "sqs_requests",
            Self::LedgerWrites => "dynamodb_writes",
            Self::LedgerReads => "dynamodb_reads",
            Self::Logs => "logs",
            Self::LoadJobs => "load_jobs",
            Self::Queries => "queries",
            Self::Streamed => "storage_write",
        }
    }

    /// What it is, and of what there is an amount of it.
    pub const fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::DataOut => ("data out of AWS", "GB"),
            Self::Machine => ("the machine", "hours"),
            Self::Address => ("its public IPv4 address", "hours"),
            Self::Nat => ("a NAT gateway", "hours"),
            Self::Disk => ("its disk", "GB-months"),
            Self::S3Gets => ("S3 GET requests", "requests"),
            Self::S3Lists => ("S3 LIST requests", "requests"),
            Self::SqsRequests => ("SQS requests", "requests"),
            Self::LedgerWrites => ("DynamoDB writes", "units"),
            Self::LedgerReads => ("DynamoDB reads", "units"),
            Self::Logs => ("logs", "GB"),
            Self::LoadJobs => ("BigQuery load jobs", "jobs"),
            Self::Queries => ("BigQuery queries", "TiB"),
            Self::Streamed => ("Storage Write API", "GiB"),
        }
    }
}

/// How much there is of each item, in its unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Amounts(BTreeMap<Item, f64>);

impl Amounts {
    /// How much of one.
    pub fn of(&self, item: Item) -> f64 {
        self.0.get(&item).copied().unwrap_or(0.0)
    }

    fn add(&mut self, item: Item, amount: f64) {
        *self.0.entry(item).or_default() += amount;
    }

    /// These and `factor` times `others`.
    pub fn plus(&self, others: &Self, factor: f64) -> Self {
        let mut sum = self.clone();
        for (item, amount) in &others.0 {
            sum.add(*item, amount * factor);
        }
        sum
    }

    /// Of what was counted.
    pub fn counted(usage: &Usage, prices: &Prices) -> Self {
        let of = |measure| usage.of(measure) as f64;
        let Assumed { call_bytes, wire_share, .. } = prices.assumed;
        let streamed = of(Measure::StreamedBytes);
        let sent = (of(Measure::SentBytes) + streamed) * (1.0 + wire_share);
        let hours = of(Measure::RunSeconds) / 3_600.0;
        let mut amounts = Self::of_machine(hours, prices);
        for (item, amount) in [
            (Item::DataOut, (sent + of(Measure::GoogleCalls) * call_bytes) / GB),
            (Item::S3Gets, of(Measure::S3Gets)),
            (Item::S3Lists, of(Measure::S3Lists)),
            (Item::SqsRequests, of(Measure::SqsRequests)),
            (Item::LedgerWrites, of(Measure::DynamoDbWrites)),
            (Item::LedgerReads, of(Measure::DynamoDbHalfReads) / 2.0),
            (Item::Logs, of(Measure::LogBytes) / GB),
            (Item::LoadJobs, of(Measure::LoadJobs)),
            (Item::Queries, of(Measure::QueriedBytes) / TIB),
            (Item::Streamed, streamed / GIB),
        ] {
            amounts.add(item, amount);
        }
        amounts
    }

    /// What so many hours of the machine are.
    fn of_machine(hours: f64, prices: &Prices) -> Self {
        let items = [
            (Item::Machine, hours),
            (Item::Address, hours),
            (Item::Nat, hours),
            (Item::Disk, prices.aws.disk_gb * hours / HOURS),
        ];
        Self(items.into_iter().collect())
    }
}

/// What a day needs, as far as it can be said before anything is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Needed {
    /// Files, each of which is announced and fetched.
    pub files: f64,
    /// Queues, each of which is asked how much it holds.
    pub queues: f64,
    /// Long polls.
    pub receives: f64,
    /// Calls that delete messages, or hide them for longer.
    pub deletes: f64,
    /// Bytes of uploads that leave for BigQuery.
    pub bytes_out: f64,
    /// Calls to BigQuery, uploads among them.
    pub calls: f64,
    /// Load jobs.
    pub jobs: f64,
}

impl Needed {
    /// A month of such days.
    pub fn month(&self, prices: &Prices) -> Amounts {
        /// How often a queue is asked how much it holds, a day.
        const QUEUE_LOOKS: f64 = 86_400.0 / 60.0;
        let Assumed { call_bytes, wire_share, log_bytes_per_job } = prices.assumed;
        let out = self.bytes_out * (1.0 + wire_share) + self.calls * call_bytes;
        let mut amounts = Amounts::of_machine(HOURS, prices);
        for (item, amount) in [
            (Item::DataOut, out / GB),
            (Item::S3Gets, self.files),
            (Item::SqsRequests, self.receives + self.deletes + self.queues * QUEUE_LOOKS),
            (Item::Logs, self.jobs * log_bytes_per_job / GB),
            (Item::LoadJobs, self.jobs),
        ] {
            amounts.add(item, amount * DAYS);
        }
        amounts
    }
}

/// One line of a bill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Charge {
    /// What for.
    pub item: Item,
    /// How much of it, in its unit.
    pub amount: f64,
    /// In US dollars.
    pub dollars: f64,
}

/// What these amounts of one month cost; what is free is free once a month.
pub fn bill(prices: &Prices, amounts: &Amounts) -> Vec<Charge> {
    let Prices { aws, google, .. } = prices;
    let charge = |item| {
        let amount = amounts.of(item);
        let beyond = |free: f64| (amount - free).max(0.0);
        let dollars = match item {
            Item::DataOut => beyond(aws.data_out_free_gb) * aws.data_out_gb,
            Item::Machine => amount * aws.machine_hour,
            Item::Address => amount * aws.public_ipv4_hour,
            // What it takes by the gigabyte is what leaves: S3 and DynamoDB have gateways that cost nothing.
            Item::Nat if aws.nat_hour > 0.0 => amount * aws.nat_hour + amounts.of(Item::DataOut) * aws.nat_gb,
            Item::Nat => 0.0,
            Item::Disk => amount * aws.disk_gb_month,
            Item::S3Gets => amount / 1e3 * aws.s3_gets_thousand,
            Item::S3Lists => amount / 1e3 * aws.s3_lists_thousand,
            Item::SqsRequests => beyond(aws.sqs_requests_free) / 1e6 * aws.sqs_requests_million,
            Item::LedgerWrites => amount / 1e6 * aws.dynamodb_writes_million,
            Item::LedgerReads => amount / 1e6 * aws.dynamodb_reads_million,
            Item::Logs => amount * aws.logs_gb,
            Item::LoadJobs => amount * google.load_jobs,
            Item::Queries => beyond(google.queried_free_tib) * google.queried_tib,
            Item::Streamed => beyond(google.streamed_free_gib) * google.streamed_gib,
        };
        Charge { item, amount, dollars }
    };
    Item::ALL.into_iter().map(charge).collect()
}

/// What a bill comes to.
pub fn total(charges: &[Charge]) -> f64 {
    charges.iter().map(|charge| charge.dollars).sum()
}

#[cfg(test)]
mod tests;

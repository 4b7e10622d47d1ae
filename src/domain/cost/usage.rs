//! What was really done, as far as somebody is paid for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::ids::TableId;
use crate::domain::instant::Instant;

/// What is counted. The name stands in the ledger: it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Requests to SQS, repetitions included, each 64 KiB of one a request.
    SqsRequests,
    /// GET and HEAD of S3.
    S3Gets,
    /// LIST, PUT, COPY and POST of S3, which have one price.
    S3Lists,
    /// Files that were opened.
    Files,
    /// Bytes of objects that came from S3.
    FetchedBytes,
    /// Bytes of bodies and of what was asked that were sent to Google.
    SentBytes,
    /// Calls to Google.
    GoogleCalls,
    /// Load jobs that were submitted, refused ones and repetitions included.
    LoadJobs,
    /// Bytes that queries are billed for.
    QueriedBytes,
    /// Bytes that the Storage Write API took.
    StreamedBytes,
    /// Halves of DynamoDB's read request units.
    DynamoDbHalfReads,
    /// DynamoDB's write request units.
    DynamoDbWrites,
    /// Bytes that were written to the log.
    LogBytes,
    /// Seconds that a process ran.
    RunSeconds,
    /// Times that somebody was told that the month is going to cost more than it may: so that a restart does not forget it.
    BudgetAlerts,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 15] = [
        Self::SqsRequests,
        Self::S3Gets,
        Self::S3Lists,
        Self::Files,
        Self::FetchedBytes,
        Self::SentBytes,
        Self::GoogleCalls,
        Self::LoadJobs,
        Self::QueriedBytes,
        Self::StreamedBytes,
        Self::DynamoDbHalfReads,
        Self::DynamoDbWrites,
        Self::LogBytes,
        Self::RunSeconds,
        Self::BudgetAlerts,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SqsRequests => "sqs_requests",
            Self::S3Gets => "s3_gets",
            Self::S3Lists => "s3_lists",
            Self::Files => "files",
            Self::FetchedBytes => "fetched_bytes",
            Self::SentBytes => "sent_bytes",
            Self::GoogleCalls => "google_calls",
            Self::LoadJobs => "load_jobs",
            Self::QueriedBytes => "queried_bytes",
            Self::StreamedBytes => "streamed_bytes",
            Self::DynamoDbHalfReads => "dynamodb_half_reads",
            Self::DynamoDbWrites => "dynamodb_writes",
            Self::LogBytes => "log_bytes",
            Self::RunSeconds => "run_seconds",
            Self::BudgetAlerts => "budget_alerts",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.name() == name)
    }
}

/// So much of each measure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage(BTreeMap<Measure, u64>);

impl Usage {
    /// How much of one.
    pub fn of(&self, measure: Measure) -> u64 {
        self.0.get(&measure).copied().unwrap_or(0)
    }

    /// Adds to one.
    pub fn add(&mut self, measure: Measure, amount: u64) {
        if amount > 0 {
            let known = self.0.entry(measure).or_default();
            *known = known.saturating_add(amount);
        }
    }

    /// Adds all of `other`.
    pub fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(measure, amount)| self.add(*measure, *amount));
    }

    /// What was added since it was `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut added = Self::default();
        for (measure, amount) in &self.0 {
            added.add(*measure, amount.saturating_sub(earlier.of(*measure)));
        }
        added
    }

    /// True when there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Measure, u64)> for Usage {
    fn from_iter<I: IntoIterator<Item = (Measure, u64)>>(amounts: I) -> Self {
        let mut usage = Self::default();
        amounts.into_iter().for_each(|(measure, amount)| usage.add(measure, amount));
        usage
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(measure, amount)| (measure.name(), amount)))
    }
}

/// What a later version counts beside is left out.
impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amounts = BTreeMap::<String, u64>::deserialize(deserializer)?;
        Ok(amounts.into_iter().filter_map(|(name, amount)| Some((Measure::named(&name)?, amount))).collect())
    }
}

/// Usage of all tables, and of none: what cannot be said to be of a table, as a long poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Of no table.
    pub shared: Usage,
    /// Of tables; those of which there is nothing are left out.
    #[serde(with = "pairs")]
    pub tables: BTreeMap<TableId, Usage>,
}

impl Tally {
    /// Adds all of `other`.
    pub fn add_all(&mut self, other: &Self) {
        self.shared.add_all(&other.shared);
        for (table, usage) in &other.tables {
            self.tables.entry(table.clone()).or_default().add_all(usage);
        }
    }

    /// What was added since it was `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let nothing = Usage::default();
        let tables = self.tables.iter().map(|(table, usage)| {
            (table.clone(), usage.since(earlier.tables.get(table).unwrap_or(&nothing)))
        });
        Self {
            shared: self.shared.since(&earlier.shared),
            tables: tables.filter(|(_, usage)| !usage.is_empty()).collect(),
        }
    }

    /// All of it in one.
    pub fn whole(&self) -> Usage {
        let mut whole = self.shared.clone();
        self.tables.values().for_each(|usage| whole.add_all(usage));
        whole
    }
}

/// A table is no name of a JSON object.
mod pairs {
    use super::{BTreeMap, Deserialize, Deserializer, Serializer, TableId, Usage};

    pub(super) fn serialize<S: Serializer>(
        tables: &BTreeMap<TableId, Usage>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(tables)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<TableId, Usage>, D::Error> {
        Ok(Vec::<(TableId, Usage)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// A day in UTC, in days since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub i64);

const DAY_MICROS: i64 = 86_400_000_000;

impl Day {
    /// The day of this moment.
    pub const fn of(at: Instant) -> Self {
        Self(at.micros().div_euclid(DAY_MICROS))
    }

    /// Its first moment.
    pub const fn begins(self) -> Instant {
        Instant::from_micros(self.0.saturating_mul(DAY_MICROS))
    }

    /// The day so many days before it.
    pub const fn minus(self, days: i64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The first day of its month, and of the next one.
    pub fn month(self) -> (Self, Self) {
        // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": days from and to the civil calendar, whose year
        // begins in March there.
        let (year, month, day) = self.civil();
        let first = self.minus(day.saturating_sub(1));
        let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        (first, Self::from_civil(next_year, next_month))
    }

    fn civil(self) -> (i64, i64, i64) {
        let days = self.0.saturating_add(719_468);
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let civil_month = if month < 10 { month + 3 } else { month - 9 };
        (year + era * 400 + i64::from(civil_month <= 2), civil_month, day)
    }

    fn from_civil(year: i64, month: i64) -> Self {
        let year = year - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year = year.rem_euclid(400);
        let month = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * month + 2) / 5;
        let of_era = year * 365 + year / 4 - year / 100 + of_year;
        Self(era * 146_097 + of_era - 719_468)
    }
}

/// What one process has done on one day, as the ledger keeps it. Written again and again, and never added to, so that a write whose
/// answer was lost may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptUsage {
    /// The day.
    pub day: Day,
    /// The process, by a name that it drew at its start.
    pub writer: String,
    /// When it began to count on this day.
    pub from: Instant,
    /// How much.
    pub tally: Tally,
}

/// Days for which usage is kept: thirteen months.
pub const KEPT_DAYS: i64 = 396;

/// What a query is billed for: of what it read, whole MiB, at least 10 MiB a table (Google Cloud, BigQuery: "Estimate and control costs").
pub const fn billed_bytes(read: u64, tables: u64) -> u64 {
    const MIB: u64 = 1 << 20;
    if read == 0 {
        return 0;
    }
    let whole = read.div_ceil(MIB).saturating_mul(MIB);
    let least = tables.saturating_mul(10 * MIB);
    if whole > least { whole } else { least }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_the_calendars() {
        let day = |text: &str| Day::of(Instant::from_rfc3339(&format!("{text}T12:00:00Z")).unwrap());
        for (within, first, next) in [
            ("2026-11-27", "2026-11-01", "2026-12-01"),
            ("2026-12-31", "2026-12-01", "2027-01-01"),
            ("2028-02-29", "2028-02-01", "2028-03-01"),
            ("2027-03-01", "2027-03-01", "2027-04-01"),
            ("2000-01-01", "2000-01-01", "2000-02-01"),
        ] {
            assert_eq!(day(within).month(), (day(first), day(next)), "{within}");
        }
        assert_eq!(Day(0).begins().date(), "1970-01-01");
    }

    #[test]
    fn usage_survives_its_text_and_forgets_what_it_does_not_know() {
        let table = TableId::new("a", "s.x", "t\"");
        let usage: Usage = [(Measure::Files, 2), (Measure::SentBytes, 0)].into_iter().collect();
        let tally = Tally { shared: usage.clone(), tables: [(table, usage.clone())].into_iter().collect() };
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
        assert_eq!(serde_json::from_str::<Usage>(r#"{"files":2,"moon_beams":7}"#).unwrap(), usage);
    }

    #[test]
    fn a_query_is_billed_by_whole_mebibytes_and_ten_at_least() {
        assert_eq!(billed_bytes(0, 1), 0);
        assert_eq!(billed_bytes(1, 1), 10 << 20);
        assert_eq!(billed_bytes((20 << 20) + 1, 1), 21 << 20);
    }
}

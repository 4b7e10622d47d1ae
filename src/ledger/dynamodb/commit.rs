//! The commit of a batch, and the figures of tables that it moves.

use super::batches::{HELD, LOADED, OPEN_BATCHES, SUCCEEDED, UNKNOWN, attempt_key, batch_key, open_key};
use super::item::{Fields, Item, SK, item, key, number, put, text};
use super::notices::written;
use super::transaction::{Change, Sent};
use super::{DynamoDbLedger, FACTS_MAX, READS_MAX, StepError};
use crate::domain::batch::Batch;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::instant::Instant;
use crate::domain::notice::Notice;
use crate::domain::summary::{TableSummary, utc_day};
use crate::domain::transition::Step;
use crate::domain::transition::rules::{self, Ruling};
use crate::domain::watermark::Reached;
use crate::ledger::stored::{table_of, table_text};

/// What a commit needs to know of a batch. Kept of those that this process has claimed, so that their commits need not
/// read; the conditions of the commit say whether it still holds.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    table: TableId,
    claimed_at: Instant,
    files: u64,
    rows: u64,
    newest: Option<Instant>,
    reached: Option<Reached>,
    attempts: u32,
}

/// The figures of a table, as far as a commit moves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figures {
    /// A batch of the table was committed today, and none with a newer event.
    Usual,
    /// As they were read.
    Read { day: Option<i64>, newest: Option<Instant>, reached: Option<Reached> },
}

impl DynamoDbLedger {
    pub(super) fn remember(&self, batch: &Batch, attempts: u32) {
        if self.inner.facts.len() >= FACTS_MAX {
            // Of batches that others have ended: whatever is forgotten is read.
            self.inner.facts.clear();
        }
        self.inner.facts.insert(batch.id.clone(), fact(batch, attempts));
    }

    pub(super) fn forget(&self, batch: &BatchId) {
        self.inner.facts.remove(batch);
    }

    pub(super) async fn commit_batch(
        &self,
        batch: &BatchId,
        told: &[Notice],
        now: Instant,
    ) -> Result<Step, StepError> {
        let known = self.inner.facts.get(batch).map(|fact| fact.clone());
        // A batch of zero rows needs no attempt; the rule says whether it has none by right.
        if let Some(fact) = known.filter(|fact| fact.attempts > 0 || fact.rows == 0)
            && self.write_commit(batch, &fact, Figures::Usual, told, now).await? == Sent::Done
        {
            self.forget(batch);
            return Ok(Step::Done);
        }
        for _ in 0..READS_MAX {
            let stored = self.stored_batch("commit", batch).await?;
            let ruling = rules::commit(stored.as_ref().map(|stored| &stored.record));
            if let (Some(stored), Ruling::Write(_)) = (&stored, &ruling) {
                let fact = fact(&stored.record.batch, stored.last());
                let figures = self.figures(&fact.table).await?;
                if self.write_commit(batch, &fact, figures, told, now).await? != Sent::Done {
                    continue;
                }
            }
            self.forget(batch);
            return Ok(ruling.step());
        }
        Err(self.contended("commit"))
    }

    async fn figures(&self, table: &TableId) -> Result<Figures, StepError> {
        let name = key("TABLES", table_text(table)?);
        let item = self.get("commit", name).await?.unwrap_or_default();
        let newest = item.maybe_number("t_newest")?.map(Instant::from_micros);
        Ok(Figures::Read { day: item.maybe_number("t_day")?, newest, reached: reached(&item)? })
    }

    async fn write_commit(
        &self,
        batch: &BatchId,
        fact: &Fact,
        figures: Figures,
        told: &[Notice],
        now: Instant,
    ) -> Result<Sent, StepError> {
        let mut expression = "SET b_state = :loaded, b_updated = :now".to_owned();
        let mut condition = "b_state <= :held AND b_attempts = :attempts".to_owned();
        let mut values = item([
            (":loaded", number(LOADED)),
            (":held", number(HELD)),
            (":now", number(now.micros())),
            (":attempts", number(fact.attempts)),
        ]);
        let outcome = [(":open", number(UNKNOWN)), (":done", number(SUCCEEDED))];
        let (succeeds, is_open) = ("a_outcome = :done, a_at = :now", "a_outcome = :open");
        let mut changes = Vec::new();
        match fact.attempts {
            0 => {}
            1 => {
                expression.push_str(&format!(", {succeeds}"));
                condition.push_str(&format!(" AND {is_open}"));
                values.extend(item(outcome));
            }
            last => {
                let mut values = item(outcome);
                put(&mut values, ":now", Some(number(now.micros())));
                let update = Change::update(attempt_key(batch, last), format!("SET {succeeds}"), values);
                changes.push(update.when(is_open, Item::new()));
            }
        }
        changes.push(Change::update(batch_key(batch), expression, values).when(condition, Item::new()));
        changes.push(Change::delete(open_key(batch, fact.claimed_at)));
        changes.push(counted(fact, figures, now)?);
        for notice in told {
            changes.push(written(notice)?);
        }
        self.send("commit", &changes).await
    }

    /// The figures of all tables.
    pub(super) async fn summaries(&self, now: Instant) -> Result<Vec<TableSummary>, StepError> {
        let mut summaries = std::collections::BTreeMap::new();
        let of = |name: &str| -> Result<TableId, StepError> { Ok(table_of(name)?) };
        for item in self.query("summary", "pk = :pk", super::item::item([(":pk", text("TABLES"))])).await? {
            let table = of(item.text_of(SK)?)?;
            let mut summary = TableSummary::empty(table.clone());
            if item.maybe_number("t_day")? == Some(utc_day(now)) {
                summary.files_of_day = item.number_of("t_files")?;
                summary.rows_of_day = item.number_of("t_rows")?;
            }
            let instant = |name| item.maybe_number(name).map(|at| at.map(Instant::from_micros));
            summary.last_load_at = instant("t_last_load")?;
            summary.newest_loaded_event = instant("t_newest")?;
            summary.poison = count(&item, "n_poison")?;
            summary.vanished = count(&item, "n_vanished")?;
            summary.discarded = count(&item, "n_discarded")?;
            summary.loaded = reached(&item)?;
            summary.watermark = instant("t_watermark")?;
            summary.deferred = count(&item, "n_deferred")?;
            if summary.deferred > 0 {
                summary.oldest_pending_event = self.oldest_deferred(&table).await?;
            }
            summaries.insert(table, summary);
        }
        for item in
            self.query("summary", "pk = :pk", super::item::item([(":pk", text(OPEN_BATCHES))])).await?
        {
            let table = of(item.text_of("o_table")?)?;
            let summary = summaries.entry(table.clone()).or_insert_with(|| TableSummary::empty(table));
            let pending = Instant::from_micros(item.number_of("o_pending")?);
            summary.oldest_pending_event = summary.oldest_pending_event.into_iter().chain([pending]).min();
        }
        let nothing = TableSummary::empty;
        Ok(summaries.into_values().filter(|summary| *summary != nothing(summary.table.clone())).collect())
    }

    async fn oldest_deferred(&self, table: &TableId) -> Result<Option<Instant>, StepError> {
        let values = item([(":table", text(table_text(table)?))]);
        let page = self.page("summary", Some("waiting"), "wait_table = :table", values, 1, None).await?;
        let first = page.items.first().map(|item| item.number_of("wait_since"));
        Ok(first.transpose()?.map(Instant::from_micros))
    }

    /// How many files of a table are deferred.
    pub(super) async fn count_deferred(&self, table: &TableId) -> Result<u64, StepError> {
        let item = self.get("deferred_count", key("TABLES", table_text(table)?)).await?;
        count(&item.unwrap_or_default(), "n_deferred")
    }
}

/// How far the table is loaded, of whichever files.
fn reached(item: &Item) -> Result<Option<Reached>, StepError> {
    let instant = |name| item.maybe_number(name).map(|at| at.map(Instant::from_micros));
    let (event, commit) = (instant("t_reached")?, instant("t_commit")?);
    Ok(event.zip(commit).map(|(event, commit)| Reached { event, commit }))
}

pub(super) fn count(item: &Item, name: &str) -> Result<u64, StepError> {
    Ok(item.maybe_number::<i64>(name)?.map_or(0, |count| u64::try_from(count).unwrap_or(0)))
}

fn fact(batch: &Batch, attempts: u32) -> Fact {
    Fact {
        table: batch.table.clone(),
        claimed_at: batch.claimed_at,
        files: batch.manifest.entries.len() as u64,
        rows: batch.manifest.rows(),
        newest: batch.events.map(|events| events.newest),
        reached: batch.commits.map(|commits| {
            // A file is written before it is claimed.
            let event = batch.events.map_or(batch.claimed_at, |events| events.newest);
            Reached::of(event, commits.newest)
        }),
        attempts,
    }
}

/// Counts a batch among the loads of its table's day, once: the step that does it is the commit.
fn counted(fact: &Fact, figures: Figures, now: Instant) -> Result<Change, StepError> {
    let today = utc_day(now);
    let (day, is_newest) = match figures {
        Figures::Usual => (Some(today), true),
        Figures::Read { day, newest, .. } => {
            (day, fact.newest.is_some_and(|event| newest.is_none_or(|newest| newest < event)))
        }
    };
    let mut values = item([(":now", number(now.micros()))]);
    let (mut sets, mut conditions) = (vec!["t_last_load = :now"], Vec::new());
    if let (Some(newest), true) = (fact.newest, is_newest) {
        put(&mut values, ":newest", Some(number(newest.micros())));
        sets.push("t_newest = :newest");
        conditions.push(match figures {
            Figures::Usual => "t_newest <= :newest",
            Figures::Read { .. } => "(attribute_not_exists(t_newest) OR t_newest <= :newest)",
        });
    }
    if let Some(reached) = fact.reached {
        // Beyond what was read, or was there before; each by itself, of whichever batch has the latest.
        let known = match figures {
            Figures::Usual => None,
            Figures::Read { reached, .. } => reached,
        };
        for (name, value, at, known) in [
            ("t_reached", ":reached", reached.event, known.map(|known| known.event)),
            ("t_commit", ":commit", reached.commit, known.map(|known| known.commit)),
        ] {
            if known.is_some_and(|known| known >= at) {
                continue;
            }
            put(&mut values, value, Some(number(at.micros())));
            sets.push(if name == "t_reached" { "t_reached = :reached" } else { "t_commit = :commit" });
            conditions.push(match (name, figures) {
                ("t_reached", Figures::Usual) => "t_reached <= :reached",
                (_, Figures::Usual) => "t_commit <= :commit",
                ("t_reached", Figures::Read { .. }) => {
                    "(attribute_not_exists(t_reached) OR t_reached <= :reached)"
                }
                (_, Figures::Read { .. }) => "(attribute_not_exists(t_commit) OR t_commit <= :commit)",
            });
        }
    }
    let mut adds = "";
    // Another process may be in the next day already: of the day that is over nothing more is told.
    if day.is_none_or(|day| day <= today) {
        values.extend(item([
            (":day", number(today)),
            (":files", number(fact.files)),
            (":rows", number(fact.rows)),
        ]));
        if day == Some(today) {
            conditions.push("t_day = :day");
            adds = " ADD t_files :files, t_rows :rows";
        } else {
            sets.extend(["t_day = :day", "t_files = :files", "t_rows = :rows"]);
            conditions.push("(attribute_not_exists(t_day) OR t_day < :day)");
        }
    }
    let expression = format!("SET {}{adds}", sets.join(", "));
    let change = Change::update(key("TABLES", table_text(&fact.table)?), expression, values);
    Ok(if conditions.is_empty() { change } else { change.when(conditions.join(" AND "), Item::new()) })
}

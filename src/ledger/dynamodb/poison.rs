//! Poison files: listed, redriven, discarded.

use std::collections::HashSet;

use super::files::{Counts, DEFERRED, DISCARDED, FILE, Loose, POISON, file_partition};
use super::item::{Fields, PK, item, key, text};
use super::transaction::{Change, Sent};
use super::{DynamoDbLedger, GETS_MAX, READS_MAX, StepError};
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::transition::{Mending, PoisonFile, rules};
use crate::ledger::stored::{from_json, table_text};

impl DynamoDbLedger {
    /// Poison files of a table, oldest first, then discarded ones. The index may be late: the files' own items have the last word.
    pub(super) async fn poison_files(
        &self,
        table: &TableId,
        limit: usize,
    ) -> Result<Vec<PoisonFile>, StepError> {
        let mut found = self.poison_of(table, POISON, limit).await?;
        let left = limit.saturating_sub(found.len());
        if left > 0 {
            found.extend(self.poison_of(table, DISCARDED, left).await?);
        }
        Ok(found)
    }

    async fn poison_of(
        &self,
        table: &TableId,
        home: i64,
        limit: usize,
    ) -> Result<Vec<PoisonFile>, StepError> {
        let values = item([(":table", text(table_text(table)?)), (":home", text(format!("{home}#")))]);
        let condition = "loose_table = :table AND begins_with(loose_order, :home)";
        let (mut found, mut from, mut seen) = (Vec::new(), None, HashSet::new());
        while found.len() < limit {
            let page = self.page("poison", Some("loose"), condition, values.clone(), GETS_MAX, from).await?;
            let keys = page.items.iter().map(|item| Ok(key(item.text_of(PK)?, FILE)));
            let items = self.get_many("poison", keys.collect::<Result<_, StepError>>()?, None).await?;
            for one in &page.items {
                let Some(item) = items.get(&(one.text_of(PK)?.to_owned(), FILE.to_owned())) else { continue };
                // An index that is late may show one file at two places.
                let again = !seen.insert(one.text_of(PK)?.to_owned());
                if again || item.number_of::<i64>("f_home")? != home {
                    continue;
                }
                found.push(PoisonFile {
                    file: from_json("a poison file", item.text_of("f_identity")?)?,
                    reason: item.maybe_text("f_reason")?.unwrap_or_default().to_owned(),
                    at: Instant::from_micros(item.number_of("f_at")?),
                    discarded: home == DISCARDED,
                });
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    pub(super) async fn mend_file(
        &self,
        file: &FileId,
        at: Instant,
        mending: Mending,
        now: Instant,
    ) -> Result<bool, StepError> {
        for _ in 0..READS_MAX {
            let known = self.known_files(std::slice::from_ref(file)).await?.into_iter().next().flatten();
            let Some((was, state)) = known else { return Ok(false) };
            let again = mending == Mending::Discard && was.home == DISCARDED;
            if rules::mend(Some(&state), mending, now).is_none() || was.at != Some(at) || again {
                return Ok(false);
            }
            let (home, reason, since) = match mending {
                Mending::Redrive => (DEFERRED, None, now),
                Mending::Discard => (DISCARDED, Some(was.reason.as_str()), at),
            };
            let mut counts = Counts::default();
            counts.moved(&file.table, Some(was.home), home);
            let loose = Loose { home, reason, at: since, event_at: None };
            let mut changes = vec![loose.change(file, Some(&was))?];
            if mending == Mending::Redrive {
                changes.push(Change::delete(key(file_partition(file), super::files::STRIKES)));
            }
            changes.extend(counts.changes()?);
            if self.send("mend", &changes).await? == Sent::Done {
                return Ok(true);
            }
        }
        Err(self.contended("mend"))
    }
}

//! What the loader does: deliveries begin, hear, and come to their end; the table is held and resumed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use landbridge::domain::batch::{Attempt, Batch};
use landbridge::domain::delivery::{Action, Delivery, End, Event as Heard};
use landbridge::domain::file::FileId;
use landbridge::domain::intake;
use landbridge::domain::table::{self, Outcome, Table};
use landbridge::domain::transition::{AttemptOutcome, BatchRecord, BatchState, Home};

use super::process::{InFlight, Leases};
use super::world::World;
use super::{NOW, bounds, table_id};

impl World {
    pub fn resume_delivery(&mut self, p: usize, record: BatchRecord, leases: Leases) {
        let record = BatchRecord { state: BatchState::Open, ..record };
        let plan_hash = Arc::clone(&self.process(p).plan_hash);
        self.begin(p, Delivery::resume(record, plan_hash, Duration::ZERO), leases, false);
    }

    pub fn begin(&mut self, p: usize, mut delivery: Delivery, leases: Leases, own: bool) {
        let (_, action) = delivery.step(NOW, Heard::Begun);
        self.process(p).deliveries.push(InFlight { delivery: delivery.rested(), action, leases, own });
    }

    /// Delivery `d` hears what came of its action.
    pub fn hear(&mut self, p: usize, d: usize, heard: Heard) {
        let one = &mut self.process(p).deliveries[d];
        let (_, next) = one.delivery.step(NOW, heard);
        one.delivery = one.delivery.clone().rested();
        if let Action::End(end) = next {
            let done = self.process(p).deliveries.remove(d);
            self.conclude(p, done, end);
        } else {
            one.action = next;
        }
    }

    /// As the loader does: what is final is settled, the rest comes back.
    fn conclude(&mut self, p: usize, done: InFlight, end: End) {
        let mut waiting = done.leases;
        for entry in &done.delivery.batch().manifest.entries {
            waiting.entry(entry.file.clone()).or_default();
        }
        let (mut events, mut moved, mut hold) = (Vec::new(), Vec::new(), false);
        if done.own {
            events.push(table::Event::DeliveryEnded);
        }
        let mut ends: Vec<(FileId, Outcome)> = Vec::new();
        match end {
            End::Loaded => ends.extend(waiting.keys().map(|file| (file.clone(), Outcome::Loaded))),
            End::Held(_) => {
                ends.extend(waiting.keys().map(|file| (file.clone(), Outcome::Held)));
                hold = true;
            }
            End::Rehomed { homes, hold: reason } => {
                hold = reason.is_some();
                for home in homes {
                    ends.push(match home {
                        Home::Batch { batch, attempt } => {
                            moved.extend(self.move_on(p, batch, attempt, &mut waiting));
                            continue;
                        }
                        Home::Poison(file, _) => (file, Outcome::Poisoned),
                        Home::Vanished(file) => (file, Outcome::Vanished),
                        Home::Deferred(file) => (file, Outcome::Deferred),
                    });
                }
            }
            End::Unbuilt { file: Some(file), kind, reason } => {
                let items = waiting.remove(&file).unwrap_or_default();
                self.process(p).waiters.entry(file.clone()).or_default().extend(items);
                events.push(if done.own {
                    table::Event::Failed { file, kind, reason }
                } else {
                    table::Event::EndedElsewhere { file, suspect: false }
                });
            }
            End::Unbuilt { file: None, .. } | End::ClaimLost(_) | End::Superseded => {}
            End::LedgerLost(_) => unreachable!("the ledger is never silent for so long"),
        }
        for (file, outcome) in ends {
            let items = waiting.remove(&file).unwrap_or_default();
            self.settle(p, &file, items);
            // What another's delivery came to may be old news.
            if done.own {
                events.push(table::Event::Finished { file, outcome });
            } else if self.process(p).table.holds(&file) {
                events.push(table::Event::EndedElsewhere { file, suspect: false });
            }
        }
        for (file, items) in waiting {
            if !done.own && items.is_empty() && !self.process(p).table.holds(&file) {
                continue;
            }
            self.process(p).waiters.entry(file.clone()).or_default().extend(items);
            moved.push(file);
        }
        events.extend(moved.into_iter().map(|file| match done.own {
            true => table::Event::Returned { file, suspect: false },
            false => table::Event::EndedElsewhere { file, suspect: false },
        }));
        for event in events {
            self.step_table(p, NOW, event);
        }
        if hold {
            self.hold_table(p);
        }
    }

    /// A part of a batch goes on as a batch of its own; answers its files, as far as the table has them in hand.
    fn move_on(
        &mut self,
        p: usize,
        batch: Batch,
        attempt: Option<Attempt>,
        waiting: &mut Leases,
    ) -> Vec<FileId> {
        let files = batch.manifest.entries.iter().map(|entry| entry.file.clone());
        let taken = files.map(|file| (file.clone(), waiting.remove(&file).unwrap_or_default()));
        let leases: Leases = taken.collect();
        let in_hand = leases.keys().filter(|file| self.process(p).table.holds(file)).cloned().collect();
        let last_attempt = attempt.map(|attempt| (attempt, AttemptOutcome::Open));
        self.resume_delivery(p, BatchRecord { batch, state: BatchState::Open, last_attempt }, leases);
        in_hand
    }

    /// The table waits for a person: its files go back.
    fn hold_table(&mut self, p: usize) {
        self.ledger.table_held = true;
        let process = self.process(p);
        (process.runs, process.wish, process.table) = (false, Some(true), Table::new(bounds()));
        let deliveries = std::mem::take(&mut process.deliveries).into_iter().flat_map(|one| one.leases);
        let back: BTreeSet<_> = std::mem::take(&mut process.waiters)
            .into_iter()
            .chain(deliveries)
            .flat_map(|(_, items)| items)
            .collect();
        for item in back {
            let back = intake::Event::LeaseAbandoned(item, intake::Abandoned::Innocent);
            self.step_intake(p, NOW, back, None);
        }
    }

    /// A person resumes the table, in process `p`.
    pub fn resume_table(&mut self, p: usize) {
        self.ledger.table_held = false;
        let process = self.process(p);
        (process.runs, process.wish) = (true, Some(false));
        self.step_intake(p, NOW, intake::Event::TableOpened(table_id()), None);
    }

    /// The second half of both, which may fail or come late: the batches are held, or let go.
    pub fn mark_batches(&mut self, p: usize, hold: bool) {
        self.process(p).wish = None;
        let running: BTreeSet<_> =
            self.process(p).deliveries.iter().map(|one| one.delivery.batch().id.clone()).collect();
        for record in self.ledger.open() {
            if (record.state == BatchState::Held) != hold {
                self.ledger.hold(&record.batch.id, hold);
            }
            if !hold && !running.contains(&record.batch.id) {
                self.resume_delivery(p, record, Leases::new());
            }
        }
    }
}

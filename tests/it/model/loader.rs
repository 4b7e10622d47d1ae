//! What the loader does: deliveries begin, hear, and come to their end; the table is held and resumed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use landbridge::domain::batch::{Attempt, Batch};
use landbridge::domain::bisection::{Bisection, Next, Tried};
use landbridge::domain::delivery::{self, Action, Delivery, End, Event as Heard};
use landbridge::domain::file::FileId;
use landbridge::domain::intake;
use landbridge::domain::table::{self, Outcome, Table};
use landbridge::domain::taking_over::Look;
use landbridge::domain::transition::{AttemptOutcome, BatchRecord, BatchState, Home};

use super::process::{InFlight, Leases, Part, Process};
use super::world::World;
use super::{LONG_AGO, NOW, bounds, table_id};

impl World {
    pub fn resume_delivery(&mut self, p: usize, record: BatchRecord, leases: Leases) {
        let record = BatchRecord { state: BatchState::Open, ..record };
        let plan_hash = Arc::clone(&self.process(p).plan_hash);
        self.begin(p, Delivery::resume(record, plan_hash, Duration::ZERO), leases, false);
    }

    pub fn begin(&mut self, p: usize, mut delivery: Delivery, leases: Leases, own: bool) {
        let (_, action) = delivery.step(NOW, Heard::Begun);
        let delivery = delivery.rested();
        self.process(p).deliveries.push(InFlight { delivery, action, leases, own, search: None });
    }

    /// Goes on with a search, or begins one with the first two halves. True when the table is to be held.
    fn search(&mut self, p: usize, search: Option<Bisection<Part>>, tried: Tried<Part>) -> bool {
        let mut search = match (search, &tried) {
            (Some(search), _) => search,
            (None, Tried::Halved(..)) => Bisection::default(),
            (None, Tried::Alone | Tried::Loaded { .. } | Tried::Unknown) => return false,
        };
        match search.step(tried) {
            Next::Try { part: (record, leases), is_suspect, table_takes } => {
                let part = delivery::Part { suspect: is_suspect.then(|| "no".to_owned()), table_takes };
                let plan_hash = Arc::clone(&self.process(p).plan_hash);
                let delivery = Delivery::resume(record, plan_hash, Duration::ZERO).of_part(part);
                self.begin(p, delivery, leases, false);
                self.process(p).deliveries.last_mut().unwrap().search = Some(search);
                false
            }
            Next::Over => false,
        }
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
        let mut tried = Tried::Unknown;
        match end {
            End::Loaded { by_a_job } => {
                ends.extend(waiting.keys().map(|file| (file.clone(), Outcome::Loaded)));
                tried = Tried::Loaded { by_a_job };
            }
            End::Held(_) => {
                ends.extend(waiting.keys().map(|file| (file.clone(), Outcome::Held)));
                hold = true;
            }
            End::Rehomed { homes, hold: reason, refusal } => {
                hold = reason.is_some();
                tried = self.rehomed(p, homes, refusal.is_some(), &mut waiting, &mut ends, &mut moved);
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
        if hold || self.search(p, done.search, tried) {
            self.hold_table(p);
        }
    }

    /// What is final ends, and the batches that have the rest go on, or wait for their turn.
    fn rehomed(
        &mut self,
        p: usize,
        homes: Vec<Home>,
        refused: bool,
        waiting: &mut Leases,
        ends: &mut Vec<(FileId, Outcome)>,
        moved: &mut Vec<FileId>,
    ) -> Tried<Part> {
        let mut parts = Vec::new();
        for home in homes {
            ends.push(match home {
                Home::Batch { batch, attempt } => {
                    let (part, in_hand) = self.move_on(p, batch, attempt, waiting);
                    parts.push(part);
                    moved.extend(in_hand);
                    continue;
                }
                Home::Poison(file, _) => (file, Outcome::Poisoned),
                Home::Vanished(file) => (file, Outcome::Vanished),
                Home::Deferred(file) => (file, Outcome::Deferred),
            });
        }
        match (parts.pop(), parts.pop()) {
            (Some(second), Some(first)) if refused => Tried::Halved(first, second),
            (None, None) if refused => Tried::Alone,
            (second, first) => {
                for (record, leases) in first.into_iter().chain(second) {
                    self.resume_delivery(p, record, leases);
                }
                Tried::Unknown
            }
        }
    }

    /// A part of a batch is to go on as a batch of its own; answers it and its files, as far as the table has them in hand.
    fn move_on(
        &mut self,
        p: usize,
        batch: Batch,
        attempt: Option<Attempt>,
        waiting: &mut Leases,
    ) -> (Part, Vec<FileId>) {
        let files = batch.manifest.entries.iter().map(|entry| entry.file.clone());
        let taken = files.map(|file| (file.clone(), waiting.remove(&file).unwrap_or_default()));
        let leases: Leases = taken.collect();
        let in_hand = leases.keys().filter(|file| self.process(p).table.holds(file)).cloned().collect();
        let last_attempt = attempt.map(|attempt| (attempt, AttemptOutcome::Open));
        let (state, since) = (BatchState::Open, LONG_AGO);
        ((BatchRecord { batch, state, last_attempt, since }, leases), in_hand)
    }

    /// The table waits for a person: its files go back.
    fn hold_table(&mut self, p: usize) {
        self.ledger.table_held = true;
        let process = self.process(p);
        (process.runs, process.wish, process.table) = (false, Some(true), Table::new(bounds()));
        let deliveries = std::mem::take(&mut process.deliveries).into_iter().flat_map(|one| {
            let waiting = one.search.iter().flat_map(|search| search.untried());
            waiting.flat_map(|(_, leases)| leases.clone()).chain(one.leases).collect::<Vec<_>>()
        });
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
        let running: BTreeSet<_> = self.processes[p].iter().flat_map(Process::batches).collect();
        for record in self.ledger.open() {
            if (record.state == BatchState::Held) != hold {
                self.ledger.hold(&record.batch.id, hold);
            }
            let held = record.state == BatchState::Held;
            let left = held || [Look::First, Look::Again].iter().any(|look| self.is_left(p, &record, *look));
            if !hold && left && !running.contains(&record.batch.id) {
                self.resume_delivery(p, record, Leases::new());
            }
        }
    }
}

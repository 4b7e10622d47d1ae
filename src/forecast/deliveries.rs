//! Batches on their way, in a forecast: their machines are the real ones, and nothing they ask for fails but jobs.

use std::time::Duration;

use rand::rngs::SmallRng;

use super::chance::{Drawn, draws};
use super::clockwork::{Arrival, Clockwork, Happening, Running};
use super::warehouse::Job;
use crate::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use crate::domain::delivery::{Action, Delivery, End, Event as Told};
use crate::domain::fault::FaultKind;
use crate::domain::file::FileId;
use crate::domain::ids::AttemptNumber;
use crate::domain::instant::Instant;
use crate::domain::job::{FenceAnswer, JobStatus, Submission};
use crate::domain::planner::{Carrier, Class};
use crate::domain::table::{Event, Outcome as FileOutcome};
use crate::domain::transition::{Claim, Step};

/// A body's upload; the other steps.
const UPLOADING: Duration = Duration::from_millis(800);
const STEPPING: Duration = Duration::from_millis(20);

impl Clockwork<'_> {
    /// Begins deliveries as far as there are slots.
    pub(super) fn begin(&mut self) {
        while self.running.len() < self.scenario.loads_in_flight
            && let Some((lane, files)) = self.waiting.pop()
        {
            let body = files.iter().map(|file| file.size_bytes).sum();
            if !self.room_for_body(body) {
                // Its place is its own: it is the oldest.
                self.waiting.push(Instant::from_micros(i64::MIN), (lane, files));
                return;
            }
            let Some(table) = self.scenario.tables.get(lane) else { continue };
            let rows = |file: &FileId| {
                self.lanes
                    .get(lane)
                    .and_then(|held| held.arrivals.get(file))
                    .map_or(0, |arrival| arrival.rows)
            };
            let entries = files.iter().map(|file| ManifestEntry { file: file.clone(), rows: rows(file) });
            let manifest = Manifest { entries: entries.collect() };
            let destination = Destination {
                project: "p".into(),
                location: "l".into(),
                dataset: "d".into(),
                table: "t".into(),
            };
            let batch = Batch::plan(table.id.clone(), destination, self.now, None, manifest);
            let mut delivery = Delivery::plan(batch, "rules".into(), Duration::from_secs(900));
            let next = delivery.step(self.now, Told::Begun);
            self.numbered += 1;
            let id = self.numbered;
            self.running.insert(id, Running { lane, delivery, job: None, body });
            self.perform(id, next);
        }
    }

    fn perform(&mut self, id: u64, (wait, action): (Duration, Action)) {
        if matches!(action, Action::Submit(_) | Action::Ask(_) | Action::Fence(_)) {
            self.outcome.calls += 1;
        }
        let takes = match action {
            Action::Submit(_) => UPLOADING,
            Action::End(_) => Duration::ZERO,
            Action::Build { .. }
            | Action::Claim(_)
            | Action::Ask(_)
            | Action::CommitStream(_)
            | Action::Fence(_)
            | Action::FailAttempt { .. }
            | Action::Probe
            | Action::Rehome(_)
            | Action::Commit
            | Action::Hold => STEPPING,
        };
        self.later(self.now.plus(wait + takes), Happening::Performed(id, Box::new(action)));
    }

    pub(super) fn performed(&mut self, id: u64, action: Action) {
        let is_out = self.scenario.outage().is_some_and(|outage| outage.contains(&self.now));
        let Some(running) = self.running.get_mut(&id) else { return };
        let told = match action {
            Action::Submit(_) if is_out => {
                Told::SubmitFailed { kind: FaultKind::Unavailable, reason: "it does not answer".to_owned() }
            }
            Action::Ask(_) | Action::CommitStream(_) if is_out => Told::AskFailed,
            Action::Fence(_) if is_out => Told::FenceFailed,
            Action::Build { by_stream } => {
                let table = self.scenario.tables.get(running.lane);
                let streamed = table.is_some_and(|table| table.carrier.streams(true));
                let stream = (by_stream && streamed).then(|| "stream".into());
                if let (Some(planner), Some(_)) = (&mut self.planner, &stream) {
                    planner.stream_made(self.now);
                }
                Told::Built { plan_hash: "rules".into(), commits: None, stream }
            }
            Action::Claim(_) => {
                let files = running.delivery.batch().manifest.entries.iter().map(|entry| entry.file.clone());
                let files: Vec<_> = files.collect();
                self.free(&files);
                Told::Claim(Claim::Won)
            }
            Action::Submit(attempt) if attempt.stream.is_some() => {
                return self.streamed(id, attempt.number);
            }
            Action::Submit(attempt) => {
                let lane = running.lane;
                return self.submitted(id, lane, attempt.number);
            }
            Action::Ask(attempt) if attempt.stream.is_some() => {
                match running.job {
                    // What was refused is in no stream.
                    None => Told::Status(JobStatus::Sealed { rows: 0 }),
                    Some(_) => {
                        let rows = running.delivery.batch().manifest.rows();
                        Told::Status(JobStatus::Sealed { rows })
                    }
                }
            }
            Action::CommitStream(_) => Told::Status(JobStatus::Committed),
            Action::Ask(_) => Told::Status(match running.job {
                Some((done, _)) if done > self.now => JobStatus::Running,
                Some((_, true)) => {
                    JobStatus::Failed { kind: FaultKind::Unavailable, reason: "backendError".to_owned() }
                }
                Some((_, false)) => {
                    let batch = running.delivery.batch();
                    let (rows, batch) = (batch.manifest.rows(), Some(batch.id.clone()));
                    JobStatus::Succeeded { rows, batch, destination_matches: true }
                }
                None => JobStatus::NotFound,
            }),
            Action::Fence(_) => Told::Fence(FenceAnswer::Accepted),
            Action::FailAttempt { .. } | Action::Commit | Action::Hold | Action::Rehome(_) => {
                Told::Step(Step::Done)
            }
            Action::Probe => Told::ProbeFailed { refused: None },
            Action::End(end) => return self.ended(id, &end),
        };
        let Some(running) = self.running.get_mut(&id) else { return };
        let next = running.delivery.step(self.now, told);
        self.perform(id, next);
    }

    /// What is drawn for an attempt of a batch on its way.
    fn chance_of(&self, id: u64, number: AttemptNumber) -> SmallRng {
        let first_file = self.running.get(&id).and_then(|running| {
            let file = &running.delivery.batch().manifest.entries.first()?.file;
            Some((running.lane, self.lanes.get(running.lane)?.arrivals.get(file)?.number))
        });
        let (table, first_file) = first_file.unwrap_or_default();
        draws(self.scenario.seed, Drawn::Job { table, first_file, attempt: number.0 })
    }

    /// Its rows are appended; that they are there is told when the stream is committed.
    fn streamed(&mut self, id: u64, number: AttemptNumber) {
        let mut chance = self.chance_of(id, number);
        let takes = self.warehouse.stream(self.now, &mut chance);
        self.outcome.streams += 1;
        let Some(running) = self.running.get_mut(&id) else { return };
        let (told, takes) = match takes {
            Some(takes) => {
                running.job = Some((self.now.plus(takes), false));
                (Told::Submitted(Submission::Accepted), takes)
            }
            None => {
                let reason = "RESOURCE_EXHAUSTED".to_owned();
                (Told::SubmitFailed { kind: FaultKind::Throttled, reason }, Duration::ZERO)
            }
        };
        let (wait, action) = running.delivery.step(self.now, told);
        self.perform(id, (wait + takes, action));
    }

    fn submitted(&mut self, id: u64, lane: usize, number: AttemptNumber) {
        let mut chance = self.chance_of(id, number);
        let job = self.warehouse.submit(lane, self.now, &mut chance);
        self.outcome.jobs += 1;
        if let (Some(planner), Some(table)) = (&mut self.planner, self.scenario.tables.get(lane)) {
            planner.attempted(&table.id, Some(Carrier::LoadJobs), self.now);
            if matches!(job, Job::Refused) {
                planner.refused(self.now);
            }
        }
        let Some(running) = self.running.get_mut(&id) else { return };
        let told = match job {
            Job::Runs { time, fails } => {
                running.job = Some((self.now.plus(time), fails && number == AttemptNumber::FIRST));
                Told::Submitted(Submission::Accepted)
            }
            Job::Refused => {
                Told::SubmitFailed { kind: FaultKind::QuotaExceeded, reason: "quotaExceeded".to_owned() }
            }
        };
        let next = running.delivery.step(self.now, told);
        self.perform(id, next);
    }

    fn ended(&mut self, id: u64, end: &End) {
        let Some(Running { lane, delivery, job, body }) = self.running.remove(&id) else { return };
        self.body_gone(body);
        let loaded = matches!(end, End::Loaded { .. });
        let files = delivery.batch().manifest.entries.iter().map(|entry| &entry.file);
        let arrivals = self.lanes.get(lane).map(|held| &held.arrivals);
        let came = files.filter_map(|file| arrivals?.get(file)).map(|arrival| arrival.at).min();
        let files = delivery.batch().manifest.entries.len();
        self.queues.settled(files, came.unwrap_or(self.now), self.now);
        for entry in &delivery.batch().manifest.entries {
            let file = &entry.file;
            if loaded {
                let there = job.map_or(self.now, |(done, _)| done);
                self.fresh(lane, file, there);
                self.step(lane, Event::Finished { file: file.clone(), outcome: FileOutcome::Loaded });
            } else {
                self.step(lane, Event::Finished { file: file.clone(), outcome: FileOutcome::Deferred });
                if let Some(held) = self.lanes.get_mut(lane) {
                    held.deferred.push_back(file.clone());
                }
                self.later(self.now.plus(Duration::from_secs(60)), Happening::TakeUp(lane));
            }
        }
        self.step(lane, Event::DeliveryEnded);
        self.begin();
    }

    fn fresh(&mut self, lane: usize, file: &FileId, there: Instant) {
        let arrival = self.lanes.get_mut(lane).and_then(|held| held.arrivals.remove(file));
        let (Some(Arrival { at, rows, span, .. }), Some(table)) = (arrival, self.scenario.tables.get(lane))
        else {
            return;
        };
        let (age, rows) = (there.since(at), rows as f64);
        let outcome = &mut self.outcome;
        let trouble = self.scenario.pause_of(&table.id).or_else(|| self.scenario.outage());
        if let Some(trouble) = trouble.filter(|trouble| trouble.contains(&at)) {
            outcome.caught_up = outcome.caught_up.max(Some(there.since(trouble.end)));
        }
        outcome.all.add(age, rows);
        if table.class == Class::Critical {
            outcome.critical.add(age, rows);
        }
        if table.carrier.streams(true) {
            outcome.streamed.add(age, rows);
            outcome.rows_streamed += rows;
        }
        if let Some(own) = outcome.by_table.get_mut(lane) {
            own.add(age, rows);
        }
        for quarter in [0.125, 0.375, 0.625, 0.875] {
            outcome.from_commit.add(age + span.mul_f64(quarter), rows / 4.0);
        }
        self.lately.0 += age.as_secs_f64() * rows;
        self.lately.1 += rows;
    }
}

//! What may happen next.

use landbridge::domain::delivery::Action;
use landbridge::domain::fault::FaultKind;

use super::outside::Job;
use super::world::{How, Move, World};

impl World {
    /// What may happen without anything going wrong.
    pub fn usual_moves(&self, moves: &mut Vec<Move>) {
        for p in 0..self.scenario.processes {
            let Some(process) = &self.processes[p] else {
                moves.push(Move::Start(p));
                continue;
            };
            moves.extend((0..process.deliveries.len()).map(|d| Move::Deliver(p, d, How::Usual)));
            moves.extend(process.wish.map(|hold| Move::MarkBatches(p, hold)));
            let visible = (0..self.queue.len()).filter(|message| self.queue[*message].visible);
            moves.extend(visible.map(|message| Move::Receive(p, message)));
            if process.table.window_files() > 0 {
                moves.push(Move::CloseWindow(p));
            }
            if process.table.waiting() > 0 {
                moves.push(Move::TryAgain(p));
            }
            if !process.to_delete.is_empty() {
                moves.push(Move::Delete(p, How::Usual));
            } else if process.intake.held_messages() > 0 {
                moves.push(Move::AskToDelete(p));
            }
            if process.intake.parked_files() > 0 && !process.runs {
                moves.push(Move::DeferParked(p));
            }
            if process.runs && !self.ledger.deferred().is_empty() {
                moves.push(Move::TakeUp(p));
            }
            if !self.left_to(p).is_empty() {
                moves.push(Move::TakeOver(p));
            }
        }
        for (id, (upload, job)) in &self.warehouse.jobs {
            if *job == Job::Running {
                let refused = upload.rows.iter().any(|(file, _)| self.scenario.is_refused(file));
                let end = if refused { Job::Failed(FaultKind::ContentRefused) } else { Job::Succeeded };
                moves.push(Move::JobEnds(id.clone(), end));
            }
        }
    }

    /// What may go wrong.
    pub fn faults(&self, moves: &mut Vec<Move>) {
        let left = &self.left;
        for p in 0..self.scenario.processes {
            let Some(process) = &self.processes[p] else { continue };
            if left.crashes > 0 {
                moves.push(Move::Crash(p));
            }
            if left.resumes > 0 && self.ledger.table_held && !process.runs {
                moves.push(Move::Resume(p));
            }
            if left.lost > 0 {
                for (d, one) in process.deliveries.iter().enumerate() {
                    let calls = match &one.action {
                        Action::Build { .. } | Action::Probe | Action::Hold | Action::End(_) => &[][..],
                        Action::Ask(attempt) if attempt.stream.is_some() => &[How::Lost, How::NotDone],
                        Action::Ask(_) => &[How::NotDone],
                        Action::Submit(attempt) if attempt.stream.is_some() => {
                            &[How::Lost, How::NotDone, How::Late, How::Part]
                        }
                        Action::CommitStream(_) => &[How::Lost, How::NotDone],
                        Action::Submit(_) => &[How::Lost, How::NotDone, How::Late],
                        Action::Claim(_)
                        | Action::Fence(_)
                        | Action::FailAttempt { .. }
                        | Action::Rehome(_)
                        | Action::Commit => &[How::Lost, How::NotDone],
                    };
                    moves.extend(calls.iter().map(|how| Move::Deliver(p, d, *how)));
                }
                if !process.to_delete.is_empty() {
                    moves.extend([How::Lost, How::NotDone].map(|how| Move::Delete(p, how)));
                }
            }
            for (d, one) in process.deliveries.iter().enumerate() {
                if left.refusals > 0 && matches!(one.action, Action::Submit(_)) {
                    let kinds = [FaultKind::AccessDenied, FaultKind::ContentRefused];
                    moves.extend(kinds.map(|kind| Move::Deliver(p, d, How::Refused(kind))));
                }
            }
        }
        for (id, (_, job)) in &self.warehouse.jobs {
            if *job == Job::Running && left.job_failures > 0 {
                let kinds = [FaultKind::Unavailable, FaultKind::QuotaExceeded];
                moves.extend(kinds.map(|kind| Move::JobEnds(id.clone(), Job::Failed(kind))));
            }
        }
        moves.extend(self.warehouse.late.iter().cloned().map(Move::Land));
        moves.extend(self.warehouse.late_rows.iter().cloned().map(|(name, rows)| Move::LandRows(name, rows)));
        if left.foreign > 0 {
            let open = self.ledger.batches.values().flat_map(|row| row.attempts.last());
            let free = open.filter(|(id, _)| !self.warehouse.jobs.contains_key(id));
            moves.extend(free.map(|(id, _)| Move::Foreign(id.clone())));
        }
        if left.redeliveries > 0 {
            let hidden = (0..self.queue.len()).filter(|message| !self.queue[*message].visible);
            moves.extend(hidden.map(Move::Expire));
        }
        if left.vanishing > 0 {
            moves.extend(self.bucket.keys().cloned().map(Move::Vanish));
        }
        if left.overwriting > 0 {
            moves.extend(self.bucket.keys().cloned().map(Move::Overwrite));
        }
        if !self.owed.is_empty() {
            moves.push(Move::CommitOwed);
        }
    }
}

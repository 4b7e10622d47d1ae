//! Waiting for one's turn to call a service whose rate is limited.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::pulse;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::rate::{Rate, Turns};
use crate::telemetry::events;

/// Who would wait longer is told that it is too much, as the service itself would tell.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pace of calls of one kind, shared by whoever makes them.
#[derive(Debug)]
pub struct Pace {
    call: &'static str,
    begun: Instant,
    turns: Mutex<Turns>,
}

impl Pace {
    /// Calls of the kind `call`, as metrics name it, at this rate.
    pub fn new(call: &'static str, rate: Rate) -> Self {
        Self { call, begun: Instant::now(), turns: Mutex::new(Turns::new(rate)) }
    }

    /// Waits for the next turn, for a minute at most: `Throttled` where it would be longer.
    pub async fn turn(&self) -> Result<(), Fault> {
        let now = self.begun.elapsed();
        let wait = self.turns.lock().unwrap_or_else(PoisonError::into_inner).take(now, PATIENCE);
        let Some(wait) = wait else {
            let seconds = PATIENCE.as_secs();
            let text = format!("more than {seconds} s of calls ({}) wait for their turn already", self.call);
            return Err(Fault::new(FaultKind::Throttled, text));
        };
        if !wait.is_zero() {
            pulse::waiting("its turn to call the warehouse", tokio::time::sleep(wait)).await;
            events::CallWaited { call: self.call, waited: wait }.emit();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_wait_for_their_turn_and_are_refused_when_it_is_far() {
        let pace = Pace::new("rest", Rate { per_second: 2, burst: 2 });
        let begun = Instant::now();
        for _ in 0..6 {
            pace.turn().await.unwrap();
        }
        assert_eq!(begun.elapsed().as_secs(), 2);
        let pace = std::sync::Arc::new(Pace::new("rest", Rate { per_second: 1, burst: 1 }));
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..62 {
            let pace = std::sync::Arc::clone(&pace);
            waiting.spawn(async move { pace.turn().await });
        }
        let answers = waiting.join_all().await;
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
        assert_eq!(refused.map(|fault| fault.kind).collect::<Vec<_>>(), [FaultKind::Throttled]);
    }
}

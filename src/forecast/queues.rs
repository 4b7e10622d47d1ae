//! How often SQS is asked, in a forecast: a queue a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::instant::Instant;

/// A long poll that brings nothing takes so long.
const LONG_POLL: Duration = Duration::from_secs(20);
/// From the end of a long poll that brought something to the next one's begin (`queue::sqs`): what comes in it is brought together.
const BETWEEN: Duration = Duration::from_millis(500);
/// Messages that one call takes.
const MESSAGES: u64 = 10;
/// A message that is held for so long is hidden for longer.
const EXTENDED_AFTER: Duration = Duration::from_secs(60);

/// The queues.
#[derive(Debug, Default)]
pub(super) struct Queues {
    by_cluster: BTreeMap<Arc<str>, Poll>,
    pub(super) receives: u64,
    pub(super) deletes: u64,
}

#[derive(Debug)]
struct Poll {
    /// The latest long poll that brought something ended, or the next one will.
    ended_at: Instant,
    messages: u64,
}

impl Queues {
    /// Queues of these clusters, all of them silent and full, so that the first message has a poll of its own.
    pub(super) fn new(clusters: impl IntoIterator<Item = Arc<str>>, now: Instant) -> Self {
        let by_cluster =
            clusters.into_iter().map(|cluster| (cluster, Poll { ended_at: now, messages: MESSAGES }));
        Self { by_cluster: by_cluster.collect(), ..Self::default() }
    }

    /// A file is announced: the poll that is under way ends with it, or the next one brings it along with others.
    pub(super) fn announced(&mut self, cluster: &str, now: Instant) {
        let Some(poll) = self.by_cluster.get_mut(cluster) else { return };
        if now <= poll.ended_at && poll.messages < MESSAGES {
            poll.messages += 1;
            return;
        }
        let begun = poll.ended_at.plus(BETWEEN);
        self.receives += 1 + empty(now.since(begun));
        *poll = Poll { ended_at: now.max(begun), messages: 1 };
    }

    /// So many files of one batch are final, of which the oldest came then.
    pub(super) fn settled(&mut self, files: usize, came: Instant, now: Instant) {
        let calls = (files as u64).div_ceil(MESSAGES);
        let extensions = u64::try_from(now.since(came).as_micros() / EXTENDED_AFTER.as_micros()).unwrap_or(0);
        self.deletes += calls.saturating_mul(1 + extensions);
    }

    /// Polls until the end.
    pub(super) fn concluded(&self, now: Instant) -> u64 {
        self.receives + self.by_cluster.values().map(|poll| empty(now.since(poll.ended_at))).sum::<u64>()
    }
}

/// Long polls within a silence.
fn empty(silent: Duration) -> u64 {
    u64::try_from(silent.as_micros() / LONG_POLL.as_micros()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_ends_with_a_message_or_after_twenty_seconds() {
        let at = |millis: u64| Instant::from_micros(0).plus(Duration::from_millis(millis));
        let mut queues = Queues::new(["a".into(), "b".into()], at(0));
        // The first ends a poll, and the others come with the next one.
        queues.announced("a", at(700));
        queues.announced("a", at(800));
        queues.announced("a", at(1_100));
        assert_eq!(queues.receives, 2);
        queues.announced("a", at(62_000));
        assert_eq!(queues.receives, 2 + 1 + 3);
        (0..12).for_each(|_| queues.announced("a", at(62_000)));
        assert_eq!(queues.receives, 6 + 1, "nine more with the first one");
        assert_eq!(queues.concluded(at(102_500)), 7 + 2 + 5);
        queues.settled(11, at(0), at(130_000));
        assert_eq!(queues.deletes, 2 * 3);
    }
}

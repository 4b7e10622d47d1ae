//! The mark of a table whose files come by a queue, with a backlog or without, and with lost answers.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::drain::{Drain, Receive, known_until};
use crate::domain::fault::FaultKind;

const WAIT: Duration = Duration::from_secs(20);
const VISIBILITY: Duration = Duration::from_secs(120);

const fn at(seconds: i64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

/// Where an announced file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Queue,
    /// An answer with it was lost, or its process ended; until it comes again.
    Hidden(i64),
    Hand,
    Loaded,
}

/// A file a second at most, each written when it is announced; a change in it is committed the second before.
#[derive(Debug, Default)]
struct World {
    now: i64,
    files: Vec<(i64, Place)>,
    drain: Drain,
    since: i64,
    frontier: Frontier,
    mark: Option<Instant>,
    /// A cap that is forgotten, on purpose.
    blind: bool,
}

impl World {
    fn wait(&mut self, seconds: i64) {
        self.now += seconds;
        for (_, place) in &mut self.files {
            if matches!(place, Place::Hidden(until) if *until <= self.now) {
                *place = Place::Queue;
            }
        }
    }

    /// Up to ten, whichever SQS pleases. A poll that finds none waits for the first that comes again; of the last second of its wait it
    /// may miss what comes.
    fn receive(&mut self, pick: usize, lost: bool) {
        let began = self.now;
        if !lost && self.files.iter().all(|(_, place)| *place != Place::Queue) {
            let again = self.files.iter().filter_map(|(_, place)| match place {
                Place::Hidden(until) => Some(*until),
                Place::Queue | Place::Hand | Place::Loaded => None,
            });
            if let Some(first) = again.min().filter(|first| *first < began + 19) {
                self.wait(first - began);
            }
        }
        let mut waiting: Vec<usize> =
            (0..self.files.len()).filter(|file| self.files[*file].1 == Place::Queue).collect();
        let mut brought = Vec::new();
        while brought.len() < 10 && !waiting.is_empty() {
            brought.push(waiting.swap_remove(pick % waiting.len()));
        }
        if lost {
            brought.iter().for_each(|file| self.files[*file].1 = Place::Hidden(self.now + 120));
            self.drain.failed(at(self.now), WAIT, VISIBILITY, FaultKind::Unavailable);
            return;
        }
        if brought.is_empty() {
            self.wait(20);
        }
        let sent: Vec<_> = brought.iter().map(|file| at(self.files[*file].0)).collect();
        brought.iter().for_each(|file| self.files[*file].1 = Place::Hand);
        self.drain.received(Receive {
            began: at(began),
            ended: at(self.now),
            wait: WAIT,
            asked: 10,
            brought: sent.len(),
            sent: sent.iter().min().copied().zip(sent.iter().max().copied()),
        });
    }

    fn restart(&mut self) {
        let again = self.now + 120;
        let held = self.files.iter_mut().filter(|(_, place)| *place == Place::Hand);
        held.for_each(|(_, place)| *place = Place::Hidden(again));
        (self.drain, self.since, self.frontier) = (Drain::default(), self.now, Frontier::default());
    }

    fn load(&mut self, pick: usize) {
        let held: Vec<usize> =
            (0..self.files.len()).filter(|file| self.files[*file].1 == Place::Hand).collect();
        if !held.is_empty() {
            let (written, place) = &mut self.files[held[pick % held.len()]];
            *place = Place::Loaded;
            self.frontier.loaded(Reached::of(at(*written), at(*written - 1)));
        }
    }

    fn look(&mut self) {
        let in_hand = self.files.iter().filter(|(_, place)| *place == Place::Hand).map(|(at, _)| *at).min();
        let drained = known_until(self.drain.drained(), at(self.since), VISIBILITY, self.since == 0);
        let known = Known {
            watermark: self.mark,
            in_hand: in_hand.map(at),
            in_queue: (!self.blind).then_some(drained.unwrap_or(UNTOLD)),
            ..Known::default()
        };
        self.mark = known.mark(&self.frontier);
    }

    /// The oldest file that is announced and not loaded.
    fn oldest_missing(&self) -> Option<i64> {
        self.files.iter().filter(|(_, place)| *place != Place::Loaded).map(|(at, _)| *at).min()
    }

    fn step(&mut self, op: u8, pick: usize) {
        match op {
            0..=4 => {
                self.wait(1);
                self.files.push((self.now, Place::Queue));
            }
            5 => {
                // A burst, while nothing is received.
                (0..15).for_each(|_| self.step(0, pick));
            }
            6..=9 => self.receive(pick, false),
            10 => self.receive(pick, true),
            11 => self.restart(),
            12 => self.wait(150),
            _ => self.load(pick),
        }
    }
}

proptest! {
    /// Whatever SQS gives first, whichever answers are lost, and however often the process begins anew: when the mark rises, no file
    /// that was announced and holds something older is missing. Once all is loaded and the queue was seen empty, the mark has all.
    #[test]
    fn a_mark_never_passes_what_is_announced(
        steps in proptest::collection::vec((0..20_u8, any::<usize>()), 1..250),
    ) {
        let mut world = World { now: 1_000, ..World::default() };
        for (op, pick) in &steps {
            world.step(*op, *pick);
            let before = world.mark;
            world.look();
            if let (Some(missing), true) = (world.oldest_missing(), world.mark > before) {
                prop_assert!(world.mark < Some(at(missing)), "{world:?}");
            }
        }
        world.wait(300);
        let pick = steps[0].1;
        (0..=world.files.len()).for_each(|_| world.receive(pick, false));
        (0..world.files.len()).for_each(|_| world.load(pick));
        world.files.push((world.now, Place::Queue));
        (0..3).for_each(|_| world.receive(pick, false));
        world.load(pick);
        world.look();
        let last = world.files.iter().map(|(written, _)| at(*written - 1)).max();
        prop_assert_eq!(world.mark, last);
    }
}

/// Under traffic that never ceases a table's mark is a few seconds old.
#[test]
fn steady_traffic_has_a_mark_of_seconds() {
    let (mut world, pick) = (World { now: 1_000, ..World::default() }, 0);
    for _ in 0..500 {
        world.step(0, pick);
        world.receive(pick, false);
        if world.files.len() > 3 {
            world.load(pick);
        }
        world.look();
    }
    assert!(world.mark >= Some(at(world.now - 6)), "{:?} at {}", world.mark, world.now);
}

#[test]
fn without_the_queue_a_mark_passes_a_backlog() {
    let mark = |blind| {
        let (mut world, pick) = (World { now: 1_000, blind, ..World::default() }, 0);
        (0..2).for_each(|_| world.step(5, pick));
        world.receive(pick, false);
        (0..10).for_each(|_| world.load(pick));
        world.look();
        world.mark
    };
    assert_eq!(mark(false), None);
    assert!(mark(true).is_some());
}

use proptest::prelude::*;

use super::*;
use crate::domain::batch::{Destination, Manifest};
use crate::domain::summary::EventSpan;

const fn at(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Written, and not announced.
    Bucket,
    Hand,
    Claimed,
    Loaded,
    Deferred,
    Poison,
    Discarded,
    Vanished,
}

impl Place {
    fn is_missing(self) -> bool {
        match self {
            Self::Hand | Self::Claimed | Self::Deferred | Self::Poison => true,
            Self::Bucket | Self::Loaded | Self::Discarded | Self::Vanished => false,
        }
    }
}

/// One table: the files of DMS, in the order of their commits.
#[derive(Debug)]
struct World {
    files: Vec<Place>,
    frontier: Frontier,
    /// As the ledger has them.
    mark: Option<Instant>,
    loaded: Option<Reached>,
    /// Whether the frontier is whole: no restart has lost any of it.
    whole: bool,
}

/// The changes of file `index` are committed in these minutes, and the file is written after the last of them.
fn first_commit(index: usize) -> Instant {
    at(1_000 + index as i64 * 100)
}

fn last_commit(index: usize) -> Instant {
    at(1_000 + index as i64 * 100 + 99)
}

fn event(index: usize) -> Instant {
    // The next file is written before this one is announced, perhaps, but not before it is written.
    at(1_150 + index as i64 * 100)
}

impl World {
    fn new(files: usize) -> Self {
        Self {
            files: vec![Place::Bucket; files],
            frontier: Frontier::default(),
            mark: None,
            loaded: None,
            whole: true,
        }
    }

    fn step(&mut self, op: u8, index: usize) {
        use Place::*;
        let place = self.files[index];
        let next = match (op % 8, place) {
            (0, Bucket) => Hand,
            (1, Hand | Deferred) => Claimed,
            (2, Claimed) => Loaded,
            (3, Hand | Claimed) => Deferred,
            (4, Hand | Claimed) => Poison,
            (5, Poison) => Discarded,
            (5, Hand) => Vanished,
            // Redriven.
            (6, Poison | Discarded) => Deferred,
            (7, _) => {
                // A restart: what is in hand is announced again some day, and the memory is gone.
                self.files.iter_mut().filter(|place| **place == Hand).for_each(|place| *place = Bucket);
                self.frontier = Frontier::default();
                self.whole = false;
                return;
            }
            (_, place) => place,
        };
        self.files[index] = next;
        if next == Loaded && place != Loaded {
            let file = Reached::of(event(index), last_commit(index));
            self.frontier.loaded(file);
            self.loaded = Some(self.loaded.map_or(file, |known| joined(known, file)));
        }
    }

    fn oldest(&self, places: &[Place]) -> Option<Instant> {
        let found = self.files.iter().position(|place| places.contains(place));
        found.map(event)
    }

    fn look(&mut self) -> Option<Instant> {
        let known = Known {
            watermark: self.mark,
            loaded: self.loaded,
            in_ledger: self.oldest(&[Place::Claimed, Place::Deferred, Place::Poison]),
            in_hand: self.oldest(&[Place::Hand]),
            in_other_hands: None,
            in_queue: None,
        };
        self.mark = known.mark(&self.frontier);
        self.mark.iter().for_each(|mark| self.frontier.passed(*mark));
        self.mark
    }

    /// By looking at every file.
    fn naive(&self) -> Option<Instant> {
        let missing = self.files.iter().position(|place| place.is_missing()).unwrap_or(self.files.len());
        (0..missing).filter(|index| self.files[*index] == Place::Loaded).map(last_commit).max()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// In any order of announcements, loads, deferrals, poisonings, redrives and restarts, the mark never goes back, vouches for
    /// nothing that is missing when it rises, and is what a look at every file says, or earlier where memory was lost.
    #[test]
    fn the_mark_is_what_a_look_at_every_file_says(
        steps in proptest::collection::vec((0..200_u8, 0..12_usize), 1..160),
        restarts in any::<bool>(),
    ) {
        let mut world = World::new(12);
        let mut best = None;
        for (op, index) in steps {
            // One in 25 is a restart, in half of the worlds.
            let op = if op % 8 == 7 && (!restarts || op >= 64) { op / 8 % 7 } else { op };
            world.step(op, index);
            let before = world.mark;
            let mark = world.look();
            best = best.max(world.naive());
            prop_assert!(mark >= before, "{before:?} {mark:?}");
            if mark > before {
                for (index, place) in world.files.iter().enumerate() {
                    let complete = !place.is_missing() || Some(first_commit(index)) >= mark;
                    prop_assert!(complete, "{mark:?} {index} {:?}", world.files);
                }
            }
            prop_assert!(mark <= best, "{mark:?} {best:?} {:?}", world.files);
            if world.whole {
                prop_assert_eq!(mark, best);
            }
            if !world.files.iter().any(|place| place.is_missing()) {
                prop_assert_eq!(mark, best, "nothing stands in the way: {:?}", world.files);
            }
        }
    }

    /// However many files are ahead, the memory is bounded, and nothing is vouched for before its turn.
    #[test]
    fn a_frontier_is_bounded_and_never_early(
        files in proptest::collection::vec(0..5_000_i64, 1..1_500),
        barrier in 0..5_000_i64,
    ) {
        let mut frontier = Frontier::default();
        for file in &files {
            frontier.loaded(Reached::of(at(*file), at(*file - 1)));
            prop_assert!(frontier.len() <= AHEAD_MAX);
        }
        let vouched = frontier.vouched(Some(at(barrier)));
        let all = files.iter().filter(|file| **file < barrier).max().map(|file| at(*file - 1));
        prop_assert!(vouched <= all);
        prop_assert_eq!(frontier.vouched(None), files.iter().max().map(|file| at(*file - 1)));
    }
}

#[test]
fn poison_holds_the_mark_until_it_is_loaded_or_given_up() {
    for ending in [[6, 1, 2].as_slice(), &[5]] {
        let mut world = World::new(3);
        for (op, index) in [(0, 0), (0, 2), (0, 1), (1, 0), (1, 2), (4, 1), (2, 2), (2, 0)] {
            world.step(op, index);
        }
        assert_eq!(world.look(), Some(last_commit(0)));
        ending.iter().for_each(|op| world.step(*op, 1));
        assert_eq!(world.look(), Some(last_commit(2)));
    }
}

#[test]
fn without_commit_times_there_is_no_mark_and_another_process_makes_it_late() {
    let known = Known { in_hand: Some(at(5)), ..Known::default() };
    assert_eq!(known.mark(&Frontier::default()), None);
    let loaded = Some(Reached::of(at(100), at(90)));
    let known = Known { loaded, in_other_hands: Some(at(100)), ..Known::default() };
    assert_eq!(known.mark(&Frontier::default()), None);
    let known = Known { in_other_hands: Some(at(101)), ..known };
    assert_eq!(known.mark(&Frontier::default()), Some(at(90)));
}

#[test]
fn what_another_process_has_in_hand_or_may_have_stands_in_the_way() {
    let (one, two) = (TableId::new("a", "s", "t"), TableId::new("a", "s", "u"));
    let transit = Duration::from_micros(10);
    let of =
        |others: &[Hands], table| in_other_hands(others, table, at(100), transit, (None, Duration::ZERO));
    assert_eq!(of(&[], &one), at(90), "one that has not spoken yet");
    let said = |drained: &[(&str, Option<i64>)], oldest: &[(&TableId, i64)]| Hands {
        oldest: oldest.iter().map(|(table, event)| ((*table).clone(), at(*event))).collect(),
        drained: Some(drained.iter().map(|(cluster, micros)| ((*cluster).into(), micros.map(at))).collect()),
        ..Hands::default()
    };
    let others = [said(&[("a", Some(98))], &[(&one, 70), (&two, 85)]), said(&[("a", Some(95))], &[])];
    assert_eq!((of(&others, &one), of(&others, &two)), (at(70), at(85)));
    assert_eq!(of(&others[1..], &one), at(85), "since it spoke it may have received more");
    assert_eq!(of(&[said(&[("b", None)], &[])], &one), at(90), "it does not receive of this cluster");
    assert_eq!(of(&[said(&[("a", None)], &[])], &one), UNTOLD, "it has not seen the queue drained");
    let earlier: Hands = serde_json::from_str(r#"{"process":"x","at":99,"oldest":[]}"#).unwrap();
    assert_eq!(of(&[earlier], &one), UNTOLD, "an earlier version does not look at it");
}

#[test]
fn who_is_silent_holds_nothing_once_it_was_announced_again_and_received() {
    let (seconds, hidden) = (|seconds: i64| at(seconds * 1_000_000), Duration::from_secs(120));
    let one = TableId::new("a", "s", "t");
    let silent = Hands {
        at: seconds(1_000),
        oldest: vec![(one.clone(), seconds(900))],
        drained: Some(Vec::new()),
        hides_for_seconds: 30,
        ..Hands::default()
    };
    let of = |silent: &Hands, drained: Option<i64>| {
        let drained = (drained.map(seconds), hidden);
        in_other_hands(std::slice::from_ref(silent), &one, seconds(9_000), Duration::ZERO, drained)
    };
    // 120 s hidden, and 180 s of silence.
    for (drained, from) in [(None, 900), (Some(1_300), 900), (Some(1_301), 9_000)] {
        assert_eq!(of(&silent, drained), seconds(from), "{drained:?}");
    }
    // It hides what it has for longer than this process does.
    let hours = Hands { hides_for_seconds: 3_600, ..silent };
    assert_eq!(of(&hours, Some(4_780)), seconds(900));
    assert_eq!(of(&hours, Some(4_781)), seconds(9_000));
    assert_eq!(over_before(&[], seconds(4_781), hidden), seconds(4_481));
    assert_eq!(over_before(&[hours], seconds(4_781), hidden), seconds(1_001));
}

#[test]
fn a_mark_waits_for_the_oldest_thing_that_may_be_missing() {
    let known = Known {
        loaded: Some(Reached::of(at(50), at(40))),
        in_ledger: Some(at(60)),
        in_queue: Some(at(50)),
        ..Known::default()
    };
    assert_eq!((known.behind(), known.mark(&Frontier::default())), (Some((at(50), Behind::Queue)), None));
    let minutes = |minutes: i64| at(minutes * 60_000_000);
    assert_eq!(Behind::Queue.told(minutes(9), minutes(9)), None, "as usual");
    let told = Behind::Queue.told(minutes(9), minutes(10));
    assert_eq!(told.as_deref(), Some("queue not drained since 1970-01-01T00:09:00.000Z"));
    assert!(Behind::Queue.told(UNTOLD, minutes(10)).is_some_and(|told| told.contains("since the start")));
    let known = Known { in_queue: Some(at(61)), ..known };
    assert_eq!(known.behind(), Some((at(60), Behind::Ledger)));
    assert_eq!(known.mark(&Frontier::default()), Some(at(40)));
    assert_eq!(Known { in_queue: Some(UNTOLD), ..known }.mark(&Frontier::default()), None);
}

#[test]
fn nothing_is_committed_after_its_file_was_written() {
    assert_eq!(Reached::of(at(7), at(i64::MAX)).commit, at(7));
}

#[test]
fn a_batch_stands_in_the_way_from_its_oldest_change_on() {
    let table = TableId::new("a", "s", "t");
    let file = |key: &str| FileId {
        table: table.clone(),
        bucket: "b".into(),
        key: key.into(),
        etag: "e".into(),
        size_bytes: 1,
    };
    let change = |number| format!("s/t/20240809-19271778{number}.parquet");
    let of = |keys: &[&str], events: &[i64]| {
        let entries = keys.iter().map(|key| ManifestEntry { file: file(key), rows: 1 });
        let manifest = Manifest { entries: entries.collect() };
        let mut batch = Batch::plan(table.clone(), Destination::default(), at(900), None, manifest);
        batch.events = EventSpan::of(events.iter().copied().map(at));
        batch
    };
    let (one, two, load) = (change(1), change(2), "s/t/LOAD00000001.parquet");
    assert_eq!(blocks_from(&of(&[&one, load], &[5, 9]), |_| None), Some(at(5)));
    assert_eq!(blocks_from(&of(&[load], &[5]), |_| None), None, "a full load has no commit times");
    assert_eq!(blocks_from(&of(&[&one], &[]), |_| None), Some(UNTOLD));
    // Deferred before: the ledger knows the one's event, of the other nobody does.
    let deferred = |told: Option<i64>| {
        let (two, told) = (file(&two), told.map(at));
        move |file: &FileId| (*file == two).then_some(told)
    };
    assert_eq!(blocks_from(&of(&[&one, &two], &[5]), deferred(Some(3))), Some(at(3)));
    assert_eq!(blocks_from(&of(&[&two], &[]), deferred(Some(3))), Some(at(3)));
    assert_eq!(blocks_from(&of(&[&one, &two], &[5]), deferred(None)), Some(UNTOLD));
    // What nobody knows of one is not known of those that came out of its batch.
    let of_both = |from: i64| of(&[&one, &two, load], &[5]).blocking_from(Some(at(from)));
    let half = of(&[&one], &[]).part_of(&of_both(0));
    assert_eq!(blocks_from(&half, |_| None), Some(UNTOLD));
    assert_eq!((of_both(0).blocks_from, of_both(5).blocks_from), (Some(UNTOLD), None));
    assert_eq!(blocks_from(&of(&[load], &[]).part_of(&of_both(0)), |_| None), None);
    let event = |from, key: &str| handed_down(&of_both(from), &file(key));
    assert_eq!((event(0, &one), event(3, &one), event(9, &one)), (None, Some(at(3)), Some(at(5))));
    assert_eq!(event(0, load), Some(at(5)));
    assert_eq!(handed_down(&of(&[&one], &[]), &file(&one)), None);
    assert!(is_change(&file("any/name.parquet")) && !is_change(&file("s/t/SEGMENT1_LOAD0000000A.parquet")));
}

//! What a seed has planned: files and when they come, what becomes of them, outages, and the ends of processes.

use std::sync::Arc;
use std::time::Duration;

use landbridge::domain::clock::Clock;
use landbridge::domain::fault::FaultKind;
use landbridge::domain::instant::Instant;

use super::bucket::{Fate, Store, Wanted};
use super::chance::Chance;
use super::files::{Columns, ROWS_MAX};
use super::kinds::Kind;
use super::process::{Edge, Outage};
use super::time::Wall;
use super::warehouse::Refusal;

/// The tables that are mapped.
pub const TABLES: [&str; 5] = ["bets", "games", "players", "rounds", "wallets"];
/// A table that no mapping names.
const UNMAPPED: &str = "unnamed";
/// Files of a seed, at least.
pub const FILES_MIN: usize = 200;

/// Something that happens in the world.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A version is put into the bucket.
    Put(usize, Option<Kind>),
    /// It is removed.
    Remove(usize, Kind),
    /// One message announces these versions.
    Announce(Vec<usize>),
    /// The very version is put again, and announced.
    Restore(usize),
    /// A message that is no notification.
    Garbage,
    /// A message that announces nothing of ours.
    NotOurs,
    Pause(usize),
    Resume(usize),
}

/// How a process ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// It dies at one of its calls, after that many.
    Crash(u64, Kind),
    /// It is asked to end after that time.
    Drain(Duration),
}

/// The plan.
pub struct Plan {
    /// Sorted by time.
    pub deeds: Vec<(Instant, Deed)>,
    pub outages: Arc<[Outage]>,
    pub refusals: Arc<[Refusal]>,
    pub endings: Vec<Ending>,
    /// Every notification comes three times.
    pub thrice: bool,
}

/// Draws the plan of a seed, and makes its files.
pub fn draw(chance: &Chance, wall: &Wall, store: &Store) -> Plan {
    let span = Duration::from_secs(chance.between(300..900));
    let mut draft = Draft { chance, store, beginning: wall.now(), span, deeds: Vec::new() };
    let files = FILES_MIN + chance.index(40);
    for number in 0..files {
        draft.file(number);
    }
    draft.others();
    let (outages, refusals) = (draft.outages(), draft.refusals());
    let mut deeds = draft.deeds;
    deeds.sort_by_key(|(at, _)| *at);
    let mut endings: Vec<_> = (0..chance.between(3..6))
        .map(|_| {
            // Each order of magnitude as likely as another: soon after the start, or far into it.
            let calls = chance.duration(Duration::from_millis(3), Duration::from_millis(700)).as_millis();
            let kind = chance.pick(&[Kind::CrashBefore, Kind::CrashAfter]);
            Ending::Crash(u64::try_from(calls).unwrap(), kind)
        })
        .collect();
    if chance.draws(Kind::Drained, 2_500) {
        let after = Duration::from_secs(chance.between(5..120));
        endings.insert(chance.index(endings.len()), Ending::Drain(after));
    }
    let thrice = chance.draws(Kind::AnnouncedThrice, 2_000);
    Plan { deeds, outages: outages.into(), refusals: refusals.into(), endings, thrice }
}

struct Draft<'a> {
    chance: &'a Chance,
    store: &'a Store,
    beginning: Instant,
    span: Duration,
    deeds: Vec<(Instant, Deed)>,
}

impl Draft<'_> {
    fn moment(&self) -> Instant {
        let millis = u64::try_from(self.span.as_millis()).unwrap();
        self.beginning.plus(Duration::from_millis(self.chance.between(0..millis)))
    }

    fn soon(&self, from_millis: u64, to_seconds: u64) -> Duration {
        self.chance.duration(Duration::from_millis(from_millis), Duration::from_secs(to_seconds))
    }

    /// What the seed makes of a file, and the kind that counts it.
    fn fate(&self) -> (Fate, Option<Kind>) {
        let fates = [
            (Fate::Marked, Kind::JobContentRefused, 80),
            (Fate::Footer, Kind::PoisonFooter, 60),
            (Fate::Pages, Kind::PoisonPages, 60),
            (Fate::Type, Kind::PoisonType, 40),
            (Fate::Panic, Kind::PoisonPanic, 40),
            (Fate::Empty, Kind::Empty, 40),
            (Fate::Copied, Kind::Copied, 40),
            (Fate::Unmapped, Kind::Unmapped, 60),
        ];
        for (fate, kind, chance) in fates {
            if self.chance.draws(kind, chance) {
                // A marked file is counted when it is refused.
                return (fate, (fate != Fate::Marked).then_some(kind));
            }
        }
        (Fate::Good, None)
    }

    fn file(&mut self, number: usize) {
        let chance = self.chance;
        let (fate, kind) = self.fate();
        let table = if fate == Fate::Unmapped { UNMAPPED } else { chance.pick(&TABLES) };
        let other = fate == Fate::Good && chance.draws(Kind::OtherColumns, 150);
        let (columns, kind) =
            if other { (Columns::Number, Some(Kind::OtherColumns)) } else { (Columns::Text, kind) };
        let rows = if fate == Fate::Good && chance.flips(300) { 0 } else { 5 + chance.index(ROWS_MAX - 4) };
        let key = if chance.flips(1_000) {
            format!("s/{table}/LOAD{number:08X}.parquet")
        } else {
            format!("s/{table}/20251123-{number:09}.parquet")
        };
        let wanted = Wanted { rows, fate, columns };
        let version = self.store.create(table, &key, wanted);
        let at = self.moment();
        self.deeds.push((at, Deed::Put(version, kind)));
        self.announce(version, at);
        if fate == Fate::Unmapped {
            return;
        }
        if chance.draws(Kind::VanishedEarly, 150) {
            let gone = at.plus(self.soon(1, 60));
            self.deeds.push((gone, Deed::Remove(version, Kind::VanishedEarly)));
            if chance.draws(Kind::Restored, 3_000) {
                self.deeds.push((gone.plus(self.soon(10, 120)), Deed::Restore(version)));
            }
        } else if chance.draws(Kind::Overwritten, 200) {
            let fate = if chance.flips(8_000) { Fate::Good } else { fate };
            let same_size = chance.flips(7_000);
            let rows = if same_size && rows > 0 { rows } else { 5 + chance.index(ROWS_MAX - 4) };
            let next = self.store.create(table, &key, Wanted { rows, fate, columns });
            let at = at.plus(self.soon(1, 300));
            self.deeds.push((at, Deed::Put(next, Some(Kind::Overwritten))));
            self.announce(next, at);
        }
    }

    /// Announces a version that is put at a time: usually at once, sometimes late or twice.
    fn announce(&mut self, version: usize, at: Instant) {
        let chance = self.chance;
        let mut told = at.plus(self.soon(1, 2));
        if chance.strikes(Kind::AnnouncedLate, 150) {
            told = told.plus(self.soon(2_000, 1_200));
        }
        self.deeds.push((told, Deed::Announce(vec![version])));
        if chance.strikes(Kind::AnnouncedTwice, 200) {
            self.deeds.push((told.plus(self.soon(1, 300)), Deed::Announce(vec![version])));
        }
    }

    fn others(&mut self) {
        let chance = self.chance;
        // Some messages name several files.
        for _ in 0..chance.between(0..6) {
            let announced = self.deeds.iter().filter_map(|(at, deed)| {
                let Deed::Announce(versions) = deed else { return None };
                (versions.len() == 1).then(|| (*at, versions[0]))
            });
            let announced: Vec<_> = announced.collect();
            let group: Vec<_> = (0..chance.between(2..5)).map(|_| chance.pick(&announced)).collect();
            let last = group.iter().map(|(at, _)| *at).max().unwrap_or(self.beginning);
            let versions = group.into_iter().map(|(_, version)| version).collect();
            self.deeds.push((last.plus(self.soon(1, 300)), Deed::Announce(versions)));
        }
        for _ in 0..20 {
            if chance.draws(Kind::Garbage, 300) {
                self.deeds.push((self.moment(), Deed::Garbage));
            }
        }
        for _ in 0..chance.between(0..4) {
            self.deeds.push((self.moment(), Deed::NotOurs));
        }
        for table in 0..TABLES.len() {
            if chance.draws(Kind::TablePaused, 800) {
                let at = self.moment();
                self.deeds.push((at, Deed::Pause(table)));
                self.deeds.push((at.plus(self.soon(5_000, 600)), Deed::Resume(table)));
            }
        }
    }

    fn outages(&self) -> Vec<Outage> {
        let mut outages = Vec::new();
        for edge in Edge::ALL {
            if self.chance.draws(edge.outage(), 1_500) {
                let from = self.moment();
                outages.push(Outage { edge, from, to: from.plus(self.soon(5_000, 400)) });
            }
        }
        outages
    }

    fn refusals(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        for table in TABLES {
            if self.chance.draws(Kind::SubmitRefused, 500) {
                let from = self.moment();
                let kinds =
                    [FaultKind::AccessDenied, FaultKind::DestinationRefused, FaultKind::QuotaExceeded];
                refusals.push(Refusal {
                    table: table.to_owned(),
                    kind: self.chance.pick(&kinds),
                    from,
                    to: from.plus(self.soon(5_000, 600)),
                });
            }
        }
        refusals
    }
}

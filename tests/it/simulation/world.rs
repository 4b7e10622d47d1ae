//! The world around landbridge: what puts and removes objects and announces them, and the person on call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use landbridge::app::Tree;
use landbridge::domain::clock::Clock;
use landbridge::domain::file::FileId;
use landbridge::domain::ids::TableId;
use landbridge::domain::instant::Instant;
use landbridge::domain::notification::event_body;
use landbridge::domain::transition::TableMode;
use landbridge::messages::root::{PauseTable, ResumeTable, Snapshot};
use serde_json::{Value, json};

use super::bucket::{CLUSTER, Fate, Store, Wanted};
use super::chance::Chance;
use super::files::Columns;
use super::kinds::Kind;
use super::plan::{Deed, Plan, TABLES};
use super::queue::SimulatedQueue;
use super::time::Wall;
use super::warehouse::Service;

/// The world of one seed.
pub struct World {
    chance: Arc<Chance>,
    wall: Arc<Wall>,
    pub store: Arc<Store>,
    pub queue: Arc<SimulatedQueue>,
    pub plan: Plan,
    /// The next deed.
    next: usize,
    /// Tables that are paused on purpose.
    paused: BTreeSet<usize>,
    /// When the person on call looks again.
    look_at: Instant,
    /// Every notification, for the replay.
    sent: Vec<(String, Vec<FileId>)>,
    sequencer: u64,
}

impl World {
    pub fn new(
        chance: Arc<Chance>,
        wall: Arc<Wall>,
        store: Arc<Store>,
        queue: Arc<SimulatedQueue>,
        plan: Plan,
    ) -> Self {
        let look_at = wall.now();
        let (paused, sent) = (BTreeSet::new(), Vec::new());
        Self { chance, wall, store, queue, plan, next: 0, paused, look_at, sent, sequencer: 0 }
    }

    /// Does what is planned until a moment, or until everything is done.
    pub async fn act_until(&mut self, tree: &Tree, service: &Service, end: Option<Instant>) {
        loop {
            let next = self.plan.deeds.get(self.next).map(|(at, _)| *at);
            let Some(until) = next.or(end) else { return };
            let until = end.map_or(until, |end| until.min(end)).min(self.look_at);
            self.wall.sleep_until(until).await;
            let now = self.wall.now();
            if end.is_some_and(|end| now >= end) {
                return;
            }
            if now >= self.look_at {
                self.look_at = now.plus(Duration::from_secs(self.chance.between(30..240)));
                self.look(tree, service).await;
            }
            while let Some((_, deed)) = self.plan.deeds.get(self.next).filter(|(at, _)| *at <= now).cloned() {
                self.next += 1;
                self.perform(deed, tree).await;
            }
        }
    }

    async fn perform(&mut self, deed: Deed, tree: &Tree) {
        self.log(format!("== {deed:?}"));
        match deed {
            Deed::Put(version, kind) => {
                self.store.put(version);
                if let Some(kind) = kind {
                    self.chance.count(kind);
                }
            }
            Deed::Remove(version, kind) => {
                if self.store.remove(version) {
                    self.chance.count(kind);
                }
            }
            Deed::Announce(versions) => self.announce(&versions),
            Deed::Restore(version) => {
                if self.store.is_free_for(version) {
                    self.store.put(version);
                    self.chance.count(Kind::Restored);
                    self.announce(&[version]);
                }
            }
            Deed::Garbage => {
                self.chance.count(Kind::Garbage);
                let body = self.chance.pick(&["", "{", "{\"Records\":[{}]}", "not for you"]);
                self.send(body, Vec::new());
            }
            Deed::NotOurs => {
                let elsewhere = event_body(CLUSTER, "other/x/readme.txt", 1, "e", self.wall.now(), 1);
                let removed = elsewhere.replace("ObjectCreated:Put", "ObjectRemoved:Delete");
                let test = r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#.to_owned();
                let bodies = [elsewhere, removed, test];
                self.send(&bodies[self.chance.index(bodies.len())], Vec::new());
            }
            Deed::Pause(table) => {
                self.chance.count(Kind::TablePaused);
                self.paused.insert(table);
                let _ = tree.root.send(PauseTable(table_id(table))).await;
            }
            Deed::Resume(table) => {
                self.paused.remove(&table);
                let _ = tree.root.send(ResumeTable(table_id(table))).await;
            }
        }
    }

    fn announce(&mut self, versions: &[usize]) {
        let (mut records, mut files) = (Vec::new(), Vec::new());
        for version in versions {
            let version = self.store.version(*version);
            let file = &version.file;
            self.sequencer += 1;
            let body = event_body(
                &file.bucket,
                &file.key,
                file.size_bytes,
                &file.etag,
                self.wall.now(),
                self.sequencer,
            );
            let body = if version.fate == Fate::Copied { body.replace(":Put", ":Copy") } else { body };
            let mut body: Value = serde_json::from_str(&body).unwrap();
            records.append(body["Records"].as_array_mut().unwrap());
            files.push(version.file);
        }
        let body = json!({ "Records": records }).to_string();
        let times = if self.plan.thrice { 3 } else { 1 };
        for time in 0..times {
            if time > 0 {
                self.chance.count(Kind::AnnouncedThrice);
            }
            self.send(&body, files.clone());
        }
        self.sent.push((body, files));
    }

    fn send(&mut self, body: &str, files: Vec<FileId>) {
        let now = self.wall.now();
        let wait = self.chance.duration(Duration::from_millis(1), Duration::from_secs(5));
        self.queue.send(body, files, now, now.plus(wait));
    }

    /// Every notification comes again, three times.
    pub fn replay(&mut self) {
        self.chance.count(Kind::ReplayedLater);
        for (body, files) in std::mem::take(&mut self.sent) {
            for _ in 0..3 {
                self.send(&body, files.clone());
            }
        }
    }

    /// An object of a claimed batch is removed or overwritten.
    pub fn vanish_after_claim(&mut self, version: usize) {
        if !self.store.is_there(version) {
            return;
        }
        self.chance.count(Kind::VanishedAfterClaim);
        self.log(format!("== version {version} vanishes after its claim"));
        if self.chance.flips(5_000) {
            self.store.remove(version);
            return;
        }
        let old = self.store.version(version);
        let wanted = Wanted { rows: old.rows.max(1), fate: Fate::Good, columns: Columns::Text };
        let next = self.store.create(&old.file.table.table, &old.file.key, wanted);
        self.store.put(next);
        self.announce(&[next]);
    }

    /// The person on call looks, and half of the time does something about what stands still.
    async fn look(&mut self, tree: &Tree, service: &Service) {
        for table in self.stopped(tree).await {
            if !self.paused.contains(&table) && self.chance.flips(5_000) {
                self.resume(table, tree, service).await;
            }
        }
    }

    /// Resumes everything that does not run; says how much that was.
    pub async fn resume_all(&mut self, tree: &Tree, service: &Service) -> usize {
        self.paused.clear();
        let stopped = self.stopped(tree).await;
        for table in &stopped {
            self.resume(*table, tree, service).await;
        }
        stopped.len()
    }

    async fn resume(&mut self, table: usize, tree: &Tree, service: &Service) {
        let foreign = service.books().remove_foreign(TABLES[table]);
        self.log(format!("== {} is resumed, {foreign} foreign jobs are gone", TABLES[table]));
        let _ = tree.root.send(ResumeTable(table_id(table))).await;
    }

    async fn stopped(&self, tree: &Tree) -> Vec<usize> {
        let Ok(snapshot) = tree.root.send(Snapshot).await else { return Vec::new() };
        let stopped = snapshot.tables.iter().filter(|(_, mode, _)| *mode != TableMode::Running);
        stopped.filter_map(|(table, _, _)| TABLES.iter().position(|name| **name == *table.table)).collect()
    }

    fn log(&self, text: String) {
        self.chance.log(self.wall.now().micros(), text);
    }
}

fn table_id(table: usize) -> TableId {
    TableId::new(CLUSTER, "s", TABLES[table])
}

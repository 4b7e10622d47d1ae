//! The life of one process: its calls to the edges, which fail, are slow, and are the moments at which it dies.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use landbridge::domain::clock::Clock;
use landbridge::domain::fault::{Fault, FaultKind};
use landbridge::domain::instant::Instant;
use tokio::sync::Notify;

use super::chance::Chance;
use super::kinds::Kind;
use super::time::Wall;

/// More calls in one life mean that something goes round in circles.
const CALLS_MAX: u64 = 100_000;

/// What a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Ledger,
    Bucket,
    Warehouse,
    Queue,
}

impl Edge {
    pub const ALL: [Self; 4] = [Self::Ledger, Self::Bucket, Self::Warehouse, Self::Queue];

    pub fn outage(self) -> Kind {
        match self {
            Self::Ledger => Kind::LedgerOutage,
            Self::Bucket => Kind::BucketOutage,
            Self::Warehouse => Kind::WarehouseOutage,
            Self::Queue => Kind::QueueOutage,
        }
    }

    /// The longest that one call may take (ARCHITECTURE.md, Bounds).
    fn slowest(self) -> Duration {
        Duration::from_secs(match self {
            Self::Ledger => 10,
            Self::Bucket => 35,
            Self::Warehouse => 120,
            Self::Queue => 45,
        })
    }
}

/// A time in which nearly no call to an edge succeeds.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub edge: Edge,
    pub from: Instant,
    pub to: Instant,
}

/// A call: what it is, and how often (in 10,000) it fails without effect, and with its effect.
pub struct Call {
    pub edge: Edge,
    pub name: &'static str,
    /// What it is about, for the log.
    pub about: String,
    pub before: (Kind, u32),
    pub after: (Kind, u32),
}

/// What is wrong, as the simulation sees it.
#[derive(Default)]
pub struct Breaches(Mutex<Vec<String>>);

impl Breaches {
    pub fn add(&self, text: String) {
        let mut all = self.0.lock().unwrap();
        // One mistake may show a thousand times.
        if all.len() < 50 {
            all.push(text);
        }
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// One process.
pub struct Process {
    pub chance: Arc<Chance>,
    pub wall: Arc<Wall>,
    outages: Arc<[Outage]>,
    breaches: Arc<Breaches>,
    calls: AtomicU64,
    /// Calls until it dies, and how.
    crash: Mutex<Option<(u64, Kind)>>,
    dead: AtomicBool,
    pub crashed: Notify,
}

impl Process {
    pub fn new(
        chance: Arc<Chance>,
        wall: Arc<Wall>,
        outages: Arc<[Outage]>,
        breaches: Arc<Breaches>,
        crash: Option<(u64, Kind)>,
    ) -> Arc<Self> {
        Arc::new(Self {
            chance,
            wall,
            outages,
            breaches,
            calls: AtomicU64::new(0),
            crash: Mutex::new(crash),
            dead: AtomicBool::new(false),
            crashed: Notify::new(),
        })
    }

    pub fn log(&self, text: String) {
        self.chance.log(self.wall.now().micros(), text);
    }

    /// The next call is the last, if it was to crash at all.
    pub fn crash_soon(&self) {
        if let Some((calls, _)) = &mut *self.crash.lock().unwrap() {
            *calls = 0;
        }
    }

    /// A call to an edge: `work` is its effect.
    pub async fn call<T>(
        &self,
        call: Call,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        self.alive().await;
        let doom = self.doom();
        let Call { edge, name, about, .. } = &call;
        self.log(format!("{name} {about}"));
        let (before, after) = self.latency(*edge);
        tokio::time::sleep(before).await;
        self.alive().await;
        if doom == Some(Kind::CrashBefore) {
            return self.die(Kind::CrashBefore, &call).await;
        }
        let outage = self.outage(*edge);
        let spared = doom.is_some();
        if !spared && (outage == Some(true) || self.chance.strikes(call.before.0, call.before.1)) {
            self.log(format!("{name} {about}: failed, not done"));
            return Err(self.no_answer(name));
        }
        let answer = work.await;
        self.alive().await;
        if doom == Some(Kind::CrashAfter) {
            return self.die(Kind::CrashAfter, &call).await;
        }
        tokio::time::sleep(after).await;
        self.alive().await;
        let lost = outage == Some(false) || self.chance.draws(call.after.0, call.after.1);
        if lost && answer.is_ok() {
            if outage.is_none() {
                self.chance.count(call.after.0);
            }
            self.log(format!("{name} {about}: done, answer lost"));
            return Err(self.no_answer(name));
        }
        answer
    }

    /// Dead processes wait for ever.
    async fn alive(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    async fn die<T>(&self, kind: Kind, call: &Call) -> T {
        self.chance.count(kind);
        self.log(format!("CRASH at {} {} ({})", call.name, call.about, kind.label()));
        self.end().await
    }

    async fn end<T>(&self) -> T {
        self.dead.store(true, Ordering::SeqCst);
        self.crashed.notify_one();
        std::future::pending().await
    }

    /// How this call ends the process, if it does.
    fn doom(&self) -> Option<Kind> {
        let calls = self.calls.fetch_add(1, Ordering::SeqCst);
        if calls == CALLS_MAX {
            self.breaches.add(format!("{CALLS_MAX} calls in one life: something goes round in circles"));
            self.dead.store(true, Ordering::SeqCst);
            self.crashed.notify_one();
        }
        let mut crash = self.crash.lock().unwrap();
        let (left, kind) = crash.as_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        // Of several calls under way, the first to get there.
        Some(*kind)
    }

    /// Within an outage of the edge: whether the call fails without effect, or only its answer is lost.
    fn outage(&self, edge: Edge) -> Option<bool> {
        let now = self.wall.now();
        let mut all = self.outages.iter();
        let within = all.any(|outage| outage.edge == edge && outage.from <= now && now < outage.to);
        if !within || self.chance.is_quiet() || self.chance.flips(500) {
            return None;
        }
        self.chance.count(edge.outage());
        Some(self.chance.flips(8_000))
    }

    fn latency(&self, edge: Edge) -> (Duration, Duration) {
        let usual = if edge == Edge::Ledger { 8 } else { 60 };
        let drawn = || Duration::from_millis(self.chance.between(1..usual));
        let (mut before, mut after) = (drawn(), drawn());
        if self.chance.strikes(Kind::SlowCall, 40) {
            let slow = self.chance.duration(Duration::from_secs(1), edge.slowest());
            if self.chance.flips(5_000) { before = slow } else { after = slow }
        }
        (before, after)
    }

    fn no_answer(&self, name: &str) -> Fault {
        let kind = if self.chance.flips(7_000) { FaultKind::Unavailable } else { FaultKind::Throttled };
        Fault::new(kind, format!("{name} failed on request"))
    }
}

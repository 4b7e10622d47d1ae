//! One seed: processes that live and die over a world that does not.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use landbridge::actors::world::Ports;
use landbridge::app::Tree;
use landbridge::config::types::Config;
use landbridge::domain::batch::Destination;
use landbridge::domain::clock::Clock;
use landbridge::domain::fault::Fault;
use landbridge::domain::file::FileState;
use landbridge::domain::ids::{BatchId, QueueId};
use landbridge::domain::instant::Instant;
use landbridge::domain::lane::ByLane;
use landbridge::flow::cpu::CpuPool;
use landbridge::ledger::front::FrontedLedger;
use landbridge::warehouse::lineage::Lineage;

use super::bucket::{BucketPort, CLUSTER, Store};
use super::chance::Chance;
use super::configuration;
use super::kinds::{Fired, Kind};
use super::ledger::{LedgerPort, Watch};
use super::mistakes::Mistaken;
use super::plan::{self, Ending};
use super::process::{Breaches, Process};
use super::queue::{QueuePort, SimulatedQueue};
use super::time::{Wall, at_once, repeatable};
use super::warehouse::{Service, WarehousePort};
use super::world::World;

/// The ledger forgets nothing within a run: a file of which it is asked here, a deferred one whose event could not be noted,
/// was never loaded. Were it loaded all the same, its rows would be doubled, and found.
struct NobodyIsForgotten;

#[async_trait]
impl Lineage for NobodyIsForgotten {
    async fn batch_of(&self, _: &Destination, _: &str, _: Range<Instant>) -> Result<Option<BatchId>, Fault> {
        Ok(None)
    }
}

/// What came of a seed.
pub struct Outcome {
    pub seed: u64,
    pub breaches: Vec<String>,
    pub fired: Fired,
    /// What landbridge did about it.
    pub steps: BTreeMap<&'static str, u64>,
    pub files: usize,
    /// Virtual time from the end of all faults until nothing was left to do.
    pub rested_after: Duration,
    /// Everything that happened, with its time in microseconds.
    pub log: Vec<(i64, String)>,
}

/// Runs a seed, with a mistake on purpose or none.
pub fn run(seed: u64, mistaken: &Mistaken) -> Outcome {
    let mut run = Run::new(seed, mistaken);
    for ending in run.world.plan.endings.clone() {
        run.live(Life::Until(ending));
        let pause = run.chance.duration(Duration::from_millis(100), Duration::from_secs(1_200));
        run.wall.pass(pause);
    }
    run.live(Life::ToRest);
    run.a_day_passes();
    run.live(Life::Replay);
    run.outcome(seed)
}

/// What a process is there for.
#[derive(Clone, Copy, Debug)]
enum Life {
    Until(Ending),
    /// All that is planned happens, then nothing goes wrong any more.
    ToRest,
    /// A day later, everything is announced again.
    Replay,
}

struct Run<'a> {
    chance: Arc<Chance>,
    wall: Arc<Wall>,
    service: Arc<Service>,
    watch: Arc<Watch>,
    breaches: Arc<Breaches>,
    world: World,
    config: Config,
    mistaken: &'a Mistaken,
    front_files: usize,
    rested_after: Duration,
    _spool: tempfile::TempDir,
}

impl<'a> Run<'a> {
    fn new(seed: u64, mistaken: &'a Mistaken) -> Self {
        let (chance, wall) = (Arc::new(Chance::new(seed)), Wall::new());
        let (store, breaches) = (Arc::new(Store::default()), Arc::new(Breaches::default()));
        let spool = configuration::fast_folder();
        let config = configuration::draw(&chance, spool.path());
        let plan = plan::draw(&chance, &wall, &store);
        let queue = Arc::new(SimulatedQueue::default());
        let world = World::new(Arc::clone(&chance), Arc::clone(&wall), store, queue, plan);
        Self {
            front_files: chance.pick(&[16, 10_000]),
            watch: Watch::new(Arc::clone(&breaches)),
            service: Arc::default(),
            chance,
            wall,
            breaches,
            world,
            config,
            mistaken,
            rested_after: Duration::ZERO,
            _spool: spool,
        }
    }

    fn outcome(self, seed: u64) -> Outcome {
        Outcome {
            seed,
            breaches: self.breaches.take(),
            fired: self.chance.fired(),
            steps: self.watch.steps(),
            files: self.world.store.versions().len(),
            rested_after: self.rested_after,
            log: self.chance.take_log(),
        }
    }

    /// One process, from its start to its end.
    fn live(&mut self, life: Life) {
        repeatable(async {
            self.wall.begin();
            let crash = match life {
                Life::Until(Ending::Crash(calls, kind)) => Some((calls, kind)),
                Life::Until(Ending::Drain(_)) | Life::ToRest | Life::Replay => None,
            };
            let process = Process::new(
                Arc::clone(&self.chance),
                Arc::clone(&self.wall),
                Arc::clone(&self.world.plan.outages),
                Arc::clone(&self.breaches),
                crash,
            );
            process.log(format!("PROCESS starts: {life:?}"));
            let config = match life {
                Life::Until(_) => configuration::of_one_life(&self.chance, &self.config),
                Life::ToRest | Life::Replay => self.config.clone(),
            };
            // It may crash while it starts, too.
            tokio::select! {
                biased;
                () = process.crashed.notified() => {}
                () = self.work(life, &config, &process) => {}
            }
            self.vanish_after_claim();
            self.wall.end();
        });
    }

    /// What a process does until it ends or is done.
    async fn work(&mut self, life: Life, config: &Config, process: &Arc<Process>) {
        let tree = Tree::start(config, self.ports(process), CpuPool::new(1)).await.unwrap();
        let mut fatal = tree.fatal.clone();
        tokio::select! {
            biased;
            reason = fatal.wait_for(Option::is_some) => {
                let reason = reason.map(|reason| reason.clone().unwrap_or_default());
                self.watch.step("process ended by itself");
                process.log(format!("PROCESS ends by itself: {reason:?}"));
                if self.chance.is_quiet() {
                    self.breaches.add(format!("without any fault, the process ended: {reason:?}"));
                }
            }
            () = self.drive(life, &tree, process) => {}
        }
    }

    fn ports(&self, process: &Arc<Process>) -> Ports {
        let (process, watch) = (|| Arc::clone(process), || Arc::clone(&self.watch));
        let ledger = LedgerPort { process: process(), watch: watch(), tamper: self.mistaken.tamper() };
        let warehouse = WarehousePort {
            service: Arc::clone(&self.service),
            process: process(),
            watch: watch(),
            breaches: Arc::clone(&self.breaches),
            refusals: Arc::clone(&self.world.plan.refusals),
            checks_ids: !self.mistaken.is_mistaken(),
        };
        let queue = QueuePort { queue: Arc::clone(&self.world.queue), process: process(), watch: watch() };
        Ports {
            ledger: FrontedLedger::shared(Arc::new(ledger), self.front_files),
            bucket: Arc::new(BucketPort { store: Arc::clone(&self.world.store), process: process() }),
            warehouse: self.mistaken.warehouse(Arc::new(warehouse)),
            lineage: Arc::new(NobodyIsForgotten),
            queues: BTreeMap::from([(QueueId(CLUSTER.into()), Arc::new(queue) as _)]),
            receivers: std::collections::BTreeMap::new(),
            clock: Arc::clone(&self.wall) as Arc<dyn Clock>,
        }
    }

    /// Does what is planned while the process lives.
    async fn drive(&mut self, life: Life, tree: &Tree, process: &Process) {
        match life {
            Life::Until(Ending::Crash(..)) => {
                self.world.act_until(tree, &self.service, None).await;
                tokio::time::sleep(Duration::from_secs(20)).await;
                process.crash_soon();
                std::future::pending().await
            }
            Life::Until(Ending::Drain(after)) => {
                let at = self.wall.now().plus(after);
                self.world.act_until(tree, &self.service, Some(at)).await;
                process.log("PROCESS drains".to_owned());
                tree.drain("the simulation", Duration::from_secs(30)).await;
                self.chance.count(Kind::Drained);
            }
            Life::ToRest => {
                self.world.act_until(tree, &self.service, None).await;
                self.chance.become_quiet();
                process.log("ALL FAULTS have ended".to_owned());
                self.rest(tree).await;
            }
            Life::Replay => {
                self.check();
                let rows = self.service.books().rows();
                self.world.replay();
                self.rest(tree).await;
                self.check();
                if rows != self.service.books().rows() {
                    self.breaches.add("the replay changed the rows in the warehouse".to_owned());
                }
            }
        }
    }

    /// Waits until nothing is left to do.
    async fn rest(&mut self, tree: &Tree) {
        let began = self.wall.now();
        let mut looks = 0;
        while looks < 2 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let stopped = self.world.resume_all(tree, &self.service).await;
            let holding = tree.holding().await;
            let idle = holding.is_idle() && self.world.queue.len() == 0 && stopped == 0;
            looks = if idle { looks + 1 } else { 0 };
            if self.wall.now().since(began) > REST_MAX {
                let left = self.world.queue.len();
                self.breaches.add(format!("it did not come to rest: {left} messages, {holding:?}"));
                return;
            }
        }
        self.rested_after = self.rested_after.max(self.wall.now().since(began));
        let world = &tree.world;
        let ByLane { changes: [memory_again, objects_again], full_loads } = &world.rebuild_credit;
        let [memory_of_loads, objects_of_loads] = full_loads;
        for (name, pool) in [
            ("memory for rebuilds", memory_again),
            ("objects for rebuilds", objects_again),
            ("memory for rebuilds of full loads", memory_of_loads),
            ("objects for rebuilds of full loads", objects_of_loads),
            ("memory", &world.memory_credit),
            ("objects", &world.object_credit),
            ("spool", &world.spool_credit),
        ] {
            if pool.available_bytes() != pool.limit_bytes() || pool.waiting() != 0 {
                let (left, limit) = (pool.available_bytes(), pool.limit_bytes());
                self.breaches.add(format!("{left} of {limit} bytes of {name} credit are there at rest"));
            }
        }
    }

    /// While nobody looks, objects of claimed batches vanish or are overwritten.
    fn vanish_after_claim(&mut self) {
        let versions = self.world.store.versions();
        let files: Vec<_> = versions.iter().map(|version| version.file.clone()).collect();
        for (version, state) in self.watch.states(&files).into_iter().enumerate() {
            if matches!(state, Some(FileState::Claimed { .. }))
                && self.chance.draws(Kind::VanishedAfterClaim, 600)
            {
                self.world.vanish_after_claim(version);
            }
        }
    }

    /// The last upload lands, and a day passes.
    fn a_day_passes(&mut self) {
        let now = self.wall.now();
        let last = self.service.books().last_landing().unwrap_or(now);
        self.wall.pass(now.until(last) + Duration::from_secs(86_400));
    }

    fn check(&self) {
        let mut books = self.service.books();
        books.land(self.wall.now(), &self.chance, &self.breaches);
        super::check::check(
            &self.world.store.versions(),
            |version| self.world.store.is_there(version),
            &books.rows(),
            &self.watch,
            &self.breaches,
        );
        let open = at_once(landbridge::ledger::Ledger::open_batches(&self.watch.ledger, None, 10)).unwrap();
        for record in open {
            self.breaches.add(format!("batch {} is {:?} at rest", record.batch.id, record.state));
        }
    }
}

/// The longest that it may take until nothing is left to do once nothing goes wrong any more: a job of 20 minutes and
/// the longest waits before and after it.
const REST_MAX: Duration = Duration::from_secs(2 * 3_600);

//! The protocol, explored whole: every order of every step, fault and crash of some small worlds, by the very functions
//! that decide in landbridge (`domain::delivery`, `domain::intake`, `domain::table`, `domain::transition::rules`).
//!
//! What the model leaves out: time (whatever waits may go on at any moment), and faults of a process's own memory.

use std::time::Duration;

use landbridge::domain::batch::Destination;
use landbridge::domain::ids::TableId;
use landbridge::domain::instant::Instant;
use landbridge::domain::intake::IntakeBounds;
use landbridge::domain::table::TableBounds;
use landbridge::domain::taking_over::LEFT_AFTER;
use stateright::{Checker, HasDiscoveries, Model, Property};

use self::mistakes::{Mistake, broken_by, found_in};
use self::properties::PROPERTIES;
use self::scenarios::{SCENARIOS, Scenario};
use self::world::{Move, World};

mod ledger;
mod loader;
mod mistakes;
mod moves;
mod outside;
mod process;
mod properties;
mod scenarios;
mod streams;
mod world;

/// Time stands still.
const NOW: Instant = Instant::from_micros(1_763_856_000_000_000);
/// What nobody living has is left: the first of them takes it up.
const LONG_AGO: Instant = Instant::from_micros(NOW.micros() - LEFT_AFTER.as_micros() as i64);
/// Whatever waits is due.
const LATER: Instant = Instant::from_micros(1_763_856_000_000_000 + 3_600_000_000);
/// Whatever is parked is overdue.
const DEFERRED_BY: Instant = Instant::from_micros(1_763_856_000_000_000 + 172_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn table_id() -> TableId {
    TableId::new("a", "s", "t")
}

fn destination() -> Destination {
    Destination { project: "p".into(), location: "l".into(), dataset: "d".into(), table: "t".into() }
}

fn bounds() -> TableBounds {
    TableBounds { window: 9 * DAY, bytes_max: 1_000, files_max: 9, loads_max: 2, defer_after: 9 * DAY }
}

fn intake_bounds() -> IntakeBounds {
    let (visibility, defer_after) = (9 * DAY, DAY);
    IntakeBounds { held_messages_max: 9, parked_files_max: 9, files_per_table: 9, visibility, defer_after }
}

/// What stateright explores.
struct Explored {
    scenario: &'static Scenario,
    mistake: Option<Mistake>,
}

impl Model for Explored {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.scenario, self.mistake)]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        world.usual_moves(moves);
        world.faults(moves);
    }

    fn next_state(&self, world: &World, one: Move) -> Option<World> {
        Some(world.after(&one))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! always {
            ($($index:literal)*) => {
                vec![$(Property::always(PROPERTIES[$index].0, |_, world| (PROPERTIES[$index].1)(world))),*]
            };
        }
        always!(0 1 2 3 4 5 6 7 8)
    }
}

#[test]
fn every_order_of_every_step_and_fault_keeps_the_invariants() {
    let mut all = 0;
    for scenario in &SCENARIOS {
        let started = tokio::time::Instant::now();
        let checker = Explored { scenario, mistake: None }.checker().spawn_bfs().join();
        println!(
            "{:<45} {:>8} states, depth {:>3}, {:.1} s",
            scenario.name,
            checker.unique_state_count(),
            checker.max_depth(),
            started.elapsed().as_secs_f64()
        );
        all += checker.unique_state_count();
        checker.assert_properties();
    }
    println!("{all} states in all");
}

#[test]
fn every_mistake_is_found() {
    for mistake in Mistake::ALL.into_iter().chain(Mistake::OF_STREAMS) {
        let (broken, name) = (broken_by(mistake), found_in(mistake));
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        let checker = Explored { scenario, mistake: Some(mistake) }.checker();
        let until = HasDiscoveries::AnyOf([broken].into());
        let path = checker.finish_when(until).spawn_bfs().join().discoveries().remove(broken);
        let path = path.unwrap_or_else(|| panic!("{mistake:?} is not found in `{name}`"));
        let moves = path.into_actions().len();
        println!("{mistake:?} is found in `{name}` after {moves} moves: {broken}");
    }
}

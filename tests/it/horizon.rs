//! What the ledger forgets, and what is done to it every hour.

use std::time::Duration;

use landbridge::app::Tree;
use landbridge::app::edges::Edges;
use landbridge::app::upkeep::UPKEEP_INTERVAL;
use landbridge::config::types::Config;
use landbridge::domain::file::FileState;
use landbridge::domain::instant::Instant;
use landbridge::flow::cpu::CpuPool;
use landbridge::ledger::{Ledger, Verdict};

use crate::pipeline::{CONFIG, file_id};
use crate::support::{Disk, Running, paused};

/// Loads what is there; answers when it was announced.
fn load_all(disk: &mut Disk, config: &Config) -> Instant {
    paused(async {
        let running = Running::start(disk, config, |edges| edges).await;
        let written = running.clock.now();
        running.announce_all(disk).await;
        running.idle().await;
        written
    })
}

#[test]
fn a_forgotten_file_is_loaded_only_if_the_warehouse_has_no_row_of_it() {
    let mut disk = Disk::new(&["x"]);
    let loaded: Vec<_> = (0..3).map(|_| disk.put("x", 4)).collect();
    let config = disk.config(CONFIG);
    let written = load_all(&mut disk, &config);
    disk.pass_days(450);
    let never_loaded = disk.put("x", 4);
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        let horizon = Duration::from_secs(400 * 86_400);
        let before = running.clock.now().micros() - i64::try_from(horizon.as_micros()).unwrap();
        let before = Instant::from_micros(before);
        while disk.ledger.expire(before, 1).await.unwrap() > 0 {}
        let files: Vec<_> = loaded.iter().map(|entry| file_id(entry, "x")).collect();
        assert_eq!(disk.ledger.lookup(&files).await.unwrap(), [None, None, None]);
        for entry in loaded.iter().chain([&never_loaded]) {
            running.announce_as_of(entry, written).await;
        }
        running.idle().await;
        for state in disk.ledger.lookup(&files).await.unwrap() {
            let reason = match state {
                Some(FileState::Poison { reason }) => reason,
                other => panic!("{other:?}"),
            };
            assert!(reason.contains("has its rows: it is not loaded twice"), "{reason}");
        }
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!((result.total.files.loaded, result.total.rows.duplicated), (4, 0));
}

#[test]
fn what_is_forgotten_stays_forgotten_when_the_horizon_is_lengthened_and_when_its_file_was_deferred() {
    let mut disk = Disk::new(&["x"]);
    let loaded: Vec<_> = (0..2).map(|_| disk.put("x", 4)).collect();
    let config = disk.config(CONFIG);
    let written = load_all(&mut disk, &config);
    disk.pass_days(30);
    let files: Vec<_> = loaded.iter().map(|entry| file_id(entry, "x")).collect();
    // A clock that was a year ahead for an hour, say; now all is as it was.
    paused(async {
        let ahead = written.plus(Duration::from_secs(86_400));
        while disk.ledger.expire(ahead, 1).await.unwrap() > 0 {}
        assert_eq!(disk.ledger.lookup(&files).await.unwrap(), [None, None]);
        // One was announced while its table did not run.
        disk.ledger.settle(&[(files[1].clone(), Verdict::Defer)], ahead).await.unwrap();
        disk.ledger.note_events(&[(files[1].clone(), written)]).await.unwrap();
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.announce_as_of(&loaded[0], written).await;
        running.idle().await;
        for state in disk.ledger.lookup(&files).await.unwrap() {
            assert!(matches!(state, Some(FileState::Poison { .. })), "{state:?}");
        }
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!((result.total.files.loaded, result.total.rows.duplicated), (2, 0));
}

#[test]
fn the_epoch_rises_every_hour_and_a_dataset_that_another_ledger_took_ends_the_process() {
    let disk = Disk::new(&["x"]);
    let config = disk.config(CONFIG);
    let stamp = disk.lake().join(".ledger.json");
    let epoch = || {
        let stamp: serde_json::Value = serde_json::from_slice(&std::fs::read(&stamp).unwrap()).unwrap();
        stamp["epoch"].as_u64()
    };
    paused(async {
        let edges = Edges::open(&config).await.unwrap();
        let tree = Tree::start(&config, edges.ports.clone(), CpuPool::new(1)).await.unwrap();
        let _upkeep = edges.keep_up(&config, &tree.world);
        assert_eq!(epoch(), Some(1));
        tokio::time::sleep(UPKEEP_INTERVAL.mul_f64(2.5)).await;
        assert_eq!(epoch(), Some(3));
        assert_eq!(*tree.fatal.borrow(), None);
        std::fs::write(&stamp, "{\"ledger\": \"another\", \"epoch\": 1}").unwrap();
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        let fatal = tree.fatal.borrow().clone().unwrap_or_default();
        assert!(fatal.contains("is loaded by the ledger another"), "{fatal}");
    });
}

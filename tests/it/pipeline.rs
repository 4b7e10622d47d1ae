//! The whole way of a file, and its traps.

use std::fs;
use std::time::Duration;

use landbridge::demo::reconcile::Files;
use landbridge::demo::record::{Entry, Fate};
use landbridge::demo::rows::{Column, Values};
use landbridge::domain::fault::FaultKind;
use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::ids::TableId;
use landbridge::ledger::Ledger;
use landbridge::queue::Queue;
use landbridge::warehouse::lake::data_files;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::support::faults::{Faults, Trouble};
use crate::support::{CLUSTER, Disk, Running, paused};

pub const CONFIG: &str = "[batching]\nwindow = \"10s\"\n";

pub fn file_id(entry: &Entry, table: &str) -> FileId {
    FileId {
        table: TableId::new(CLUSTER, "s", table),
        bucket: CLUSTER.into(),
        key: entry.key.as_str().into(),
        etag: entry.etag.as_str().into(),
        size_bytes: entry.size_bytes,
    }
}

/// Starts the tree on `disk`, announces everything, and waits until nothing is left to do.
fn load_all(disk: &mut Disk, extra: &str) {
    let config = disk.config(extra);
    paused(async {
        let running = Running::start(disk, &config, |edges| edges).await;
        running.announce_all(disk).await;
        running.idle().await;
    });
}

fn column_names(path: &std::path::Path) -> Vec<String> {
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    schema.columns().iter().map(|column| column.name().to_owned()).collect()
}

#[test]
fn a_ledger_whose_claim_does_nothing_fails_the_reconciliation() {
    let mut disk = Disk::new(&["x"]);
    let entry = disk.put("x", 5);
    let config = disk.config(CONFIG);
    paused(async {
        let faults = Faults::without_claims();
        let running = Running::start(&mut disk, &config, |edges| faults.wrap(edges)).await;
        running.announce(&entry).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
    });
    let result = disk.reconcile();
    assert!(!result.is_good());
    assert!(result.total.rows.duplicated > 0, "{:?}", result.total);
}

#[test]
fn repeated_announcements_load_once_and_are_all_settled() {
    let mut disk = Disk::new(&["x"]);
    let entries: Vec<_> = (0..5).map(|_| disk.put("x", 5)).collect();
    let config = disk.config(CONFIG);
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        for _ in 0..3 {
            for entry in &entries {
                running.queue.duplicate_next(1);
                running.announce(entry).await;
            }
        }
        running.idle().await;
        // A day later the whole queue is replayed.
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        running.queue.redeliver_after_delete(3);
        running.announce_all(&disk).await;
        running.idle().await;
        assert_eq!(running.queue.depth().await.unwrap().in_flight, 0);
    });
    assert!(disk.reconcile().is_good());
    assert_eq!(disk.reconcile().total.files.loaded, 5);
}

#[test]
fn a_column_that_appears_is_null_in_the_files_without_it_and_a_changed_type_begins_a_batch() {
    let mut disk = Disk::new(&["x"]);
    disk.put("x", 3);
    disk.put_as("x", 3, Fate::Good, &[Column { name: "more", values: Values::Int(9), nulls: 0 }]);
    disk.put_as("x", 3, Fate::Good, &[Column { name: "more", values: Values::Hex(4), nulls: 0 }]);
    load_all(&mut disk, CONFIG);
    assert!(disk.reconcile().is_good());
    let files = data_files(&disk.lake()).unwrap();
    let mut shapes: Vec<_> = files.iter().map(|file| column_names(file)[..4].to_vec()).collect();
    shapes.sort();
    // Whichever came first has the name; the other has its type behind it.
    let others = [["id", "note", "more", "_op"], ["id", "note", "more__string", "_op"]];
    let either = [others[0], ["id", "note", "more__int64", "_op"]];
    assert!(shapes == others || shapes == either, "{shapes:?}");
}

#[test]
fn a_file_larger_than_all_memory_credit_passes() {
    let mut disk = Disk::new(&["x"]);
    let wide = [Column { name: "wide", values: Values::Hex(400), nulls: 0 }];
    let entry = disk.put_as("x", 60_000, Fate::Good, &wide);
    assert!(entry.size_bytes > 16 << 20);
    load_all(&mut disk, "[limits]\nmemory_credit = \"16MiB\"\n[spool]\nlimit = \"16MiB\"\n");
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.rows.loaded, 60_000);
}

#[test]
fn a_held_batch_of_a_table_that_runs_goes_on_at_the_next_start() {
    let mut disk = Disk::new(&["x"]);
    (0..3).for_each(|_| drop(disk.put("x", 4)));
    let config = disk.config(CONFIG);
    let calls = {
        let mut twin = Disk::new(&["x"]);
        (0..3).for_each(|_| drop(twin.put("x", 4)));
        let (config, faults) = (twin.config(CONFIG), Faults::new([]));
        paused(async {
            let running = Running::start(&mut twin, &config, |edges| faults.wrap(edges)).await;
            running.announce_all(&twin).await;
            running.idle().await;
        });
        faults.log.lock().unwrap().clone()
    };
    let claim = calls.iter().position(|name| *name == "claim").unwrap();
    paused(async {
        let faults = Faults::new([(claim, Trouble::CrashAfter)]);
        let running = Running::start(&mut disk, &config, |edges| faults.wrap(edges)).await;
        running.announce_all(&disk).await;
        faults.crashed.notified().await;
        // As when a crash comes between the resumption of a table and that of its batches.
        let open = disk.ledger.open_batches(None, 10).await.unwrap();
        assert_eq!(open.len(), 1);
        disk.ledger.hold(&open[0].batch.id, true, running.clock.now()).await.unwrap();
    });
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        running.idle().await;
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 3);
}

#[test]
fn a_file_that_vanishes_between_claim_and_load_is_fenced_and_the_others_are_loaded() {
    let mut disk = Disk::new(&["x"]);
    let entries: Vec<_> = (0..3).map(|_| disk.put("x", 4)).collect();
    let config = disk.config(CONFIG);
    // Find the call that claims, then crash right after it.
    let claim = paused(async {
        let mut twin = Disk::new(&["x"]);
        (0..3).for_each(|_| drop(twin.put("x", 4)));
        let (config, faults) = (twin.config(CONFIG), Faults::new([]));
        let running = Running::start(&mut twin, &config, |edges| faults.wrap(edges)).await;
        running.announce_all(&twin).await;
        running.idle().await;
        let log = faults.log.lock().unwrap().clone();
        log.iter().position(|name| *name == "claim").unwrap()
    });
    paused(async {
        let faults = Faults::new([(claim, Trouble::CrashAfter)]);
        let running = Running::start(&mut disk, &config, |edges| faults.wrap(edges)).await;
        running.announce_all(&disk).await;
        faults.crashed.notified().await;
    });
    fs::remove_file(disk.path().join("bucket").join(CLUSTER).join(&entries[1].key)).unwrap();
    load_all(&mut disk, CONFIG);
    let result = disk.reconcile();
    assert_eq!(
        (result.total.rows.missing, result.total.rows.duplicated, result.total.files.loaded),
        (4, 0, 2)
    );
    let state = paused(async { disk.ledger.lookup(&[file_id(&entries[1], "x")]).await.unwrap() });
    assert!(matches!(&state[0], Some(FileState::Vanished { .. })), "{state:?}");
    // The fence of the first attempt and the batch of the two others.
    assert_eq!(data_files(&disk.lake()).unwrap().len(), 2);
}

#[test]
fn files_of_a_table_that_is_mapped_tomorrow_wait_for_it() {
    let mut disk = Disk::new(&["x", "y"]);
    disk.put("x", 3);
    disk.put("y", 3);
    let both = disk.config(CONFIG);
    let mut only_x = both.clone();
    only_x.mappings[0].route.tables.truncate(1);
    only_x.mappings[0].tables.truncate(1);
    paused(async {
        let running = Running::start(&mut disk, &only_x, |edges| edges).await;
        running.announce_all(&disk).await;
        running.idle().await;
        assert_eq!(running.queue.depth().await.unwrap().in_flight, 0);
    });
    assert_eq!(disk.reconcile().total.rows.missing, 3);
    paused(async {
        let running = Running::start(&mut disk, &both, |edges| edges).await;
        running.idle().await;
    });
    assert!(disk.reconcile().is_good());
}

#[test]
fn garbage_on_the_queue_is_written_down_and_holds_nothing_up() {
    let mut disk = Disk::new(&["x"]);
    let entry = disk.put("x", 3);
    let config = disk.config(CONFIG);
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        for body in
            ["", "{}", "[1]", "{\"Records\":[{\"eventVersion\":\"9.0\"}]}", "{\"Event\":\"s3:TestEvent\"}"]
        {
            running.queue.send(body.to_owned()).await;
        }
        running.queue.fail_next_receives(3, FaultKind::Throttled);
        running.announce(&entry).await;
        running.idle().await;
        assert_eq!(running.queue.depth().await.unwrap().in_flight, 0);
    });
    assert!(disk.reconcile().is_good());
}

#[test]
fn empty_files_and_files_without_rows_need_no_job() {
    let mut disk = Disk::new(&["x"]);
    let none = disk.put("x", 0);
    let path = disk.path().join("bucket").join(CLUSTER).join("s/x/20251123-999999999.parquet");
    fs::write(&path, "").unwrap();
    let config = disk.config(CONFIG);
    let states = paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.announce_all(&disk).await;
        let etag = landbridge::bucket::local::etag_of(&fs::metadata(&path).unwrap());
        let empty =
            Entry { key: "s/x/20251123-999999999.parquet".into(), etag, size_bytes: 0, ..none.clone() };
        running.announce(&empty).await;
        running.idle().await;
        disk.ledger.lookup(&[file_id(&none, "x"), file_id(&empty, "x")]).await.unwrap()
    });
    assert!(matches!(&states[0], Some(FileState::Loaded { .. })), "{states:?}");
    assert!(matches!(&states[1], Some(FileState::Poison { .. })), "{states:?}");
    assert!(data_files(&disk.lake()).unwrap().is_empty());
}

#[test]
fn a_drain_finishes_what_is_in_hand_and_a_new_start_finds_nothing_to_do() {
    let mut disk = Disk::new(&["x", "y"]);
    (0..20).for_each(|n| drop(disk.put(if n % 2 == 0 { "x" } else { "y" }, 3)));
    let config = disk.config("[batching]\nwindow = \"60s\"\n");
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.announce_all(&disk).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let left = running.tree.drain("test", Duration::from_secs(30)).await;
        assert_eq!((left.in_flight, left.held_messages, left.in_hand), (0, 0, 0));
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files, Files { announced: 20, loaded: 20, poisoned: 0, vanished: 0 });
}

#[test]
fn windows_close_early_when_memory_credit_runs_short() {
    let mut disk = Disk::new(&["x", "y"]);
    // 16 MiB are credit for 64 open files.
    (0..150).for_each(|n| drop(disk.put(if n % 3 == 0 { "x" } else { "y" }, 2)));
    let config = disk.config("[batching]\nwindow = \"5m\"\n[limits]\nmemory_credit = \"16MiB\"\n");
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.announce_all(&disk).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let free = running.tree.world.memory_credit.available_bytes();
        assert!(
            disk.reconcile().total.files.loaded >= 86,
            "{free} bytes free: {:?}",
            disk.reconcile().total.files
        );
        running.idle().await;
    });
    assert!(disk.reconcile().is_good());
}

/// What is short closes the fattest window, and leaves the others as they were planned.
#[test]
fn a_thin_window_stays_open_while_a_fat_one_holds_the_memory() {
    let mut disk = Disk::new(&["fat", "thin"]);
    let thin: Vec<_> = (0..2).map(|_| disk.put("thin", 2)).collect();
    (0..60).for_each(|_| drop(disk.put("fat", 2)));
    let config = disk.config("[batching]\nwindow = \"5m\"\n[limits]\nmemory_credit = \"16MiB\"\n");
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.announce_all(&disk).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(disk.reconcile().total.files.loaded >= 28, "{:?}", disk.reconcile().total.files);
        for entry in &thin {
            let state = disk.ledger.lookup(&[file_id(entry, "thin")]).await.unwrap().remove(0);
            assert_eq!(state, None, "{}", entry.key);
        }
        running.idle().await;
    });
    assert!(disk.reconcile().is_good());
}

#[test]
fn a_flood_for_one_table_is_deferred_beyond_its_share_and_then_taken_up() {
    let mut disk = Disk::new(&["x", "y"]);
    let flood: Vec<_> = (0..400).map(|_| disk.put("x", 1)).collect();
    let other = disk.put("y", 1);
    let config = disk.config(
        "[batching]\nwindow = \"10s\"\n[limits]\nfiles_per_table = 20\nparked_files_per_queue = 30\nheld_messages_per_queue = 100\n",
    );
    paused(async {
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        for entry in &flood {
            running.announce(entry).await;
        }
        running.announce(&other).await;
        tokio::time::sleep(Duration::from_secs(15)).await;
        // The other table did not wait for the flood.
        let loaded = disk.ledger.lookup(&[file_id(&other, "y")]).await.unwrap();
        assert!(matches!(&loaded[0], Some(FileState::Loaded { .. })), "{loaded:?}");
        running.idle().await;
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 401);
}

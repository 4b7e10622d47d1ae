//! Full loads have a lane of their own: no change waits for them.

use std::time::Duration;

use landbridge::domain::file::FileState;
use landbridge::ledger::Ledger;

use crate::pipeline::file_id;
use crate::support::hanging::{Hanging, Place};
use crate::support::{Disk, Running, paused};

/// A flood of full loads comes just before changes of the same table, and of another. Memory, slots and messages are few, and the first load
/// job hangs: what is behind it waits, and nothing else does.
#[test]
fn changes_are_loaded_while_a_full_load_of_many_files_waits() {
    let mut disk = Disk::new(&["x", "y"]);
    let full_load: Vec<_> = (0..300).map(|_| disk.put_full_load("x", 2)).collect();
    let changes: Vec<_> = (0..40).map(|n| if n % 2 == 0 { "x" } else { "y" }).collect();
    let changes: Vec<_> = changes.into_iter().map(|table| (table, disk.put(table, 2))).collect();
    let config = disk.config(
        "[batching]\nwindow = \"10s\"\n[limits]\nloads_in_flight = 2\nloads_per_table = 1\nmemory_credit = \"16MiB\"\n\
         held_messages_per_queue = 200\nparked_files_per_queue = 50\n",
    );
    paused(async {
        let hanging = Hanging::new("x", Place::Submit, 1);
        let running = Running::start(&mut disk, &config, |edges| hanging.wrap(edges)).await;
        for entry in &full_load {
            running.announce(entry).await;
        }
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(hanging.left(), 0, "a full load is being loaded");
        for (_, entry) in &changes {
            running.announce(entry).await;
        }
        tokio::time::sleep(Duration::from_secs(15)).await;
        for (table, entry) in &changes {
            let state = disk.ledger.lookup(&[file_id(entry, table)]).await.unwrap().remove(0);
            assert!(matches!(state, Some(FileState::Loaded { .. })), "{}: {state:?}", entry.key);
        }
        let of_loads = full_load.iter().map(|entry| file_id(entry, "x")).collect::<Vec<_>>();
        let states = disk.ledger.lookup(&of_loads).await.unwrap();
        assert!(
            !states.iter().any(|state| matches!(state, Some(FileState::Loaded { .. }))),
            "the load hangs"
        );
        running.idle().await;
    });
    let result = disk.reconcile();
    assert!(result.is_good(), "{:?}", result.culprits);
    assert_eq!(result.total.files.loaded, 340);
}

//! How far a table is loaded, by commit times, while files come late, are bad, and processes end.

use std::time::Duration;

use landbridge::app::watermarks::{Looks, look};
use landbridge::demo::record::Fate;
use landbridge::domain::instant::Instant;
use landbridge::ledger::{Ledger, Mending};

use crate::pipeline::{CONFIG, file_id};
use crate::support::{Disk, Running, paused};

/// Longer than a message of an earlier process can stay hidden.
const HIDDEN: Duration = Duration::from_secs(200);

/// The table's mark, in microseconds, as the ledger has it.
async fn mark(disk: &Disk) -> Option<i64> {
    let summaries = disk.ledger.summary(Instant::from_micros(0)).await.unwrap();
    summaries.first().and_then(|summary| summary.watermark).map(Instant::micros)
}

/// The changes of a file of `count` rows are committed in so many microseconds of 1970, from 0 on.
const fn last_commit(count: u64) -> Option<i64> {
    Some(count as i64 - 1)
}

#[test]
fn a_bad_file_holds_the_mark_over_restarts_until_a_person_has_seen_to_it() {
    let mut disk = Disk::new(&["x"]);
    let entries = [(5, Fate::Good), (6, Fate::Poison), (7, Fate::Good)]
        .map(|(count, fate)| disk.put_as("x", count, fate, &[]));
    let bad = file_id(&entries[1], "x");
    let config = disk.config(CONFIG);
    paused(async {
        let mut looks = Looks::new(true);
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        let begun = running.clock.now();
        let later = |seconds| begun.plus(Duration::from_secs(seconds));
        look(&running.tree.world, &mut looks).await.unwrap();
        // In no order: the last first.
        for (entry, event) in [(2, 3), (1, 2), (0, 1)] {
            tokio::time::sleep(Duration::from_secs(1)).await;
            running.announce_as_of(&entries[entry], later(event)).await;
        }
        running.idle().await;
        for _ in 0..2 {
            look(&running.tree.world, &mut looks).await.unwrap();
        }
        // The two good ones were loaded together, and each vouches for itself.
        assert_eq!(mark(&disk).await, last_commit(5));
    });
    for mending in [None, Some(Mending::Discard)] {
        paused(async {
            let mut looks = Looks::default();
            let running = Running::start(&mut disk, &config, |edges| edges).await;
            if let Some(mending) = mending {
                let poison = disk.ledger.poison(&bad.table, 10).await.unwrap();
                let mended =
                    disk.ledger.mend(&[(bad.clone(), poison[0].at)], mending, running.clock.now()).await;
                assert_eq!(mended.unwrap(), [true]);
            }
            look(&running.tree.world, &mut looks).await.unwrap();
            assert_eq!(
                mark(&disk).await,
                last_commit(5),
                "what the last process had in hand may still be hidden"
            );
            tokio::time::sleep(HIDDEN + Duration::from_secs(1)).await;
            look(&running.tree.world, &mut looks).await.unwrap();
            assert_eq!(mark(&disk).await, last_commit(if mending.is_none() { 5 } else { 7 }));
        });
    }
}

#[test]
fn a_file_in_hand_holds_the_mark_and_one_without_commit_times_does_not() {
    let mut disk = Disk::new(&["x", "y"]);
    let (early, late, other) = (disk.put("x", 4), disk.put("x", 9), disk.put("y", 3));
    let mapped = disk.config(CONFIG);
    let mut config = mapped.clone();
    // The mapping of both, without DMS's timestamp.
    config.mappings[0].dms.timestamp = None;
    paused(async {
        let mut looks = Looks::new(true);
        let running = Running::start(&mut disk, &config, |edges| edges).await;
        running.announce(&other).await;
        running.idle().await;
        for _ in 0..2 {
            look(&running.tree.world, &mut looks).await.unwrap();
        }
        assert_eq!(mark(&disk).await, None);
    });
    paused(async {
        let mut looks = Looks::default();
        let running = Running::start(&mut disk, &mapped, |edges| edges).await;
        let now = running.clock.now();
        running.announce_as_of(&late, now.plus(Duration::from_secs(2))).await;
        running.idle().await;
        tokio::time::sleep(HIDDEN + Duration::from_secs(1)).await;
        // Its window is open.
        running.announce_as_of(&early, now.plus(Duration::from_secs(1))).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        for _ in 0..2 {
            look(&running.tree.world, &mut looks).await.unwrap();
        }
        let table = Running::table("x");
        let of_x = async || {
            let all = disk.ledger.summary(now).await.unwrap();
            all.iter().find(|one| one.table == table).and_then(|one| one.watermark).map(Instant::micros)
        };
        assert_eq!(of_x().await, None, "the older file is in hand");
        running.idle().await;
        for _ in 0..2 {
            look(&running.tree.world, &mut looks).await.unwrap();
        }
        assert_eq!(of_x().await, last_commit(9));
    });
}

//! A ledger that is copied is the same ledger. Each check gets two empty ledgers and a reader of each.

use landbridge::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use landbridge::domain::column_type::ColumnType;
use landbridge::domain::cost::usage::{Day, KeptUsage, Measure, Tally};
use landbridge::domain::fault::Fault;
use landbridge::domain::file::FileId;
use landbridge::domain::ids::{AttemptNumber, TableId};
use landbridge::domain::instant::Instant;
use landbridge::domain::notice::{Notice, NoticeId};
use landbridge::domain::shape::{Change, ShapeEntry};
use landbridge::domain::summary::{CommitSpan, EventSpan};
use landbridge::domain::watermark::UNTOLD;
use landbridge::ledger::archive::{Line, read, replay};
use landbridge::ledger::reader::LedgerReader;
use landbridge::ledger::{Home, Mending, SharedLedger, TableMode, Verdict};

fn at(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

fn file(name: &str) -> FileId {
    let table = TableId::new("a", "s", "t");
    FileId { table, bucket: "b".into(), key: name.into(), etag: "e".into(), size_bytes: 7 }
}

fn batch(names: &[&str], claimed: i64, rows: u64) -> Batch {
    let entries = names.iter().map(|name| ManifestEntry { file: file(name), rows }).collect();
    let table = TableId::new("a", "s", "t");
    let mut batch = Batch::plan(table, Destination::default(), at(claimed), None, Manifest { entries });
    batch.events = EventSpan::of([at(claimed - 5), at(claimed - 3)]);
    batch.commits = Some(CommitSpan { oldest: at(claimed - 9), newest: at(claimed - 6) });
    batch
}

/// One of everything that a ledger can hold.
async fn fill(ledger: &SharedLedger) -> Result<(), Fault> {
    let first = |batch: &Batch| batch.attempt(AttemptNumber::FIRST, "plan");
    let [loaded, open, held, split] =
        [(&["l1", "l2"][..], 10), (&["o"], 20), (&["h"], 30), (&["p", "v", "d", "c"], 40)]
            .map(|(names, claimed)| batch(names, claimed, 3));
    let empty = batch(&["z"], 50, 0);
    for one in [&loaded, &open, &held, &split] {
        ledger.claim(one, Some(&first(one)), at(100)).await?;
    }
    ledger.claim(&empty, None, at(100)).await?;
    let second = loaded.attempt(AttemptNumber(2), "plan 2");
    ledger.fail_attempt(&loaded.id, AttemptNumber(1), "no", Some(&second), at(110)).await?;
    let notice = |receiver: &str| Notice {
        receiver: receiver.into(),
        id: NoticeId { loaded_at: at(119), batch: loaded.id.clone() },
        table: loaded.table.clone(),
        body: "{}".into(),
    };
    ledger.commit_telling(&loaded.id, &[notice("bi"), notice("fraud")], at(120)).await?;
    ledger.commit(&empty.id, at(121)).await?;
    ledger.fail_attempt(&open.id, AttemptNumber(1), "not yet", None, at(122)).await?;
    ledger.hold(&held.id, true, at(123)).await?;
    ledger.fail_attempt(&split.id, AttemptNumber(1), "bad", None, at(124)).await?;
    let child = Batch { parent: Some(split.id.clone()), ..batch(&["c"], 40, 3) };
    let homes = [
        Home::Poison(file("p"), "bad".into()),
        Home::Vanished(file("v")),
        Home::Deferred(file("d")),
        Home::Batch { attempt: Some(first(&child)), batch: child },
    ];
    ledger.rehome(&split.id, &homes, at(125)).await?;
    ledger.settle(&[(file("g"), Verdict::Poison("given up".into()))], at(126)).await?;
    ledger.mend(&[(file("g"), at(126))], Mending::Discard, at(127)).await?;
    ledger.note_events(&[(file("d"), at(3)), (file("p"), at(2))]).await?;
    // Of a deferred file nobody knows how old it is, in its batch neither.
    ledger.settle(&[(file("w"), Verdict::Defer)], at(126)).await?;
    let unknown = batch(&["w"], 60, 3);
    ledger.claim(&unknown, Some(&first(&unknown)), at(127)).await?;
    ledger.raise_watermarks(&[(TableId::new("a", "s", "t"), at(4))]).await?;
    ledger.set_mode(&TableId::new("a", "s", "t"), &TableMode::Held("look".into()), at(128)).await?;
    ledger.set_mode(&TableId::new("a", "s", "u"), &TableMode::Paused, at(128)).await?;
    let entries: Vec<_> = (0..300).map(|number| entry(&format!("c{number}"))).collect();
    let (some, more) = entries.split_at(3);
    for (known, entries) in [(0, some), (3, more)] {
        assert!(ledger.grow_shape(&TableId::new("a", "s", "t"), known, entries).await?);
    }
    let tally = Tally { shared: [(Measure::Files, 7)].into_iter().collect(), ..Tally::default() };
    ledger.keep_usage(&KeptUsage { day: Day(20_000), writer: "w".into(), from: at(5), tally }).await?;
    ledger.dead_letter("q", "{no json", "it cannot be parsed", at(129)).await
}

fn entry(name: &str) -> ShapeEntry {
    ShapeEntry {
        source: name.into(),
        kind: ColumnType::Int64,
        target: name.into(),
        target_kind: ColumnType::Decimal { precision: 20, scale: 0 },
        change: Change::Widened,
        at: at(5),
        file: Some("b/k@e".into()),
    }
}

async fn lines(reader: &dyn LedgerReader) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut take = |line| {
        lines.push(line);
        Ok(())
    };
    read(reader, &mut take).await.unwrap();
    lines
}

fn sorted(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by_key(|line| format!("{line:?}"));
    lines
}

/// What is replayed into another ledger is there as it was, its figures included; a replay that was interrupted is begun
/// again; and a file that is elsewhere already is refused.
pub(crate) async fn a_copy_is_the_same_ledger(
    (ledger, reader): (SharedLedger, &dyn LedgerReader),
    (other, of_other): (SharedLedger, &dyn LedgerReader),
) {
    fill(&ledger).await.unwrap();
    let written = lines(reader).await;
    assert_eq!(written.len(), 6 + 4 + 2 + 1 + 1 + 1 + 1, "{written:#?}");
    let text: Vec<_> = written.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    let parsed: Vec<Line> = text.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!(parsed, written);
    for part in [&parsed[..4], &parsed[..]] {
        for line in part.iter().filter(|line| !matches!(line, Line::DeadLetter(_))) {
            replay(&*other, line.clone(), at(200)).await.unwrap();
        }
    }
    let letter = parsed.iter().find(|line| matches!(line, Line::DeadLetter(_)));
    replay(&*other, letter.unwrap().clone(), at(200)).await.unwrap();
    assert_eq!(sorted(lines(of_other).await), sorted(written));
    let waiting = other.notices("fraud", None, 10).await.unwrap();
    assert_eq!((waiting.len(), &waiting), (1, &ledger.notices("fraud", None, 10).await.unwrap()));
    assert_eq!(other.summary(at(500)).await.unwrap(), ledger.summary(at(500)).await.unwrap());
    assert_eq!(other.blocking().await.unwrap(), ledger.blocking().await.unwrap());
    let own = TableId::new("a", "s", "t");
    assert_eq!(other.blocking().await.unwrap().get(&own), Some(&UNTOLD));
    let of_own = other.summary(at(500)).await.unwrap().into_iter().find(|one| one.table == own).unwrap();
    assert_eq!(of_own.watermark, Some(at(4)));
    let taken = batch(&["l1", "new"], 99, 3);
    let line = Line::Batch(landbridge::ledger::archive::KeptBatch::loaded(taken, "x"));
    let refused = replay(&*other, line, at(200)).await.unwrap_err();
    assert!(refused.chain().contains("b/l1@e is loaded already"), "{}", refused.chain());
}

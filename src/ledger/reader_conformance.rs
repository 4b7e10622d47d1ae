//! What every reader must show of its ledger. Each check gets an empty ledger and a reader of it.

use landbridge::domain::audit::{BatchAccount, FileHome};
use landbridge::domain::batch::{Batch, Destination, Manifest, ManifestEntry};
use landbridge::domain::file::FileId;
use landbridge::domain::ids::{AttemptNumber, TableId};
use landbridge::domain::instant::Instant;
use landbridge::ledger::reader::{BatchCursor, BatchPage, LedgerReader, Scope};
use landbridge::ledger::{AttemptOutcome, BatchState, Home, SharedLedger, Verdict};

fn at(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

fn file(table: &str, name: &str) -> FileId {
    let table = TableId::new("a", "s", table);
    FileId { table, bucket: "b".into(), key: name.into(), etag: "e".into(), size_bytes: 7 }
}

async fn claimed(ledger: &SharedLedger, table: &str, names: &[&str], claim: i64) -> Batch {
    let entries = names.iter().map(|name| ManifestEntry { file: file(table, name), rows: 3 }).collect();
    let id = TableId::new("a", "s", table);
    let batch = Batch::plan(id, Destination::default(), at(claim), None, Manifest { entries });
    let attempt = batch.attempt(AttemptNumber::FIRST, "plan");
    ledger.claim(&batch, Some(&attempt), at(1)).await.unwrap();
    batch
}

async fn all(reader: &dyn LedgerReader, scope: &Scope, limit: usize) -> Vec<BatchAccount> {
    let (mut batches, mut next) = (Vec::new(), BatchCursor::new());
    loop {
        let page = reader.batches(scope, &next, limit).await.unwrap();
        assert!(page.batches.len() <= limit);
        batches.extend(page.batches);
        next = page.next;
        if !page.more {
            batches.sort_by_key(|account| account.batch.claimed_at);
            return batches;
        }
    }
}

/// Pages of any length show each batch once, whole; what comes later is shown from where they ended.
pub(crate) async fn batches_are_paged(ledger: SharedLedger, reader: &dyn LedgerReader) {
    assert_eq!(all(reader, &Scope::default(), 3).await, []);
    let mut made = Vec::new();
    for number in 0..7_u8 {
        let table = if number % 2 == 0 { "t" } else { "u" };
        made.push(claimed(&ledger, table, &[&format!("{number}")], i64::from(number)).await);
    }
    let second = made[3].attempt(AttemptNumber(2), "plan");
    ledger.fail_attempt(&made[3].id, AttemptNumber(1), "no", Some(&second), at(2)).await.unwrap();
    ledger.commit(&made[3].id, at(3)).await.unwrap();
    for limit in [1, 2, 7, 100] {
        let read = all(reader, &Scope::default(), limit).await;
        assert_eq!(
            read.iter().map(|account| &account.batch).collect::<Vec<_>>(),
            made.iter().collect::<Vec<_>>()
        );
    }
    let account = reader.batch(&made[3].id).await.unwrap().unwrap();
    assert_eq!((account.state, account.homes.as_slice()), (BatchState::Loaded, &[FileHome::Here][..]));
    let attempts: Vec<_> =
        account.attempts.iter().map(|(attempt, outcome)| (attempt.number.0, outcome.clone())).collect();
    assert_eq!(attempts, [(1, AttemptOutcome::Failed("no".into())), (2, AttemptOutcome::Succeeded)]);
    let scoped = |table: Option<&str>, since: Option<i64>| Scope {
        table: table.map(|table| TableId::new("a", "s", table)),
        since: since.map(at),
        loose_only: false,
    };
    let ids = async |scope: Scope| all(reader, &scope, 2).await.len();
    assert_eq!(ids(scoped(Some("u"), None)).await, 3);
    assert_eq!(ids(scoped(None, Some(4))).await, 3);
    assert_eq!(ids(scoped(Some("u"), Some(4))).await, 1);
    // A scope that nothing is in is read on all the same; what was shown may be shown again.
    let none = scoped(Some("v"), None);
    let end = reader.batches(&none, &BatchCursor::new(), 10).await.unwrap();
    assert_eq!((end.batches.as_slice(), end.more), (&[][..], false));
    let first = claimed(&ledger, "v", &["later"], 9).await;
    let later = reader.batches(&none, &end.next, 10).await.unwrap();
    let ids = |page: &BatchPage| page.batches.iter().map(|one| one.batch.id.clone()).collect::<Vec<_>>();
    assert_eq!((ids(&later), later.more), (vec![first.id], false));
    let second = claimed(&ledger, "v", &["later still"], 10).await;
    let last = reader.batches(&none, &later.next, 10).await.unwrap();
    assert!(ids(&last).contains(&second.id) && !last.more);
    assert_eq!(reader.tables().await.unwrap(), ["t", "u", "v"].map(|table| TableId::new("a", "s", table)));
}

/// Files in no batch are shown with their state, those of a batch with where they are.
pub(crate) async fn files_are_shown_where_they_are(ledger: SharedLedger, reader: &dyn LedgerReader) {
    let one = claimed(&ledger, "t", &["u", "v", "w", "x"], 1).await;
    ledger.fail_attempt(&one.id, AttemptNumber(1), "no", None, at(2)).await.unwrap();
    let entries = vec![ManifestEntry { file: file("t", "u"), rows: 3 }];
    let half = Batch::plan(
        one.table.clone(),
        one.destination.clone(),
        one.claimed_at,
        Some(one.id.clone()),
        Manifest { entries },
    );
    let attempt = half.attempt(AttemptNumber::FIRST, "plan");
    let homes = [
        Home::Batch { batch: half.clone(), attempt: Some(attempt) },
        Home::Poison(file("t", "v"), "bad".into()),
        Home::Vanished(file("t", "w")),
        Home::Deferred(file("t", "x")),
    ];
    ledger.rehome(&one.id, &homes, at(3)).await.unwrap();
    ledger.settle(&[(file("u", "y"), Verdict::Defer)], at(4)).await.unwrap();
    let account = reader.batch(&one.id).await.unwrap().unwrap();
    assert_eq!(account.state, BatchState::Abandoned);
    assert_eq!(account.homes, [FileHome::Elsewhere, FileHome::Loose, FileHome::Loose, FileHome::Loose]);
    assert_eq!(reader.batch(&half.id).await.unwrap().unwrap().homes, [FileHome::Here]);
    for limit in [1, 2, 100] {
        let (mut loose, mut after) = (Vec::new(), None);
        loop {
            let page = reader.files(&Scope::default(), after.as_ref(), limit).await.unwrap();
            assert_eq!(page.stray, []);
            loose.extend(
                page.loose.into_iter().map(|loose| (loose.file.key.to_string(), loose.state.label())),
            );
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        loose.sort();
        let expected = [("v", "poison"), ("w", "vanished"), ("x", "deferred"), ("y", "deferred")];
        assert_eq!(loose, expected.map(|(key, state)| (key.to_owned(), state)));
    }
    let of_one = Scope { table: Some(TableId::new("a", "s", "u")), ..Scope::default() };
    assert_eq!(reader.files(&of_one, None, 100).await.unwrap().loose.len(), 1);
    let mut loose = Vec::new();
    let (scope, mut after) = (Scope { loose_only: true, ..Scope::default() }, None);
    loop {
        let page = reader.files(&scope, after.as_ref(), 3).await.unwrap();
        loose.extend(page.loose);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(loose.len(), 4);
}

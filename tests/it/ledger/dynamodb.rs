//! What is DynamoDB's own: tables that are no ledger, formats, races of processes, long manifests, the cost of a step.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use landbridge::domain::batch::{Batch, Destination, FILES_PER_BATCH_MAX, Manifest, ManifestEntry};
use landbridge::domain::fault::{Fault, FaultKind};
use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::ids::{AttemptNumber, TableId};
use landbridge::domain::instant::Instant;
use landbridge::ledger::dynamodb::DynamoDbLedger;
use landbridge::ledger::dynamodb::reader::DynamoDbReader;
use landbridge::ledger::{Claim, Home, Ledger, Step, TableMode, Verdict};

use super::{open, table};
use crate::peers::cloud::Emulators;

async fn client() -> Client {
    Client::new(&Emulators::get().aws_config().await)
}

async fn refused(table: &str) -> Fault {
    DynamoDbLedger::open(&Emulators::get().aws_config().await, table).await.map(|_| ()).unwrap_err()
}

pub fn at(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

pub fn file(key: &str) -> FileId {
    let table = TableId::new("a", "s", "t");
    FileId { table, bucket: "b".into(), key: key.into(), etag: "e".into(), size_bytes: 7 }
}

pub fn batch(files: &[FileId], parent: Option<&Batch>, claimed: i64) -> Batch {
    let entries = files.iter().map(|file| ManifestEntry { file: file.clone(), rows: 3 }).collect();
    let (table, parent) = (TableId::new("a", "s", "t"), parent.map(|parent| parent.id.clone()));
    Batch::plan(table, Destination::default(), at(claimed), parent, Manifest { entries })
}

async fn claim(ledger: &dyn Ledger, batch: &Batch) -> Claim {
    ledger.claim(batch, Some(&batch.attempt(AttemptNumber::FIRST, "plan")), at(1)).await.unwrap()
}

#[tokio::test]
async fn what_is_no_ledger_or_of_a_newer_format_is_refused() {
    let (client, foreign) = (client().await, table());
    let id =
        AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build();
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build();
    let call = client.create_table().table_name(&foreign).billing_mode(BillingMode::PayPerRequest);
    call.attribute_definitions(id.unwrap()).key_schema(key.unwrap()).send().await.unwrap();
    let fault = refused(&foreign).await;
    assert_eq!(fault.kind, FaultKind::AccessDenied);
    assert!(fault.chain().contains("is no ledger of landbridge"), "{}", fault.chain());

    let newer = table();
    drop(open(&newer).await);
    drop(open(&newer).await);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = client.put_item().table_name(&newer).item("pk", text("LEDGER")).item("sk", text("ledger"));
    put.item("l_format", AttributeValue::N("2".to_owned())).send().await.unwrap();
    let fault = refused(&newer).await;
    assert!(fault.chain().contains("has format 2"), "{}", fault.chain());

    // Who only reads makes nothing.
    let absent = table();
    let config = Emulators::get().aws_config().await;
    assert!(DynamoDbReader::open(&config, &absent).await.is_err());
    assert!(!client.list_tables().send().await.unwrap().table_names().contains(&absent));
}

#[tokio::test]
async fn what_cannot_be_read_back_is_corrupt_and_not_tried_again() {
    let (client, name) = (client().await, table());
    let ledger = open(&name).await;
    let one = batch(&[file("x")], None, 1);
    claim(&ledger, &one).await;
    let key = |sk: &str| {
        let text = |text: String| AttributeValue::S(text);
        HashMap::from([
            ("pk".to_owned(), text(format!("B#{}", one.id))),
            ("sk".to_owned(), text(sk.to_owned())),
        ])
    };
    let spoil = async |expression: &str, value: AttributeValue| {
        let call = client.update_item().table_name(&name).set_key(Some(key("b")));
        let call = call.update_expression(expression).expression_attribute_values(":v", value);
        call.send().await.unwrap();
    };
    spoil("SET b_state = :v", AttributeValue::N("9".to_owned())).await;
    assert_eq!(ledger.lookup(&[file("x")]).await.unwrap_err().kind, FaultKind::LedgerCorrupt);
    assert_eq!(ledger.batch(&one.id).await.unwrap_err().kind, FaultKind::LedgerCorrupt);
    spoil("SET b_state = :v", AttributeValue::N("0".to_owned())).await;
    spoil("SET b_manifest = :v", AttributeValue::S("none".to_owned())).await;
    assert_eq!(ledger.open_batches(None, 9).await.unwrap_err().kind, FaultKind::LedgerCorrupt);
    client.delete_item().table_name(&name).set_key(Some(key("b"))).send().await.unwrap();
    let fault = ledger.lookup(&[file("x")]).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::LedgerCorrupt);
    assert!(fault.chain().contains("which is not there or abandoned"), "{}", fault.chain());
}

/// The largest batch with the longest names is one transaction, whatever becomes of it; also where all of its files were
/// deferred before.
#[tokio::test]
async fn a_full_batch_with_long_names_is_one_step() {
    let ledger = open(&table()).await;
    let long = "k".repeat(1_000);
    let files: Vec<_> = (0..FILES_PER_BATCH_MAX).map(|number| file(&format!("{long}{number}"))).collect();
    let verdicts: Vec<_> = files.iter().map(|file| (file.clone(), Verdict::Defer)).collect();
    ledger.settle(&verdicts, at(1)).await.unwrap();
    assert_eq!(ledger.deferred_count(&TableId::new("a", "s", "t")).await.unwrap(), 90);
    assert_eq!(ledger.deferred(&TableId::new("a", "s", "t"), 1_000).await.unwrap().len(), 90);
    let whole = batch(&files, None, 5);
    assert_eq!(claim(&ledger, &whole).await, Claim::Won);
    assert_eq!(ledger.batch(&whole.id).await.unwrap().unwrap().batch.manifest, whole.manifest);
    ledger.fail_attempt(&whole.id, AttemptNumber(1), "no", None, at(6)).await.unwrap();
    let (left, right) = files.split_at(45);
    let children = [batch(left, Some(&whole), 5), batch(right, Some(&whole), 5)];
    let homes = children.clone().map(|batch| {
        let attempt = Some(batch.attempt(AttemptNumber::FIRST, "plan"));
        Home::Batch { batch, attempt }
    });
    assert_eq!(ledger.rehome(&whole.id, &homes, at(7)).await.unwrap(), Step::Done);
    for child in &children {
        assert_eq!(ledger.commit(&child.id, at(8)).await.unwrap(), Step::Done);
    }
    let states = ledger.lookup(&files).await.unwrap();
    assert!(states.iter().all(|state| matches!(state, Some(FileState::Loaded { .. }))), "{states:?}");
    assert_eq!(ledger.open_batches(None, 9).await.unwrap(), []);
}

/// Twelve at one time want overlapping files, and one gets them; the same for twelve processes, each with a client of its
/// own. `LEDGER_RACES` says how often.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_race_of_twelve_processes_has_one_winner() {
    let races = std::env::var("LEDGER_RACES").map_or(5, |races| races.parse().unwrap());
    let name = table();
    let mut processes = Vec::new();
    for _ in 0..12 {
        processes.push(Arc::new(open(&name).await));
    }
    for race in 0..races {
        let racers = processes.iter().cloned().zip(0..).map(|(ledger, number)| {
            tokio::spawn(async move {
                let files = [
                    file(&format!("{race}-x")),
                    file(&format!("{race}-y")),
                    file(&format!("{race}-{number}")),
                ];
                claim(&*ledger, &batch(&files[usize::from(number == 0)..], None, number)).await == Claim::Won
            })
        });
        let mut winners = 0;
        for racer in racers.collect::<Vec<_>>() {
            winners += u32::from(racer.await.unwrap());
        }
        assert_eq!(winners, 1, "race {race}");
    }
    assert_eq!(processes[0].open_batches(None, 100_000).await.unwrap().len(), races);
}

/// A pause whose answer was lost is repeated after another process has resumed the table.
#[tokio::test]
async fn a_later_decision_about_a_table_stands() {
    let ledger = super::empty().await;
    let (table, at) = (TableId::new("a", "s", "t"), Instant::from_micros);
    ledger.set_mode(&table, &TableMode::Paused, at(10)).await.unwrap();
    ledger.set_mode(&table, &TableMode::Running, at(20)).await.unwrap();
    ledger.set_mode(&table, &TableMode::Paused, at(10)).await.unwrap();
    assert_eq!(ledger.modes().await.unwrap(), []);
    ledger.set_mode(&table, &TableMode::Paused, at(30)).await.unwrap();
    assert_eq!(ledger.modes().await.unwrap(), [(table, TableMode::Paused)]);
}

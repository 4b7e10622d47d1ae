//! What landbridge says that it did is what the stand-ins saw.

use landbridge::app::readers::ledger_reader;
use landbridge::config::load;
use landbridge::domain::cost::request_units::weighed;
use landbridge::domain::cost::usage::{Day, KeptUsage, Measure, Tally};
use landbridge::flow::cpu::blocking;
use landbridge::ledger::dynamodb::reader::DynamoDbReader;
use landbridge::ledger::reader::LedgerReader;
use serde_json::Value;

use super::cloud::{Emulators, World};
use super::process::Process;
use super::tap::{Seen, Tap};
use crate::cli::{landbridge, output};

const FILES: usize = 6;

/// Loads some files through taps, to the end; what was kept of it, and what the taps saw.
async fn loaded(world: &World, ledger: &str) -> (Vec<KeptUsage>, u64, Tap, Vec<Seen>) {
    let (aws, bigquery) =
        (Tap::start(&Emulators::get().aws).await, Tap::start(&Emulators::get().bigquery).await);
    let cluster = &world.clusters[0];
    let mut bytes = 0;
    for number in 0..FILES {
        let (table, file) = (&cluster.tables[number % 2], world.file(50 * (number + 1), &[]));
        bytes += file.len() as u64;
        world.put_bytes(&cluster.bucket, &world.key(table), file).await;
    }
    let config =
        world.configure(&format!("[http]\nlisten = \"off\"\n[cost]\nbudget_usd_month = 1\n{ledger}"));
    let text = std::fs::read_to_string(&config).unwrap();
    let text =
        text.replace(&Emulators::get().aws, &aws.url).replace(&Emulators::get().bigquery, &bigquery.url);
    std::fs::write(&config, text).unwrap();
    let run = config.clone();
    let told = blocking("landbridge", move || {
        let mut command = landbridge();
        command.args(["run", "--until-idle", "--config"]).arg(run).env("LANDBRIDGE__HTTP__LISTEN", "off");
        Ok(output(with_credentials(&mut command)))
    });
    let (status, text) = told.await.unwrap();
    assert!(status.status.success(), "{text}");
    // Who reads is no part of what was counted.
    let reader: Box<dyn LedgerReader> = if ledger.is_empty() {
        ledger_reader(&load(&config, []).unwrap()).await.unwrap()
    } else {
        Box::new(DynamoDbReader::open(&Emulators::get().aws_config().await, &world.name).await.unwrap())
    };
    (reader.usage(Day(0)).await.unwrap(), bytes, aws, bigquery.seen())
}

fn with_credentials(command: &mut std::process::Command) -> &mut std::process::Command {
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    command.env("AWS_EC2_METADATA_DISABLED", "true")
}

fn whole(kept: &[KeptUsage]) -> Tally {
    let mut tally = Tally::default();
    kept.iter().for_each(|page| tally.add_all(&page.tally));
    tally
}

fn of_sqs(seen: &Seen) -> bool {
    seen.target.starts_with("AmazonSQS.")
}

fn of_dynamodb(seen: &Seen) -> bool {
    seen.target.starts_with("DynamoDB_")
}

#[tokio::test]
async fn what_was_counted_is_what_the_stand_ins_saw() {
    let world = World::new(1, 2).await;
    let (kept, put_bytes, aws, bigquery) = loaded(&world, "").await;
    let (aws, tally) = (aws.seen(), whole(&kept));
    let counted = |measure| tally.whole().of(measure);
    let requests = aws.iter().filter(|seen| of_sqs(seen)).count() as u64;
    assert!(requests > 2 && counted(Measure::SqsRequests) == requests, "{requests} {tally:?}");
    let gets = aws.iter().filter(|seen| !of_sqs(seen) && seen.line.starts_with("GET ")).count() as u64;
    assert_eq!((counted(Measure::S3Gets), counted(Measure::S3Lists)), (gets, 0));
    assert_eq!((counted(Measure::Files), counted(Measure::FetchedBytes)), (FILES as u64, put_bytes));
    let uploads: Vec<_> = bigquery.iter().filter(|seen| seen.line.contains(" /upload/")).collect();
    let sent: usize = uploads.iter().map(|seen| seen.body.len()).sum();
    assert_eq!(counted(Measure::LoadJobs), uploads.len() as u64);
    assert_eq!(counted(Measure::SentBytes), sent as u64);
    assert_eq!(counted(Measure::GoogleCalls), bigquery.len() as u64);
    assert!(counted(Measure::LogBytes) > 100 && counted(Measure::DynamoDbWrites) == 0);
    // What is of a table is counted as its own.
    assert_eq!(tally.tables.len(), 2);
    let of_tables: u64 = tally.tables.values().map(|usage| usage.of(Measure::SentBytes)).sum();
    assert_eq!(of_tables, sent as u64);
    let heads: usize = bigquery.iter().map(|seen| seen.head_bytes).sum();
    println!(
        "{} calls to Google, {} bytes of heads each, without a token",
        bigquery.len(),
        heads / bigquery.len()
    );
    world.must_be_equal(&[]);

    let mut command = landbridge();
    let (status, text) =
        output(command.args(["cost", "--json", "--config"]).arg(world.folder.path().join("landbridge.toml")));
    assert!(status.status.success(), "{text}");
    let cost: Value = serde_json::from_str(&text).unwrap();
    let item = |name: &str| {
        cost["items"].as_array().unwrap().iter().find(|item| item["item"] == name).unwrap().clone()
    };
    assert_eq!(item("sqs_requests")["month"].as_f64(), Some(requests as f64));
    assert_eq!(cost["tables"].as_array().unwrap().len(), 2);
    assert_eq!(cost["budget_usd"], 1.0);

    // A landbridge that runs tells the same: on its page, in its metrics, and to who asks it.
    let process = Process::start(&world.folder.path().join("landbridge.toml")).await;
    let url = format!("{}/api/v1/cost", process.url);
    process
        .until("it has made out what it costs", || async {
            reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    let told: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    let files = |cost: &Value| {
        cost["tables"].as_array().unwrap().iter().map(|table| table["files"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((files(&told), files(&cost)), (FILES as u64, FILES as u64));
    let page = reqwest::get(&process.url).await.unwrap().text().await.unwrap();
    assert!(page.contains("dollars so far") && page.contains("1.00 budget"), "{page}");
    assert!(process.metric("landbridge_cost_usd", "period=\"month\"").await > 0.0);
    assert!((process.metric("landbridge_cost_budget_usd", "").await - 1.0).abs() < 1e-9);
    let mut command = landbridge();
    let (status, text) = output(command.args(["cost", "--url", &process.url]));
    assert!(status.status.success() && text.contains("S3 GET requests"), "{text}");
}

#[tokio::test]
async fn what_dynamodb_takes_is_counted_and_kept_there() {
    let world = World::new(1, 2).await;
    let ledger = format!("[ledger]\nkind = \"dynamodb\"\ntable = \"{}\"\n", world.name);
    let (kept, _, aws, _) = loaded(&world, &ledger).await;
    let tally = whole(&kept);
    let counted = |measure| tally.whole().of(measure) as f64;
    let told = aws.answered("CapacityUnits");
    let units = counted(Measure::DynamoDbWrites) + counted(Measure::DynamoDbHalfReads) / 2.0;
    // What was counted is put last, in one item of less than a KiB, and does not count itself.
    assert_eq!(units, told.iter().sum::<f64>() - 1.0, "{told:?} {tally:?}");
    let calls = aws.seen();
    let by_size =
        calls.iter().filter(|seen| of_dynamodb(seen)).map(|seen| weighed(&seen.target, &seen.body, 0, 200));
    let writes: u64 = by_size.map(|units| units.writes).sum();
    println!("{} calls, {told:?}; {writes} writes by their size", told.len());
    assert!(writes > 20);
    let transactions = calls.iter().filter(|seen| seen.target.ends_with("TransactWriteItems"));
    assert!(transactions.clone().count() > 2);
    for one in transactions {
        assert!(String::from_utf8_lossy(&one.body).contains("\"ReturnConsumedCapacity\":\"TOTAL\""));
    }
}

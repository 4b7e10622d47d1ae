//! How many calls a step of the ledger in DynamoDB makes, counted on the wire, and what it costs this process in CPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use landbridge::domain::ids::AttemptNumber;
use landbridge::ledger::dynamodb::DynamoDbLedger;
use landbridge::ledger::{Claim, Ledger, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::dynamodb::{at, batch, file};
use super::table;
use crate::peers::cloud::Emulators;

/// Each request names its operation in this header.
const CALL: &[u8] = b"x-amz-target: DynamoDB_20120810.";

/// Forwards a free port to `upstream` and counts the calls.
async fn counting(upstream: &str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let counted = Arc::<AtomicUsize>::default();
    let (upstream, shared) = (upstream.strip_prefix("http://").unwrap().to_owned(), Arc::clone(&counted));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(forward(client, upstream.clone(), Arc::clone(&shared)));
        }
    });
    (url, counted)
}

async fn forward(client: TcpStream, upstream: String, calls: Arc<AtomicUsize>) {
    let server = TcpStream::connect(upstream).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = async { tokio::io::copy(&mut from_server, &mut to_client).await };
    let forth = async {
        let (mut piece, mut tail) = (vec![0; 64 << 10], Vec::new());
        loop {
            let length = from_client.read(&mut piece).await.unwrap_or(0);
            if length == 0 {
                break;
            }
            // A header may be cut in two: the end of the piece before is looked at again.
            tail.extend_from_slice(&piece[..length]);
            let found = tail.windows(CALL.len()).filter(|window| *window == CALL).count();
            calls.fetch_add(found, Ordering::SeqCst);
            let keep = tail.len().saturating_sub(CALL.len() - 1);
            tail.drain(..keep);
            if to_server.write_all(&piece[..length]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = back => {}
        () = forth => {}
    }
}

/// CPU seconds of this process so far: user and system, in clock ticks of a hundredth (proc(5)).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |place: usize| fields[place].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

#[tokio::test]
async fn claim_and_commit_of_a_batch_are_one_call_each() {
    let (url, calls) = counting(&Emulators::get().aws).await;
    let config = Emulators::get().aws_config().await.into_builder().endpoint_url(url).build();
    let ledger = DynamoDbLedger::open(&config, &table()).await.unwrap();
    let rounds = std::env::var("LEDGER_ROUNDS").map_or(3, |rounds| rounds.parse::<i64>().unwrap());
    let (mut before, mut cpu) = (0, 0.0);
    for round in 0..=rounds {
        let files: Vec<_> =
            (0..60).map(|number| file(&format!("{round}/a/key/as/long/as/they/are/{number}"))).collect();
        let one = batch(&files, None, 10 + round);
        let attempt = one.attempt(AttemptNumber::FIRST, "plan");
        assert_eq!(ledger.claim(&one, Some(&attempt), at(1)).await.unwrap(), Claim::Won);
        assert_eq!(ledger.commit(&one.id, at(2 + round)).await.unwrap(), Step::Done);
        if round == 0 {
            // The first load of a table's day reads its figures.
            (before, cpu) = (calls.load(Ordering::SeqCst), cpu_seconds());
        }
    }
    let counted = calls.load(Ordering::SeqCst) - before;
    let milliseconds = (cpu_seconds() - cpu) * 1_000.0 / rounds as f64;
    println!(
        "claim and commit of 60 files: {milliseconds:.1} ms of CPU, {} calls",
        counted as f64 / rounds as f64
    );
    assert_eq!(counted, 2 * usize::try_from(rounds).unwrap());
}

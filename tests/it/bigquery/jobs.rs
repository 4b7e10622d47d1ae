//! The list of the project's load jobs: what is asked for, over several pages, and what may not be seen.

use std::sync::atomic::{AtomicUsize, Ordering};

use landbridge::domain::fault::FaultKind;
use landbridge::domain::instant::Instant;
use landbridge::warehouse::jobs::{ProjectJobs, Whose};
use serde_json::{Value, json};

use super::connect;
use crate::support::http::{Answer, Request, Server};

fn job(number: usize, text: &str) -> Value {
    json!({
        "jobReference": {"jobId": format!("j{number}")},
        "statistics": {"creationTime": "7"},
        "configuration": {"jobType": "LOAD", "load": {"destinationTable": {"datasetId": "d", "tableId": text}}},
    })
}

#[tokio::test]
async fn every_page_is_asked_for_and_a_page_may_be_long() {
    // A page of more than 64 KiB.
    let long = "t".repeat(100);
    let page = AtomicUsize::new(0);
    let server = Server::start(move |_: &Request| {
        let first = page.fetch_add(1, Ordering::SeqCst) == 0;
        let mut jobs: Vec<_> = (0..1_000).map(|number| job(number, &long)).collect();
        jobs.extend([
            json!({"jobReference": {"jobId": "x"}}),
            json!({"configuration": {"jobType": "QUERY"}}),
        ]);
        let next = if first { json!("a b/c") } else { Value::Null };
        Answer::json(200, &json!({"jobs": jobs, "nextPageToken": next}))
    })
    .await;
    let listed = connect(&server.url).await.load_jobs(Instant::from_micros(7_999), Whose::Everybodys).await;
    let listed = listed.unwrap();
    assert_eq!((listed.jobs.len(), listed.hidden, listed.is_whole), (2_000, 2, true));
    let asked: Vec<_> = server.requests().iter().map(|request| request.target.clone()).collect();
    assert!(asked[0].starts_with("/bigquery/v2/projects/p/jobs?allUsers=true&"), "{asked:?}");
    assert!(asked[0].contains("&projection=full&") && asked[0].contains("&minCreationTime=7&"), "{asked:?}");
    assert!(
        !asked[0].contains("stateFilter") && asked[0].contains("&fields=nextPageToken,jobs("),
        "{asked:?}"
    );
    assert!(asked[1].ends_with("&pageToken=a%20b%2Fc") && asked.len() == 2, "{asked:?}");
}

#[tokio::test]
async fn who_may_not_see_others_jobs_is_told_and_lists_his_own() {
    let server = Server::start(|request: &Request| {
        if request.target.contains("allUsers=true") {
            return Answer::error(403, "accessDenied");
        }
        Answer::json(200, &json!({"jobs": [job(1, "t")]}))
    })
    .await;
    let bigquery = connect(&server.url).await;
    let since = Instant::from_micros(0);
    let refused = bigquery.load_jobs(since, Whose::Everybodys).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::AccessDenied);
    assert_eq!(bigquery.load_jobs(since, Whose::Own).await.unwrap().jobs.len(), 1);
}

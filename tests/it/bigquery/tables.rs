//! Datasets and tables: made, looked at once, widened, and never guessed at.

use std::sync::Mutex;

use landbridge::domain::batch::Destination;
use landbridge::domain::fault::FaultKind;
use landbridge::warehouse::Warehouse;
use serde_json::{Value, json};

use super::{connect, destination, loaded, table};
use crate::support::http::{Answer, Request, Server};

fn is(request: &Request, method: &str, end: &str) -> bool {
    request.method == method && request.target.split('?').next().unwrap().ends_with(end)
}

#[tokio::test]
async fn a_missing_table_and_its_dataset_are_made() {
    let made = Mutex::new(Vec::<&str>::new());
    let server = Server::start(move |request| {
        let mut made = made.lock().unwrap();
        if is(request, "GET", "/tables/t") {
            return Answer::error(404, "notFound");
        }
        if is(request, "POST", "/tables") {
            if !made.contains(&"dataset") {
                return Answer::error(404, "notFound");
            }
            made.push("table");
            return Answer::json(200, &request.json());
        }
        if is(request, "POST", "/datasets") {
            made.push("dataset");
            return Answer::json(200, &request.json());
        }
        assert!(made.contains(&"table"), "{request:?}");
        Answer::json(200, &json!({}))
    })
    .await;
    let (warehouse, loaded) = (connect(&server.url).await, loaded(3).await);
    warehouse.submit(&loaded.attempt, &loaded.body).await.unwrap();
    warehouse.submit(&loaded.attempt, &loaded.body).await.unwrap();
    let requests = server.requests();
    let body =
        |end: &str| -> Value { requests.iter().rfind(|request| is(request, "POST", end)).unwrap().json() };
    let dataset = body("/datasets");
    assert_eq!(
        (&dataset["location"], &dataset["datasetReference"]["datasetId"]),
        (&json!("EU"), &json!("d"))
    );
    let table = body("/tables");
    assert_eq!(table["timePartitioning"], json!({"type": "DAY", "field": "_claimed_at"}));
    // By the key, as far as BigQuery clusters by its types: not by a FLOAT64.
    assert_eq!(table["clustering"]["fields"], json!(["id"]));
    let names: Vec<_> =
        table["schema"]["fields"].as_array().unwrap().iter().map(|f| f["type"].clone()).collect();
    let expected = [
        "INTEGER",
        "STRING",
        "NUMERIC",
        "BYTES",
        "DATE",
        "DATETIME",
        "BOOLEAN",
        "FLOAT",
        "STRING",
        "TIMESTAMP",
        "STRING",
        "STRING",
        "INTEGER",
        "STRING",
        "TIMESTAMP",
    ];
    let same = |name: &Value| {
        name.as_str()
            .unwrap()
            .replace("BOOLEAN", "BOOL")
            .replace("INTEGER", "INT64")
            .replace("FLOAT64", "FLOAT")
    };
    assert_eq!(names.iter().map(same).collect::<Vec<_>>(), expected.map(|name| same(&json!(name))));
    let looks = requests.iter().filter(|request| is(request, "GET", "/tables/t")).count();
    assert_eq!(looks, 1, "what is known is not asked again");
}

#[tokio::test]
async fn a_missing_column_is_added_by_a_statement_and_the_load_names_all_columns() {
    let added = Mutex::new(false);
    let server = Server::start(move |request| {
        let mut added = added.lock().unwrap();
        if is(request, "POST", "/queries") {
            *added = true;
            return Answer::json(
                200,
                &json!({"jobComplete": true, "jobReference": {"projectId": "p", "jobId": "q"}}),
            );
        }
        if is(request, "GET", "/tables/t") {
            let mut shown = table(&[("other", "STRING")]);
            if !*added {
                shown["schema"]["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "rate");
            }
            return Answer::json(200, &shown);
        }
        Answer::json(200, &json!({}))
    })
    .await;
    let (warehouse, loaded) = (connect(&server.url).await, loaded(3).await);
    warehouse.submit(&loaded.attempt, &loaded.body).await.unwrap();
    let requests = server.requests();
    let statement = requests.iter().find(|request| is(request, "POST", "/queries")).unwrap().json();
    assert_eq!(statement["query"], "ALTER TABLE `p.d.t` ADD COLUMN IF NOT EXISTS `rate` FLOAT64");
    assert_eq!(statement["location"], "EU");
    let upload = requests.last().unwrap();
    let text = String::from_utf8_lossy(&upload.body).into_owned();
    assert!(text.contains(r#""name":"other""#) && text.contains(r#""name":"rate""#));
}

/// What is narrower than the files' type is altered, each column by a statement of its own; the load follows.
#[tokio::test]
async fn a_narrower_column_is_widened_where_nothing_is_rounded() {
    let widened = Mutex::new(Vec::<String>::new());
    let server = Server::start(move |request| {
        let mut widened = widened.lock().unwrap();
        if is(request, "POST", "/queries") {
            widened.push(request.json()["query"].as_str().unwrap().to_owned());
            return Answer::json(
                200,
                &json!({"jobComplete": true, "jobReference": {"projectId": "p", "jobId": "q"}}),
            );
        }
        if is(request, "GET", "/tables/t") {
            let narrow =
                if widened.iter().any(|done| done.contains("`Amount`")) { "NUMERIC" } else { "INTEGER" };
            let mut shown = table(&[("Amount", narrow)]);
            shown["schema"]["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "amount");
            return Answer::json(200, &shown);
        }
        Answer::json(200, &json!({}))
    })
    .await;
    let (warehouse, loaded) = (connect(&server.url).await, loaded(3).await);
    warehouse.submit(&loaded.attempt, &loaded.body).await.unwrap();
    let requests = server.requests();
    let statements: Vec<_> = requests.iter().filter(|request| is(request, "POST", "/queries")).collect();
    assert_eq!(statements.len(), 1);
    let statement = statements[0].json();
    assert_eq!(statement["query"], "ALTER TABLE `p.d.t` ALTER COLUMN `Amount` SET DATA TYPE NUMERIC");
    assert_eq!(statement["location"], "EU");
    let text = String::from_utf8_lossy(&requests.last().unwrap().body).into_owned();
    assert!(text.contains(r#""name":"Amount","type":"NUMERIC""#), "the load names the new type: {text:.900}");
}

/// Another process widens the column at the same moment: the statement fails, and the next look sees what is there.
#[tokio::test]
async fn a_column_that_another_process_has_widened_is_seen_at_the_next_try() {
    let widened = Mutex::new(false);
    let server = Server::start(move |request| {
        let mut widened = widened.lock().unwrap();
        if is(request, "POST", "/queries") {
            *widened = true;
            return Answer::error(400, "invalidQuery");
        }
        if is(request, "GET", "/tables/t") {
            let kind = if *widened { "BIGNUMERIC" } else { "INTEGER" };
            return Answer::json(200, &table(&[("amount", kind)]));
        }
        Answer::json(200, &json!({}))
    })
    .await;
    let (warehouse, loaded) = (connect(&server.url).await, loaded(3).await);
    let fault = warehouse.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::DestinationRefused);
    assert!(fault.chain().contains("cannot widen amount from INT64 to NUMERIC: p.d.t"), "{}", fault.chain());
    warehouse.submit(&loaded.attempt, &loaded.body).await.unwrap();
}

#[tokio::test]
async fn the_columns_of_a_table_are_told_with_what_they_hold() {
    let server = Server::start(|request| {
        if is(request, "GET", "/tables/t") {
            let mut shown = table(&[("amount", "BIGNUMERIC"), ("doc", "JSON"), ("tags", "STRING")]);
            for field in shown["schema"]["fields"].as_array_mut().unwrap() {
                if field["name"] == "tags" {
                    field["mode"] = json!("REPEATED");
                }
            }
            return Answer::json(200, &shown);
        }
        Answer::error(404, "notFound")
    })
    .await;
    let warehouse = connect(&server.url).await;
    let columns = warehouse.columns(&destination()).await.unwrap();
    let told =
        |name: &str| columns.iter().find(|(own, _)| **own == *name).unwrap().1.map(|kind| kind.to_string());
    assert_eq!(told("id").as_deref(), Some("INT64"));
    assert_eq!(told("at").as_deref(), Some("DATETIME"));
    assert_eq!(told("amount").as_deref(), Some("DECIMAL(76,38)"));
    assert_eq!((told("doc").as_deref(), told("tags")), (Some("JSON"), None));
    let elsewhere = Destination { table: "none".into(), ..destination() };
    assert_eq!(warehouse.columns(&elsewhere).await.unwrap(), []);
}

#[tokio::test]
async fn a_column_of_another_type_holds_the_table_before_anything_is_sent() {
    for (more, told) in
        [(("id", "STRING"), "the column id is STRING"), (("at", "TIMESTAMP"), "the files have DATETIME")]
    {
        let server = Server::start(move |_| Answer::json(200, &table(&[more]))).await;
        let loaded = loaded(3).await;
        let fault = connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::DestinationRefused);
        assert!(fault.chain().contains(told), "{}", fault.chain());
        assert!(server.requests().iter().all(|request| request.method == "GET"));
    }
    let server = Server::start(|_| {
        let mut elsewhere = table(&[]);
        elsewhere["location"] = json!("US");
        Answer::json(200, &elsewhere)
    })
    .await;
    let loaded = loaded(3).await;
    let fault = connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
    assert!(fault.chain().contains("p.d.t is in US, and `warehouse.location` is EU"), "{}", fault.chain());
}

#[tokio::test]
async fn what_is_said_against_a_table_or_a_statement_is_no_fault_of_the_files() {
    for failing in ["/tables", "/datasets", "/queries"] {
        let server = Server::start(move |request| {
            if is(request, "POST", failing) {
                return Answer::error(400, "invalidQuery");
            }
            if is(request, "GET", "/tables/t") && failing == "/queries" {
                let mut shown = table(&[]);
                shown["schema"]["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "rate");
                return Answer::json(200, &shown);
            }
            Answer::error(404, "notFound")
        })
        .await;
        let loaded = loaded(3).await;
        let fault = connect(&server.url).await.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::DestinationRefused, "{}", fault.chain());
    }
}

#[tokio::test]
async fn tables_of_a_new_dataset_make_it_once() {
    let made = Mutex::new(false);
    let server = Server::start(move |request| {
        let mut made = made.lock().unwrap();
        if request.method == "GET" || (is(request, "POST", "/tables") && !*made) {
            return Answer::error(404, "notFound");
        }
        *made |= is(request, "POST", "/datasets");
        if request.target.starts_with("/upload/") {
            Answer::json(200, &json!({}))
        } else {
            Answer::json(200, &request.json())
        }
    })
    .await;
    let server_url = server.url.clone();
    let (warehouse, loaded) = (connect(&server_url).await, loaded(3).await);
    let attempts: Vec<_> = (0..6)
        .map(|number| {
            let mut attempt = loaded.attempt.clone();
            attempt.destination.table = format!("t{number}").into();
            attempt
        })
        .collect();
    let (one, two, three, four, five, six) = tokio::join!(
        warehouse.submit(&attempts[0], &loaded.body),
        warehouse.submit(&attempts[1], &loaded.body),
        warehouse.submit(&attempts[2], &loaded.body),
        warehouse.submit(&attempts[3], &loaded.body),
        warehouse.submit(&attempts[4], &loaded.body),
        warehouse.submit(&attempts[5], &loaded.body),
    );
    assert!([one, two, three, four, five, six].into_iter().all(|answer| answer.is_ok()));
    let datasets = server.requests().iter().filter(|request| is(request, "POST", "/datasets")).count();
    assert_eq!(datasets, 1);
}

//! Typed views: made once, made anew when they are others, and never in the place of what is not landbridge's.

use landbridge::domain::column_type::ColumnType;
use landbridge::domain::fault::FaultKind;
use landbridge::domain::typed_view::{Part, Reading, TypedView, ViewColumn};
use landbridge::warehouse::Warehouse;
use serde_json::{Value, json};
use std::sync::Mutex;

use super::{connect, destination};
use crate::support::http::{Answer, Server};

fn view(reading: Reading) -> TypedView {
    let part = Part { name: "c".into(), kind: ColumnType::String };
    TypedView { columns: vec![ViewColumn { name: "c".into(), parts: vec![part], reading }], key: Vec::new() }
}

/// A service that has the object of the view's name, and takes statements.
async fn service(found: Option<Value>, complete: bool) -> Server {
    let found = Mutex::new(found);
    Server::start(move |request| {
        if request.method == "GET" {
            assert!(request.target.split('?').next().unwrap().ends_with("/datasets/d/tables/t_typed"));
            let found = found.lock().unwrap();
            return found
                .as_ref()
                .map_or_else(|| Answer::error(404, "notFound"), |found| Answer::json(200, found));
        }
        let statement = request.json()["query"].as_str().unwrap().to_owned();
        let digest = statement.split("'landbridge_view', '").nth(1).unwrap().split('\'').next().unwrap();
        let labels = json!({"managed_by": "landbridge", "landbridge_view": digest});
        *found.lock().unwrap() = Some(json!({"type": "VIEW", "labels": labels}));
        let answer = json!({"jobComplete": complete, "jobReference": {"projectId": "p", "jobId": "q"}});
        Answer::json(200, &answer)
    })
    .await
}

fn statements(server: &Server) -> Vec<Value> {
    server
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .map(|request| request.json())
        .collect()
}

#[tokio::test]
async fn a_view_is_made_once_and_made_anew_when_it_is_another() {
    let server = service(None, true).await;
    let warehouse = connect(&server.url).await;
    for reading in [Reading::AsIs, Reading::AsIs, Reading::Json] {
        warehouse.publish_view(&destination(), &view(reading)).await.unwrap();
    }
    let statements = statements(&server);
    assert_eq!(statements.len(), 2, "{statements:?}");
    let first = statements[0]["query"].as_str().unwrap();
    assert!(first.starts_with("CREATE OR REPLACE VIEW `p.d.t_typed` OPTIONS ("), "{first}");
    assert!(first.ends_with(" AS\nSELECT\n  `c`\nFROM `p.d.t` AS `rows_1`"), "{first}");
    assert!(statements[1]["query"].as_str().unwrap().contains("SAFE.PARSE_JSON(`c`"));
    assert_eq!((&statements[0]["location"], &statements[0]["timeoutMs"]), (&json!("EU"), &json!(30_000)));
}

#[tokio::test]
async fn what_is_not_landbridges_is_left_alone_and_told() {
    for (found, told) in [
        (json!({"type": "TABLE", "labels": {"managed_by": "landbridge"}}), "is no view"),
        (json!({"type": "VIEW"}), "landbridge did not make"),
    ] {
        let server = service(Some(found), true).await;
        let warehouse = connect(&server.url).await;
        let fault = warehouse.publish_view(&destination(), &view(Reading::AsIs)).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::DestinationRefused);
        let text = fault.chain();
        assert!(
            text.contains("p.d.t_typed") && text.contains(told) && text.contains("typed_view = false"),
            "{text}"
        );
        assert!(statements(&server).is_empty());
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_not_taken_for_done() {
    let server = service(None, false).await;
    let warehouse = connect(&server.url).await;
    let fault = warehouse.publish_view(&destination(), &view(Reading::AsIs)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{}", fault.chain());
}

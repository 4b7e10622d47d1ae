//! Who landbridge is at Google: a service account's key file, as a token in every call and nowhere else.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use landbridge::config::types::{BigQuery as Settings, GoogleCredentials};
use landbridge::warehouse::Warehouse;
use landbridge::warehouse::bigquery::{BigQuery, Keys};
use serde_json::{Value, json};

use super::{loaded, table};
use crate::peers::cloud::Emulators;
use crate::support::http::{Answer, Server};

/// A fresh RSA key in PEM.
fn private_key() -> String {
    let code = "from cryptography.hazmat.primitives import serialization as s\n\
                from cryptography.hazmat.primitives.asymmetric import rsa\n\
                key = rsa.generate_private_key(public_exponent=65537, key_size=2048)\n\
                print(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode())";
    let output = Command::new(&Emulators::get().python).args(["-c", code]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_becomes_a_token_of_that_account_for_bigquery_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let key = private_key();
    let account = "landbridge@p.iam.gserviceaccount.com";
    let file = json!({
        "type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": key,
        "client_email": account, "client_id": "1", "token_uri": "https://oauth2.googleapis.com/token",
    });
    std::fs::write(&path, file.to_string()).unwrap();
    let server = Server::start(|request| {
        if request.target.starts_with("/upload/") {
            Answer::error(403, "accessDenied")
        } else {
            Answer::json(200, &table(&[]))
        }
    })
    .await;
    let settings = Settings {
        project: "p".into(),
        location: "EU".into(),
        endpoint: server.url.clone(),
        storage_endpoint: "http://127.0.0.1:9".to_owned(),
        credentials: GoogleCredentials::File(path),
    };
    let warehouse = BigQuery::new(&settings, Keys::new()).await.unwrap();
    let loaded = loaded(1).await;
    let fault = warehouse.submit(&loaded.attempt, &loaded.body).await.unwrap_err();
    let told = format!("{} {fault:?}", fault.chain());
    let requests = server.requests();
    assert!(requests.len() >= 2, "the client's call and our own");
    for request in requests {
        let token = request.header("authorization").strip_prefix("Bearer ").unwrap().to_owned();
        let claims = token.split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!(
            (&claims["iss"], &claims["scope"]),
            (&json!(account), &json!("https://www.googleapis.com/auth/bigquery"))
        );
        assert!(!told.contains(&token) && !request.target.contains(&token));
    }
}

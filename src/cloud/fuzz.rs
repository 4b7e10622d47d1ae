//! Credentials and what else the clouds hand out as text: a key file never shows in what is said about it.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::aws::region_of;
use super::google::from_key;
use crate::config::types::Aws;
use crate::domain::fault::FaultKind;
use crate::fuzz::Choices;

const SECRET: &str = "hunter2hunter2";

/// The bytes are a key file, a queue's address and a redrive policy; then they choose a key file that holds a secret.
pub(crate) fn credentials(bytes: &[u8]) {
    // The library may begin to fetch a token: with a runtime that ends here, it fetches none.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _guard = runtime.enter();
    super::install_crypto();
    let text = String::from_utf8_lossy(bytes);
    let _: Option<String> = told(&text);
    if let Some(region) = region_of(&Aws::default(), &text) {
        assert!(text.contains(&format!("sqs.{region}.")) && !region.contains('/'), "{text}");
    }
    let _: Option<u32> = crate::queue::sqs::receives_max(&text);
    let mut choices = Choices::new(bytes);
    let receives = choices.number();
    let policy = if choices.flag() {
        json!({"maxReceiveCount": receives})
    } else {
        json!({"maxReceiveCount": receives.to_string()})
    };
    assert_eq!(crate::queue::sqs::receives_max(&policy.to_string()), u32::try_from(receives).ok());
    let hidden = key_file(&mut choices);
    if let Some(told) = told(&hidden) {
        assert!(!told.contains(SECRET), "{told}");
    }
}

/// What is said about a key file, when it is refused.
fn told(text: &str) -> Option<String> {
    let fault = from_key("key.json", text, "scope").err()?;
    assert_eq!(fault.kind, FaultKind::AccessDenied);
    let told = fault.chain();
    assert!(told.starts_with("key.json ") && told.len() < 300, "{told}");
    Some(told)
}

/// A key file, sound or not, with a secret where secrets are.
fn key_file(choices: &mut Choices<'_>) -> String {
    let kind = *choices.pick(&["service_account", "external_account", "authorized_user", SECRET]);
    let mut key = json!({
        "type": if kind == SECRET { json!(1) } else { json!(kind) },
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{SECRET}{}\n-----END PRIVATE KEY-----\n", choices.text(20)),
        "private_key_id": SECRET,
        "client_email": "a@b.iam.gserviceaccount.com",
        "project_id": "p",
    });
    for field in ["private_key", "private_key_id", "client_email", "project_id"] {
        match choices.below(6) {
            0 => drop(key.as_object_mut().unwrap().remove(field)),
            1 => drop(key.as_object_mut().unwrap().insert(field.to_owned(), json!([SECRET]))),
            2 => {
                let value = json!(format!("{SECRET}{}", choices.text(10)));
                key.as_object_mut().unwrap().insert(field.to_owned(), value);
            }
            _ => {}
        }
    }
    let mut text = key.to_string();
    if choices.flag() {
        let cut = text.char_indices().nth(choices.below(text.len())).map_or(0, |(place, _)| place);
        text.truncate(cut);
    }
    text
}

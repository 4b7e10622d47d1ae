//! `[alerts]`: an address that is never shown, not even where it is wrong.

use super::ConfigError;
use super::load::Settings;
use super::secret::Secret;
use super::types::Alerts;

/// Who is told; a text that is no address is an error.
pub(super) fn read(settings: &Settings<'_>, errors: &mut Vec<ConfigError>) -> Alerts {
    let given = settings.text("alerts", "webhook_url");
    let is_address = |text: &str| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
        !host.is_empty() && !text.contains(char::is_whitespace)
    };
    if given.is_some_and(|text| !is_address(text)) {
        errors.push(ConfigError {
            place: settings.place("alerts", "webhook_url"),
            key: "alerts.webhook_url".to_owned(),
            problem: "the secret is no address".to_owned(),
            expected: "expected `https://`, a host and a path, as Slack shows it for an incoming webhook"
                .to_owned(),
            nearest: None,
        });
    }
    Alerts { webhook_url: given.map(Secret::new) }
}

//! `[receiver.NAME]`: who is told of loaded batches, by which way. Addresses of webhooks and keys are never shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::Section;
use super::mapping::Placed;
use super::types::{Receiver, Way};
use super::{ConfigError, Place, against, nearest};
use crate::config::secret::Secret;
use crate::domain::signature::SigningKey;

/// The section, and the key of mappings and tables.
pub(super) const SECTION: &str = "receiver";
/// See `SECTION`.
pub(super) const KEY: &str = "notify";
/// What environment variables begin with.
pub(super) const PREFIX: &str = "LANDBRIDGE__RECEIVER__";
const KEYS: [&str; 8] =
    ["webhook", "key", "key_file", "second_key", "second_key_file", "sns", "pubsub", "endpoint"];
/// The keys that the environment may give.
const FROM_ENVIRONMENT: [&str; 3] = ["webhook", "key", "second_key"];
/// Receivers: each has a queue, and a share of the memory.
const RECEIVERS_MAX: usize = 16;
const NAME_LETTERS_MAX: usize = 40;
const EXAMPLE: &str = "fraud = { webhook = \"https://fraud.example.com/loaded\" }";

/// Reads all receivers.
pub(super) fn read(
    root: Section<'_>,
    environment: &BTreeMap<String, String>,
    errors: &mut Vec<ConfigError>,
) -> Vec<Receiver> {
    let Some(section) = root.section(SECTION, SECTION, errors) else { return Vec::new() };
    let children = section.children(EXAMPLE, errors);
    if children.len() > RECEIVERS_MAX {
        let problem = format!("there are {} receivers", children.len());
        errors.push(root.error(SECTION, problem, format!("expected at most {RECEIVERS_MAX}")));
    }
    let read = children.into_iter().filter_map(|child| One { child, environment }.read(errors));
    read.collect()
}

/// The environment variables that receivers may have.
pub(super) fn variables(receivers: &[Receiver]) -> impl Iterator<Item = String> {
    receivers.iter().flat_map(|receiver| FROM_ENVIRONMENT.map(|key| variable(&receiver.name, key)))
}

fn variable(name: &str, key: &str) -> String {
    format!("{PREFIX}{}__{}", name.replace('-', "_").to_ascii_uppercase(), key.to_ascii_uppercase())
}

/// Mappings and tables name receivers that there are.
pub(super) fn check(receivers: &[Receiver], mappings: &[Placed], errors: &mut Vec<ConfigError>) {
    let known: Vec<_> = receivers.iter().map(|receiver| &*receiver.name).collect();
    for placed in mappings {
        for (table, place) in placed.mapping.tables.iter().zip(&placed.tables_at) {
            for name in table.notify.iter().filter(|name| !known.contains(&&***name)) {
                let expected = match known.as_slice() {
                    [] => format!("expected a section `[receiver.{name}]` in the main file"),
                    known => format!("expected one of: {}", known.join(", ")),
                };
                errors.push(ConfigError {
                    place: place.clone(),
                    key: format!("table.{KEY}"),
                    problem: format!("there is no receiver \"{name}\""),
                    expected,
                    nearest: nearest(name, known.iter().copied()),
                });
            }
        }
    }
}

/// The receivers that a mapping or a table names; nothing where it names none.
pub(super) fn named(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Option<Vec<Arc<str>>> {
    section.given(KEY)?;
    let mut names: Vec<Arc<str>> = section.texts(KEY, errors).into_iter().map(Arc::from).collect();
    names.sort();
    names.dedup();
    Some(names)
}

/// One receiver's section.
struct One<'a> {
    child: Section<'a>,
    environment: &'a BTreeMap<String, String>,
}

impl One<'_> {
    fn read(&self, errors: &mut Vec<ConfigError>) -> Option<Receiver> {
        self.child.refuse_unknown(&KEYS, errors);
        let name = self.child.name;
        let admitted = !name.is_empty()
            && name.len() <= NAME_LETTERS_MAX
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !admitted {
            let expected = format!("expected small letters, digits and `-`, at most {NAME_LETTERS_MAX}");
            errors.push(self.error("", format!("\"{name}\" cannot name a receiver"), expected));
            return None;
        }
        let (sns, pubsub) = (self.child.text("sns", errors), self.child.text("pubsub", errors));
        let way = match (self.value("webhook", errors), sns, pubsub) {
            (Some(given), None, None) => self.webhook(given, errors),
            (None, Some(topic), None) => self.sns(topic, errors),
            (None, None, Some(topic)) => self.pubsub(topic, errors),
            (None, None, None) => {
                let expected = "expected `webhook`, `sns` or `pubsub`";
                errors.push(self.error("", "the receiver has no address".to_owned(), expected.to_owned()));
                None
            }
            _ => {
                let expected = "expected one of `webhook`, `sns` and `pubsub`: give each a name of its own";
                errors.push(self.error("", "the receiver has two addresses".to_owned(), expected.to_owned()));
                None
            }
        };
        Some(Receiver { name: name.into(), way: way? })
    }

    fn error(&self, key: &str, problem: String, expected: String) -> ConfigError {
        let error = self.child.error(key, problem, expected);
        let dot = if key.is_empty() { "" } else { "." };
        ConfigError { key: format!("{SECTION}.{}{dot}{key}", self.child.name), ..error }
    }

    /// From the environment, else from the file.
    fn value(&self, key: &str, errors: &mut Vec<ConfigError>) -> Option<(Place, String)> {
        let variable = variable(self.child.name, key);
        match self.environment.get(&variable) {
            Some(value) => Some((Place::Environment(variable), value.clone())),
            None => self.child.text(key, errors).map(|text| (self.child.place(key), text)),
        }
    }

    fn webhook(&self, (place, url): (Place, String), errors: &mut Vec<ConfigError>) -> Option<Way> {
        let url = url.trim();
        if !is_address(url) {
            let problem = "the address (not shown) is none that notices may be sent to".to_owned();
            let expected =
                "expected `https://`, a host and a path; `http://` on this machine alone".to_owned();
            errors.push(ConfigError { place, ..self.error("webhook", problem, expected) });
        }
        let keys: Vec<_> = [("key", "key_file"), ("second_key", "second_key_file")]
            .map(|(key, file)| self.key(key, file, errors))
            .into();
        if keys.first().is_some_and(Option::is_none) && !errors.iter().any(|error| self.is_of(error)) {
            let expected = format!(
                "expected `{}` in the environment, or `key_file`: `whsec_` and what `openssl rand -base64 32` prints",
                variable(self.child.name, "key")
            );
            errors.push(self.error("key", "nothing would be signed: there is no key".to_owned(), expected));
        }
        Some(Way::Webhook { url: Secret::new(url), keys: keys.into_iter().flatten().collect() })
    }

    fn is_of(&self, error: &ConfigError) -> bool {
        error.key.starts_with(&format!("{SECTION}.{}.", self.child.name))
    }

    fn key(&self, key: &str, file: &str, errors: &mut Vec<ConfigError>) -> Option<SigningKey> {
        let (key, place, text) = match (self.value(key, errors), self.child.text(file, errors)) {
            (Some(_), Some(_)) => {
                let expected = format!("expected `{key}` or `{file}`, not both");
                errors.push(self.error(key, "two keys are given".to_owned(), expected));
                return None;
            }
            (Some((place, text)), None) => (key, place, text),
            (None, Some(path)) => {
                let path = against(self.child.file(), &path);
                match std::fs::read_to_string(&path) {
                    Ok(text) => (file, self.child.place(file), text),
                    Err(failure) => {
                        let problem = format!("{} cannot be read: {failure}", path.display());
                        errors.push(self.error(
                            file,
                            problem,
                            "expected a file that holds the key".to_owned(),
                        ));
                        return None;
                    }
                }
            }
            (None, None) => return None,
        };
        let read = SigningKey::read(&text);
        if read.is_none() {
            let (least, most) = SigningKey::BYTES;
            let expected = format!(
                "expected `whsec_` and base64 of {least} to {most} bytes, as of `openssl rand -base64 32`"
            );
            errors.push(ConfigError { place, ..self.error(key, "it is no key".to_owned(), expected) });
        }
        read
    }

    fn sns(&self, topic: String, errors: &mut Vec<ConfigError>) -> Option<Way> {
        let parts: Vec<_> = topic.split(':').collect();
        let region = match parts.as_slice() {
            ["arn", _, "sns", region, _, _] if parts.iter().all(|part| !part.is_empty()) => *region,
            _ => {
                let expected = "expected an ARN, as `arn:aws:sns:eu-west-1:123456789012:loaded`".to_owned();
                errors.push(self.error("sns", format!("\"{topic}\" names no topic"), expected));
                return None;
            }
        };
        let way = Way::Sns { region: region.into(), topic: topic.as_str().into() };
        self.built("sns", cfg!(feature = "sns"), way, errors)
    }

    fn pubsub(&self, topic: String, errors: &mut Vec<ConfigError>) -> Option<Way> {
        let endpoint = self.child.text("endpoint", errors);
        let endpoint = endpoint.map(|text| text.trim_end_matches('/').to_owned());
        match topic.split('/').collect::<Vec<_>>().as_slice() {
            ["projects", project, "topics", name] if !project.is_empty() && !name.is_empty() => {}
            _ => {
                let expected = "expected `projects/PROJECT/topics/TOPIC`".to_owned();
                errors.push(self.error("pubsub", format!("\"{topic}\" names no topic"), expected));
                return None;
            }
        }
        let way = Way::PubSub { topic: topic.as_str().into(), endpoint };
        self.built("pubsub", cfg!(feature = "pubsub"), way, errors)
    }

    /// The way, where this landbridge was built with it.
    fn built(&self, feature: &str, is_built: bool, way: Way, errors: &mut Vec<ConfigError>) -> Option<Way> {
        if !is_built {
            let problem = format!("this landbridge was built without `{feature}`");
            let expected = format!("expected one that was: `cargo build --release --features {feature}`");
            errors.push(self.error(feature, problem, expected));
        }
        is_built.then_some(way)
    }
}

/// `https://` and a host; `http://` and this machine.
fn is_address(text: &str) -> bool {
    let (rest, in_clear) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return false,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let is_here = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
    !host.is_empty()
        && !authority.contains('@')
        && !text.contains(char::is_whitespace)
        && (!in_clear || is_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_says_how_to_build_it() {
        let path = std::path::Path::new("landbridge.toml");
        let document = super::super::document::Document::parse(path, "[bi]\nsns = \"x\"\n").unwrap();
        let (environment, mut errors) = (BTreeMap::new(), Vec::new());
        let child = document.root().section("bi", "bi", &mut errors).unwrap();
        let way = Way::Sns { topic: "x".into(), region: "y".into() };
        let one = One { child, environment: &environment };
        assert_eq!(one.built("sns", true, way.clone(), &mut errors), Some(way.clone()));
        assert_eq!(one.built("sns", false, way, &mut errors), None);
        let told = errors[0].to_string();
        assert!(told.contains("2:1: receiver.bi.sns: this landbridge was built without `sns`"), "{told}");
        assert!(told.contains("cargo build --release --features sns"), "{told}");
    }

    #[test]
    fn only_what_others_cannot_read_is_an_address() {
        for good in
            ["https://h", "https://h:1/x?y", "http://127.0.0.1:9/x", "http://[::1]:9", "http://localhost"]
        {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "h",
            "ftp://h",
            "https://",
            "http://h/x",
            "http://127.0.0.1@h/",
            "https://h/a b",
            "http://10.0.0.1",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}

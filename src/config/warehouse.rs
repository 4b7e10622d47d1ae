//! `[warehouse]`: what each kind needs.

use std::sync::Arc;

use super::load::Settings;
use super::types::{BigQuery, Config, GoogleCredentials, Warehouse};
use super::{ConfigError, against};
use crate::domain::batch::Destination;

const SECTION: &str = "warehouse";

/// The warehouse; `None` when something of it is wrong, which is told.
pub(super) fn read(settings: &Settings<'_>, errors: &mut Vec<ConfigError>) -> Option<Warehouse> {
    if settings.text(SECTION, "kind")? == "lake" {
        return Some(Warehouse::Lake { path: settings.path(SECTION, "path")? });
    }
    let mut needed = |key: &'static str, example: &str| {
        let text = settings.text(SECTION, key);
        if text.is_none() {
            let expected = format!("expected `{key} = {example}` in [warehouse]");
            errors.push(error(settings, key, format!("BigQuery needs a {key}"), &expected));
        }
        text.map(str::to_owned)
    };
    let project = needed("project", "\"my-project\"");
    let location = needed("location", "\"asia-northeast3\"");
    for (key, text, admitted) in [("project", &project, "-:."), ("location", &location, "-")] {
        let wrong = |text: &&String| !text.chars().all(|c| c.is_ascii_alphanumeric() || admitted.contains(c));
        if let Some(text) = text.as_ref().filter(wrong) {
            let expected = format!("expected letters, digits and `{admitted}`");
            errors.push(error(settings, key, format!("\"{text}\" cannot be a {key}"), &expected));
        }
    }
    let endpoint = settings.text(SECTION, "endpoint")?.trim_end_matches('/').to_owned();
    let credentials = match settings.text(SECTION, "credentials")? {
        "default" => GoogleCredentials::Default,
        "anonymous" => GoogleCredentials::Anonymous,
        path => GoogleCredentials::File(match settings.place(SECTION, "credentials") {
            super::Place::File(file, ..) => against(&file, path),
            super::Place::Environment(_) => against(std::path::Path::new("./environment"), path),
        }),
    };
    check_endpoint(settings, "endpoint", &endpoint, &credentials, errors);
    let storage_endpoint = settings.text(SECTION, "storage_endpoint")?.trim_end_matches('/').to_owned();
    // A stand-in may have none.
    if credentials != GoogleCredentials::Anonymous {
        check_endpoint(settings, "storage_endpoint", &storage_endpoint, &credentials, errors);
    }
    if let GoogleCredentials::File(path) = &credentials
        && !path.is_file()
    {
        let problem = format!("{} is not a file", path.display());
        let expected = "expected `default`, `anonymous`, or the path of a service account's key file";
        errors.push(error(settings, "credentials", problem, expected));
    }
    Some(Warehouse::BigQuery(BigQuery {
        project: project?.into(),
        location: location?.into(),
        endpoint,
        storage_endpoint,
        credentials,
    }))
}

/// A token must not travel in clear.
fn check_endpoint(
    settings: &Settings<'_>,
    key: &'static str,
    endpoint: &str,
    credentials: &GoogleCredentials,
    errors: &mut Vec<ConfigError>,
) {
    let anonymous = *credentials == GoogleCredentials::Anonymous;
    let (secure, plain) = (endpoint.starts_with("https://"), endpoint.starts_with("http://"));
    if !secure && !plain {
        let expected = "expected `https://` and a host, as in `https://bigquery.googleapis.com`";
        errors.push(error(settings, key, format!("\"{endpoint}\" is no address"), expected));
    } else if plain && !anonymous {
        let problem = "the credentials would travel in clear over http://".to_owned();
        errors.push(error(settings, key, problem, "expected https://, or `credentials = \"anonymous\"`"));
    } else if secure && anonymous {
        let problem = "nobody is let in without credentials".to_owned();
        let expected = "expected `default` or a key file; `anonymous` is for a stand-in on http://";
        errors.push(error(settings, "credentials", problem, expected));
    }
}

fn error(settings: &Settings<'_>, key: &'static str, problem: String, expected: &str) -> ConfigError {
    ConfigError {
        place: settings.place(SECTION, key),
        key: format!("{SECTION}.{key}"),
        problem,
        expected: expected.to_owned(),
        nearest: None,
    }
}

/// Gives every table's destination its project and location.
pub(super) fn name_destinations(config: &mut Config) {
    let Warehouse::BigQuery(BigQuery { project, location, .. }) = &config.warehouse else { return };
    for route in config.mappings.iter_mut().flat_map(|mapping| &mut mapping.route.tables) {
        let Destination { dataset, table, .. } = route.destination.clone();
        route.destination =
            Destination { project: Arc::clone(project), location: Arc::clone(location), dataset, table };
    }
}

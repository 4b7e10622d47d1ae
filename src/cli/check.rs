//! `landbridge check`: validates without starting and without creating anything.

use std::path::Path;
use std::process::ExitCode;

use crate::config::load;
use crate::config::types::{BigQuery, Config, Ledger, Source, Warehouse, Way};

/// Prints what is wrong (exit code 1), or what would run.
pub(super) fn check(path: &Path) -> ExitCode {
    match load(path, std::env::vars()) {
        Ok(config) => {
            print!("{}", summary(&config));
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::FAILURE
        }
    }
}

/// What would run, and what is allowed but weaker than it could be.
fn summary(config: &Config) -> String {
    let warehouse = match &config.warehouse {
        Warehouse::Lake { path } => format!("lake    {}", path.display()),
        Warehouse::BigQuery(BigQuery { project, location, endpoint, .. }) => {
            format!("bigquery project {project} in {location}, at {endpoint}")
        }
    };
    let ledger = match &config.ledger {
        Ledger::Sqlite { path, .. } => path.display().to_string(),
        Ledger::DynamoDb { table, region } => {
            let region = region.as_deref().unwrap_or("the machine's region");
            format!("DynamoDB's table {table} in {region}")
        }
    };
    let tables: usize = config.mappings.iter().map(|mapping| mapping.route.tables.len()).sum();
    let mut text = format!(
        "The configuration is good: {}, {}, a window of {}.\n  ledger  {ledger}\n  {warehouse}\n",
        counted(config.mappings.len(), "cluster"),
        counted(tables, "table"),
        humantime::format_duration(config.batching.window),
    );
    let alerts = match &config.alerts.webhook_url {
        Some(_) => "sent to the webhook of `alerts.webhook_url`",
        None => "not sent: `alerts.webhook_url` is not set, the log alone tells",
    };
    text.push_str(&format!("  alerts  {alerts}\n"));
    for receiver in &config.receivers {
        let way = match &receiver.way {
            Way::Webhook { keys, .. } => format!("a webhook, signed with {}", counted(keys.len(), "key")),
            Way::Sns { topic, .. } | Way::PubSub { topic, .. } => topic.to_string(),
        };
        let told = config.mappings.iter().flat_map(|mapping| &mapping.tables);
        let told = told.filter(|table| table.notify.contains(&receiver.name)).count();
        text.push_str(&format!("  told    {} of {}: {way}\n", receiver.name, counted(told, "table")));
    }
    for mapping in &config.mappings {
        let source = match &mapping.source {
            Source::Directory(source) => source.display().to_string(),
            Source::S3 { queue } => {
                format!("s3://{}/{}, announced on {queue}", mapping.route.bucket, mapping.route.prefix)
            }
        };
        let count = mapping.route.tables.len();
        text.push_str(&format!(
            "  {:<7} {} from {}\n",
            mapping.route.cluster,
            counted(count, "table"),
            source
        ));
    }
    for warning in warnings(config) {
        text.push_str(&format!("note: {warning}\n"));
    }
    text
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.alerts.webhook_url.as_ref().is_some_and(|url| url.expose().starts_with("http://")) {
        warnings
            .push("`alerts.webhook_url` begins with http://: alerts and address travel in clear".to_owned());
    }
    for receiver in &config.receivers {
        let mut tables = config.mappings.iter().flat_map(|mapping| &mapping.tables);
        if !tables.any(|table| table.notify.contains(&receiver.name)) {
            warnings.push(format!("no table has the receiver `{}` in its `notify`", receiver.name));
        }
    }
    for mapping in &config.mappings {
        let cluster = &mapping.route.cluster;
        if mapping.dms.sequence.is_none() {
            warnings.push(format!(
                "{cluster} has no `dms.sequence`: rows of one transaction cannot be ordered (add $AR_H_CHANGE_SEQ in DMS)"
            ));
        }
        for (route, settings) in mapping.route.tables.iter().zip(&mapping.tables) {
            if settings.key.is_empty() {
                warnings.push(format!("{} has no `key`: its current state cannot be shown", route.table));
            }
        }
    }
    warnings
}

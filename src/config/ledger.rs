//! `[ledger]`: what each kind needs.

use std::path::PathBuf;

use super::load::Settings;
use super::types::{Config, Ledger, Source};
use super::{ConfigError, Place, against};

const SECTION: &str = "ledger";
/// Letters of a table's name (Amazon DynamoDB Developer Guide, "Supported data types and naming rules").
const NAME_LETTERS: std::ops::RangeInclusive<usize> = 3..=255;

/// The ledger; `None` when something of it is wrong, which is told.
pub(super) fn read(settings: &Settings<'_>, errors: &mut Vec<ConfigError>) -> Option<Ledger> {
    let dynamodb = settings.text(SECTION, "kind")? == "dynamodb";
    let (others, kind): (&[&str], _) =
        if dynamodb { (&["path", "volume"], "dynamodb") } else { (&["table", "region"], "sqlite") };
    for key in others {
        if let Some(key) = settings.given(SECTION, key) {
            let problem = format!("a ledger of the kind `{kind}` has no {key}");
            errors.push(error(settings, key, problem, "expected another `kind`, or nothing here"));
        }
    }
    if !dynamodb {
        let is_declared_durable = settings.text(SECTION, "volume")? == "durable";
        return Some(Ledger::Sqlite { path: settings.path(SECTION, "path")?, is_declared_durable });
    }
    let table = settings.text(SECTION, "table")?.to_owned();
    let admitted = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if !NAME_LETTERS.contains(&table.len()) || !table.chars().all(admitted) {
        let expected = "expected 3 to 255 letters, digits, `_`, `-` and `.`";
        errors.push(error(settings, "table", format!("\"{table}\" cannot be a table's name"), expected));
    }
    let region = settings.text(SECTION, "region").or_else(|| settings.text("aws", "region"));
    Some(Ledger::DynamoDb { table, region: region.map(str::to_owned) })
}

/// What comes from S3 once is not announced again: a ledger of which nobody says that it stays loads nothing from there.
pub(super) fn check_volume(config: &Config, place: Place, errors: &mut Vec<ConfigError>) {
    let (path, is_declared_durable) = match &config.ledger {
        Ledger::Sqlite { path, is_declared_durable } => (path, *is_declared_durable),
        Ledger::DynamoDb { .. } => return,
    };
    let from_s3 = config.mappings.iter().any(|mapping| matches!(mapping.source, Source::S3 { .. }));
    if is_declared_durable || !from_s3 {
        return;
    }
    errors.push(ConfigError {
        place,
        key: format!("{SECTION}.volume"),
        problem: format!(
            "files are loaded from S3, and nobody says that the ledger {} is on a volume that outlives this machine",
            path.display()
        ),
        expected: "expected `volume = \"durable\"` once it is (an EBS volume); on ECS or Fargate, or for several processes, `kind = \"dynamodb\"`"
            .to_owned(),
        nearest: None,
    });
}

/// Where bodies are built unless it is said: beside the ledger's file.
pub(super) fn spool(settings: &Settings<'_>, ledger: &Ledger) -> PathBuf {
    match ledger {
        Ledger::Sqlite { path, .. } => path.with_file_name("spool"),
        Ledger::DynamoDb { .. } => against(settings.file, "state/spool"),
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

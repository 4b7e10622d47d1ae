//! Mappings: clusters, their sources and tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::Section;
use super::types::{DmsColumns, Mapping, Source, TableSettings};
use super::values::{Kind, Value};
use super::{ConfigError, Place, against, columns, receivers, s3, schema_changes, typed_view};
use crate::config::settings::SETTINGS;
use crate::domain::batch::Destination;
use crate::domain::ids::TableId;
use crate::domain::planner::{Carrier, Class};
use crate::domain::route::{SourceRoute, TableRoute, Unmapped};
use crate::domain::treatment::Selection;

const MAPPING_KEYS: [&str; 10] = [
    "cluster",
    "source",
    "queue",
    "dataset",
    "unmapped",
    schema_changes::KEY,
    typed_view::KEY,
    receivers::KEY,
    "dms",
    "table",
];
const DMS_KEYS: [&str; 4] = ["op", "timestamp", "sequence", "lob_max_size"];
const TABLE_KEYS: [&str; 15] = [
    "name",
    "key",
    "as",
    "files",
    "instants",
    "only",
    "without",
    "columns",
    "window",
    "class",
    "delivery",
    "max_staleness",
    schema_changes::KEY,
    typed_view::KEY,
    receivers::KEY,
];

/// A mapping and the places that later checks speak of.
pub(super) struct Placed {
    pub(super) mapping: Mapping,
    pub(super) cluster_at: Place,
    pub(super) source_at: Place,
    pub(super) tables_at: Vec<Place>,
}

/// What the environment says of a cluster's key, instead of the file.
pub(super) type Overriding<'a> = dyn Fn(&str, &str) -> Option<(Place, String)> + 'a;

/// Reads one mapping. `overriding` knows of sources and queues that are not the file's.
pub(super) fn read(
    file: &Path,
    section: Section<'_>,
    overriding: &Overriding<'_>,
    errors: &mut Vec<ConfigError>,
) -> Option<Placed> {
    let before = errors.len();
    section.refuse_unknown(&MAPPING_KEYS, errors);
    let cluster = section.needed("cluster", "\"game-a\"", errors);
    let other = |key| cluster.as_deref().and_then(|cluster| overriding(cluster, key));
    let (source_at, source) = match other("source") {
        Some((place, text)) => (place, Some(text)),
        None => (section.place("source"), section.needed("source", "\"/data/game-a/\"", errors)),
    };
    let dataset = section.needed("dataset", "\"game_a\"", errors);
    if let Some(dataset) = &dataset {
        check_name(&section, "dataset", dataset, errors);
    }
    let (queue_at, queue) = match other("queue") {
        Some((place, text)) => (place, Some(text)),
        None => (section.place("queue"), section.text("queue", errors)),
    };
    let unmapped = unmapped(&section, errors);
    let changes = schema_changes::read(&section, errors).unwrap_or_default();
    let view = typed_view::read(&section, errors).unwrap_or(typed_view::DEFAULT);
    let told = receivers::named(&section, errors).unwrap_or_default();
    let dms = dms(&section, errors);
    let origin = source.and_then(|text| {
        if text.starts_with("s3://") {
            let (bucket, prefix) = s3::source(&source_at, &text, errors)?;
            let queue = s3::queue(&queue_at, queue.as_deref(), errors)?;
            return Some(Origin { bucket: Some(bucket), prefix, source: Source::S3 { queue } });
        }
        check_local_queue(&queue_at, queue.as_deref(), errors);
        let path = directory(file, &source_at, &text, errors)?;
        Some(Origin { bucket: None, prefix: "".into(), source: Source::Directory(path) })
    });
    let tables = section.sections("table", "table", errors);
    if tables.is_empty() && errors.len() == before {
        errors.push(section.error(
            "table",
            "the mapping names no table",
            "expected `[[table]]` with `name = \"schema.table\"`",
        ));
    }
    let (cluster, dataset): (Arc<str>, Arc<str>) = (cluster?.into(), dataset?.into());
    let (mut routes, mut settings, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for table in tables {
        if let Some((route, setting)) = read_table(table, &cluster, &dataset, &dms, errors) {
            routes.push(route);
            let schema_changes = schema_changes::read(&table, errors).unwrap_or(changes);
            let typed_view = typed_view::read(&table, errors).unwrap_or(view);
            let notify = receivers::named(&table, errors).unwrap_or_else(|| told.clone());
            settings.push(TableSettings { schema_changes, typed_view, notify, ..setting });
            places.push(table.place("name"));
        }
    }
    let Origin { bucket, prefix, source } = origin?;
    // A directory has the cluster's name for a bucket.
    let bucket = bucket.unwrap_or_else(|| Arc::clone(&cluster));
    let route = SourceRoute { bucket, cluster, prefix, unmapped, tables: routes };
    let mapping = Mapping { route, source, dms, tables: settings };
    Some(Placed { mapping, cluster_at: section.place("cluster"), source_at, tables_at: places })
}

fn read_table(
    section: Section<'_>,
    cluster: &Arc<str>,
    dataset: &Arc<str>,
    dms: &DmsColumns,
    errors: &mut Vec<ConfigError>,
) -> Option<(TableRoute, TableSettings)> {
    section.refuse_unknown(&TABLE_KEYS, errors);
    let name = section.needed("name", "\"casino.bet_history\"", errors);
    let target = section.text("as", errors);
    let files = section.text("files", errors);
    let (key, instants) = (section.texts("key", errors), section.texts("instants", errors));
    let (only, without) = (section.texts("only", errors), section.texts("without", errors));
    let columns = columns::read(&section, &instants, errors);
    columns::check_dms(&section, dms, &columns, errors);
    columns::check_key(&section, &key, &Selection::new(&only, &without), &columns, errors);
    let window = duration(&section, "window", "batching", "window", errors);
    let max_staleness = duration(&section, "max_staleness", "planner", "max_staleness", errors);
    let (class, delivery) = (class(&section, errors), delivery(&section, errors));
    let name = name?;
    let Some((schema, table)) =
        name.split_once('.').filter(|(schema, table)| !schema.is_empty() && !table.is_empty())
    else {
        errors.push(section.error(
            "name",
            format!("\"{name}\" names no schema"),
            "expected `schema.table`, as in `casino.bet_history`",
        ));
        return None;
    };
    let shown = if target.is_some() { "as" } else { "name" };
    let target = target.unwrap_or_else(|| table.to_owned());
    check_name(&section, shown, &target, errors);
    let route = TableRoute {
        table: TableId::new(Arc::clone(cluster), schema, table),
        destination: Destination {
            project: "".into(),
            location: "".into(),
            dataset: Arc::clone(dataset),
            table: target.into(),
        },
        files: files.map(Into::into),
    };
    Some((
        route,
        TableSettings {
            key,
            instants,
            only,
            without,
            columns,
            window,
            class,
            delivery,
            max_staleness,
            ..TableSettings::default()
        },
    ))
}

fn class(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Class {
    let name = columns::choice(section, "class", Class::ALL.map(Class::name), errors);
    let found = name.and_then(|name| Class::ALL.into_iter().find(|class| class.name() == name));
    found.unwrap_or_default()
}

fn delivery(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Carrier {
    let name = columns::choice(section, "delivery", Carrier::ALL.map(Carrier::name), errors);
    let found = name.and_then(|name| Carrier::ALL.into_iter().find(|carrier| carrier.name() == name));
    found.unwrap_or_default()
}

/// A table's own word on a setting that is a duration.
fn duration(
    section: &Section<'_>,
    key: &str,
    of_section: &str,
    of_key: &str,
    errors: &mut Vec<ConfigError>,
) -> Option<std::time::Duration> {
    let given = section.given(key)?;
    let default = SETTINGS.iter().find(|setting| setting.section == of_section && setting.key == of_key);
    match default.map_or(Kind::Text, |setting| setting.kind).read(&given) {
        Ok(Value::Duration(window)) => Some(window),
        Ok(Value::Text(_) | Value::Number(_) | Value::Listen(_)) => None,
        Err((problem, expected)) => {
            errors.push(section.error(key, problem, expected));
            None
        }
    }
}

/// What BigQuery takes as the name of a dataset or table, and every file system as that of a folder.
fn check_name(section: &Section<'_>, key: &str, name: &str, errors: &mut Vec<ConfigError>) {
    let admitted =
        !name.is_empty() && name.len() <= 300 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if !admitted {
        let expected = match key {
            "name" => {
                "expected letters, digits and `_` in the table's name, or `as = \"…\"` with such a name for the destination"
            }
            _ => "expected letters, digits and `_`, at most 300 of them",
        };
        errors.push(section.error(key, format!("\"{name}\" cannot be a name in the warehouse"), expected));
    }
}

/// Where a mapping's files come from. A directory has no bucket's name.
struct Origin {
    bucket: Option<Arc<str>>,
    prefix: Arc<str>,
    source: Source,
}

fn check_local_queue(place: &Place, queue: Option<&str>, errors: &mut Vec<ConfigError>) {
    if let Some(queue) = queue
        && queue != "local"
    {
        errors.push(ConfigError {
            place: place.clone(),
            key: "queue".to_owned(),
            problem: format!("\"{queue}\" cannot announce a directory"),
            expected: "expected `queue = \"local\"` or no queue: a directory is announced in process"
                .to_owned(),
            nearest: None,
        });
    }
}

fn unmapped(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Unmapped {
    match section.text("unmapped", errors).as_deref() {
        None | Some("defer") => Unmapped::Defer,
        Some("ignore") => Unmapped::Ignore,
        Some(other) => {
            let error = section.error(
                "unmapped",
                format!("\"{other}\" is no choice"),
                "expected `\"defer\"` or `\"ignore\"`",
            );
            errors.push(ConfigError { nearest: super::nearest(other, ["defer", "ignore"]), ..error });
            Unmapped::Defer
        }
    }
}

fn dms(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> DmsColumns {
    let section = section.section("dms", "dms", errors);
    let mut text = |key: &str| section.and_then(|section| section.text(key, errors)).map(Arc::from);
    let dms = DmsColumns {
        op: text("op").unwrap_or_else(|| "Op".into()),
        timestamp: text("timestamp"),
        sequence: text("sequence"),
        lob_max_bytes: section.and_then(|section| lob_max_bytes(&section, errors)),
    };
    if let Some(section) = section {
        section.refuse_unknown(&DMS_KEYS, errors);
    }
    dms
}

fn lob_max_bytes(section: &Section<'_>, errors: &mut Vec<ConfigError>) -> Option<u32> {
    /// DMS takes 102,400 KB and less for limited LOBs (AWS DMS, "Target metadata task settings").
    const KIND: Kind = Kind::Size(1 << 10, 102_400 << 10);
    match KIND.read(&section.given("lob_max_size")?) {
        Ok(Value::Number(bytes)) => u32::try_from(bytes).ok(),
        Ok(Value::Text(_) | Value::Duration(_) | Value::Listen(_)) => None,
        Err((problem, expected)) => {
            errors.push(section.error("lob_max_size", problem, expected));
            None
        }
    }
}

fn directory(file: &Path, place: &Place, text: &str, errors: &mut Vec<ConfigError>) -> Option<PathBuf> {
    let error = |problem: String, expected: &str| ConfigError {
        place: place.clone(),
        key: "source".to_owned(),
        problem,
        expected: expected.to_owned(),
        nearest: None,
    };
    let plain = text.strip_prefix("file://").unwrap_or(text);
    if let Some((scheme, _)) = plain.split_once("://") {
        let problem = format!("landbridge does not read {scheme}:// sources");
        errors.push(error(problem, "expected `\"s3://BUCKET/PREFIX/\"`, or a directory of this machine"));
        return None;
    }
    // A path in the environment is one of the shell that set it.
    let path = match place {
        Place::File(..) => against(file, plain),
        Place::Environment(_) => against(Path::new("./environment"), plain),
    };
    if !path.is_dir() {
        let problem = format!("{} is not a directory", path.display());
        errors.push(error(problem, "create it, or name the directory that DMS files are written to"));
        return None;
    }
    Some(path)
}

/// Checks that need all mappings: clusters, tables and destinations are named once.
pub(super) fn check_together(mappings: &[Placed], errors: &mut Vec<ConfigError>) {
    let mut clusters: BTreeMap<&str, &Place> = BTreeMap::new();
    let mut destinations: BTreeMap<(&str, String), (&TableId, &Place)> = BTreeMap::new();
    let mut sources: Vec<(String, &Place)> = Vec::new();
    let error = |place: &Place, key: &str, problem: String, expected: String| ConfigError {
        place: place.clone(),
        key: key.to_owned(),
        problem,
        expected,
        nearest: None,
    };
    for placed in mappings {
        let route = &placed.mapping.route;
        if let Some(first) = clusters.insert(&route.cluster, &placed.cluster_at) {
            let problem = format!("the cluster \"{}\" is mapped twice", route.cluster);
            errors.push(error(
                &placed.cluster_at,
                "cluster",
                problem,
                format!("it is mapped at {first} already: put its tables there"),
            ));
        }
        // A directory's place is its path; a bucket's its name and prefix.
        let whole = match &placed.mapping.source {
            Source::Directory(path) => format!("{}/", path.display()),
            Source::S3 { .. } => format!("s3://{}/{}", route.bucket, route.prefix),
        };
        let within = |other: &&(String, &Place)| whole.starts_with(&other.0) || other.0.starts_with(&whole);
        if let Some((other, first)) = sources.iter().find(within) {
            let problem = format!("{whole} and {other} lie within each other");
            let expected = format!("every file would be two clusters'; see {first}");
            errors.push(error(&placed.source_at, "source", problem, expected));
        }
        sources.push((whole, &placed.source_at));
        for (table, place) in route.tables.iter().zip(&placed.tables_at) {
            let name = (&*table.destination.dataset, table.destination.table.to_ascii_lowercase());
            if let Some((other, first)) = destinations.insert(name, (&table.table, place)) {
                let problem = format!(
                    "{} and {other} go to one table, {}.{}",
                    table.table, table.destination.dataset, table.destination.table
                );
                errors.push(error(
                    place,
                    "table.name",
                    problem,
                    format!("give one of them another `as`; the other is at {first}"),
                ));
            }
        }
    }
}

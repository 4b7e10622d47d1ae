//! Reads the main file, its mapping files and the environment into a `Config`, or says all that is wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::{Document, Section, read};
use super::mapping::{self, Placed};
use super::settings::{SETTINGS, sections};
use super::types::{Config, Receiver};
use super::values::{Given, Value};
use super::{
    ConfigError, ConfigErrors, Place, against, alerts, cost, ledger, masking, nearest, paths, planner,
    receivers, secret, status, typed_view, warehouse,
};

/// The prefix of environment variables that override settings.
const PREFIX: &str = "LANDBRIDGE__";
const MAPPING_PREFIX: &str = "LANDBRIDGE__MAPPING__";

/// Reads the configuration at `path`, with overrides from `environment` (names and values).
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigErrors> {
    let mut errors = Vec::new();
    let environment: BTreeMap<_, _> =
        environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let config = read(&path).map_err(|error| errors.push(error)).ok().and_then(|text| {
        let document = Document::parse(&path, &text).map_err(|error| errors.push(error)).ok()?;
        assemble(&path, document.root(), &environment, &mut errors)
    });
    errors.sort();
    match config {
        Some(config) if errors.is_empty() => Ok(config),
        Some(_) | None => Err(ConfigErrors(errors)),
    }
}

fn assemble(
    path: &Path,
    root: Section<'_>,
    environment: &BTreeMap<String, String>,
    errors: &mut Vec<ConfigError>,
) -> Option<Config> {
    let mut known = sections();
    known.extend(["tables", "mapping", receivers::SECTION]);
    root.refuse_unknown(&known, errors);
    let settings = Settings::read(path, root, environment, errors);
    let mappings = mappings(path, root, environment, errors);
    let before = errors.len();
    let told = receivers::read(root, environment, errors);
    if errors.len() == before {
        receivers::check(&told, &mappings, errors);
    }
    refuse_unknown_overrides(environment, &mappings, &told, errors);
    if mappings.is_empty() && errors.is_empty() {
        errors.push(root.error(
            "mapping",
            "no table is mapped",
            "expected `tables = \"tables/*.toml\"` or a `[[mapping]]` section",
        ));
    }
    mapping::check_together(&mappings, errors);
    let warehouse = warehouse::read(&settings, errors);
    typed_view::check_names(warehouse.as_ref(), &mappings, errors);
    let ledger = ledger::read(&settings, errors);
    let alerts = alerts::read(&settings, errors);
    let cost = cost::read(&settings, errors);
    let before = errors.len();
    let mask_key = masking::read(&settings, errors);
    if errors.len() == before {
        masking::check(mask_key.as_ref(), &mappings, errors);
    }
    let clusters = mappings.iter().map(|placed| placed.mapping.clone()).collect();
    let mut config = settings.config(warehouse?, ledger?, alerts, cost?, clusters)?;
    config.mask_key = mask_key;
    config.receivers = told;
    warehouse::name_destinations(&mut config);
    paths::check(&config, &mappings, errors);
    check_times(&config, path, root, errors);
    planner::check(&config, &settings, errors);
    planner::check_delivery(&config, &settings, errors);
    status::check(&config, &settings, errors);
    ledger::check_volume(&config, settings.place("ledger", "volume"), errors);
    check_admin(&config, path, root, environment, errors);
    Some(config)
}

/// Values of all settings, by section and key.
pub(super) struct Settings<'a> {
    pub(super) file: &'a Path,
    values: BTreeMap<(&'static str, &'static str), Value>,
    /// Where values were given, and, with an empty key, where sections begin; missing where the default stands.
    places: BTreeMap<(&'static str, &'static str), Place>,
}

impl<'a> Settings<'a> {
    fn read(
        file: &'a Path,
        root: Section<'a>,
        environment: &BTreeMap<String, String>,
        errors: &mut Vec<ConfigError>,
    ) -> Self {
        let (mut values, mut places) = (BTreeMap::new(), BTreeMap::new());
        for name in sections() {
            let section = root.section(name, name, errors);
            let settings: Vec<_> = SETTINGS.iter().filter(|setting| setting.section == name).collect();
            if let Some(section) = section {
                places.insert((name, ""), root.place(name));
                section
                    .refuse_unknown(&settings.iter().map(|setting| setting.key).collect::<Vec<_>>(), errors);
            }
            for setting in settings {
                let variable = format!("{PREFIX}{}__{}", name.to_uppercase(), setting.key.to_uppercase());
                let from_file = section
                    .and_then(|section| Some((section.given(setting.key)?, section.place(setting.key))));
                let overriding = environment
                    .get(&variable)
                    .map(|value| (Given::Text(value.clone()), Place::Environment(variable)));
                let (given, place) = match overriding.or(from_file) {
                    Some((given, place)) => (given, Some(place)),
                    None => (Given::Text(setting.default.to_owned()), None),
                };
                match (setting.kind.read(&given), place) {
                    (Ok(value), place) => {
                        values.insert((setting.section, setting.key), value);
                        places.extend(place.map(|place| ((setting.section, setting.key), place)));
                    }
                    (Err((problem, expected)), Some(place)) => {
                        let key = format!("{name}.{}", setting.key);
                        errors.push(ConfigError { place, key, problem, expected, nearest: None });
                    }
                    // An empty default: decided elsewhere.
                    (Err(_), None) => {}
                }
            }
        }
        Self { file, values, places }
    }

    /// Where a value was given; else its section; else the file.
    pub(super) fn place(&self, section: &'static str, key: &'static str) -> Place {
        let given = self.places.get(&(section, key)).or_else(|| self.places.get(&(section, "")));
        given.cloned().unwrap_or_else(|| Place::File(self.file.to_owned(), 1, 1))
    }

    pub(super) fn text(&self, section: &'static str, key: &'static str) -> Option<&str> {
        match self.values.get(&(section, key))? {
            Value::Text(text) => Some(text),
            Value::Duration(_) | Value::Number(_) | Value::Listen(_) => None,
        }
    }

    /// The key, where a value was given for it.
    pub(super) fn given(&self, section: &'static str, key: &str) -> Option<&'static str> {
        self.places.keys().find(|(of, name)| *of == section && *name == key).map(|(_, name)| *name)
    }

    pub(super) fn path(&self, section: &'static str, key: &'static str) -> Option<PathBuf> {
        self.text(section, key).map(|text| against(self.file, text))
    }

    pub(super) fn number(&self, section: &'static str, key: &'static str) -> Option<u64> {
        match self.values.get(&(section, key))? {
            Value::Number(number) => Some(*number),
            Value::Duration(_) | Value::Text(_) | Value::Listen(_) => None,
        }
    }

    pub(super) fn count(&self, section: &'static str, key: &'static str) -> Option<usize> {
        usize::try_from(self.number(section, key)?).ok()
    }

    pub(super) fn duration(&self, section: &'static str, key: &'static str) -> Option<Duration> {
        match self.values.get(&(section, key))? {
            Value::Duration(duration) => Some(*duration),
            Value::Number(_) | Value::Text(_) | Value::Listen(_) => None,
        }
    }

    pub(super) fn listen(&self) -> Option<Option<SocketAddr>> {
        match self.values.get(&("http", "listen"))? {
            Value::Listen(listen) => Some(*listen),
            Value::Number(_) | Value::Text(_) | Value::Duration(_) => None,
        }
    }
}

fn mappings(
    path: &Path,
    root: Section<'_>,
    environment: &BTreeMap<String, String>,
    errors: &mut Vec<ConfigError>,
) -> Vec<Placed> {
    let overriding = |cluster: &str, key: &str| {
        let variable = format!("{MAPPING_PREFIX}{}__{}", variable_part(cluster), key.to_uppercase());
        environment.get(&variable).map(|value| (Place::Environment(variable), value.clone()))
    };
    let mut placed: Vec<Placed> = Vec::new();
    for section in root.sections("mapping", "mapping", errors) {
        placed.extend(mapping::read(path, section, &overriding, errors));
    }
    let Some(pattern) = root.text("tables", errors) else { return placed };
    let files = mapping_files(path, &pattern);
    if files.is_empty() {
        errors.push(root.error(
            "tables",
            format!("no file matches {}", against(path, &pattern).display()),
            "expected mapping files, as in `tables = \"tables/*.toml\"`",
        ));
    }
    for file in files {
        let text = match read(&file) {
            Ok(text) => text,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        match Document::parse(&file, &text) {
            Ok(document) => placed.extend(mapping::read(&file, document.root(), &overriding, errors)),
            Err(error) => errors.push(error),
        }
    }
    placed
}

/// A cluster's name as part of an environment variable's.
fn variable_part(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// The mapping files of `main` that match `tables`, a pattern whose last component may hold `*`.
pub fn mapping_files(main: &Path, tables: &str) -> Vec<PathBuf> {
    let whole = against(main, tables);
    let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let matcher = wildmatch::WildMatch::new(&name);
    let folder = whole.parent().unwrap_or(Path::new("/"));
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| matcher.matches(&name.to_string_lossy())))
        .collect();
    files.sort();
    files
}

/// What is wrong with the tables of a text that is to be a mapping file, or a configuration with mappings of its own.
pub fn table_errors(path: &Path, text: &str) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    match Document::parse(path, text) {
        Ok(document) => {
            let root = document.root();
            let mut sections = root.sections("mapping", "mapping", &mut errors);
            if sections.is_empty() {
                sections.push(root);
            }
            for section in sections {
                mapping::read(path, section, &|_, _| None, &mut errors);
            }
            errors.retain(|error| error.key.starts_with("table"));
        }
        Err(error) => errors.push(error),
    }
    errors
}

fn refuse_unknown_overrides(
    environment: &BTreeMap<String, String>,
    mappings: &[Placed],
    told: &[Receiver],
    errors: &mut Vec<ConfigError>,
) {
    let settings = SETTINGS
        .iter()
        .map(|setting| format!("{PREFIX}{}__{}", setting.section.to_uppercase(), setting.key.to_uppercase()));
    let sources = mappings.iter().flat_map(|placed| {
        let cluster = variable_part(&placed.mapping.route.cluster);
        ["SOURCE", "QUEUE"].map(|key| format!("{MAPPING_PREFIX}{cluster}__{key}"))
    });
    let known: Vec<String> = settings.chain(sources).chain(receivers::variables(told)).collect();
    for name in environment.keys().filter(|name| !known.contains(name)) {
        // A mapping or a receiver that could not be read is told already, and so is what it would have been overridden with.
        if [MAPPING_PREFIX, receivers::PREFIX].iter().any(|prefix| name.starts_with(prefix))
            && !errors.is_empty()
        {
            continue;
        }
        let shown = if secret::is_secret_name(name) { "a secret" } else { "a setting" };
        errors.push(ConfigError {
            place: Place::Environment(name.clone()),
            key: name.clone(),
            problem: format!("it overrides {shown} that does not exist"),
            expected: format!("expected {PREFIX}SECTION__KEY of a setting, {MAPPING_PREFIX}CLUSTER__SOURCE or __QUEUE of a mapped cluster, or {}NAME__WEBHOOK, __KEY or __SECOND_KEY of a receiver", receivers::PREFIX),
            nearest: nearest(name, known.iter().map(String::as_str)),
        });
    }
}

/// A window must end before its files are deferred.
fn check_times(config: &Config, path: &Path, root: Section<'_>, errors: &mut Vec<ConfigError>) {
    let windows =
        config.mappings.iter().flat_map(|mapping| mapping.tables.iter().filter_map(|table| table.window));
    let longest = windows.chain([config.batching.window]).max().unwrap_or_default();
    if longest >= config.timing.defer_after {
        let shown = humantime::format_duration(longest);
        let place = match root.place("timing") {
            Place::File(..) => root.place("timing"),
            Place::Environment(_) => Place::File(path.to_owned(), 1, 1),
        };
        errors.push(ConfigError {
            place,
            key: "timing.defer_after".to_owned(),
            problem: format!("files would be deferred before the longest window ({shown}) closes"),
            expected: format!("expected more than {shown}"),
            nearest: None,
        });
    }
}

/// Whoever reaches the admin API can stop tables: an address that others reach needs a token.
fn check_admin(
    config: &Config,
    path: &Path,
    root: Section<'_>,
    environment: &BTreeMap<String, String>,
    errors: &mut Vec<ConfigError>,
) {
    let Some(listen) = config.http.listen else { return };
    // With an error told already, the token may be there and wrong.
    let told = errors.iter().any(|error| error.key.starts_with("http."));
    if listen.ip().to_canonical().is_loopback() || config.http.admin_token_sha256.is_some() || told {
        return;
    }
    let variable = format!("{PREFIX}HTTP__LISTEN");
    let place = if environment.contains_key(&variable) {
        Place::Environment(variable)
    } else {
        let section = root.section("http", "http", &mut Vec::new());
        section.map_or(Place::File(path.to_owned(), 1, 1), |section| section.place("listen"))
    };
    errors.push(ConfigError {
        place,
        key: "http.listen".to_owned(),
        problem: format!("{listen} can be reached from other machines, and the admin API has no token"),
        expected: "expected `admin_token_sha256` in `[http]` (`landbridge token` prints a token and its hash), or a \
                   loopback address as \"127.0.0.1:9464\""
            .to_owned(),
        nearest: None,
    });
}

//! The file that a mapping is in: found, read, and replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use super::entries::{tables_mut, text};
use crate::config::{mapping_files, nearest};

/// A mapping in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingFile {
    /// The file.
    pub path: PathBuf,
    /// The cluster, where the file maps several.
    pub cluster: Option<String>,
    /// What stands in it; what a new one begins with, where there is none.
    pub text: String,
    /// It is not there yet.
    pub is_new: bool,
}

impl MappingFile {
    /// A mapping file, or a configuration with mappings of its own; a new one where there is none.
    pub fn open(path: &Path, cluster: Option<&str>) -> Result<Self, String> {
        let of =
            |text, is_new| Self { path: path.to_owned(), cluster: cluster.map(str::to_owned), text, is_new };
        match fs::read_to_string(path) {
            Ok(text) => Ok(of(text, false)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(of(head(path, cluster), true)),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }

    /// The mapping of `cluster` among all that a configuration has, itself or in mapping files; the only one, where none is
    /// named.
    pub fn find(config: &Path, cluster: Option<&str>) -> Result<Self, String> {
        let main = read(config)?;
        let mut document = parsed(config, &main)?;
        let files = document.get("tables").and_then(|tables| tables.as_str());
        let files = files.map(|pattern| mapping_files(config, pattern)).unwrap_or_default();
        let mut known = BTreeMap::new();
        for section in document.get_mut("mapping").map(tables_mut).unwrap_or_default() {
            known.insert(text(section, "cluster").unwrap_or_default(), (config.to_owned(), main.clone()));
        }
        for path in files {
            let whole = read(&path)?;
            let name = text(parsed(&path, &whole)?.as_table(), "cluster").unwrap_or_default();
            known.insert(name, (path, whole));
        }
        let names: Vec<_> = known.keys().map(String::as_str).collect();
        let wanted = match (cluster, names.as_slice()) {
            (Some(cluster), _) => cluster.to_owned(),
            (None, [only]) => (*only).to_owned(),
            (None, []) => {
                return Err(format!("{} has no mapping\n    name a file with --mapping", config.display()));
            }
            (None, _) => {
                return Err(format!(
                    "{} maps {}\n    name one of them with --cluster",
                    config.display(),
                    names.join(", ")
                ));
            }
        };
        let remedy = nearest(&wanted, names.iter().copied()).map_or_else(
            || format!("it maps {}", names.join(", ")),
            |name| format!("did you mean `{name}`?"),
        );
        let (path, text) = known.remove(&wanted).ok_or_else(|| {
            format!("{} does not map the cluster \"{wanted}\"\n    {remedy}", config.display())
        })?;
        Ok(Self { path, cluster: Some(wanted), text, is_new: false })
    }

    /// Replaces the file by `text`, whole or not at all. Refuses to, when it is not any more what was read.
    pub fn write(&self, text: &str) -> Result<(), String> {
        let told = |error: std::io::Error| format!("cannot write {}: {error}", self.path.display());
        // A link stays one, and what it leads to is replaced.
        let path =
            if self.is_new { self.path.clone() } else { fs::canonicalize(&self.path).map_err(told)? };
        let now = match fs::read_to_string(&path) {
            Ok(now) => Some(now),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(told(error)),
        };
        if now.as_ref() != (!self.is_new).then_some(&self.text) {
            return Err(format!(
                "{} was changed meanwhile: nothing was written\n    do it again",
                self.path.display()
            ));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.{}", std::process::id()));
        replace(&beside, &path, text).map_err(|error| {
            // What is left of it helps nobody.
            let _ = fs::remove_file(&beside);
            told(error)
        })
    }
}

fn replace(beside: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = File::create_new(beside)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
    }
    file.sync_all()?;
    fs::rename(beside, path)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn parsed(path: &Path, text: &str) -> Result<DocumentMut, String> {
    text.parse().map_err(|error| format!("{}: {}", path.display(), format!("{error}").trim_end()))
}

/// What a new mapping file begins with. `landbridge check` refuses the words in capitals, so that nobody forgets them.
fn head(path: &Path, cluster: Option<&str>) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let cluster = cluster.unwrap_or(&stem);
    let dataset: String = cluster.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let quoted = |text: &str| toml_edit::Value::from(text).to_string();
    format!(
        "# What is in capitals is yours to fill in: docs/config.md has the keys.\n\
         cluster = {}\n\
         source = \"s3://BUCKET/FOLDER/\"\n\
         queue = \"https://sqs.REGION.amazonaws.com/ACCOUNT/QUEUE\"\n\
         dataset = {}\n\n\
         [dms]\n\
         # timestamp = \"\" # TimestampColumnName of the DMS endpoint\n\
         # sequence = \"\" # the column made of $AR_H_CHANGE_SEQ\n",
        quoted(cluster),
        quoted(&dataset),
    )
}

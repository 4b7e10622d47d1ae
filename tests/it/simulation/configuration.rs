//! The configuration of a seed.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use landbridge::config::load;
use landbridge::config::types::{ColumnSettings, Config};
use landbridge::domain::planner::Carrier;
use landbridge::domain::source_type::SourceType;

use super::bucket::CLUSTER;
use super::chance::Chance;
use super::kinds::Kind;
use super::plan::TABLES;

static BASE: LazyLock<Config> = LazyLock::new(|| {
    let folder = fast_folder();
    std::fs::create_dir(folder.path().join("bucket")).unwrap();
    let mut text = format!(
        "[[mapping]]\ncluster = \"{CLUSTER}\"\nsource = \"bucket\"\ndataset = \"game_a\"\n[mapping.dms]\n"
    );
    for table in TABLES {
        text.push_str(&format!("[[mapping.table]]\nname = \"s.{table}\"\nkey = [\"id\"]\n"));
    }
    let path = folder.path().join("landbridge.toml");
    std::fs::write(&path, text).unwrap();
    let mut config = load(&path, []).unwrap();
    for mapping in &mut config.mappings {
        mapping.route.bucket = CLUSTER.into();
    }
    config
});

/// A folder in memory where there is one.
pub fn fast_folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Bounds and waits of one seed: small ones, so that every bound is met.
pub fn draw(chance: &Chance, spool: &Path) -> Config {
    let mut config = BASE.clone();
    let seconds = |from: &[u64]| Duration::from_secs(chance.pick(from));
    config.spool.path = spool.to_owned();
    config.batching.window = seconds(&[5, 10, 20]);
    config.batching.files_max = chance.pick(&[3, 4, 6, 10]);
    config.limits.loads_per_table = chance.pick(&[1, 2]);
    config.limits.loads_in_flight = chance.pick(&[2, 4, 8]);
    config.limits.held_messages_per_queue = chance.pick(&[30, 100, 1_000]);
    config.limits.parked_files_per_queue = chance.pick(&[10, 500]);
    config.limits.files_per_table = chance.pick(&[10, 400]);
    config.limits.memory_credit_bytes = chance.pick(&[24 << 10, 128 << 20]);
    config.timing.visibility_timeout = seconds(&[30, 60, 120]);
    config.timing.defer_after = seconds(&[30, 60, 120, 600]);
    config.timing.job_timeout = seconds(&[60, 300]);
    // One table's rows go by streams, and what its column `note` holds may be JSON.
    let (streamed, is_json) = (chance.index(TABLES.len()), chance.flips(5_000));
    for mapping in &mut config.mappings {
        if let Some(table) = mapping.tables.get_mut(streamed) {
            table.delivery = Carrier::StorageWrite;
            if is_json {
                let settings = ColumnSettings { source_type: Some(SourceType::Json), ..Default::default() };
                table.columns.insert("note".to_owned(), settings);
            }
        }
    }
    config
}

/// What one process starts with: people edit mappings while none runs.
pub fn of_one_life(chance: &Chance, config: &Config) -> Config {
    let mut config = config.clone();
    for mapping in &mut config.mappings {
        if chance.strikes(Kind::RulesChanged, 2_000) {
            mapping.dms.timestamp = Some("committed".into());
        }
        if chance.strikes(Kind::MappingGone, 1_500) {
            let gone = chance.index(TABLES.len());
            mapping.route.tables.remove(gone);
            mapping.tables.remove(gone);
        }
    }
    config
}

//! The stamp of a lake: one hidden file in its directory, for all its datasets.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Lake, fault};
use crate::domain::batch::Destination;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::identity::Stamp;
use crate::flow::cpu::blocking;
use crate::warehouse::stamps::{Found, Stamps};

const NAME: &str = ".ledger.json";

fn parse(text: &str) -> Option<Stamp> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(Stamp { ledger: value.get("ledger")?.as_str()?.to_owned(), epoch: value.get("epoch")?.as_u64()? })
}

fn read(path: &Path) -> Result<Found, Fault> {
    match fs::read_to_string(path) {
        Ok(text) => match parse(&text) {
            Some(stamp) => Ok(Found::Dataset { stamp: Some(stamp), version: text }),
            None => {
                let text = format!("{} cannot be read: it says which ledger loads the lake", path.display());
                Err(Fault::new(FaultKind::LedgerCorrupt, text))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Found::Dataset { stamp: None, version: String::new() })
        }
        Err(error) => Err(fault("read", path, error)),
    }
}

#[async_trait]
impl Stamps for Lake {
    async fn read(&self, _: &Destination) -> Result<Found, Fault> {
        let path = self.root.join(NAME);
        blocking("reading the lake's stamp", move || read(&path)).await
    }

    async fn write(&self, _: &Destination, stamp: &Stamp, version: &str) -> Result<bool, Fault> {
        let (path, version) = (self.root.join(NAME), version.to_owned());
        let text = json!({"ledger": stamp.ledger, "epoch": stamp.epoch}).to_string();
        blocking("writing the lake's stamp", move || {
            match read(&path)? {
                Found::Dataset { version: now, .. } if now == version => {}
                Found::Dataset { .. } | Found::NoDataset => return Ok(false),
            }
            let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
            let written = fs::File::create(&temporary).and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                // A stamp that a power cut left empty would be refused for ever.
                file.sync_all()
            });
            written.map_err(|error| fault("write", &temporary, error))?;
            fs::rename(&temporary, &path).map_err(|error| fault("write", &path, error))?;
            Ok(true)
        })
        .await
    }

    fn remember(&self, _: &Stamp) {}
}

//! What a person asks of poison files, and does about them.

use super::console::{TreeConsole, no_answer};
use crate::domain::batch::FILES_PER_BATCH_MAX;
use crate::domain::fault::{Fault, LOADED_BEFORE};
use crate::domain::ids::TableId;
use crate::domain::transition::{Mending, PoisonFile};
use crate::telemetry::events;
use crate::web::console::{Chosen, Mended, POISON_MAX, PoisonView, Refusal, RefusalKind};

impl TreeConsole {
    pub(super) async fn poison_of(&self, table: &TableId) -> Result<Vec<PoisonView>, Refusal> {
        let files = self.world.ports.ledger.poison(table, POISON_MAX).await.map_err(silent)?;
        Ok(files.into_iter().map(view).collect())
    }

    pub(super) async fn mend_poison(
        &self,
        table: &TableId,
        chosen: Chosen,
        mending: Mending,
    ) -> Result<Mended, Refusal> {
        let ledger = &self.world.ports.ledger;
        let known = ledger.poison(table, POISON_MAX).await.map_err(silent)?;
        let left_out = known.len() >= POISON_MAX && known.iter().all(|one| !one.discarded);
        let more = chosen == Chosen::All && left_out;
        let wanted = match chosen {
            Chosen::All => known.into_iter().filter(|one| !one.discarded).collect(),
            Chosen::Named(names) => named(table, &known, &names)?,
        };
        // Whoever redrives all of a table's poison does not mean those whose rows are there.
        let is_loaded = |one: &PoisonFile| mending == Mending::Redrive && one.reason.contains(LOADED_BEFORE);
        let (loaded, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_loaded);
        let wanted: Vec<_> = wanted.into_iter().map(|one| (one.file, one.at)).collect();
        let mut files = 0;
        for some in wanted.chunks(FILES_PER_BATCH_MAX) {
            let now = self.world.ports.clock.now();
            let mended = ledger.mend(some, mending, now).await.map_err(silent)?;
            for ((file, _), _) in some.iter().zip(mended).filter(|(_, mended)| *mended) {
                events::PoisonMended { table, file, mending }.emit();
                files += 1;
            }
        }
        if mending == Mending::Redrive {
            self.world.tell_deferred(table);
        }
        let warning = if !loaded.is_empty() {
            let count = loaded.len();
            Some(format!(
                "{count} stay poison: the warehouse has their rows, and they would be there twice; discard them"
            ))
        } else if more {
            Some(format!("these were the oldest {POISON_MAX}: ask again for the others"))
        } else {
            let left = wanted.len() - files;
            (left > 0).then(|| format!("{left} had changed meanwhile, and stay as they are"))
        };
        Ok(Mended { files, warning })
    }
}

fn named(table: &TableId, known: &[PoisonFile], names: &[String]) -> Result<Vec<PoisonFile>, Refusal> {
    let of_name = |name: &String| {
        let found = known.iter().find(|one| one.file.source_file() == *name).cloned();
        found.ok_or_else(|| Refusal {
            kind: RefusalKind::UnknownFile,
            error: format!("{table} has no poison file {name}; nothing was done"),
            remedy: "name files as the list of the table's poison does".to_owned(),
        })
    };
    names.iter().map(of_name).collect()
}

fn view(poison: PoisonFile) -> PoisonView {
    PoisonView {
        file: poison.file.source_file(),
        size_bytes: poison.file.size_bytes,
        reason: poison.reason,
        poison_since: poison.at,
        discarded: poison.discarded,
    }
}

fn silent(fault: Fault) -> Refusal {
    no_answer(&format!("the ledger: {}", fault.chain()))
}

//! What must hold in every state: the invariants of ARCHITECTURE.md.

use std::collections::BTreeMap;

use landbridge::domain::file::{FileId, FileState};
use landbridge::domain::transition::BatchState;

use super::outside::Job;
use super::world::World;

/// A property, by its name.
pub type Property = (&'static str, fn(&World) -> bool);

pub const DELETED_LAST: &str = "I-4: a message is deleted when all its files are final";
pub const LOADED_WHOLE: &str = "I-5: what is loaded was loaded whole, by the batch's own job";
pub const NOT_DOUBLED: &str = "I-6: no row is in the warehouse twice";
pub const GOES_ON: &str = "it goes on until every file is final";

pub const LEFT_ALONE: &str = "no stream is sealed by another while its owner lives and works";

pub const PROPERTIES: [Property; 9] = [
    ("I-1: every known file is in one state", every_file_has_a_state),
    ("I-2: every job was written down before", every_job_was_written_down),
    ("I-3: what is known to have failed has not loaded and never will", what_failed_has_failed),
    (DELETED_LAST, messages_are_deleted_last),
    (LOADED_WHOLE, what_is_loaded_is_whole),
    (NOT_DOUBLED, no_row_is_doubled),
    ("what is in the warehouse is in a batch that may say so", rows_have_a_batch),
    (GOES_ON, it_goes_on),
    (LEFT_ALONE, |world| world.scenario.unheard || !world.sealed_of_another),
];

fn every_file_has_a_state(world: &World) -> bool {
    world.ledger.states().all(|(_, state)| state.is_some())
}

fn every_job_was_written_down(world: &World) -> bool {
    let known = |job| world.ledger.batches.values().any(|row| row.attempts.iter().any(|(id, _)| id == job));
    let ours = world.warehouse.jobs.values().filter(|(upload, _)| upload.label.is_some());
    ours.map(|(upload, _)| upload).chain(&world.warehouse.late).all(|upload| known(&upload.job))
}

fn what_failed_has_failed(world: &World) -> bool {
    let rows = world.ledger.batches.values();
    let mut failed = rows.flat_map(|row| row.attempts.iter().filter(|(_, failed)| *failed));
    failed.all(|(id, _)| match world.warehouse.jobs.get(id) {
        Some((upload, job)) => upload.label.is_none() || matches!(job, Job::Failed(_) | Job::Fence),
        None => world.warehouse.is_dead_stream(id),
    })
}

fn messages_are_deleted_last(world: &World) -> bool {
    let mut deleted = world.queue.iter().filter(|message| message.deleted).flat_map(|message| &message.files);
    !world.given_up_early && deleted.all(|file| world.ledger.state(file).is_some())
}

fn what_is_loaded_is_whole(world: &World) -> bool {
    let mut loaded = world.ledger.batches.iter().filter(|(_, row)| row.record.state == BatchState::Loaded);
    loaded.all(|(id, row)| {
        row.record.batch.manifest.entries.iter().filter(|entry| entry.rows > 0).all(|entry| {
            let ours = |label: &Option<_>| label.as_ref() == Some(id);
            let mut loads = world.warehouse.loads();
            loads.any(|(upload, file, rows)| ours(&upload.label) && *file == entry.file && rows == entry.rows)
        })
    })
}

fn loads_by_file(world: &World) -> BTreeMap<&FileId, u64> {
    let mut loads = BTreeMap::new();
    world.warehouse.loads().for_each(|(_, file, _)| *loads.entry(file).or_default() += 1);
    loads
}

fn no_row_is_doubled(world: &World) -> bool {
    loads_by_file(world).values().all(|loads| *loads <= 1)
}

fn rows_have_a_batch(world: &World) -> bool {
    let mut loads = world.warehouse.loads();
    loads.all(|(upload, file, _)| match world.ledger.state(file) {
        Some(FileState::Claimed { batch, .. } | FileState::Loaded { batch }) => {
            upload.label.as_ref() == Some(&batch)
        }
        Some(FileState::Poison { .. } | FileState::Vanished { .. } | FileState::Deferred { .. }) | None => {
            false
        }
    })
}

/// A message waits, is parked, and is deferred: so many moves may be the intake's alone before they come to something.
const INTAKE_MOVES_MAX: u8 = 3;

/// Where nothing can go wrong any more, something happens until nothing is left to do.
fn it_goes_on(world: &World) -> bool {
    all_is_final(world) || comes_to_something(world, INTAKE_MOVES_MAX)
}

/// A message that is only moved to and fro does not go on.
fn comes_to_something(world: &World, intake_moves: u8) -> bool {
    let mut moves = Vec::new();
    world.usual_moves(&mut moves);
    moves.iter().map(|one| world.after(one)).any(|next| {
        next.beside_intake() != world.beside_intake()
            || intake_moves > 0 && next != *world && comes_to_something(&next, intake_moves - 1)
    })
}

fn all_is_final(world: &World) -> bool {
    let held = world.ledger.table_held;
    world.queue.iter().all(|message| {
        message.deleted
            && message.files.iter().all(|file| {
                let there = world.bucket.get(&file.key) == Some(file);
                match world.ledger.state(file) {
                    Some(FileState::Loaded { .. }) => true,
                    Some(FileState::Poison { .. }) => {
                        world.scenario.is_refused(file)
                            || world.scenario.is_unreadable(file)
                            || world.left.refusals < world.scenario.faults.refusals
                    }
                    Some(FileState::Vanished { .. }) => !there,
                    // A person has not resumed the table.
                    Some(FileState::Deferred { .. } | FileState::Claimed { held: true, .. }) => held,
                    Some(FileState::Claimed { held: false, .. }) | None => false,
                }
            })
    })
}

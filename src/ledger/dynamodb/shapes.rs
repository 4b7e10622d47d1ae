//! The shapes of tables. The number of a shape's entries is an item of its own, which every growth raises: of two that
//! grow one shape, one is refused. The entries of a growth are packed, since a table may have 10,000 columns, and a
//! transaction has 100 items.

use std::io::Read;

use super::item::{Fields, Item, SK, bytes, item, key, number, sortable, text};
use super::transaction::{Change, Sent};
use super::{DynamoDbLedger, READS_MAX, StepError};
use crate::domain::ids::TableId;
use crate::domain::shape::{Appending, ShapeEntry, appending};
use crate::ledger::stored::{from_json, table_of, table_text, to_json};

const SHAPES: &str = "SHAPES";
/// Entries in one item: packed they are far below the 400 KB that an item may have.
const ENTRIES_PER_ITEM: usize = 250;
/// What an item's entries are unpacked to at most.
const ENTRIES_BYTES_MAX: u64 = 16 << 20;

impl DynamoDbLedger {
    pub(super) async fn stored_shape(&self, table: &TableId) -> Result<Vec<ShapeEntry>, StepError> {
        let items =
            self.query("shape", "pk = :pk", item([(":pk", text(partition(&table_text(table)?)))])).await?;
        let mut entries = Vec::new();
        for item in &items {
            if item.number_of::<usize>("s_first")? != entries.len() {
                return Err(StepError::Corrupt(format!("the shape of {table} has a gap")));
            }
            entries.extend(unpacked(item.maybe_bytes("s_entries")?.unwrap_or_default())?);
        }
        Ok(entries)
    }

    pub(super) async fn grow_stored_shape(
        &self,
        table: &TableId,
        known: usize,
        entries: &[ShapeEntry],
    ) -> Result<bool, StepError> {
        for _ in 0..READS_MAX {
            match appending(&self.stored_shape(table).await?, known, entries) {
                Appending::Now if entries.is_empty() => return Ok(true),
                Appending::Now => {}
                Appending::Done => return Ok(true),
                Appending::Refused => return Ok(false),
            }
            if self.send("grow_shape", &growth(table, known, entries)?).await? == Sent::Done {
                return Ok(true);
            }
            // Another process has grown it meanwhile, or this one did: its answer was lost.
        }
        Err(self.contended("grow_shape"))
    }

    /// The shapes of all tables that have one, sorted by table.
    pub(super) async fn stored_shapes(&self) -> Result<Vec<(TableId, Vec<ShapeEntry>)>, StepError> {
        let mut shapes = Vec::new();
        for one in self.query("shapes", "pk = :pk", item([(":pk", text(SHAPES))])).await? {
            let table = table_of(one.text_of(SK)?)?;
            let shape = self.stored_shape(&table).await?;
            shapes.push((table, shape));
        }
        shapes.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(shapes)
    }
}

/// Where the entries of a table are.
fn partition(table: &str) -> String {
    format!("S#{table}")
}

/// The step that appends `entries` to the first `known`.
fn growth(table: &TableId, known: usize, entries: &[ShapeEntry]) -> Result<Vec<Change>, StepError> {
    let table = table_text(table)?;
    let counts = item([(":known", number(known)), (":now", number(known.saturating_add(entries.len())))]);
    let count = Change::update(key(SHAPES, &table), "SET s_count = :now", counts);
    let as_known =
        if known == 0 { "attribute_not_exists(s_count) OR s_count = :known" } else { "s_count = :known" };
    let mut changes = vec![count.when(as_known, Item::new())];
    for (chunk, entries) in entries.chunks(ENTRIES_PER_ITEM).enumerate() {
        let first = known.saturating_add(chunk.saturating_mul(ENTRIES_PER_ITEM));
        let mut own = key(partition(&table), sortable(i64::try_from(first).unwrap_or(i64::MAX)));
        let packed = zstd::bulk::compress(to_json(&entries)?.as_bytes(), 3);
        let packed = packed.map_err(|error| StepError::Misused(error.to_string()))?;
        own.extend(item([("s_first", number(first)), ("s_entries", bytes(packed))]));
        changes.push(Change::put(own).when("attribute_not_exists(pk)", Item::new()));
    }
    Ok(changes)
}

fn unpacked(packed: &[u8]) -> Result<Vec<ShapeEntry>, StepError> {
    let mut json = String::new();
    let reader = zstd::stream::read::Decoder::new(packed).map(|reader| reader.take(ENTRIES_BYTES_MAX));
    reader
        .and_then(|mut reader| reader.read_to_string(&mut json))
        .map_err(|error| StepError::Corrupt(format!("entries of a shape cannot be unpacked: {error}")))?;
    Ok(from_json("entries of a shape", &json)?)
}

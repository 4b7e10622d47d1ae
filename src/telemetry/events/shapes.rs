//! What happens to the columns of tables.

use tracing::{info, warn};

use super::{c, count, event, label};
use crate::domain::fault::Fault;
use crate::domain::ids::{BatchId, TableId};
use crate::domain::shape::{Change, ShapeEntry};
use crate::domain::treatment::{ChangedValues, ValueChange};

event! {
    /// The shape of a table has grown.
    ShapeGrown<'a> { table: &'a TableId, entries: &'a [ShapeEntry], renamed_hint: Option<&'a str> } |e| {
        for entry in e.entries {
            grown(e.table, entry);
            count(&c::SCHEMA_CHANGES, &[label("table", e.table), label("change", entry.change.label())], 1);
        }
        if let Some(renamed_hint) = e.renamed_hint {
            info!(table = %e.table, renamed_hint, "a column came as another went: was it renamed at the source?");
        }
    }
}

event! {
    /// The mapping says of columns what is to be done with them, and the files do not have them.
    ColumnsUnknown<'a> { table: &'a TableId, columns: &'a str } |e| {
        warn!(table = %e.table, columns = e.columns,
            remedy = "compare their names with the files' (`landbridge schema show`): a column of another name leaves as it is",
            "the mapping masks, leaves out or selects columns that the files do not have");
    }
}

event! {
    /// A batch was loaded of which some values are not as they were at the source.
    ValuesChanged<'a> { table: &'a TableId, batch: &'a BatchId, changed: &'a [ChangedValues] } |e| {
        for ChangedValues { column, change, values } in e.changed {
            let (told, remedy) = match change {
                ValueChange::Nulled => (
                    "values that the column's type does not hold were loaded as NULL, as its `on_invalid` says",
                    "nothing; `on_invalid = \"string\"` would load the column as text, and all of it",
                ),
                ValueChange::Replaced => (
                    "texts that are no UTF-8 were loaded with U+FFFD in the place of what is not",
                    "look for a LOB that DMS has cut, or for a character set that it does not know",
                ),
                ValueChange::Cut => (
                    "values are as long as DMS's LobMaxSize: it has cut them, most likely",
                    "raise LobMaxSize of the DMS task (or use full LOB mode) and reload the table; if the mapping's \
                     `lob_max_size` is not the task's, correct it",
                ),
            };
            warn!(table = %e.table, batch = %e.batch, %column, values, change = change.label(), remedy, "{told}");
            let labels = [label("table", e.table), label("column", column), label("change", change.label())];
            count(&c::VALUES_CHANGED, &labels, *values);
        }
    }
}

event! {
    /// The typed view of a table was not made.
    ViewUnpublished<'a> { table: &'a TableId, fault: &'a Fault } |e| {
        warn!(table = %e.table, error = e.fault.chain(), remedy = "what the error says, or `typed_view = false` for the table; nothing for its loads",
            "the typed view is not as the table is: loads go on, and it is tried again after one, a minute from now at the earliest");
        count(&c::VIEW_FAILURES, &[label("table", e.table), label("reason", e.fault.kind.label())], 1);
    }
}

fn grown(table: &TableId, entry: &ShapeEntry) {
    let ShapeEntry { source, kind, target, target_kind, change, file, .. } = entry;
    let file = file.as_deref().unwrap_or_default();
    let told = match change {
        Change::Found => "the destination has the column",
        Change::Added => "a new column",
        Change::Widened => "the destination's column takes a wider type",
        Change::Narrowed => "the destination's column holds another type of the column too",
        Change::Renamed => "the mapping names the destination's column",
        Change::Beside => {
            "no type holds both the column's old values and its new ones: these go into a column of their own"
        }
        Change::Rescued => {
            "no type holds both the column's old values and its new ones: these go as JSON into _rescued"
        }
    };
    match change {
        Change::Found | Change::Added | Change::Widened | Change::Narrowed | Change::Renamed => {
            info!(%table, column = %source, %kind, %target, %target_kind, change = change.label(), file, "{told}");
        }
        Change::Beside | Change::Rescued => {
            warn!(%table, column = %source, %kind, %target, %target_kind, change = change.label(), file,
                remedy = "nothing; give the column its type back at the source if it was changed by mistake", "{told}");
        }
    }
}

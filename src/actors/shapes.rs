//! Where the columns of a file go: by the shape of its table, which the ledger has, and which grows here.
//!
//! What is known is remembered: entries never change, so that only a file with a column that is not known asks the
//! ledger, and only one that the ledger does not know either asks the warehouse what its table has.

use std::collections::HashMap;
use std::sync::Arc;

use dashmap::DashMap;

use super::supervision::report;
use super::world::World;
use crate::columns::plan::ColumnPlan;
use crate::columns::types::ColumnType;
use crate::domain::batch::Destination;
use crate::domain::clock::Clock;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::file::FileId;
use crate::domain::ids::TableId;
use crate::domain::shape::{Conflict, Shape, ShapeEntry, ShapeRules, Target, Unresolved, renamed_hint};
use crate::domain::watchdog::Edge;
use crate::flow::pulse;
use crate::ledger::Ledger;
use crate::messages::root::HoldTable;
use crate::telemetry::events;
use crate::warehouse::Warehouse;

#[cfg(test)]
mod tests;

/// Rounds of reading a shape and growing it, where other processes grow it too.
const ROUNDS_MAX: usize = 16;

/// The columns of a file, as its footer has them.
type Columns = [(Arc<str>, ColumnType)];

/// What a table's columns are resolved with.
pub struct Edges<'a> {
    /// Who has the shape.
    pub ledger: &'a dyn Ledger,
    /// Who has the table.
    pub warehouse: &'a dyn Warehouse,
    /// When.
    pub clock: &'a dyn Clock,
    /// Which table of the warehouse.
    pub destination: &'a Destination,
    /// How its shape grows.
    pub rules: &'a ShapeRules,
}

/// The shapes of tables, as they were last read.
#[derive(Debug, Default)]
pub struct Shapes {
    known: DashMap<TableId, Arc<Shape>>,
    /// The columns of the last file of each table: what the next one lacks may have been renamed.
    last: DashMap<TableId, Arc<Columns>>,
}

/// Why the columns of a file have no places.
#[derive(Debug)]
pub enum Unplaced {
    /// A person must decide.
    Conflict(Conflict),
    /// An edge did not do its part.
    Edge {
        /// The step of the ledger; none where the warehouse failed.
        step: Option<&'static str>,
        /// What it was.
        fault: Fault,
    },
}

impl Shapes {
    /// Where each of `columns`, those of `file`, goes, in their order. What is not known yet is written into the ledger
    /// first.
    pub async fn resolve(
        &self,
        edges: &Edges<'_>,
        table: &TableId,
        file: &FileId,
        columns: &Columns,
    ) -> Result<Vec<Target>, Unplaced> {
        let cached = self.known.get(table).map(|shape| Arc::clone(&shape));
        let known = cached.map_or(Err(Unresolved::Unknown), |shape| shape.resolve(columns));
        let targets = match known {
            Ok(targets) => targets,
            Err(Unresolved::Conflict(conflict)) => return Err(of_file(conflict, file)),
            Err(Unresolved::Unknown) => self.read_and_grow(edges, table, file, columns).await?,
        };
        self.remember_file(table, columns);
        Ok(targets)
    }

    /// The shape as it was last read or grown; none before the first file.
    pub fn known(&self, table: &TableId) -> Option<Arc<Shape>> {
        self.known.get(table).map(|shape| Arc::clone(&shape))
    }

    /// A shape only grows: one that was read earlier never takes the place of a later one.
    fn learn(&self, table: &TableId, shape: Shape) {
        let shape = Arc::new(shape);
        let mut known = self.known.entry(table.clone()).or_insert_with(|| Arc::clone(&shape));
        if known.entries().len() < shape.entries().len() {
            *known = shape;
        }
    }

    /// Forgets what was read: another batch, or another process, may have widened a column since, and the warehouse has
    /// refused a body of the narrower type. The body that is built again is of the wider one, with the same rows.
    pub fn forget(&self, table: &TableId) {
        self.known.remove(table);
    }

    fn remember_file(&self, table: &TableId, columns: &Columns) {
        let same = self.last.get(table).is_some_and(|last| **last == *columns);
        if !same {
            self.last.insert(table.clone(), columns.into());
        }
    }

    async fn read_and_grow(
        &self,
        edges: &Edges<'_>,
        table: &TableId,
        file: &FileId,
        columns: &Columns,
    ) -> Result<Vec<Target>, Unplaced> {
        let mut existing = None;
        for _ in 0..ROUNDS_MAX {
            pulse::working(Edge::Ledger, "reading the table's shape");
            let entries = edges.ledger.shape(table).await.map_err(at("shape"))?;
            let mut shape = Shape::new(entries);
            match shape.resolve(columns) {
                Ok(targets) => {
                    self.learn(table, shape);
                    return Ok(targets);
                }
                Err(Unresolved::Conflict(conflict)) => return Err(of_file(conflict, file)),
                Err(Unresolved::Unknown) => {}
            }
            // Asked after the shape was read: what another process has added to the table since, by a shape that it has
            // grown, is refused below.
            let existing = match &existing {
                Some(existing) => existing,
                None => {
                    pulse::working(Edge::Warehouse, "asking for the columns of the table");
                    let columns = edges.warehouse.columns(edges.destination).await;
                    existing.insert(columns.map_err(|fault| Unplaced::Edge { step: None, fault })?)
                }
            };
            let (now, source_file) = (edges.clock.now(), Arc::from(file.source_file()));
            let grown = shape.grow(columns, existing, edges.rules, now, Some(source_file));
            let grown = grown.map_err(Unplaced::Conflict)?;
            let known = shape.entries().len();
            pulse::working(Edge::Ledger, "writing the table's shape");
            if edges.ledger.grow_shape(table, known, &grown).await.map_err(at("grow_shape"))? {
                self.tell(table, &shape, &grown, columns);
                shape.append(grown);
                self.learn(table, shape);
            }
        }
        let text = format!("the shape of {table} is changed by other processes again and again");
        Err(Unplaced::Edge { step: None, fault: Fault::new(FaultKind::Unavailable, text) })
    }

    fn tell(&self, table: &TableId, before: &Shape, grown: &[ShapeEntry], columns: &Columns) {
        let last = self.last.get(table).map(|last| Arc::clone(&last));
        // After a start, the last file is not known: any column of the table that the file lacks may have been renamed.
        let last = last.map_or_else(|| sources(before), |last| last.to_vec());
        let hint = renamed_hint(grown, columns, &last);
        events::ShapeGrown { table, entries: grown, renamed_hint: hint.as_deref() }.emit();
    }
}

/// What an edge says about a table's columns is never said of a file.
fn no_fault_of_a_file(kind: FaultKind) -> FaultKind {
    match kind {
        FaultKind::ContentRefused
        | FaultKind::SchemaConflict
        | FaultKind::UnsupportedType
        | FaultKind::AlreadyLoaded => FaultKind::DestinationRefused,
        FaultKind::Internal | FaultKind::Unreadable | FaultKind::Vanished => FaultKind::Unavailable,
        FaultKind::Unavailable
        | FaultKind::Throttled
        | FaultKind::QuotaExceeded
        | FaultKind::AccessDenied
        | FaultKind::DestinationRefused
        | FaultKind::DiskFull
        | FaultKind::LedgerCorrupt => kind,
    }
}

fn sources(shape: &Shape) -> Vec<(Arc<str>, ColumnType)> {
    shape.entries().iter().map(|entry| (Arc::clone(&entry.source), entry.kind)).collect()
}

fn at(step: &'static str) -> impl Fn(Fault) -> Unplaced {
    move |fault| Unplaced::Edge { step: Some(step), fault }
}

fn of_file(conflict: Conflict, file: &FileId) -> Unplaced {
    let file = Some(conflict.file.unwrap_or_else(|| file.source_file().into()));
    Unplaced::Conflict(Conflict { file, ..conflict })
}

impl World {
    /// True when columns of the table have other types by now than in this plan of a body. Where other processes write, the
    /// ledger is asked; one that does not answer has said nothing against the body.
    pub async fn has_outgrown(&self, table: &TableId, plan: &ColumnPlan) -> bool {
        if self.ports.ledger.has_other_writers()
            && let Ok(entries) = self.ports.ledger.shape(table).await
        {
            self.shapes.learn(table, Shape::new(entries));
        }
        self.as_it_is_now(table, plan) != *plan
    }

    /// The plan with the types that its columns have by now.
    pub fn as_it_is_now(&self, table: &TableId, plan: &ColumnPlan) -> ColumnPlan {
        let now: HashMap<_, _> =
            self.shapes.known(table).map(|shape| shape.columns()).into_iter().flatten().collect();
        plan.with_kinds(|name, kind| now.get(name).copied().unwrap_or(kind))
    }

    /// Where the columns of one file go. A conflict that a person must decide holds the table, whose files wait in the
    /// ledger, and is no fault of theirs; a file that asks for too much is at fault itself.
    pub async fn resolve(
        &self,
        table: &TableId,
        file: &FileId,
        columns: &Columns,
    ) -> Result<Vec<Target>, Fault> {
        let Some(setup) = self.tables.get(table) else {
            return Err(Fault::new(FaultKind::Unavailable, format!("no mapping names {table} any more")));
        };
        let edges = Edges {
            ledger: &*self.ports.ledger,
            warehouse: &*self.ports.warehouse,
            clock: &*self.ports.clock,
            destination: &setup.destination,
            rules: &setup.shape_rules,
        };
        self.shapes.resolve(&edges, table, file, columns).await.map_err(|unplaced| match unplaced {
            Unplaced::Edge { step, mut fault } => {
                if let Some(step) = step {
                    self.ledger_failed(step, &fault);
                }
                fault.kind = no_fault_of_a_file(fault.kind);
                fault
            }
            Unplaced::Conflict(conflict) if conflict.is_the_tables() => {
                let reason = conflict.to_string();
                if let Some(root) = self.directory.root() {
                    report(&root, HoldTable { table: table.clone(), reason: reason.clone() });
                }
                Fault::new(FaultKind::DestinationRefused, reason)
            }
            Unplaced::Conflict(conflict) => Fault::new(FaultKind::SchemaConflict, conflict.to_string()),
        })
    }
}

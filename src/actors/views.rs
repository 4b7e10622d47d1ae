//! Keeps the typed views of tables as their shapes are, beside the loads and never in their way.
//!
//! A load that has ended says so here. Where the shape has grown since the view was published, a task of its own
//! publishes it: one a table, two in all, each for a minute at most. What goes wrong is told, and tried again after a later
//! load.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::world::{TableSetup, World};
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::ids::TableId;
use crate::domain::shape::name::folded;
use crate::domain::shape::{Shape, ShapeEntry};
use crate::telemetry::events;
use crate::warehouse::Column;

/// Views that are published at one time.
const AT_ONCE: usize = 2;
/// How long publishing one may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long after a failure none of its table is published.
const PAUSE: Duration = Duration::from_secs(60);

/// What this process has published.
#[derive(Debug)]
pub struct Views {
    tables: DashMap<TableId, Progress>,
    slots: Semaphore,
    /// Held by every task, so that it is known how many there are, however they end.
    tasks: Arc<()>,
}

/// One table's.
#[derive(Debug, Default)]
struct Progress {
    /// The entries of the shape whose view is there.
    published: Option<usize>,
    /// Alive while a task is at it.
    task: Weak<()>,
    /// A load has ended meanwhile.
    again: bool,
    failed: Option<Instant>,
}

impl Default for Views {
    fn default() -> Self {
        Self { tables: DashMap::new(), slots: Semaphore::new(AT_ONCE), tasks: Arc::new(()) }
    }
}

impl Views {
    /// Views that are being published now, or wait for it.
    pub fn in_flight(&self) -> usize {
        Arc::strong_count(&self.tasks).saturating_sub(1)
    }

    /// What a task for the table holds until it ends; `None` where there is nothing for one to do.
    fn begin(&self, table: &TableId, entries: usize) -> Option<Task> {
        let mut progress = self.tables.entry(table.clone()).or_default();
        // Another process may have grown the shape further than this one knows.
        if progress.published >= Some(entries) {
            return None;
        }
        if progress.task.strong_count() > 0 {
            progress.again = true;
            return None;
        }
        if progress.failed.is_some_and(|failed| failed.elapsed() < PAUSE) {
            return None;
        }
        let task = Arc::new(());
        progress.again = false;
        progress.task = Arc::downgrade(&task);
        Some(Task { _table: task, _all: Arc::clone(&self.tasks) })
    }

    /// Takes down what came of it: the entries whose view is there. True when the task has more to do.
    fn ended(&self, table: &TableId, outcome: Option<usize>) -> bool {
        let mut progress = self.tables.entry(table.clone()).or_default();
        let again = std::mem::take(&mut progress.again);
        match outcome {
            Some(entries) => {
                progress.published = Some(entries);
                progress.failed = None;
                if again {
                    return true;
                }
            }
            None => progress.failed = Some(Instant::now()),
        }
        progress.task = Weak::new();
        false
    }
}

/// A task's part in the counts.
struct Task {
    _table: Arc<()>,
    _all: Arc<()>,
}

impl World {
    /// A load of the table has ended: its view follows, if it must. Returns at once.
    pub fn keep_view(self: &Arc<Self>, table: &TableId) {
        let Some(setup) = self.tables.get(table).filter(|setup| setup.has_typed_view) else { return };
        let Some(shape) = self.shapes.known(table) else { return };
        let Some(task) = self.views.begin(table, shape.entries().len()) else { return };
        let (world, table, setup) = (Arc::clone(self), table.clone(), setup.clone());
        tokio::spawn(async move {
            let _task = task;
            loop {
                let outcome = world.publish_view(&table, &setup).await;
                if let Err(fault) = &outcome {
                    events::ViewUnpublished { table: &table, fault }.emit();
                }
                if !world.views.ended(&table, outcome.ok()) {
                    break;
                }
            }
        });
    }

    /// Publishes the view of the shape as it is now. Answers how many entries that has.
    async fn publish_view(&self, table: &TableId, setup: &TableSetup) -> Result<usize, Fault> {
        let unavailable = |text: &str| Fault::new(FaultKind::Unavailable, format!("{text} of {table}"));
        let Ok(_slot) = self.views.slots.acquire().await else {
            return Err(unavailable("no slot for the view"));
        };
        let publishing = async {
            let shape = self.newest_shape(table).await?;
            let there = self.ports.warehouse.columns(&setup.destination).await?;
            let (shape, whole) = as_far_as(&shape, &there);
            self.ports.warehouse.publish_view(&setup.destination, &setup.view(&shape)).await?;
            Ok(whole)
        };
        timeout(PATIENCE, publishing)
            .await
            .unwrap_or_else(|_| Err(unavailable("the warehouse does not answer about the view")))
    }

    /// Where other processes write, one of them may know more: its view must not be replaced by an older one.
    async fn newest_shape(&self, table: &TableId) -> Result<Arc<Shape>, Fault> {
        if self.ports.ledger.has_other_writers() {
            return Ok(Arc::new(Shape::new(self.ports.ledger.shape(table).await?)));
        }
        Ok(self.shapes.known(table).unwrap_or_default())
    }
}

/// The shape without columns that the table does not have yet: an entry is written before the first file that needs it is
/// loaded. And how many entries there are before the first that is missing: a later load asks for the others.
fn as_far_as(shape: &Shape, there: &[Column]) -> (Shape, usize) {
    let there: HashSet<_> = there.iter().map(|(name, _)| folded(name)).collect();
    let is_there = |entry: &ShapeEntry| there.contains(&folded(&entry.target));
    let whole = shape.entries().iter().take_while(|entry| is_there(entry)).count();
    (Shape::new(shape.entries().iter().filter(|entry| is_there(entry)).cloned()), whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_has_only_columns_that_the_table_has() {
        use crate::domain::column_type::ColumnType;
        let shape = Shape::new(["id", "new", "other"].map(ShapeEntry::added));
        let there = [("ID".into(), Some(ColumnType::Int64)), ("other".into(), None)];
        let (seen, whole) = as_far_as(&shape, &there);
        let names: Vec<_> = seen.columns().into_iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!((names, whole), (vec!["id".to_owned(), "other".to_owned()], 1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_task_a_table_the_newest_wins_and_a_failure_waits() {
        let (views, table) = (Views::default(), TableId::new("c", "s", "t"));
        let task = views.begin(&table, 1).unwrap();
        assert!(views.begin(&table, 1).is_none() && views.in_flight() == 1);
        assert!(views.ended(&table, Some(1)), "a load has ended meanwhile");
        assert!(views.begin(&table, 2).is_none());
        assert!(views.ended(&table, Some(1)));
        assert!(!views.ended(&table, Some(2)));
        drop(task);
        assert!(views.in_flight() == 0 && views.begin(&table, 2).is_none(), "it is there");
        let task = views.begin(&table, 3).unwrap();
        assert!(!views.ended(&table, None));
        drop(task);
        assert!(views.begin(&table, 3).is_none(), "it has failed just now");
        tokio::time::advance(PAUSE).await;
        // A task that panics has ended too.
        drop(views.begin(&table, 3).unwrap());
        assert!(views.begin(&table, 3).is_some());
    }
}

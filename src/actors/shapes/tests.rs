use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::columns::body::Body;
use crate::domain::batch::Attempt;
use crate::domain::instant::Instant;
use crate::domain::shape::{Change, Policy};
use crate::domain::typed_view::TypedView;
use crate::ledger::sqlite::SqliteLedger;
use crate::warehouse::{Column, FenceAnswer, JobStatus, Submission};

struct Clock;

impl crate::domain::clock::Clock for Clock {
    fn now(&self) -> Instant {
        Instant::from_micros(7)
    }
}

/// A warehouse that has these columns. While it is asked, another process may grow the shape.
#[derive(Default)]
struct Table {
    has: Vec<Column>,
    asked: AtomicUsize,
    others: Mutex<Option<(SqliteLedger, usize)>>,
}

#[async_trait]
impl Warehouse for Table {
    async fn submit(&self, _: &Attempt, _: &Body) -> Result<Submission, Fault> {
        Err(Fault::new(FaultKind::Internal, "nothing is submitted"))
    }

    async fn ask(&self, _: &Attempt) -> Result<JobStatus, Fault> {
        Ok(JobStatus::NotFound)
    }

    async fn fence(&self, _: &Attempt) -> Result<FenceAnswer, Fault> {
        Ok(FenceAnswer::Duplicate)
    }

    async fn columns(&self, _: &Destination) -> Result<Vec<Column>, Fault> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let other = self.others.lock().unwrap().take();
        if let Some((ledger, entries)) = other {
            let names = (0..entries).map(|number| (format!("other{number}").into(), ColumnType::Bool));
            let known = ledger.shape(&table()).await?;
            let grown = Shape::new(known.clone()).grow(
                &names.collect::<Vec<_>>(),
                &[],
                &ShapeRules::default(),
                Instant::default(),
                None,
            );
            assert!(ledger.grow_shape(&table(), known.len(), &grown.unwrap()).await?);
        }
        Ok(self.has.clone())
    }

    async fn publish_view(&self, _: &Destination, _: &TypedView) -> Result<(), Fault> {
        Err(Fault::new(FaultKind::Internal, "nothing is published"))
    }
}

fn table() -> TableId {
    TableId::new("a", "s", "t")
}

fn file() -> FileId {
    FileId { table: table(), bucket: "b".into(), key: "k".into(), etag: "e".into(), size_bytes: 1 }
}

fn columns(columns: &[(&str, ColumnType)]) -> Vec<(Arc<str>, ColumnType)> {
    columns.iter().map(|(name, kind)| (Arc::from(*name), *kind)).collect()
}

struct Place {
    shapes: Shapes,
    ledger: SqliteLedger,
    warehouse: Table,
    rules: ShapeRules,
}

impl Place {
    fn new(policy: Policy) -> Self {
        let (ledger, warehouse) = (SqliteLedger::open_in_memory().unwrap(), Table::default());
        let rules = ShapeRules { policy, ..ShapeRules::default() };
        Self { shapes: Shapes::default(), ledger, warehouse, rules }
    }

    async fn resolve(&self, wanted: &[(&str, ColumnType)]) -> Result<Vec<String>, Unplaced> {
        let destination = Destination::default();
        let edges = Edges {
            ledger: &self.ledger,
            warehouse: &self.warehouse,
            clock: &Clock,
            destination: &destination,
            rules: &self.rules,
        };
        let targets = self.shapes.resolve(&edges, &table(), &file(), &columns(wanted)).await?;
        Ok(targets.iter().map(|target| format!("{} {}", target.name, target.kind)).collect())
    }

    fn asked(&self) -> usize {
        self.warehouse.asked.load(Ordering::SeqCst)
    }
}

use ColumnType::{Int64, String as Text};

#[tokio::test]
async fn what_is_known_asks_nobody_and_what_the_ledger_knows_asks_no_warehouse() {
    let place = Place::new(Policy::Evolve);
    assert_eq!(
        place.resolve(&[("id", Int64), ("Id", Text)]).await.unwrap(),
        ["id INT64", "Id_12156e92 STRING"]
    );
    let entries = place.ledger.shape(&table()).await.unwrap();
    assert_eq!(
        (entries.len(), entries[0].at, entries[0].file.as_deref()),
        (2, Instant::from_micros(7), Some("b/k@e"))
    );
    place.resolve(&[("id", Int64)]).await.unwrap();
    assert_eq!(place.asked(), 1);
    // Another process, on the same ledger.
    let other = Place { ledger: place.ledger.clone(), ..Place::new(Policy::Evolve) };
    assert_eq!(other.resolve(&[("Id", Text)]).await.unwrap(), ["Id_12156e92 STRING"]);
    assert_eq!(other.asked(), 0);
    // It widens a column: this process may write the narrower type until it hears of it, and both are exact.
    other.resolve(&[("id", ColumnType::Decimal { precision: 20, scale: 0 })]).await.unwrap();
    assert_eq!(place.resolve(&[("id", Int64)]).await.unwrap(), ["id INT64"]);
    place.shapes.forget(&table());
    assert_eq!(place.resolve(&[("id", Int64)]).await.unwrap(), ["id DECIMAL(20,0)"]);
    assert_eq!(
        place.resolve(&[("id", Int64), ("new", Text)]).await.unwrap(),
        ["id DECIMAL(20,0)", "new STRING"]
    );
    assert_eq!(place.shapes.known(&table()).unwrap().columns().len(), 3);
}

#[tokio::test]
async fn whoever_is_slower_reads_the_shape_again() {
    let place = Place::new(Policy::Evolve);
    for entries in [1, 3] {
        *place.warehouse.others.lock().unwrap() = Some((place.ledger.clone(), entries));
        let name = format!("own{entries}");
        assert_eq!(place.resolve(&[(&name, Int64)]).await.unwrap(), [format!("{name} INT64")]);
    }
    let sources: Vec<_> =
        place.ledger.shape(&table()).await.unwrap().into_iter().map(|entry| entry.source).collect();
    let sources: Vec<_> = sources.iter().map(|source| &**source).collect();
    assert_eq!(sources, ["other0", "own1", "other1", "other2", "own3"]);
}

#[tokio::test]
async fn a_new_ledger_finds_the_columns_of_the_table() {
    let mut place = Place::new(Policy::Freeze);
    place.warehouse.has = vec![("ID".into(), Some(Int64)), ("json".into(), None)];
    assert_eq!(place.resolve(&[("id", Int64)]).await.unwrap(), ["ID INT64"]);
    assert_eq!(place.ledger.shape(&table()).await.unwrap()[0].change, Change::Found);
}

#[tokio::test]
async fn a_conflict_is_told_with_its_file_and_writes_nothing() {
    let place = Place::new(Policy::Freeze);
    place.resolve(&[("id", Int64)]).await.unwrap();
    let Unplaced::Conflict(conflict) = place.resolve(&[("id", Text), ("new", Int64)]).await.unwrap_err()
    else {
        panic!("no conflict");
    };
    assert!(conflict.is_the_tables() && conflict.to_string().contains("b/k@e"), "{conflict}");
    assert_eq!(place.ledger.shape(&table()).await.unwrap().len(), 1);
    // What was loaded before goes on.
    assert_eq!(place.resolve(&[("id", Int64)]).await.unwrap(), ["id INT64"]);
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_is_named() {
    let place = Place::new(Policy::Evolve);
    place.ledger.close().await.unwrap();
    let unplaced = place.resolve(&[("id", Int64)]).await.unwrap_err();
    assert!(
        matches!(unplaced, Unplaced::Edge { step: Some("shape"), fault } if fault.kind == FaultKind::Unavailable)
    );
}

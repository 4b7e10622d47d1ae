//! Datasets and tables: created when they are missing; columns are added that files bring, and take wider types.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dashmap::DashMap;
use gcp_bigquery_client::Client;
use gcp_bigquery_client::model::clustering::Clustering;
use gcp_bigquery_client::model::dataset::Dataset;
use gcp_bigquery_client::model::query_request::QueryRequest;
use gcp_bigquery_client::model::table::Table;
use gcp_bigquery_client::model::table_field_schema::TableFieldSchema;
use gcp_bigquery_client::model::table_schema::TableSchema;
use gcp_bigquery_client::model::time_partitioning::TimePartitioning;
use tokio::sync::Mutex;

use super::answers::Failure;
use super::rest::Rest;
use super::schema::{SqlType, check_name, clustering};
use super::stamps::labels;
use crate::columns::lineage;
use crate::domain::batch::Destination;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::identity::Stamp;
use crate::flow::pulse;
use crate::warehouse::Column;

/// Rounds of looking and mending, before it is a fault.
const ROUNDS_MAX: usize = 4;
/// How long after its creation a table may still be unknown to a job.
const SETTLING: Duration = Duration::from_secs(60);
/// How long a statement that adds columns may take.
const ALTER_TIMEOUT_MS: i32 = 30_000;

/// The key of each table, by dataset and table, for those that landbridge creates.
pub type Keys = BTreeMap<(Arc<str>, Arc<str>), Vec<String>>;

/// What is known of a table.
#[derive(Clone, Debug)]
struct Known {
    fields: Vec<TableFieldSchema>,
    created: Option<tokio::time::Instant>,
}

/// The tables of one project, as far as they were looked at.
pub(super) struct Tables {
    client: Arc<Client>,
    rest: Arc<Rest>,
    keys: Keys,
    known: DashMap<Destination, Arc<Known>>,
    /// What a dataset that is made here bears (Invariant I-7).
    stamp: OnceLock<Stamp>,
    /// One change at a time: the tables of a new dataset would otherwise all create it.
    changing: Mutex<()>,
}

impl Tables {
    pub(super) fn new(client: Arc<Client>, rest: Arc<Rest>, keys: Keys) -> Self {
        Self { client, rest, keys, known: DashMap::new(), stamp: OnceLock::new(), changing: Mutex::new(()) }
    }

    /// Datasets that are made from now on bear this stamp.
    pub(super) fn remember(&self, stamp: &Stamp) {
        // Once: a process has one ledger.
        let _ = self.stamp.set(stamp.clone());
    }

    /// Forgets what is known of a table: someone has changed it.
    pub(super) fn forget(&self, destination: &Destination) {
        self.known.remove(destination);
    }

    /// True while a job may not see the table yet.
    pub(super) fn is_settling(&self, destination: &Destination) -> bool {
        let created = self.known.get(destination).and_then(|known| known.created);
        created.is_some_and(|created| created.elapsed() < SETTLING)
    }

    /// The whole schema of the destination, which takes the columns `wanted` afterwards. No fault of it is one of the
    /// files: what the service says against a table, or a statement about one, must poison nobody.
    pub(super) async fn prepare(
        &self,
        destination: &Destination,
        wanted: &[(String, SqlType)],
    ) -> Result<TableSchema, Fault> {
        self.try_to_prepare(destination, wanted).await.map_err(|mut fault| {
            if fault.kind == FaultKind::ContentRefused {
                fault.kind = FaultKind::DestinationRefused;
            }
            fault
        })
    }

    async fn try_to_prepare(
        &self,
        destination: &Destination,
        wanted: &[(String, SqlType)],
    ) -> Result<TableSchema, Fault> {
        for (name, _) in wanted {
            check_name(name)?;
        }
        for _ in 0..ROUNDS_MAX {
            let known = self.known_or_made(destination, wanted).await?;
            let changes = changes(destination, &known.fields, wanted)?;
            if changes.is_empty() {
                return Ok(TableSchema::new(known.fields.clone()));
            }
            let _changing = pulse::waiting("another table to be changed", self.changing.lock()).await;
            let changed = self.make(destination, &changes).await;
            // Even where it failed: another process may have been faster.
            self.forget(destination);
            changed?;
        }
        let text = format!("{} does not keep what is changed of its columns", shown(destination));
        Err(Fault::new(FaultKind::DestinationRefused, text))
    }

    async fn known_or_made(
        &self,
        destination: &Destination,
        wanted: &[(String, SqlType)],
    ) -> Result<Arc<Known>, Fault> {
        let cached = || self.known.get(destination).map(|known| Arc::clone(&known));
        if let Some(known) = cached() {
            return Ok(known);
        }
        if let Some(fields) = self.look(destination).await? {
            return Ok(self.learn(destination, Known { fields, created: None }));
        }
        let _changing = pulse::waiting("another table to be changed", self.changing.lock()).await;
        match cached() {
            Some(known) => Ok(known),
            None => self.create(destination, wanted).await,
        }
    }

    /// The table's own columns, as they are now; none when there is no such table.
    pub(super) async fn columns(&self, destination: &Destination) -> Result<Vec<Column>, Fault> {
        let fields = self.look(destination).await?.unwrap_or_default();
        let columns = fields.iter().map(|field| {
            let kind = SqlType::of_field(&field.r#type).filter(|_| !is_repeated(field));
            (Arc::from(field.name.as_str()), kind.map(SqlType::column_type))
        });
        Ok(columns.collect())
    }

    fn learn(&self, destination: &Destination, known: Known) -> Arc<Known> {
        let known = Arc::new(known);
        self.known.insert(destination.clone(), Arc::clone(&known));
        known
    }

    /// The table's fields; `None` when there is no such table.
    async fn look(&self, destination: &Destination) -> Result<Option<Vec<TableFieldSchema>>, Fault> {
        let Destination { project, dataset, table, location } = destination;
        let context = format!("cannot read the schema of {}", shown(destination));
        match self.client.table().get(project, dataset, table, None).await {
            Ok(found) => {
                let elsewhere = found.location.as_deref().filter(|at| !at.eq_ignore_ascii_case(location));
                if let Some(at) = elsewhere {
                    let text = format!(
                        "{} is in {at}, and `warehouse.location` is {location}: jobs would not find it",
                        shown(destination)
                    );
                    return Err(Fault::new(FaultKind::DestinationRefused, text));
                }
                Ok(Some(found.schema.fields.unwrap_or_default()))
            }
            Err(error) => match Failure::of(&context, error) {
                gone @ (Failure::Refused(_) | Failure::Fault(_)) if gone.is_not_found() => Ok(None),
                Failure::Unreadable(text) => {
                    let path = format!("projects/{project}/datasets/{dataset}/tables/{table}");
                    Err(self.rest.second_look(&context, &path, &text).await)
                }
                failure @ (Failure::Refused(_) | Failure::Fault(_)) => Err(failure.fault(&context)),
            },
        }
    }

    /// Creates the table, and its dataset first when that is missing.
    async fn create(
        &self,
        destination: &Destination,
        wanted: &[(String, SqlType)],
    ) -> Result<Arc<Known>, Fault> {
        let Destination { project, dataset, table, location } = destination;
        let context = format!("cannot create {}", shown(destination));
        let fields: Vec<_> = wanted.iter().map(|(name, kind)| kind.field(name)).collect();
        let mut new = Table::new(project, dataset, table, TableSchema::new(fields.clone()))
            .label("managed_by", "landbridge")
            .time_partitioning(TimePartitioning::per_day().field(lineage::CLAIMED_AT));
        let key = self.keys.get(&(Arc::clone(dataset), Arc::clone(table)));
        let by = clustering(key.map_or(&[], Vec::as_slice), wanted);
        if !by.is_empty() {
            new = new.clustering(Clustering { fields: Some(by) });
        }
        for _ in 0..2 {
            let Err(error) = self.client.table().create(new.clone()).await else {
                tracing::info!(table = %shown(destination), columns = wanted.len(), "created the table");
                let created = Some(tokio::time::Instant::now());
                return Ok(self.learn(destination, Known { fields, created }));
            };
            let failure = Failure::of(&context, error);
            if failure.is_duplicate() {
                // Somebody was faster.
                let fields = self.look(destination).await?.unwrap_or_default();
                return Ok(self.learn(destination, Known { fields, created: None }));
            }
            if !failure.is_not_found() {
                return Err(failure.fault(&context));
            }
            self.create_dataset(project, dataset, location).await?;
        }
        Err(Fault::new(FaultKind::DestinationRefused, format!("{context}: its dataset is not found")))
    }

    async fn create_dataset(&self, project: &str, dataset: &str, location: &str) -> Result<(), Fault> {
        let context = format!("cannot create the dataset {project}.{dataset} in {location}");
        let mut new = Dataset::new(project, dataset).location(location).label("managed_by", "landbridge");
        for (key, value) in self.stamp.get().map(labels).unwrap_or_default() {
            new = new.label(&key, &value);
        }
        match self.client.dataset().create(new).await {
            Ok(_) => {
                tracing::info!(project, dataset, location, "created the dataset");
                Ok(())
            }
            Err(error) => {
                let failure = Failure::of(&context, error);
                if failure.is_duplicate() { Ok(()) } else { Err(failure.fault(&context)) }
            }
        }
    }

    /// Changes columns by statements, and not by a patch: a patch sends the whole schema, and would lose what this version
    /// does not know of it. All that is added is one statement; each type that widens is one of its own. BigQuery takes
    /// five a table in ten seconds ("Quotas and limits"): what it puts off is done when the load is tried again.
    async fn make(&self, destination: &Destination, changes: &Changes<'_>) -> Result<(), Fault> {
        if !changes.missing.is_empty() {
            let names: Vec<_> = changes.missing.iter().map(|(name, _)| name.as_str()).collect();
            let clauses = changes.missing.iter();
            let clauses =
                clauses.map(|(name, kind)| format!("ADD COLUMN IF NOT EXISTS `{name}` {}", kind.name()));
            let clauses: Vec<_> = clauses.collect();
            self.alter(destination, &format!("add {}", names.join(", ")), &clauses.join(", ")).await?;
        }
        for (name, from, to) in &changes.widened {
            let deed = format!("widen {name} from {} to {}", from.name(), to.name());
            let clause = format!("ALTER COLUMN `{name}` SET DATA TYPE {}", to.name());
            self.alter(destination, &deed, &clause).await?;
        }
        Ok(())
    }

    async fn alter(&self, destination: &Destination, deed: &str, clause: &str) -> Result<(), Fault> {
        let Destination { project, dataset, table, location } = destination;
        let context = format!("cannot {deed}: {}", shown(destination));
        let statement = format!("ALTER TABLE `{project}.{dataset}.{table}` {clause}");
        let request = QueryRequest {
            location: Some(location.to_string()),
            timeout_ms: Some(ALTER_TIMEOUT_MS),
            ..QueryRequest::new(statement)
        };
        let answer = self.client.job().query(project, request).await;
        let answer = answer.map_err(|error| Failure::of(&context, error).fault(&context))?;
        if answer.job_complete == Some(false) {
            return Err(Fault::new(FaultKind::Unavailable, format!("{context}: it is not done yet")));
        }
        tracing::info!(table = %shown(destination), deed, "changed columns of the table");
        Ok(())
    }
}

fn shown(destination: &Destination) -> String {
    let Destination { project, dataset, table, .. } = destination;
    format!("{project}.{dataset}.{table}")
}

fn is_repeated(field: &TableFieldSchema) -> bool {
    field.mode.as_deref() == Some("REPEATED")
}

/// What must be changed of a table before it takes a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes<'a> {
    /// Columns that it lacks.
    pub(super) missing: Vec<&'a (String, SqlType)>,
    /// Columns whose types must take more: the name as the table has it, from what, to what.
    pub(super) widened: Vec<(String, SqlType, SqlType)>,
}

impl Changes<'_> {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.widened.is_empty()
    }
}

/// What the table lacks for `wanted`. A column of a type that cannot be widened, and one that must have values and gets
/// none, hold the table: nothing is wrong with the file.
pub(super) fn changes<'a>(
    destination: &Destination,
    fields: &[TableFieldSchema],
    wanted: &'a [(String, SqlType)],
) -> Result<Changes<'a>, Fault> {
    let refused = |text: String| {
        let text = format!("{}: {text}", shown(destination));
        Fault::new(FaultKind::DestinationRefused, text)
    };
    let mut changes = Changes::default();
    for column in wanted {
        let (name, kind) = column;
        let Some(field) = fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)) else {
            changes.missing.push(column);
            continue;
        };
        let found = SqlType::of_field(&field.r#type);
        let repeated = is_repeated(field);
        if repeated || !found.is_some_and(|found| found.takes(*kind)) {
            if let Some(found) = found.filter(|found| !repeated && found.widens_to(*kind)) {
                changes.widened.push((field.name.clone(), found, *kind));
                continue;
            }
            let shown = found.map_or_else(|| format!("{:?}", field.r#type), |found| found.name().to_owned());
            let mode = if repeated { " REPEATED" } else { "" };
            return Err(refused(format!(
                "the column {name} is {shown}{mode}, and the files have {}",
                kind.name()
            )));
        }
    }
    let unfilled = fields.iter().find(|field| {
        field.mode.as_deref() == Some("REQUIRED")
            && !wanted.iter().any(|(name, _)| name.eq_ignore_ascii_case(&field.name))
    });
    match unfilled {
        Some(field) => {
            Err(refused(format!("the column {} is REQUIRED, and the files do not have it", field.name)))
        }
        None => Ok(changes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination() -> Destination {
        Destination { project: "p".into(), location: "EU".into(), dataset: "d".into(), table: "t".into() }
    }

    fn column(name: &str, kind: SqlType) -> (String, SqlType) {
        (name.to_owned(), kind)
    }

    #[test]
    fn only_what_the_table_lacks_is_added() {
        let fields = [TableFieldSchema::integer("ID"), TableFieldSchema::big_numeric("amount")];
        let wanted =
            [column("id", SqlType::Int64), column("amount", SqlType::Numeric), column("new", SqlType::Date)];
        let expected = Changes { missing: vec![&wanted[2]], widened: Vec::new() };
        assert_eq!(changes(&destination(), &fields, &wanted).unwrap(), expected);
    }

    #[test]
    fn a_column_is_widened_where_nothing_is_rounded() {
        let fields = [TableFieldSchema::integer("ID"), TableFieldSchema::numeric("amount")];
        let wanted = [column("id", SqlType::Numeric), column("amount", SqlType::Bignumeric)];
        let widened = vec![
            ("ID".to_owned(), SqlType::Int64, SqlType::Numeric),
            ("amount".to_owned(), SqlType::Numeric, SqlType::Bignumeric),
        ];
        let expected = Changes { missing: Vec::new(), widened };
        assert_eq!(changes(&destination(), &fields, &wanted).unwrap(), expected);
        for wanted in [[column("id", SqlType::Float64)], [column("amount", SqlType::Int64)]] {
            let fault = changes(&destination(), &fields, &wanted).unwrap_err();
            assert_eq!(fault.kind, FaultKind::DestinationRefused);
        }
    }

    #[test]
    fn another_type_and_a_required_column_hold_the_table() {
        let told = |fields: &[TableFieldSchema]| {
            let fault = changes(&destination(), fields, &[column("id", SqlType::Int64)]).unwrap_err();
            assert_eq!(fault.kind, FaultKind::DestinationRefused);
            fault.context
        };
        assert_eq!(
            told(&[TableFieldSchema::string("id")]),
            "p.d.t: the column id is STRING, and the files have INT64"
        );
        assert!(told(&[TableFieldSchema::json("id")]).contains("is JSON, and the files have INT64"));
        assert!(told(&[TableFieldSchema::geography("id")]).contains("Geography"));
        let mut repeated = TableFieldSchema::integer("id");
        repeated.mode = Some("REPEATED".to_owned());
        assert!(told(&[repeated]).contains("INT64 REPEATED"));
        let mut required = TableFieldSchema::string("name");
        required.mode = Some("REQUIRED".to_owned());
        assert!(told(&[TableFieldSchema::integer("id"), required]).contains("name is REQUIRED"));
    }
}

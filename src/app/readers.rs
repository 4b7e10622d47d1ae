//! Who only reads what a configuration names: nothing is made.

use crate::cloud;
use crate::config::types::{Config, Ledger, Warehouse};
use crate::domain::fault::Fault;
use crate::ledger::dynamodb::reader::DynamoDbReader;
use crate::ledger::reader::LedgerReader;
use crate::ledger::sqlite::reader::SqliteReader;
use crate::warehouse::audit::Audit;
use crate::warehouse::bigquery::audit::BigQueryAudit;
use crate::warehouse::bigquery::{BigQuery, Keys};
use crate::warehouse::lake::audit::LakeAudit;

/// Who reads the ledger.
pub async fn ledger_reader(config: &Config) -> Result<Box<dyn LedgerReader>, Fault> {
    Ok(match &config.ledger {
        Ledger::Sqlite { path, .. } => Box::new(SqliteReader::open(path)?),
        Ledger::DynamoDb { table, region } => {
            let sdk = cloud::aws::connect(&config.aws, region.as_deref()).await;
            Box::new(DynamoDbReader::open(&sdk, table).await?)
        }
    })
}

/// Who counts the rows of the warehouse; a query that would be billed for more bytes is refused.
pub async fn audit(config: &Config, bytes_billed_max: Option<u64>) -> Result<Box<dyn Audit>, Fault> {
    Ok(match &config.warehouse {
        Warehouse::Lake { path } => Box::new(LakeAudit::open(path.clone())?),
        Warehouse::BigQuery(settings) => {
            let warehouse = BigQuery::new(settings, Keys::default()).await?;
            Box::new(BigQueryAudit::new(warehouse, bytes_billed_max))
        }
    })
}

//! Columns as BigQuery has them, and what its load jobs take from Parquet (bigquery.md, section 2.2).

use gcp_bigquery_client::model::field_type::FieldType;
use gcp_bigquery_client::model::table_field_schema::TableFieldSchema;
use gcp_bigquery_client::model::table_schema::TableSchema;
use parquet::basic::{Compression, LogicalType, TimeUnit, Type as Physical};
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::ColumnDescriptor;

use crate::columns::lineage;
use crate::columns::plan::ColumnPlan;
use crate::columns::types::ColumnType;
use crate::domain::fault::{Fault, FaultKind};
use crate::domain::shape::name::is_admitted;

/// NUMERIC's digits before and after the point.
const NUMERIC_DIGITS: (i16, i16) = (29, 9);
/// How many columns a table is clustered by at most.
const CLUSTERING_MAX: usize = 4;

/// A scalar type of BigQuery, by its one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SqlType {
    Int64,
    Numeric,
    Bignumeric,
    String,
    Bytes,
    Bool,
    Float64,
    Date,
    Datetime,
    Timestamp,
    Time,
    Json,
}

impl SqlType {
    /// The type that a column of ours gets.
    pub(super) fn of(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Int64 => Self::Int64,
            ColumnType::Decimal { precision, scale } => {
                let whole = i16::from(precision) - i16::from(scale);
                if whole <= NUMERIC_DIGITS.0 && i16::from(scale) <= NUMERIC_DIGITS.1 {
                    Self::Numeric
                } else {
                    Self::Bignumeric
                }
            }
            ColumnType::String => Self::String,
            ColumnType::Bytes => Self::Bytes,
            ColumnType::Bool => Self::Bool,
            ColumnType::Float64 => Self::Float64,
            ColumnType::Date => Self::Date,
            ColumnType::Datetime => Self::Datetime,
            ColumnType::Timestamp => Self::Timestamp,
            ColumnType::Time => Self::Time,
            ColumnType::Json => Self::Json,
        }
    }

    /// The type of a table's field; `None` for those that landbridge does not write.
    pub(super) fn of_field(field: &FieldType) -> Option<Self> {
        Some(match field {
            FieldType::Integer | FieldType::Int64 => Self::Int64,
            FieldType::Float | FieldType::Float64 => Self::Float64,
            FieldType::Numeric => Self::Numeric,
            FieldType::Bignumeric => Self::Bignumeric,
            FieldType::Boolean | FieldType::Bool => Self::Bool,
            FieldType::String => Self::String,
            FieldType::Bytes => Self::Bytes,
            FieldType::Timestamp => Self::Timestamp,
            FieldType::Date => Self::Date,
            FieldType::Time => Self::Time,
            FieldType::Datetime => Self::Datetime,
            FieldType::Json => Self::Json,
            FieldType::Record | FieldType::Struct | FieldType::Geography | FieldType::Interval => {
                return None;
            }
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Int64 => "INT64",
            Self::Numeric => "NUMERIC",
            Self::Bignumeric => "BIGNUMERIC",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Bool => "BOOL",
            Self::Float64 => "FLOAT64",
            Self::Date => "DATE",
            Self::Datetime => "DATETIME",
            Self::Timestamp => "TIMESTAMP",
            Self::Time => "TIME",
            Self::Json => "JSON",
        }
    }

    pub(super) fn field(self, name: &str) -> TableFieldSchema {
        match self {
            Self::Int64 => TableFieldSchema::integer(name),
            Self::Numeric => TableFieldSchema::numeric(name),
            Self::Bignumeric => TableFieldSchema::big_numeric(name),
            Self::String => TableFieldSchema::string(name),
            Self::Bytes => TableFieldSchema::bytes(name),
            Self::Bool => TableFieldSchema::bool(name),
            Self::Float64 => TableFieldSchema::float(name),
            Self::Date => TableFieldSchema::date(name),
            Self::Datetime => TableFieldSchema::date_time(name),
            Self::Timestamp => TableFieldSchema::timestamp(name),
            Self::Time => TableFieldSchema::time(name),
            Self::Json => TableFieldSchema::json(name),
        }
    }

    /// A column of this type takes every value of `written`.
    pub(super) fn takes(self, written: Self) -> bool {
        self == written || (self == Self::Bignumeric && written == Self::Numeric)
    }

    /// A column of this type can be altered so that it takes every value of both, exactly (GoogleSQL, "ALTER COLUMN SET
    /// DATA TYPE statement": INT64 to NUMERIC and BIGNUMERIC, NUMERIC to BIGNUMERIC). FLOAT64 would round.
    pub(super) fn widens_to(self, written: Self) -> bool {
        match self {
            Self::Int64 => matches!(written, Self::Numeric | Self::Bignumeric),
            Self::Numeric => written == Self::Bignumeric,
            Self::Bignumeric
            | Self::String
            | Self::Bytes
            | Self::Bool
            | Self::Float64
            | Self::Date
            | Self::Datetime
            | Self::Timestamp
            | Self::Time
            | Self::Json => false,
        }
    }

    /// The type of ours that such a column has: what it holds, which is more than what landbridge writes into it.
    pub(super) fn column_type(self) -> ColumnType {
        match self {
            Self::Int64 => ColumnType::Int64,
            Self::Numeric => ColumnType::Decimal { precision: 38, scale: 9 },
            Self::Bignumeric => ColumnType::Decimal { precision: 76, scale: 38 },
            Self::String => ColumnType::String,
            Self::Bytes => ColumnType::Bytes,
            Self::Bool => ColumnType::Bool,
            Self::Float64 => ColumnType::Float64,
            Self::Date => ColumnType::Date,
            Self::Datetime => ColumnType::Datetime,
            Self::Timestamp => ColumnType::Timestamp,
            Self::Time => ColumnType::Time,
            Self::Json => ColumnType::Json,
        }
    }

    fn clusters(self) -> bool {
        match self {
            Self::Int64
            | Self::Numeric
            | Self::Bignumeric
            | Self::String
            | Self::Bool
            | Self::Date
            | Self::Datetime
            | Self::Timestamp => true,
            Self::Bytes | Self::Float64 | Self::Time | Self::Json => false,
        }
    }
}

/// The columns of a body, lineage included, in order.
pub(super) fn wanted(plan: &ColumnPlan) -> Vec<(String, SqlType)> {
    let own = plan.columns().iter().map(|(name, kind)| (name.to_string(), SqlType::of(*kind)));
    let lineage = lineage::NAMES.iter().map(|name| {
        let kind = match *name {
            lineage::COMMITTED_AT | lineage::CLAIMED_AT => SqlType::Timestamp,
            lineage::SOURCE_ROW => SqlType::Int64,
            _ => SqlType::String,
        };
        ((*name).to_owned(), kind)
    });
    own.chain(lineage).collect()
}

/// The columns by which a table with `key` is clustered.
pub(super) fn clustering(key: &[String], columns: &[(String, SqlType)]) -> Vec<String> {
    let column =
        |name: &&String| columns.iter().find(|(own, kind)| own.eq_ignore_ascii_case(name) && kind.clusters());
    key.iter().take_while(|name| column(name).is_some()).take(CLUSTERING_MAX).cloned().collect()
}

/// What of a table's schema a load of Parquet names: all but JSON, which is "Unsupported field type: JSON" there, whether the file has
/// the column or not (googleapis/python-bigquery #1966, #2377). A nullable column that a load does not name is NULL in its rows.
pub(super) fn loadable(mut schema: TableSchema) -> TableSchema {
    if let Some(fields) = &mut schema.fields {
        fields.retain(|field| SqlType::of_field(&field.r#type) != Some(SqlType::Json));
    }
    schema
}

/// A name that BigQuery takes for a column; lineage's own are among them.
pub(super) fn check_name(name: &str) -> Result<(), Fault> {
    if is_admitted(name) {
        return Ok(());
    }
    let text = format!("BigQuery takes no column named {name:?}: rename it with a DMS transformation");
    Err(Fault::new(FaultKind::DestinationRefused, text))
}

/// Checks that a body's file has, for each column, what BigQuery is documented to take for a column of that type. The
/// service would refuse it, or worse, take it as something else.
pub(super) fn check_file(metadata: &ParquetMetaData, columns: &[(String, SqlType)]) -> Result<(), Fault> {
    let schema = metadata.file_metadata().schema_descr();
    // A bug of landbridge: the table is held until it is mended, and nobody is poisoned for it.
    let wrong = |text: String| {
        let text = format!("the body is not what BigQuery takes (report this): {text}");
        Fault::new(FaultKind::DestinationRefused, text)
    };
    if schema.num_columns() != columns.len() {
        return Err(wrong(format!("{} columns instead of {}", schema.num_columns(), columns.len())));
    }
    for (column, (name, kind)) in schema.columns().iter().zip(columns) {
        if column.name() != name {
            return Err(wrong(format!("column {} instead of {name}", column.name())));
        }
        if !is_taken(column, *kind) {
            let (physical, logical) = (column.physical_type(), column.logical_type_ref());
            return Err(wrong(format!("{name} is {physical} {logical:?}, for {}", kind.name())));
        }
    }
    for chunk in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        if !matches!(
            chunk.compression(),
            Compression::UNCOMPRESSED
                | Compression::SNAPPY
                | Compression::GZIP(_)
                | Compression::ZSTD(_)
                | Compression::LZ4_RAW
        ) {
            return Err(wrong(format!("the codec {:?}", chunk.compression())));
        }
    }
    Ok(())
}

fn is_taken(column: &ColumnDescriptor, kind: SqlType) -> bool {
    let (physical, logical) = (column.physical_type(), column.logical_type_ref());
    let decimal = |digits: (i16, i16)| match logical {
        Some(LogicalType::Decimal(decimal)) => {
            i32::from(digits.0) >= decimal.precision - decimal.scale && i32::from(digits.1) >= decimal.scale
        }
        _ => false,
    };
    let timestamp = |utc: bool| {
        matches!(logical, Some(LogicalType::Timestamp(kind))
            if kind.unit == TimeUnit::MICROS && kind.is_adjusted_to_u_t_c == utc)
    };
    match kind {
        SqlType::Int64 => {
            matches!(physical, Physical::INT32 | Physical::INT64)
                && match logical {
                    None => true,
                    Some(LogicalType::Integer(kind)) => kind.is_signed,
                    Some(_) => false,
                }
        }
        SqlType::Float64 => matches!(physical, Physical::FLOAT | Physical::DOUBLE) && logical.is_none(),
        SqlType::Bool => physical == Physical::BOOLEAN && logical.is_none(),
        SqlType::String | SqlType::Json => {
            physical == Physical::BYTE_ARRAY && matches!(logical, Some(LogicalType::String))
        }
        SqlType::Bytes => {
            matches!(physical, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) && logical.is_none()
        }
        SqlType::Date => physical == Physical::INT32 && matches!(logical, Some(LogicalType::Date)),
        SqlType::Timestamp => physical == Physical::INT64 && timestamp(true),
        SqlType::Datetime => physical == Physical::INT64 && timestamp(false),
        SqlType::Time => {
            physical == Physical::INT64
                && matches!(logical, Some(LogicalType::Time(kind)) if kind.unit == TimeUnit::MICROS)
        }
        SqlType::Numeric => decimal(NUMERIC_DIGITS),
        SqlType::Bignumeric => decimal((38, 38)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::file::metadata::ParquetMetaDataReader;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// The metadata of a file without rows.
    fn file(columns: &str) -> ParquetMetaData {
        let schema = parse_message_type(&format!("message m {{ {columns} }}")).unwrap();
        let mut bytes = Vec::new();
        SerializedFileWriter::new(&mut bytes, Arc::new(schema), Arc::default()).unwrap().close().unwrap();
        ParquetMetaDataReader::new().parse_and_finish(&bytes::Bytes::from(bytes)).unwrap()
    }

    #[test]
    fn only_what_the_service_documents_is_let_through() {
        use SqlType::*;
        let taken = [
            ("INT64 c", Int64),
            ("INT32 c (INTEGER(16, true))", Int64),
            ("DOUBLE c", Float64),
            ("BOOLEAN c", Bool),
            ("BYTE_ARRAY c (STRING)", String),
            ("BYTE_ARRAY c", Bytes),
            ("INT32 c (DATE)", Date),
            ("INT64 c (TIMESTAMP(MICROS, true))", Timestamp),
            ("INT64 c (TIMESTAMP(MICROS, false))", Datetime),
            ("INT64 c (TIME(MICROS, false))", Time),
            ("FIXED_LEN_BYTE_ARRAY(16) c (DECIMAL(38, 9))", Numeric),
            ("FIXED_LEN_BYTE_ARRAY(16) c (DECIMAL(38, 0))", Bignumeric),
        ];
        let all =
            [Int64, Numeric, Bignumeric, String, Bytes, Bool, Float64, Date, Datetime, Timestamp, Time, Json];
        for (column, kind) in taken {
            let metadata = file(&format!("OPTIONAL {column};"));
            for other in all {
                let result = check_file(&metadata, &[("c".to_owned(), other)]);
                let expected = other == kind
                    || (kind == Numeric && other == Bignumeric)
                    || (kind == String && other == Json);
                assert_eq!(result.is_ok(), expected, "{column} for {}", other.name());
            }
        }
        let refused = [
            ("INT64 c (TIMESTAMP(NANOS, true))", Timestamp),
            ("INT96 c", Timestamp),
            ("INT64 c (TIMESTAMP(MILLIS, false))", Datetime),
            ("BYTE_ARRAY c (JSON)", String),
            ("INT64 c (INTEGER(64, false))", Int64),
            ("FIXED_LEN_BYTE_ARRAY(16) c (DECIMAL(38, 8))", Numeric),
        ];
        for (column, kind) in refused {
            let fault = check_file(&file(&format!("OPTIONAL {column};")), &[("c".to_owned(), kind)]);
            assert_eq!(fault.unwrap_err().kind, FaultKind::DestinationRefused, "{column}");
        }
        assert!(check_file(&file("OPTIONAL INT64 c;"), &[("d".to_owned(), Int64)]).is_err());
        assert!(check_file(&file("OPTIONAL INT64 c;"), &[]).is_err());
    }

    #[test]
    fn a_load_names_every_column_but_those_of_json() {
        let fields =
            [SqlType::Int64, SqlType::Json, SqlType::Datetime].map(|kind| kind.field(kind.name())).to_vec();
        let left = loadable(TableSchema::new(fields)).fields.unwrap_or_default();
        let names: Vec<_> = left.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["INT64", "DATETIME"]);
        assert_eq!(SqlType::of(ColumnType::Json).column_type(), ColumnType::Json);
        assert_eq!(SqlType::of_field(&SqlType::Json.field("c").r#type), Some(SqlType::Json));
    }

    #[test]
    fn decimals_get_the_smallest_type_that_holds_them() {
        let of = |precision, scale| SqlType::of(ColumnType::Decimal { precision, scale });
        assert_eq!(
            (of(38, 9), of(29, 0), of(30, 0), of(10, 10)),
            (SqlType::Numeric, SqlType::Numeric, SqlType::Bignumeric, SqlType::Bignumeric)
        );
        assert!(SqlType::Bignumeric.takes(SqlType::Numeric) && !SqlType::Numeric.takes(SqlType::Bignumeric));
        // What a column of the table holds, its type of ours holds too.
        for (kind, precision, scale) in
            [(SqlType::Numeric, 38, 9), (SqlType::Bignumeric, 38, 38), (SqlType::Bignumeric, 38, 0)]
        {
            assert!(kind.column_type().holds(ColumnType::Decimal { precision, scale }));
        }
    }
}

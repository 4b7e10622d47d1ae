//! What a call to DynamoDB takes of what is paid for, by its size (Amazon DynamoDB Developer Guide, "DynamoDB on-demand capacity mode"): a
//! write is a unit for each KiB of the item, a read is one for each 4 KiB, half of that unless strongly consistent; in a transaction each counts
//! double. Indexes are not seen here, and of an update only what is set: DynamoDB itself says more, where it answers.

use serde_json::Value;

/// Units of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Halves of read units.
    pub half_reads: u64,
    /// Write units.
    pub writes: u64,
}

impl Units {
    /// So many read units, as the service tells them.
    pub fn read(units: f64) -> Self {
        Self { half_reads: (units.max(0.0) * 2.0).ceil() as u64, writes: 0 }
    }

    /// So many write units, as the service tells them.
    pub fn written(units: f64) -> Self {
        Self { half_reads: 0, writes: units.max(0.0).ceil() as u64 }
    }
}

const KIB: u64 = 1024;

/// What a call took that was answered with this status (0: not at all) and so many bytes: its request as JSON, its `operation` as the header
/// `x-amz-target` has it. A condition that does not hold is paid for; what was refused for another reason is not; what was not answered may have
/// been done.
pub fn weighed(operation: &str, request: &[u8], answer_bytes: u64, status: u16) -> Units {
    let operation = operation.rsplit('.').next().unwrap_or_default();
    let refused = (400..500).contains(&status);
    let transaction = operation == "TransactWriteItems";
    // A transaction that is refused for its form takes nothing either, and is a bug that is told.
    if refused && !transaction && !["PutItem", "UpdateItem", "DeleteItem"].contains(&operation) {
        return Units::default();
    }
    let Ok(request) = serde_json::from_slice::<Value>(request) else { return Units::default() };
    match operation {
        "TransactWriteItems" => {
            let changes = request.get("TransactItems").and_then(Value::as_array).into_iter().flatten();
            let each = changes.filter_map(|change| change.as_object()?.values().next()).map(written);
            Units { half_reads: 0, writes: 2 * each.sum::<u64>() }
        }
        "PutItem" | "UpdateItem" | "DeleteItem" => Units { half_reads: 0, writes: written(&request) },
        "GetItem" => Units { half_reads: read(answer_bytes, &request), writes: 0 },
        "Query" | "Scan" => Units { half_reads: read(answer_bytes, &request), writes: 0 },
        "BatchGetItem" => {
            let tables = request
                .get("RequestItems")
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(|all| all.values());
            let each = tables.map(|table| {
                let keys = table.get("Keys").and_then(Value::as_array).map_or(0, Vec::len) as u64;
                keys.max(1).saturating_mul(read(0, table))
            });
            Units { half_reads: each.sum::<u64>().max(answer_bytes.div_ceil(4 * KIB)), writes: 0 }
        }
        _ => Units::default(),
    }
}

fn read(answer_bytes: u64, request: &Value) -> u64 {
    let strongly = request.get("ConsistentRead").and_then(Value::as_bool) == Some(true);
    answer_bytes.div_ceil(4 * KIB).max(1) * if strongly { 2 } else { 1 }
}

/// Units of one write outside of a transaction.
fn written(change: &Value) -> u64 {
    let parts = ["Item", "Key", "ExpressionAttributeValues"];
    let size: u64 = parts.iter().filter_map(|part| change.get(part)).map(size_of_item).sum();
    size.div_ceil(KIB).max(1)
}

/// Names and values of an item, in bytes.
fn size_of_item(item: &Value) -> u64 {
    let Some(fields) = item.as_object() else { return 0 };
    fields.iter().map(|(name, value)| name.len() as u64 + size_of_value(value)).sum()
}

fn size_of_value(value: &Value) -> u64 {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else { return 1 };
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => text.len() as u64,
        // Up to 38 digits, two in a byte, and one more.
        ("N", Value::String(text)) => text.len() as u64 / 2 + 1,
        // Base64.
        ("B", Value::String(text)) => text.len() as u64 / 4 * 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(operation: &str, request: &str, status: u16) -> u64 {
        weighed(&format!("DynamoDB_20120810.{operation}"), request.as_bytes(), 2, status).writes
    }

    #[test]
    fn a_transaction_counts_double_and_each_item_is_rounded_up() {
        let long = "x".repeat(1_100);
        let request = format!(
            r#"{{"TransactItems":[{{"Put":{{"Item":{{"pk":{{"S":"a"}}}}}}}},{{"Put":{{"Item":{{"pk":{{"S":"{long}"}}}}}}}},{{"Delete":{{"Key":{{"pk":{{"S":"b"}}}}}}}}]}}"#
        );
        assert_eq!(writes("TransactWriteItems", &request, 200), 2 * (1 + 2 + 1));
        // A condition did not hold, or no answer came.
        assert_eq!(writes("TransactWriteItems", &request, 400), 8);
        assert_eq!(writes("TransactWriteItems", &request, 0), 8);
        assert_eq!(writes("PutItem", r#"{"Item":{"pk":{"S":"a"},"n":{"N":"1"}}}"#, 200), 1);
    }

    #[test]
    fn reads_are_by_four_kibibytes_and_half_unless_consistent() {
        let reads = |operation: &str, request: &str, bytes, status| {
            weighed(operation, request.as_bytes(), bytes, status).half_reads
        };
        assert_eq!(reads("GetItem", r#"{"ConsistentRead":true}"#, 10, 200), 2);
        assert_eq!(reads("Query", "{}", 9_000, 200), 3);
        assert_eq!(reads("Query", "{}", 0, 400), 0);
        let batch = r#"{"RequestItems":{"t":{"Keys":[{},{},{}],"ConsistentRead":true}}}"#;
        assert_eq!(reads("BatchGetItem", batch, 100, 200), 6);
        assert_eq!(reads("DescribeTable", "{}", 100, 200), 0);
        assert_eq!(Units::read(1.5), Units { half_reads: 3, writes: 0 });
    }
}

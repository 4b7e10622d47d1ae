//! The one public file that DMS itself wrote (`tests/data/dms`), value by value.

use std::sync::Arc;

use bytes::Bytes;

use super::super::footer::read_footer;
use super::super::layout::Layout;
use super::super::rules::ColumnRules;
use super::super::transcode::{Input, build};
use super::{Memory, batch_of, exact_texts, file_id, some};
use crate::domain::object::Object;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub(super) const FILE: &[u8] = include_bytes!("../../../tests/data/dms/dms_test_table_LOAD00000001.parquet");

fn rows(rules: &ColumnRules) -> arrow::array::RecordBatch {
    let object: Arc<dyn Object> = Arc::new(Memory(Bytes::from_static(FILE)));
    let input = Input {
        file: file_id(0),
        footer: read_footer(&file_id(0), Arc::clone(&object), rules).unwrap(),
        object,
    };
    let inputs = [input];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body.parquet");
    let plan = inputs[0].footer.plan();
    let body = build(&Layout::DEFAULT, &batch_of(&inputs), plan, rules, &inputs, path, &|| true).unwrap();
    let file = std::fs::File::open(body.path()).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.next().unwrap().unwrap()
}

#[test]
fn every_value_arrives() {
    let rules = ColumnRules {
        op: "Op".into(),
        timestamp: Some("DMS_TIMESTAMP".into()),
        sequence: None,
        instants: Default::default(),
        ..ColumnRules::default()
    };
    let rows = rows(&rules);
    let column = |name: &str| exact_texts(rows.column_by_name(name).unwrap());
    let names: Vec<_> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(
        names.join(" "),
        "id my_int my_smallint my_numeric my_real my_double my_money my_varchar my_text my_bytea my_timestamp \
         my_uuid my_json my_jsonb my_bool _op _committed_at _change_seq _source_file _source_row _batch_id _claimed_at"
    );
    assert_eq!(column("id"), some(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]));
    assert_eq!(column("my_int")[..2], some(&["1298498081", "531430493"]));
    assert_eq!(column("my_smallint")[8..], some(&["21338", "4444"]));
    assert_eq!(column("my_numeric")[..3], some(&["142713184759e-2", "127264981981e-2", "115765371035e-2"]));
    assert_eq!(column("my_money")[9..], some(&["377794441109700e-4"]));
    let bits = |value: f64| Some(format!("{:x}", value.to_bits()));
    assert_eq!(column("my_real")[0], bits(0.42463749647140503));
    assert_eq!(column("my_double")[9], bits(0.888864235520917));
    assert_eq!(column("my_varchar")[..2], some(&["", "tco"]));
    assert_eq!(column("my_text")[..2], some(&["mraj", ""]));
    assert_eq!(column("my_bytea")[0], Some(format!("{:?}", b"whthctcu")));
    assert_eq!(column("my_timestamp")[..2], some(&["1635694452458000", "1648945527534000"]));
    assert_eq!(column("my_uuid")[9..], some(&["3458271b-2ce4-4183-965a-92ba0731dda2"]));
    assert_eq!(column("my_json")[1..2], some(&[r#"{"key_90":"ct"}"#]));
    assert_eq!(column("my_jsonb")[1..2], some(&[r#"{"key_78": "ynsg"}"#]));
    let flags = ["false", "true", "true", "true", "false", "true", "false", "true", "false", "false"];
    assert_eq!(column("my_bool"), some(&flags));
    assert_eq!(column("_committed_at")[..2], some(&["1658817978616807Z", "1658817978618066Z"]));
    assert_eq!(column("_op"), vec![None; 10]);
    assert_eq!(column("_change_seq"), vec![None; 10]);
}

#[test]
fn what_no_rule_names_stays_a_column_of_the_table() {
    let rules = ColumnRules {
        op: "Op".into(),
        timestamp: None,
        sequence: None,
        instants: ["my_timestamp".to_owned()].into(),
        ..ColumnRules::default()
    };
    let rows = rows(&rules);
    let column = |name: &str| exact_texts(rows.column_by_name(name).unwrap());
    assert_eq!(column("DMS_TIMESTAMP")[..1], some(&["2022-07-26 06:46:18.616807"]));
    assert_eq!(column("my_timestamp")[..1], some(&["1635694452458000Z"]));
    assert_eq!(column("_committed_at"), vec![None; 10]);
}

//! Files of different shapes in one batch, and the shape of the body.

use std::cell::Cell;

use super::super::labels;
use super::super::layout::Layout;
use super::super::plan::ColumnPlan;
use super::super::rules::ColumnRules;
use super::super::transcode::Input;
use super::{
    Cells, PLAIN, batch_of, built, file, file_id, inputs, plan_of, rules, some, styles, texts, try_build,
    try_build_as,
};
use crate::domain::batch::Batch;
use crate::domain::fault::FaultKind;
use parquet::basic::{Compression, ZstdLevel};

fn ids(values: &[i64]) -> Cells {
    Cells::Int64(values.iter().copied().map(Some).collect())
}

#[test]
fn missing_columns_are_null_and_decimals_are_rescaled() {
    let files = [
        file(
            "optional int64 id; optional int32 price (DECIMAL(5,2));",
            &[vec![ids(&[1]), Cells::Int32(vec![Some(-99_999)])]],
            PLAIN,
        ),
        file(
            "optional int64 price (DECIMAL(10,4)); optional binary note (UTF8); optional int64 id;",
            &[vec![ids(&[9_999_999_999]), texts(&[Some("n")]), ids(&[2])]],
            PLAIN,
        ),
        file("optional int64 id;", &[vec![ids(&[3])]], PLAIN),
    ];
    let built = built(&files);
    assert_eq!(built.names()[..3], ["id", "price", "note"]);
    assert_eq!(built.column("id"), some(&["1", "2", "3"]));
    let price = [Some("-9999900e-4".to_owned()), Some("9999999999e-4".to_owned()), None];
    assert_eq!(built.column("price"), price);
    assert_eq!(built.column("note"), [None, Some("n".to_owned()), None]);
}

#[test]
fn unlike_types_are_a_conflict_of_plans_not_a_fault() {
    let files = [file("optional int64 id;", &[], PLAIN), file("optional binary id (UTF8);", &[], PLAIN)];
    let inputs = inputs(&files).unwrap();
    let conflict = inputs[0].footer.plan().unify(inputs[1].footer.plan()).unwrap_err();
    assert_eq!(&*conflict.column, "id");
}

#[test]
fn files_without_rows_make_a_body_without_rows() {
    for groups in [vec![], vec![vec![ids(&[])]]] {
        for style in styles() {
            let built = built(&[file("optional int64 id;", &groups, style)]);
            assert_eq!(built.body.rows(), 0);
            assert_eq!(built.rows.num_rows(), 0);
            assert_eq!(built.names()[0], "id");
        }
    }
}

#[test]
fn small_files_share_a_row_group() {
    let files: Vec<_> = (0..50)
        .map(|number| file("optional int64 id;", &[vec![ids(&[number, number + 1])]], PLAIN))
        .collect();
    let built = built(&files);
    assert_eq!(built.metadata.num_row_groups(), 1);
    assert_eq!(built.rows.num_rows(), 100);
}

#[test]
fn large_bodies_have_bounded_row_groups() {
    // 3 x 20 MB that do not compress.
    let mut state = 1_u64;
    let mut noise = || {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(20_000)
        .collect();
        Some(bytes)
    };
    let files: Vec<_> = (0..3)
        .map(|_| {
            let cells = Cells::Bytes((0..1000).map(|_| noise()).collect());
            file("optional binary blob;", &[vec![cells]], PLAIN)
        })
        .collect();
    let one = built(&files);
    assert_eq!((one.metadata.num_row_groups(), one.rows.num_rows()), (1, 3000));
    let bounded = |group_bytes, group_rows| Layout { group_bytes, group_rows, ..Layout::DEFAULT };
    for (layout, groups) in
        [(bounded(16 << 20, 1 << 20), 3), (bounded(24 << 20, 1 << 20), 2), (bounded(1 << 30, 1_500), 3)]
    {
        let built = try_build_as(&layout, &inputs(&files).unwrap(), &|| true).unwrap();
        assert_eq!(built.metadata.num_row_groups(), groups, "{layout:?}");
        assert_eq!(built.rows, one.rows);
    }
}

#[test]
fn the_body_says_whose_it_is() {
    let inputs = inputs(&[file("optional int64 id;", &[vec![ids(&[1, 2])]], PLAIN)]).unwrap();
    let batch = batch_of(&inputs);
    let built = try_build(&inputs, &|| true).unwrap();
    let written = std::fs::File::open(built.body.path()).unwrap();
    let labels = labels::read(&written, built.body.path()).unwrap();
    assert_eq!(labels.rows, 2);
    let expected = [
        (labels::BATCH_ID, batch.id.to_string()),
        (labels::DATASET, "game_a".to_owned()),
        (labels::MANIFEST_HASH, batch.manifest.hash()),
        (labels::ROWS, "2".to_owned()),
        (labels::TABLE, "bets".to_owned()),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value));
    assert_eq!(labels.values, expected.into_iter().collect());
    assert_eq!(built.metadata.row_group(0).column(0).compression(), Compression::ZSTD(ZstdLevel::default()));
    assert_eq!(built.body.size_bytes(), std::fs::metadata(built.body.path()).unwrap().len());
}

#[test]
fn the_same_batch_is_the_same_bytes() {
    let files = [file("optional int64 id;", &[vec![ids(&[1, 2])]], PLAIN)];
    let inputs = inputs(&files).unwrap();
    let bytes = |_: usize| {
        let built = try_build(&inputs, &|| true).unwrap();
        std::fs::read(built.body.path()).unwrap()
    };
    assert_eq!(bytes(0), bytes(1));
}

#[test]
fn a_body_that_nobody_wants_is_not_finished() {
    let groups: Vec<_> = (0..5).map(|id| vec![ids(&[id])]).collect();
    let inputs = inputs(&[file("optional int64 id;", &groups, PLAIN)]).unwrap();
    let asked = Cell::new(0);
    let wanted = || {
        asked.set(asked.get() + 1);
        asked.get() < 3
    };
    let failure = try_build(&inputs, &wanted).err().unwrap();
    assert_eq!(failure.fault.kind, FaultKind::Internal);
    assert_eq!(failure.file, None);
    assert_eq!(asked.get(), 3);
}

#[test]
fn inputs_must_be_the_manifest() {
    let one = file("optional int64 id;", &[vec![ids(&[1])]], PLAIN);
    let two = file("optional int64 id;", &[vec![ids(&[1, 2])]], PLAIN);
    let (ones, twos) = (inputs(&[one]).unwrap(), inputs(&[two]).unwrap());
    let plan = plan_of(&ones);
    let folder = tempfile::tempdir().unwrap();
    let path = || folder.path().join("body.parquet");
    let build = |batch: &Batch, plan: &ColumnPlan, rules: &ColumnRules, inputs: &[Input]| {
        let failure =
            super::build(&Layout::DEFAULT, batch, plan, rules, inputs, path(), &|| true).unwrap_err();
        assert!(!path().exists());
        (failure.fault.kind, failure.file)
    };
    // Another number of rows, no file at all, another mapping, a plan that would lose a column.
    let blamed = Some(file_id(0));
    assert_eq!(build(&batch_of(&ones), &plan, &rules(), &twos), (FaultKind::Unreadable, blamed.clone()));
    assert_eq!(build(&batch_of(&ones), &plan, &rules(), &[]), (FaultKind::Internal, None));
    let mut others = rules();
    others.sequence = None;
    assert_eq!(build(&batch_of(&ones), &plan, &others, &ones), (FaultKind::Internal, None));
    assert_eq!(build(&batch_of(&ones), &ColumnPlan::empty(), &rules(), &ones), (FaultKind::Internal, blamed));
}

#[test]
fn a_body_goes_when_it_is_dropped() {
    let built = built(&[file("optional int64 id;", &[vec![ids(&[1])]], PLAIN)]);
    let path = built.body.path().to_owned();
    assert!(path.starts_with(built.folder.path()) && path.exists());
    drop(built.body);
    assert!(!path.exists());
}

//! Every stored type, with its extremes, in every style.

use arrow::datatypes::DataType;

use super::super::types::ColumnType;
use super::{Cells, PLAIN, built, exact_texts, file, footer, styles};

fn bits(value: f64) -> String {
    format!("{:x}", value.to_bits())
}

/// One column `c` with these values and a NULL after them is carried as these exact texts and a NULL.
fn check(column: &str, kind: ColumnType, cells: &Cells, expected: &[String]) {
    let name = column.split_whitespace().nth(2).unwrap().trim_end_matches(';');
    for style in styles() {
        let built = built(&[file(column, &[vec![cells.clone()]], style)]);
        let mut texts: Vec<_> = expected.iter().cloned().map(Some).collect();
        texts.push(None);
        assert_eq!(built.column(name), texts, "{column} {style:?}");
        // What is INT32 in all files stays so.
        let is_short =
            kind == ColumnType::Int64 && matches!(cells, Cells::Int32(_)) && !column.contains("UINT");
        let is_short = is_short && !column.contains("INTEGER");
        let expected = if is_short { DataType::Int32 } else { kind.arrow() };
        assert_eq!(built.kind(name), expected, "{column} {style:?}");
    }
}

fn int32(values: &[i32]) -> Cells {
    Cells::Int32(values.iter().copied().map(Some).chain([None]).collect())
}

fn int64(values: &[i64]) -> Cells {
    Cells::Int64(values.iter().copied().map(Some).chain([None]).collect())
}

fn bytes(values: &[&[u8]]) -> Cells {
    Cells::Bytes(values.iter().map(|value| Some(value.to_vec())).chain([None]).collect())
}

fn fixed(values: &[&[u8]]) -> Cells {
    Cells::Fixed(values.iter().map(|value| Some(value.to_vec())).chain([None]).collect())
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(T::to_string).collect()
}

fn decimals(values: &[i128], scale: i8) -> Vec<String> {
    values.iter().map(|value| format!("{value}e-{scale}")).collect()
}

#[test]
fn whole_numbers() {
    let signed = [i32::MIN, -1, 0, 1, i32::MAX];
    for column in ["optional int32 c;", "optional int32 c (INT_32);"] {
        check(column, ColumnType::Int64, &int32(&signed), &texts(&signed));
    }
    for column in ["optional int64 c;", "optional int64 c (INT_64);"] {
        let values = [i64::MIN, -1, 0, 1, i64::MAX];
        check(column, ColumnType::Int64, &int64(&values), &texts(&values));
    }
    let cases: [(&str, &[i32]); 4] = [
        ("optional int32 c (INT_8);", &[-128, 0, 127]),
        ("optional int32 c (INT_16);", &[-32768, 0, 32767]),
        ("optional int32 c (UINT_8);", &[0, 128, 255]),
        ("optional int32 c (UINT_16);", &[0, 32768, 65535]),
    ];
    for (column, values) in cases {
        check(column, ColumnType::Int64, &int32(values), &texts(values));
    }
    for column in ["optional int32 c (UINT_32);", "optional int32 c (INTEGER(32,false));"] {
        let expected = texts(&[0_i64, 1, 1 << 31, i64::from(u32::MAX)]);
        check(column, ColumnType::Int64, &int32(&[0, 1, i32::MIN, -1]), &expected);
    }
    for column in ["optional int64 c (UINT_64);", "optional int64 c (INTEGER(64,false));"] {
        let kind = ColumnType::Decimal { precision: 20, scale: 0 };
        let expected = decimals(&[0, i128::from(i64::MAX), 1 << 63, i128::from(u64::MAX)], 0);
        check(column, kind, &int64(&[0, i64::MAX, i64::MIN, -1]), &expected);
    }
}

#[test]
fn a_small_integer_out_of_its_range_is_not_narrowed() {
    // INT_8 holds 300 if the writer was careless: the value is what is stored.
    let built = built(&[file(
        "optional int32 c (INT_8);",
        &[vec![Cells::Int32(vec![Some(300), Some(-300)])]],
        PLAIN,
    )]);
    assert_eq!(built.column("c"), [Some("300".to_owned()), Some("-300".to_owned())]);
}

#[test]
fn decimals_of_every_width() {
    // The widths that DMS writes (one for each precision), and the 16 bytes that Qlik always writes.
    for precision in 1..=38_u32 {
        let limit = 10_i128.pow(precision) - 1;
        let values = [-limit, -limit / 2, -1, 0, 1, limit / 3, limit];
        let scale = i8::try_from(precision / 3).unwrap();
        let kind = ColumnType::Decimal { precision: u8::try_from(precision).unwrap(), scale };
        let least = (1..=16_u32).find(|width| *width == 16 || (1_i128 << (8 * width - 1)) > limit).unwrap();
        for width in [least, 16] {
            let stored: Vec<Vec<u8>> =
                values.iter().map(|value| value.to_be_bytes()[16 - width as usize..].to_vec()).collect();
            let stored: Vec<&[u8]> = stored.iter().map(Vec::as_slice).collect();
            let column = format!("optional fixed_len_byte_array({width}) c (DECIMAL({precision},{scale}));");
            let built = built(&[file(&column, &[vec![fixed(&stored)]], PLAIN)]);
            let mut expected: Vec<_> = decimals(&values, scale).into_iter().map(Some).collect();
            expected.push(None);
            assert_eq!(built.column("c"), expected, "{column}");
            assert_eq!(built.kind("c"), kind.arrow(), "{column}");
        }
    }
}

#[test]
fn decimals_of_every_physical_type() {
    let kind = |precision, scale| ColumnType::Decimal { precision, scale };
    check(
        "optional int32 c (DECIMAL(9,2));",
        kind(9, 2),
        &int32(&[-999_999_999, 0, 999_999_999]),
        &decimals(&[-999_999_999, 0, 999_999_999], 2),
    );
    let most = 10_i64.pow(18) - 1;
    check(
        "optional int64 c (DECIMAL(18,18));",
        kind(18, 18),
        &int64(&[-most, 0, most]),
        &decimals(&[-i128::from(most), 0, i128::from(most)], 18),
    );
    let long = [[0xFF; 20].as_slice(), &[0xFF, 0x7F], &[0x00], &[0; 40], &[0x01, 0, 0, 0, 0, 0, 0, 0, 0]];
    check(
        "optional binary c (DECIMAL(38,10));",
        kind(38, 10),
        &bytes(&long),
        &decimals(&[-1, -129, 0, 0, 1 << 64], 10),
    );
    let wide: [&[u8]; 2] = [&[0xFF; 24], &[0; 24]];
    check(
        "optional fixed_len_byte_array(24) c (DECIMAL(38,10));",
        kind(38, 10),
        &fixed(&wide),
        &decimals(&[-1, 0], 10),
    );
}

#[test]
fn texts_and_bytes() {
    let values = ["", "\0", "a", "ß漢🎲", &"x".repeat(70_000)];
    let stored: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    for annotation in ["UTF8", "JSON", "ENUM", "STRING"] {
        let column = format!("optional binary c ({annotation});");
        check(&column, ColumnType::String, &bytes(&stored), &texts(&values));
    }
    let raw: [&[u8]; 3] = [&[], &[0], &[0xFF, 0xFE]];
    let expected = raw.map(|value| format!("{value:?}"));
    check("optional binary c;", ColumnType::Bytes, &bytes(&raw), &expected);
    let raw: [&[u8]; 2] = [&[0, 0, 0], &[0xFF, 0, 1]];
    let expected = raw.map(|value| format!("{value:?}"));
    check("optional fixed_len_byte_array(3) c;", ColumnType::Bytes, &fixed(&raw), &expected);
}

#[test]
fn flags_and_floats() {
    let flags = Cells::Bool(vec![Some(false), Some(true), None]);
    check("optional boolean c;", ColumnType::Bool, &flags, &texts(&[false, true]));
    let floats = [0.0_f32, -0.0, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE, f32::MAX, 0.1];
    let cells = Cells::Float(floats.into_iter().map(Some).chain([None]).collect());
    let expected = floats.map(|value| bits(f64::from(value)));
    check("optional float c;", ColumnType::Float64, &cells, &expected);
    let doubles = [0.0_f64, -0.0, f64::NAN, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX, 5e-324];
    let cells = Cells::Double(doubles.into_iter().map(Some).chain([None]).collect());
    check("optional double c;", ColumnType::Float64, &cells, &doubles.map(bits));
}

#[test]
fn days_and_times() {
    let days = [-719_162, -1, 0, 2_932_896]; // 0001-01-01, the day before the epoch, the epoch, 9999-12-31
    check("optional int32 c (DATE);", ColumnType::Date, &int32(&days), &texts(&days));
    let micros = [-62_135_596_800_000_000, -1, 0, 253_402_300_799_999_999];
    let zoned = micros.map(|value| format!("{value}Z"));
    for annotation in ["TIMESTAMP_MICROS", "TIMESTAMP(MICROS,true)", "TIMESTAMP(MICROS,false)"] {
        let column = format!("optional int64 c ({annotation});");
        check(&column, ColumnType::Datetime, &int64(&micros), &texts(&micros));
        let column = format!("optional int64 moment ({annotation});");
        check(&column, ColumnType::Timestamp, &int64(&micros), &zoned);
    }
    let millis = [-62_135_596_800_000, -1, 0, 253_402_300_799_999, i64::MAX / 1000, i64::MIN / 1000];
    let micros = millis.map(|value| value * 1000);
    for annotation in ["TIMESTAMP_MILLIS", "TIMESTAMP(MILLIS,true)"] {
        let column = format!("optional int64 c ({annotation});");
        check(&column, ColumnType::Datetime, &int64(&millis), &texts(&micros));
    }
    let column = "optional int64 moment (TIMESTAMP_MILLIS);";
    check(column, ColumnType::Timestamp, &int64(&millis), &micros.map(|value| format!("{value}Z")));
    let expected = texts(&[0, 1000, 86_399_999_000_i64]);
    check("optional int32 c (TIME_MILLIS);", ColumnType::Time, &int32(&[0, 1, 86_399_999]), &expected);
    let values = [0, 1, 86_399_999_999];
    check("optional int64 c (TIME_MICROS);", ColumnType::Time, &int64(&values), &texts(&values));
}

#[test]
fn wall_clocks_and_moments_are_told_apart_in_the_output() {
    let column = "optional int64 c (TIMESTAMP_MICROS); optional int64 moment (TIMESTAMP_MICROS);";
    let cells = || Cells::Int64(vec![Some(1)]);
    let built = built(&[file(column, &[vec![cells(), cells()]], PLAIN)]);
    let schema = built.metadata.file_metadata().schema_descr();
    let annotation = |index: usize| format!("{:?}", schema.column(index).logical_type_ref());
    assert!(annotation(0).contains("is_adjusted_to_u_t_c: false"), "{}", annotation(0));
    assert!(annotation(1).contains("is_adjusted_to_u_t_c: true"), "{}", annotation(1));
}

#[test]
fn a_column_of_nulls_keeps_its_type() {
    let columns = "optional int32 a (UINT_8); optional binary b (UTF8); optional fixed_len_byte_array(4) c (DECIMAL(9,2)); \
                   optional binary d (DECIMAL(30,2)); optional int64 e (TIMESTAMP_MILLIS);";
    let group = vec![
        Cells::Int32(vec![None; 3]),
        Cells::Bytes(vec![None; 3]),
        Cells::Fixed(vec![None; 3]),
        Cells::Bytes(vec![None; 3]),
        Cells::Int64(vec![None; 3]),
    ];
    for style in styles() {
        let built = built(&[file(columns, std::slice::from_ref(&group), style)]);
        for name in ["a", "b", "c", "d", "e"] {
            assert_eq!(built.column(name), [None, None, None], "{name} {style:?}");
        }
        assert_eq!(built.kind("c"), DataType::Decimal128(9, 2));
        assert_eq!(exact_texts(built.rows.column(1)), [None, None, None]);
    }
}

#[test]
fn the_plan_names_the_types() {
    let columns = "required binary Op (UTF8); optional int64 id; optional binary ts (UTF8); optional int64 u (UINT_64);";
    let group = vec![super::texts(&[]), Cells::Int64(vec![]), super::texts(&[]), Cells::Int64(vec![])];
    let footer = footer(&file(columns, &[group], PLAIN)).unwrap();
    let plan: Vec<_> = footer.plan().columns().iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    assert_eq!(plan, ["id INT64", "u DECIMAL(20,0)"]);
    assert_eq!(footer.rows(), 0);
}

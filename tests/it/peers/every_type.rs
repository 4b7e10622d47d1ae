//! A value of every type, from a real MariaDB through DMS-shaped files of both kinds into the lake and into BigQuery, and read back
//! by clients that share no code with landbridge.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::cloud::{Emulators, PROJECT, World};
use super::journeys::FAST;
use super::process::Process;
use crate::cli::landbridge;
use crate::support::dms_file::{Cell, DmsColumn, Flavour, write};
use crate::support::mariadb::MariaDb;

/// Columns: their types, and values as SQL writes them; NULL comes besides.
const COLUMNS: &[(&str, &str, [&str; 4])] = &[
    ("tiny", "tinyint", ["-128", "127", "0", "1"]),
    ("flag", "tinyint(1)", ["2", "0", "1", "-1"]),
    ("tiny_u", "tinyint unsigned", ["0", "255", "128", "1"]),
    ("small", "smallint", ["-32768", "32767", "0", "1"]),
    ("small_u", "smallint unsigned", ["0", "65535", "32768", "1"]),
    ("medium", "mediumint", ["-8388608", "8388607", "0", "1"]),
    ("medium_u", "mediumint unsigned", ["0", "16777215", "8388608", "1"]),
    ("whole", "int", ["-2147483648", "2147483647", "0", "1"]),
    ("whole_u", "int unsigned", ["0", "4294967295", "2147483648", "1"]),
    ("big", "bigint", ["-9223372036854775808", "9223372036854775807", "0", "9007199254740993"]),
    ("big_u", "bigint unsigned", ["0", "18446744073709551615", "9223372036854775808", "1"]),
    ("money", "decimal(19,4)", ["-999999999999999.9999", "999999999999999.9999", "0", "0.0001"]),
    ("few", "decimal(3,1)", ["-99.9", "99.9", "0", "0.1"]),
    ("many", "decimal(38,9)", ["-99999999999999999999999999999.999999999", "0.000000001", "0", "1"]),
    (
        "fine",
        "decimal(38,18)",
        ["-99999999999999999999.999999999999999999", "0.000000000000000001", "0", "1"],
    ),
    ("long", "decimal(38,0)", ["-99999999999999999999999999999999999999", "1", "0", "10"]),
    ("finest", "decimal(38,30)", ["-99999999.999999999999999999999999999999", "0.1", "0", "1"]),
    (
        "widest",
        "decimal(65,30)",
        [
            "-99999999999999999999999999999999999.999999999999999999999999999999",
            "0.000000000000000000000000000001",
            "0",
            "99999999999999999999999999999999999.999999999999999999999999999999",
        ],
    ),
    ("single", "float", ["-3.40282e38", "1.17549e-38", "0", "0.1"]),
    ("twice", "double", ["-1.7976931348623157e308", "2.2250738585072014e-308", "0", "0.1"]),
    ("bit1", "bit(1)", ["b'0'", "b'1'", "b'0'", "b'1'"]),
    ("bit9", "bit(9)", ["b'0'", "b'111111111'", "b'100000010'", "b'1'"]),
    ("bit64", "bit(64)", ["b'0'", "18446744073709551615", "9223372036854775809", "b'1'"]),
    ("day", "date", ["'0001-01-01'", "'9999-12-31'", "'0000-00-00'", "'2019-00-10'"]),
    (
        "clock",
        "datetime",
        ["'0001-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'0000-00-00 00:00:00'", "'1969-12-31 23:59:59'"],
    ),
    (
        "clock6",
        "datetime(6)",
        [
            "'1000-01-01 00:00:00.000001'",
            "'9999-12-31 23:59:59.999999'",
            "'2019-00-10 23:59:59'",
            "'1582-10-15 00:00:00'",
        ],
    ),
    (
        "moment",
        "timestamp",
        ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'", "'2024-02-29 12:00:00'"],
    ),
    (
        "moment6",
        "timestamp(6)",
        [
            "'1970-01-01 00:00:01.000001'",
            "'2038-01-19 03:14:07.999999'",
            "'2024-02-29 12:00:00.5'",
            "'2000-01-01 00:00:00'",
        ],
    ),
    ("span", "time", ["'-838:59:59'", "'838:59:59'", "'00:00:00'", "'23:59:59'"]),
    ("span6", "time(6)", ["'-838:59:59.000000'", "'838:59:58.999999'", "'00:00:00.000001'", "'-00:00:00.5'"]),
    ("harvest", "year", ["0", "1901", "2155", "2024"]),
    ("letter", "char(10)", ["''", "'0123456789'", "'\u{1F3B0}'", "'a'"]),
    ("word", "varchar(255)", ["''", "'a\\0b'", "'€ñ한\u{1F3B0}'", "'q\"\\\\''\\n'"]),
    ("note", "mediumtext", ["''", "repeat('x', 70000)", "'null'", "'\u{FEFF}'"]),
    ("pad", "binary(4)", ["''", "x'00FF80C3'", "'abcd'", "x'01'"]),
    ("raw", "varbinary(300)", ["''", "x'00FF80C3'", "repeat(x'00', 300)", "x'01'"]),
    ("lump", "mediumblob", ["''", "repeat(x'FF', 70000)", "x'00'", "x'01'"]),
    ("choice", "enum('a','b''c','')", ["'a'", "'b''c'", "''", "'nothing of it'"]),
    ("several", "set('x','y z')", ["''", "'x'", "'y z,x'", "'y z'"]),
    (
        "tree",
        "json",
        ["'{}'", "'{\"n\": 123456789012345678901234567890}'", "'[1, 2.50, null]'", "'\"\\\\u00e9\"'"],
    ),
    (
        "place",
        "point",
        [
            "ST_GeomFromText('POINT(1 2)')",
            "ST_GeomFromText('POINT(-180 90)', 4326)",
            "NULL",
            "ST_GeomFromText('POINT(0 0)')",
        ],
    ),
    (
        "shape",
        "geometry",
        [
            "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')",
            "NULL",
            "ST_GeomFromText('LINESTRING(0 0,1 1)')",
            "NULL",
        ],
    ),
];

/// Four values, and NULL.
const ROWS: usize = 5;

const FLAVOURS: [Flavour; 4] = [
    Flavour { second: false, millis: false, dictionary: false, gzip: true, group_rows: 100 },
    Flavour { second: true, millis: true, dictionary: true, gzip: false, group_rows: 2 },
    Flavour { second: true, millis: false, dictionary: false, gzip: true, group_rows: 1 },
    Flavour { second: false, millis: true, dictionary: true, gzip: true, group_rows: 3 },
];

/// The rows as the server has them: of each column its four values, and NULL.
async fn rows_of_mariadb() -> Vec<Vec<Cell>> {
    let mut database = MariaDb::get().database("types").await;
    let declared: Vec<_> = COLUMNS
        .iter()
        // Else a TIMESTAMP is set by itself.
        .map(|(name, kind, _)| format!("`{name}` {kind} NULL DEFAULT NULL"))
        .collect();
    database.run(&format!("CREATE TABLE t (id INT PRIMARY KEY, {})", declared.join(", "))).await;
    for row in 0..4 {
        let values: Vec<_> = COLUMNS.iter().map(|(.., values)| values[row]).collect();
        database.run(&format!("INSERT INTO t VALUES ({row}, {})", values.join(", "))).await;
    }
    database.run("INSERT INTO t (id) VALUES (4)").await;
    let names: Vec<_> = COLUMNS.iter().map(|(name, ..)| format!("`{name}`")).collect();
    database.rows(&format!("SELECT id, {} FROM t ORDER BY id", names.join(", "))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_of_every_type_is_read_back_as_it_was() {
    let rows = rows_of_mariadb().await;
    let world = World::new(1, 1).await;
    let cluster = &world.clusters[0];
    let types: String =
        COLUMNS.iter().map(|(name, kind, _)| format!("{name} = {{ type = \"{kind}\" }}\n")).collect();
    let cloud = world.configure(FAST);
    let text = std::fs::read_to_string(&cloud).unwrap();
    // The stand-in keeps BIGNUMERIC as DECIMAL(38,18), where these have no room.
    let without = "without = [\"long\", \"finest\"]\n";
    std::fs::write(&cloud, format!("{text}{without}[mapping.table.columns]\n{types}")).unwrap();
    let source = world.folder.path().join("in/casino/t0");
    std::fs::create_dir_all(&source).unwrap();
    let local = world.folder.path().join("local.toml");
    std::fs::write(
        &local,
        format!(
            "[ledger]\npath = \"local/ledger.db\"\n[batching]\nwindow = \"1s\"\n[http]\nlisten = \"off\"\n[[mapping]]\n\
             cluster = \"local\"\nsource = \"in\"\ndataset = \"d\"\n[[mapping.table]]\nname = \"casino.t0\"\nkey = [\"id\"]\n\
             [mapping.table.columns]\n{types}"
        ),
    )
    .unwrap();

    let mut expected = Vec::new();
    let process = Process::start(&cloud).await;
    for (number, flavour) in FLAVOURS.into_iter().enumerate() {
        let mut columns = vec![DmsColumn::new("id", "int", flavour)];
        columns.extend(COLUMNS.iter().map(|(name, kind, _)| DmsColumn::new(name, kind, flavour)));
        let mut rows = rows.clone();
        for (place, row) in rows.iter_mut().enumerate() {
            row[0] = Some((number * ROWS + place).to_string().into_bytes());
        }
        let bytes = write(&columns, &rows, flavour);
        std::fs::write(source.join(format!("20251123-{number:09}.parquet")), &bytes).unwrap();
        world.put_bytes(&cluster.bucket, &world.key("t0"), bytes).await;
        expected.extend(rows);
    }
    process.until_files("loaded", FLAVOURS.len()).await;
    let run = landbridge().args(["run", "--until-idle", "--config"]).arg(&local).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{said}");

    let hex = |cell: &Cell| {
        cell.as_ref().map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    let columns: Vec<_> = std::iter::once(("id", "int"))
        .chain(COLUMNS.iter().map(|(name, kind, _)| (*name, *kind)))
        .map(|(name, kind)| json!({"name": name, "type": kind}))
        .collect();
    let cells: Vec<Vec<_>> = expected.iter().map(|row| row.iter().map(hex).collect()).collect();
    let path = world.folder.path().join("expected.json");
    std::fs::write(&path, json!({"columns": columns, "rows": cells}).to_string()).unwrap();
    let emulators = Emulators::get();
    let output = Command::new(&emulators.python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulators/read_back.py"))
        .arg(&path)
        .args([world.folder.path().join("lake/d/t0").to_str().unwrap(), &emulators.bigquery, PROJECT])
        .arg(format!("{}.t0", cluster.dataset))
        .output()
        .unwrap();
    let verdict = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{verdict}{}", String::from_utf8_lossy(&output.stderr));
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap();
    let values = FLAVOURS.len() * ROWS * (COLUMNS.len() + 1);
    for reader in ["pyarrow", "duckdb"] {
        assert_eq!(verdict[reader], json!({"values": values, "different": []}), "{reader}");
    }
    let without = FLAVOURS.len() * ROWS * 2;
    assert_eq!(verdict["bigquery"], json!({"values": values - without, "different": []}));
    assert_eq!(process.metric("landbridge_restarts_total", "").await, 0.0);
}

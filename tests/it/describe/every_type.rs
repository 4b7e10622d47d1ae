//! A table of every type.

use std::fs;

use landbridge::config::load;

use super::{Place, describe};
use crate::support::mariadb::MariaDb;

/// Columns by their names, as they are declared, and what the mapping says of them.
const COLUMNS: &[(&str, &str, &str)] = &[
    ("tiny", "TINYINT", "tinyint"),
    ("tiny_u", "TINYINT UNSIGNED", "tinyint unsigned"),
    ("flag", "BOOL", "tinyint(1)"),
    ("small", "SMALLINT", "smallint"),
    ("small_u", "SMALLINT UNSIGNED", "smallint unsigned"),
    ("medium", "MEDIUMINT", "mediumint"),
    ("medium_u", "MEDIUMINT UNSIGNED", "mediumint unsigned"),
    ("int", "INT", "int"),
    ("int_u", "INT(7) UNSIGNED ZEROFILL", "int unsigned"),
    ("big", "BIGINT", "bigint"),
    ("big_u", "BIGINT UNSIGNED", "bigint unsigned"),
    ("money", "DECIMAL(19,4)", "decimal(19,4)"),
    ("money_u", "DECIMAL(38,0) UNSIGNED", "decimal(38,0) unsigned"),
    ("widest", "DECIMAL(65,30)", "decimal(65,30)"),
    ("plain", "NUMERIC", "decimal(10,0)"),
    ("float", "FLOAT", "float"),
    ("float_m", "FLOAT(7,3) UNSIGNED", "float unsigned"),
    ("double", "DOUBLE PRECISION", "double"),
    ("bit", "BIT", "bit(1)"),
    ("bits8", "BIT(8)", "bit(8)"),
    ("bits63", "BIT(63)", "bit(63)"),
    ("bits64", "BIT(64)", "bit(64)"),
    ("date", "DATE", "date"),
    ("datetime", "DATETIME", "datetime"),
    ("datetime1", "DATETIME(1)", "datetime(1)"),
    ("datetime6", "DATETIME(6)", "datetime(6)"),
    ("timestamp", "TIMESTAMP NULL", "timestamp"),
    ("timestamp3", "TIMESTAMP(3) NULL", "timestamp(3)"),
    ("timestamp6", "TIMESTAMP(6) NULL", "timestamp(6)"),
    ("time", "TIME", "time"),
    ("time6", "TIME(6)", "time(6)"),
    ("year", "YEAR", "year"),
    ("char", "CHAR(10)", "char(10)"),
    ("char0", "CHAR(0)", "char(0)"),
    ("varchar", "VARCHAR(255)", "varchar(255)"),
    ("latin", "VARCHAR(9) CHARACTER SET latin1", "varchar(9)"),
    ("packed", "VARCHAR(100) COMPRESSED", "varchar(100)"),
    ("tinytext", "TINYTEXT", "tinytext"),
    ("text", "TEXT", "text"),
    ("mediumtext", "MEDIUMTEXT", "mediumtext"),
    ("longtext", "LONGTEXT", "longtext"),
    ("binary", "BINARY(16)", "binary(16)"),
    ("varbinary", "VARBINARY(300)", "varbinary(300)"),
    ("tinyblob", "TINYBLOB", "tinyblob"),
    ("blob", "BLOB", "blob"),
    ("mediumblob", "MEDIUMBLOB", "mediumblob"),
    ("longblob", "LONGBLOB", "longblob"),
    (
        "enum",
        r#"ENUM('a','b''c','d,e','back\\slash','','n\nl','é"q','한')"#,
        r#"enum('a','b''c','d,e','back\\slash','','n\nl','é"q','한')"#,
    ),
    ("set", "SET('x','y z','it''s')", "set('x','y z','it''s')"),
    ("json", "JSON", "json"),
    ("checked", "LONGTEXT CHECK (LENGTH(`checked`) < 10)", "longtext"),
    ("geometry", "GEOMETRY", "geometry"),
    ("point", "POINT", "point"),
    ("linestring", "LINESTRING", "linestring"),
    ("polygon", "POLYGON", "polygon"),
    ("multipoint", "MULTIPOINT", "multipoint"),
    ("multilinestring", "MULTILINESTRING", "multilinestring"),
    ("multipolygon", "MULTIPOLYGON", "multipolygon"),
    ("collection", "GEOMETRYCOLLECTION", "geometrycollection"),
    ("uuid", "UUID", "uuid"),
    ("inet6", "INET6", "inet6"),
    ("stored", "INT AS (1 + 1) STORED", "int"),
    ("virtual", "VARCHAR(3) AS ('x') VIRTUAL", "varchar(3)"),
    ("unseen", "TIMESTAMP(6) NULL INVISIBLE", "timestamp(6)"),
    // Odd names.
    ("select", "DATE", "date"),
    ("two words", "BIT(2)", "bit(2)"),
    ("dot.ted", "TIMESTAMP NULL", "timestamp"),
    ("it's \"so\"", "INT", "int"),
    ("back\\slash", "INT", "int"),
    ("a`b", "JSON", "json"),
    ("CamelCase", "INT", "int"),
    ("übergröße", "INT", "int"),
    ("잔액", "INT", "int"),
    ("#hash = {", "INT", "int"),
    ("1", "INT", "int"),
];

#[tokio::test]
async fn every_type_and_every_name_comes_into_the_mapping_and_is_read_back() {
    let mut database = MariaDb::get().database("every").await;
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let columns: Vec<_> = COLUMNS.iter().map(|(name, kind, _)| format!("{} {kind}", quoted(name))).collect();
    let table = "odd, \"table\" 표";
    let sql = format!(
        "CREATE TABLE {} (id INT UNSIGNED, {}, PRIMARY KEY ({}, id)) ROW_FORMAT=DYNAMIC",
        quoted(table),
        columns.join(", "),
        quoted("two words")
    );
    database.run(&sql).await;
    let place = Place::new();
    let (code, text) = describe(&place.config(), &database, &[]);
    assert!(code == 0 && text.contains("1 table described: 1 new, 0 changed"), "{text}");
    let again = place.text();
    let (code, text) = describe(&place.config(), &database, &["--check"]);
    assert!(code == 0 && again == place.text(), "{text}");

    let config = load(&place.config(), []).unwrap_or_else(|errors| panic!("{errors}\n{again}"));
    let mapping = &config.mappings[0];
    let (route, settings) = (&mapping.route.tables[0], &mapping.tables[0]);
    assert_eq!((&*route.table.schema, &*route.table.table), (database.name.as_str(), table));
    assert_eq!(&*route.destination.table, "odd___table___");
    assert_eq!(settings.key, ["two words", "id"]);
    let mut expected: Vec<_> = COLUMNS.iter().map(|(name, _, kind)| format!("{name}: {kind}")).collect();
    expected.push("id: int unsigned".to_owned());
    expected.sort();
    let mut found: Vec<_> = settings.types().map(|(name, kind)| format!("{name}: {kind}")).collect();
    found.sort();
    assert_eq!(found, expected);
    let instants: Vec<_> = settings.all_instants().into_iter().collect();
    assert_eq!(instants, ["dot.ted", "timestamp", "timestamp3", "timestamp6", "unseen"]);

    // In the table's order.
    let written = fs::read_to_string(place.mapping()).unwrap();
    let positions: Vec<_> = ["id = {", "tiny = {", "bits64 = {", "\"two words\" = {", "1 = {"]
        .iter()
        .map(|part| written.find(&format!("\n{part}")).unwrap_or_else(|| panic!("{part}\n{written}")))
        .collect();
    assert!(positions.is_sorted(), "{written}");
}

/// The server of these tests takes what MySQL may hold, and gives it as it is: whoever compares values begins here.
#[tokio::test]
async fn the_server_holds_what_mysql_may_hold() {
    let mut database = MariaDb::get().database("values").await;
    let values = [
        ("BIGINT UNSIGNED", "18446744073709551615", &b"18446744073709551615"[..]),
        ("DECIMAL(65,30)", "-0.000000000000000000000000000001", b"-0.000000000000000000000000000001"),
        (
            "BIT(64)",
            "b'1000000000000000000000000000000000000000000000000000000000000001'",
            b"\x80\0\0\0\0\0\0\x01",
        ),
        ("BIT(9)", "b'100000010'", b"\x01\x02"),
        ("DATE", "'0000-00-00'", b"0000-00-00"),
        ("DATETIME(6)", "'2019-00-10 23:59:59.999999'", b"2019-00-10 23:59:59.999999"),
        ("TIMESTAMP(6) NULL", "'2038-01-19 03:14:07.999999'", b"2038-01-19 03:14:07.999999"),
        ("TIME(6)", "'-838:59:59.000000'", b"-838:59:59.000000"),
        ("YEAR", "0", b"0000"),
        ("VARCHAR(9)", "'a\\0\u{1F3B0}'", "a\0\u{1F3B0}".as_bytes()),
        ("SET('x','y z')", "'y z,x'", b"x,y z"),
        (
            "POINT",
            "ST_GeomFromText('POINT(1 2)')",
            b"\0\0\0\0\x01\x01\0\0\0\0\0\0\0\0\0\xF0\x3F\0\0\0\0\0\0\0\x40",
        ),
    ];
    let columns: Vec<_> = values.iter().enumerate().map(|(at, (kind, ..))| format!("c{at} {kind}")).collect();
    database.run(&format!("CREATE TABLE t ({})", columns.join(", "))).await;
    let written: Vec<_> = values.iter().map(|(_, value, _)| *value).collect();
    database.run(&format!("INSERT INTO t VALUES ({})", written.join(", "))).await;
    database.run("INSERT INTO t () VALUES ()").await;
    let rows = database.rows("SELECT * FROM t").await;
    for ((kind, value, expected), found) in values.iter().zip(&rows[0]) {
        assert_eq!(found.as_deref(), Some(*expected), "{value} in {kind}");
    }
    assert!(rows[1].iter().all(Option::is_none));
}

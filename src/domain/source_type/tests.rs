use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> SourceType {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn members(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn what_information_schema_writes_is_read() {
    let int = |size, unsigned| SourceType::Integer { size, unsigned, boolean: false };
    let cases = [
        ("tinyint", int(IntegerSize::Tiny, false)),
        ("tinyint(1)", SourceType::Integer { size: IntegerSize::Tiny, unsigned: false, boolean: true }),
        ("tinyint(4)", int(IntegerSize::Tiny, false)),
        ("smallint(5) unsigned", int(IntegerSize::Small, true)),
        ("mediumint(8) unsigned zerofill", int(IntegerSize::Medium, true)),
        ("INT(11)", int(IntegerSize::Int, false)),
        ("bigint unsigned", int(IntegerSize::Big, true)),
        ("decimal(65,30)", SourceType::Decimal { precision: 65, scale: 30, unsigned: false }),
        ("decimal(10,2) unsigned", SourceType::Decimal { precision: 10, scale: 2, unsigned: true }),
        ("numeric", SourceType::Decimal { precision: 10, scale: 0, unsigned: false }),
        ("float(7,3)", SourceType::Float { unsigned: false }),
        ("double unsigned", SourceType::Double { unsigned: true }),
        ("DOUBLE PRECISION", SourceType::Double { unsigned: false }),
        ("bit(1)", SourceType::Bit { width: 1 }),
        ("bit(64)", SourceType::Bit { width: 64 }),
        ("date", SourceType::Date),
        ("datetime", SourceType::Datetime { digits: 0 }),
        ("datetime /* mariadb-5.3 */", SourceType::Datetime { digits: 0 }),
        ("timestamp(6)", SourceType::Timestamp { digits: 6 }),
        ("time(3)", SourceType::Time { digits: 3 }),
        ("year(4)", SourceType::Year),
        ("char(0)", SourceType::Char { letters: 0 }),
        ("varchar(100) /*M!100301 COMPRESSED*/", SourceType::Varchar { letters: 100 }),
        ("mediumtext", SourceType::Text(LobSize::Medium)),
        ("binary(16)", SourceType::Binary { bytes: 16 }),
        ("varbinary(65535)", SourceType::Varbinary { bytes: 65_535 }),
        ("longblob /*M!100301 COMPRESSED*/", SourceType::Blob(LobSize::Long)),
        ("json", SourceType::Json),
        ("point", SourceType::Geometry(GeometryKind::Point)),
        ("geomcollection", SourceType::Geometry(GeometryKind::Collection)),
        ("uuid", SourceType::Uuid),
        ("inet6", SourceType::Inet6),
        ("vector(3)", SourceType::Vector { dimensions: 3 }),
    ];
    for (text, expected) in cases {
        assert_eq!(parsed(text), expected, "{text}");
        assert_eq!(parsed(&expected.to_string()), expected, "{text} written as {expected}");
    }
    for name in NAMES {
        let told = name.parse::<SourceType>();
        assert!(told.as_ref().map_or_else(|error| error.unknown.is_none(), |_| true), "{told:?}");
    }
}

#[test]
fn members_may_hold_anything() {
    // As MariaDB 10.11 writes it.
    let text = r#"enum('a','b''c','d,e','back\\slash','','nl\n','é"q',') unsigned')"#;
    let expected =
        SourceType::Enum(members(&["a", "b'c", "d,e", "back\\slash", "", "nl\n", "é\"q", ") unsigned"]));
    assert_eq!(parsed(text), expected);
    assert_eq!(expected.to_string(), text);
    assert_eq!(parsed("SET( 'x' , 'y z' )"), SourceType::Set(members(&["x", "y z"])));
    // Members are told apart by case.
    assert_ne!(parsed("enum('A')"), parsed("enum('a')"));
}

#[test]
fn what_is_no_type_is_told() {
    for (text, problem) in [
        ("", "does not begin with a type's name"),
        ("(1)", "does not begin with a type's name"),
        ("timestmap(6)", "`timestmap` is no type of MySQL"),
        ("timestamp(7)", "timestamp(7) is out of range; expected 0 to 6"),
        ("bit(65)", "bit(65) is out of range; expected 1 to 64"),
        ("bit(0)", "bit(0) is out of range"),
        ("decimal(66,2)", "out of range"),
        ("decimal(5,6)", "out of range"),
        ("decimal(1,2,3)", "too many numbers"),
        ("varchar", "varchar has no length"),
        ("varchar(99999999999)", "`99999999999` is no number"),
        ("text(5)", "text has no length"),
        ("json unsigned", "json has no sign to leave out"),
        ("int nullable", "`nullable` is not understood behind int"),
        ("int;", "`;` is not understood behind int"),
        ("int(", "in parentheses is not understood"),
        ("enum", "enum has no members"),
        ("enum(1)", "enum has no members"),
        ("enum('a", "a quoted text has no end"),
        ("enum('a\\", "a quoted text has no end"),
        ("enum('a',1)", "do not end well"),
        ("enum('a' 'b')", "do not end well"),
        ("int('a')", "something strange"),
        ("char('a')", "char has no members"),
        ("int /* for ever", "a comment has no end"),
    ] {
        let error = text.parse::<SourceType>().unwrap_err();
        assert!(error.to_string().contains(problem), "{text}: {error}");
        assert!(error.expected.starts_with("expected "), "{text}: {error}");
    }
    assert_eq!("INTT".parse::<SourceType>().unwrap_err().unknown.as_deref(), Some("intt"));
}

fn any_type() -> impl Strategy<Value = SourceType> {
    let texts = || prop::collection::vec(any::<String>(), 1..5);
    let sizes =
        [IntegerSize::Tiny, IntegerSize::Small, IntegerSize::Medium, IntegerSize::Int, IntegerSize::Big];
    prop_oneof![
        (prop::sample::select(sizes.to_vec()), any::<bool>(), any::<bool>()).prop_map(
            |(size, unsigned, one)| {
                SourceType::Integer { size, unsigned, boolean: one && size == IntegerSize::Tiny }
            }
        ),
        (1u8..=65, 0u8..=30, any::<bool>()).prop_map(|(precision, scale, unsigned)| SourceType::Decimal {
            precision,
            scale: scale.min(precision),
            unsigned
        }),
        (1u8..=64).prop_map(|width| SourceType::Bit { width }),
        (0u8..=6).prop_map(|digits| SourceType::Timestamp { digits }),
        texts().prop_map(SourceType::Enum),
        texts().prop_map(SourceType::Set),
    ]
}

proptest! {
    #[test]
    fn written_and_read_again_it_is_the_same(kind in any_type()) {
        let text = kind.to_string();
        prop_assert_eq!(text.parse::<SourceType>(), Ok(kind.clone()), "{}", text);
    }

    #[test]
    fn no_text_is_too_strange(text in any::<String>(), tail in "[a-z(),'\\\\ */0-9]{0,20}") {
        for text in [text.clone(), format!("enum({tail}"), format!("int{tail}"), tail.clone()] {
            if let Ok(kind) = text.parse::<SourceType>() {
                prop_assert_eq!(kind.to_string().parse::<SourceType>(), Ok(kind));
            }
        }
    }
}

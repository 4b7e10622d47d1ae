use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::change::{Changes, ColumnChange, TableState};
use super::file::MappingFile;
use super::mapping::{named, update};
use super::report::report;
use super::selection::Selection;
use crate::config::{load, table_errors};
use crate::source::{SourceColumn, SourceTable};

fn table(name: &str, columns: &[(&str, &str)], key: &[&str]) -> SourceTable {
    let (schema, name) = name.split_once('.').unwrap();
    SourceTable {
        schema: schema.to_owned(),
        name: name.to_owned(),
        columns: columns
            .iter()
            .map(|(name, kind)| SourceColumn { name: (*name).to_owned(), kind: (*kind).to_owned() })
            .collect(),
        key: key.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn updated(text: &str, tables: &[SourceTable]) -> (String, Changes) {
    let (fresh, changes) = update(text, None, tables, |_| true).unwrap_or_else(|told| panic!("{told}"));
    // The product reads what was written, and nothing is left to write.
    let errors = table_errors("mapping.toml".as_ref(), &fresh);
    assert!(errors.is_empty(), "{errors:?}\n{fresh}");
    let (again, none) = update(&fresh, None, tables, |_| true).unwrap();
    assert_eq!(again, fresh);
    assert!(!none.any_written(), "{none:?}");
    assert_eq!(changes.any_written(), fresh != text, "{fresh}");
    (fresh, changes)
}

const HEAD: &str = "cluster = \"a\"\nsource = \"in\"\ndataset = \"d\"\n";

#[test]
fn a_new_table_is_written_with_key_and_types() {
    let users =
        table("casino.users", &[("id", "bigint(20) unsigned"), ("Odd name", "enum('a','b''c')")], &["id"]);
    let (text, changes) = updated(HEAD, &[users]);
    let expected = "\n[[table]]\nname = \"casino.users\"\nkey = [\"id\"]\n\n[table.columns]\n\
                    id = { type = \"bigint unsigned\" }\n\"Odd name\" = { type = \"enum('a','b''c')\" }\n";
    assert_eq!(text, format!("{HEAD}{expected}"));
    assert_eq!(
        report(&changes, "m.toml", true),
        "casino.users (new)\n  + key (id)\n  + id        bigint unsigned\n  + Odd name  enum('a','b''c')\n\
         1 table described: 1 new, 0 changed; m.toml is written\n"
    );
}

#[test]
fn what_people_wrote_stays() {
    let text = format!(
        "# Ours.\n{HEAD}\n[dms] # names\ntimestamp = \"ts\"\n\n# The users.\n[[table]]\nkey = [\"login\"]   # not the primary \
         key\nname = \"casino.users\" # here\nwindow = \"5m\"\n\n[table.columns]\n# Born in UTC.\nborn = {{ type=\
         \"datetime\"   }} # since 2019\nID = {{ type = \"INT(11)\" }}\nold = {{ type = \"json\" }}\n\n# More.\n[[table]]\n\
         name = \"casino.bets\"\nkey = [\"id\"]\n# the end\n"
    );
    let source = [
        table("casino.bets", &[("id", "int(10) unsigned")], &["id"]),
        table(
            "casino.users",
            &[("id", "int"), ("born", "timestamp(6)"), ("shape", "circle"), ("flags", "bit(8)")],
            &["id"],
        ),
    ];
    let (fresh, changes) = updated(&text, &source);
    let expected = text
        .replace("{ type=\"datetime\"   }", "{ type=\"timestamp(6)\"   }")
        .replace("old = { type = \"json\" }\n", "old = { type = \"json\" }\nflags = { type = \"bit(8)\" }\n")
        .replace(
            "key = [\"id\"]\n# the end\n",
            "key = [\"id\"]\n\n[table.columns]\nid = { type = \"int unsigned\" }\n# the end\n",
        );
    assert_eq!(fresh, expected);
    assert_eq!(
        report(&changes, "m.toml", false),
        "casino.users\n  ! its `key` is (login), and its primary key (id): left as it is\n  \
         ~ born   datetime → timestamp(6)\n  ! shape  circle is no type that landbridge knows; not written\n  \
         + flags  bit(8)\n  - old    gone from the source; it stays, older files may have it\n\
         casino.bets\n  + id  int unsigned\n\
         2 tables described: 0 new, 2 changed; nothing was written to m.toml\n"
    );
}

#[test]
fn an_instant_that_is_none_is_left_to_a_person() {
    let text = format!("{HEAD}[[table]]\nname = \"s.t\"\nkey = [\"id\"]\ninstants = [\"at\", \"Born\"]\n");
    let source = table("s.t", &[("at", "datetime"), ("born", "timestamp")], &["id"]);
    let (fresh, changes) = updated(&text, &[source]);
    assert_eq!(fresh, format!("{text}\n[table.columns]\nborn = {{ type = \"timestamp\" }}\n"));
    assert!(changes.any_contradicted());
    assert_eq!(changes.tables[0].columns[0].1, ColumnChange::NoInstant("datetime".to_owned()));
    assert!(report(&changes, "m", true).contains("the source says datetime: take it out of `instants`"));
}

#[test]
fn tables_that_cannot_keep_their_names_get_others() {
    let key: &[&str] = &["id"];
    let source: Vec<_> = ["a.odd name", "a.odd.name", "a.Users", "b.users", "b.b_users", "b.표", "b.\"x\\"]
        .map(|name| table(name, &[("id", "int")], key))
        .into_iter()
        .chain([SourceTable { schema: "x.y".to_owned(), ..table("x.t", &[], key) }])
        .collect();
    let (text, changes) = updated(HEAD, &source);
    let config = folder_with(&text);
    let config = load(&config.path().join("landbridge.toml"), []).unwrap();
    let targets: Vec<_> = config.mappings[0]
        .route
        .tables
        .iter()
        .map(|route| format!("{}.{} {}", route.table.schema, route.table.table, route.destination.table))
        .collect();
    assert_eq!(
        targets,
        [
            "a.odd name odd_name",
            "a.odd.name a_odd_name",
            "a.Users Users",
            "b.users b_users",
            "b.b_users b_b_users",
            "b.표 _",
            "b.\"x\\ _x_"
        ]
    );
    assert_eq!(changes.tables.last().unwrap().state, TableState::Skipped);
}

/// A folder with `landbridge.toml`, the mapping file `tables/a.toml` and the source `tables/in`.
fn folder_with(mapping: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("tables/in")).unwrap();
    fs::write(folder.path().join("tables/a.toml"), mapping).unwrap();
    fs::write(folder.path().join("landbridge.toml"), "tables = \"tables/*.toml\" # ours\n").unwrap();
    folder
}

#[test]
fn every_way_of_writing_a_mapping_is_kept() {
    let source =
        [table("s.t", &[("a", "int"), ("b", "json")], &["a"]), table("s.u", &[("c", "date")], &["c"])];
    for text in [
        format!(
            "{HEAD}table = [{{ name = \"s.t\", key = [\"a\"], columns = {{ a = {{ type = \"int\" }} }} }}]\n"
        ),
        format!("{HEAD}table = [{{ name = \"s.t\" }}]\n"),
        format!("{HEAD}[[table]]\nname = \"s.t\"\ncolumns = {{ a.type = \"int\" }}\n"),
        format!("{HEAD}[[table]]\nname = \"s.t\"\ncolumns.a = {{}}\n"),
        format!(
            "{HEAD}[[table]]\nname = \"s.t\"\n[table.columns.a]\ntype = \"text\" # ?\n[[table]]\nname = \"s.v\"\n"
        ),
        format!(
            "x = 1\n[[mapping]]\n{HEAD}[[mapping.table]]\nname = \"s.t\"\n[mapping.dms]\nop = \"Op\"\n[limits]\nfetchers = 2\n"
        ),
        format!("mapping = [{{ {} }}]\n", HEAD.trim().replace('\n', ", ")),
    ] {
        let (fresh, changes) = updated(&text, &source);
        assert!(fresh.contains("json") && fresh.contains("date"), "{fresh}");
        let names: Vec<_> = changes.tables.iter().map(|table| table.name.as_str()).collect();
        assert!(names.contains(&"s.t") && names.contains(&"s.u"), "{names:?}");
        assert_eq!(named(&fresh, None).unwrap().iter().filter(|name| *name == "s.t").count(), 1);
    }
    let told = update("x = [", None, &source, |_| true).unwrap_err();
    assert!(told.contains("it is no TOML") && told.contains("line 1"), "{told}");
    let told = update(&format!("{HEAD}[[table]]\nname = \"s.t\"\ncolumns = 1\n"), None, &source, |_| true);
    assert!(told.unwrap_err().contains("`columns` of s.t is no table"));
}

#[test]
fn the_mapping_of_a_cluster_is_found_among_several() {
    let folder = folder_with(&format!("{HEAD}[[table]]\nname = \"s.t\"\n"));
    let main = folder.path().join("landbridge.toml");
    let found = MappingFile::find(&main, None).unwrap();
    assert_eq!((found.path.file_name().unwrap(), found.cluster.as_deref()), ("a.toml".as_ref(), Some("a")));
    let text = "tables = \"tables/*.toml\"\n[[mapping]]\ncluster = \"b\"\n[[mapping]]\ncluster = \"c\"\n";
    fs::write(&main, text).unwrap();
    assert!(
        MappingFile::find(&main, None)
            .unwrap_err()
            .contains("maps a, b, c\n    name one of them with --cluster")
    );
    assert!(MappingFile::find(&main, Some("cc")).unwrap_err().contains("did you mean `c`?"));
    let found = MappingFile::find(&main, Some("c")).unwrap();
    assert_eq!((found.path.as_path(), found.text.as_str()), (main.as_path(), text));
    let (fresh, _) = update(text, Some("c"), &[table("s.t", &[("a", "int")], &[])], |_| true).unwrap();
    assert_eq!(
        fresh,
        format!(
            "{text}\n[[mapping.table]]\nname = \"s.t\"\n\n[mapping.table.columns]\na = {{ type = \"int\" }}\n"
        )
    );
    assert!(update(text, None, &[], |_| true).unwrap_err().contains("the file maps b, c"));
}

#[test]
fn a_file_is_replaced_as_a_whole_and_only_as_it_was_read() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = folder_with(HEAD);
    let (path, link) = (folder.path().join("tables/a.toml"), folder.path().join("link.toml"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&path, &link).unwrap();
    let mapping = MappingFile::open(&link, None).unwrap();
    mapping.write("x = 1\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "x = 1\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(mapping.write("x = 2\n").unwrap_err().contains("was changed meanwhile: nothing was written"));
    let new = MappingFile::open(&folder.path().join("game-b.toml"), None).unwrap();
    assert!(
        new.is_new
            && new.text.contains("cluster = \"game-b\"\n")
            && new.text.contains("dataset = \"game_b\"\n")
    );
    // What is to be filled in is refused until it is.
    fs::write(folder.path().join("tables/a.toml"), &new.text).unwrap();
    let told = load(&folder.path().join("landbridge.toml"), []).unwrap_err().to_string();
    assert!(told.contains("\"BUCKET\" cannot be the name of a bucket"), "{told}");
    new.write(&new.text).unwrap();
    assert!(new.write(&new.text).unwrap_err().contains("was changed meanwhile"));
    let left = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(left.count(), 0);
}

#[test]
fn tables_are_chosen_by_patterns_by_the_mapping_or_by_the_database() {
    let takes = |patterns: &[&str], database: Option<&str>, mapped: &[&str]| {
        let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let mapped = mapped.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let selection = Selection::new(&patterns, database, mapped)?;
        let all = [("a", "bets"), ("a", "bet_history"), ("b", "bets"), ("a", "awsdms_status")];
        Ok(all.map(|(schema, name)| selection.takes(schema, name)))
    };
    assert_eq!(takes(&["a.bet*"], None, &["b.bets"]), Ok([true, true, false, false]));
    assert_eq!(takes(&["bets", "b.?ets"], Some("a"), &[]), Ok([true, false, true, false]));
    assert_eq!(takes(&[], Some("a"), &["b.bets"]), Ok([false, false, true, false]));
    assert_eq!(takes(&[], Some("a"), &[]), Ok([true, true, false, false]));
    let told: Result<_, String> = takes(&[], None, &[]);
    assert!(told.unwrap_err().contains("`--table 'casino.*'`"));
    assert!(takes(&["bets"], None, &[]).unwrap_err().contains("\"bets\" names no database"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn odd_names_and_members_survive(
        names in prop::collection::btree_set("[^\\x00]{1,8}", 1..6),
        members in prop::collection::vec(any::<String>(), 1..4),
    ) {
        // No two names of MySQL differ in case alone.
        let mut folded = BTreeSet::new();
        let names: Vec<_> = names.into_iter().filter(|name| folded.insert(name.to_lowercase())).collect();
        let kind = crate::domain::source_type::SourceType::Enum(members).to_string();
        let columns: Vec<_> = names.iter().map(|name| (name.as_str(), kind.as_str())).collect();
        let (text, _) = updated(HEAD, &[table("s.t", &columns, &[names[0].as_str()])]);
        let folder = folder_with(&text);
        let config = load(&folder.path().join("landbridge.toml"), []).unwrap();
        let settings = &config.mappings[0].tables[0];
        prop_assert_eq!(&settings.key, &names[..1]);
        let found: Vec<_> = settings.types().map(|(name, kind)| (name.to_owned(), kind.to_string())).collect();
        let mut expected: Vec<_> = names.iter().map(|name| (name.clone(), kind.clone())).collect();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}

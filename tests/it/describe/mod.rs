//! `landbridge describe` against a real MariaDB server.

mod access;
mod every_type;

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::{landbridge, output};
use crate::support::mariadb::{Database, MariaDb};

/// A configuration with one mapping file, which names no table yet.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("tables/in")).unwrap();
        let place = Self(folder);
        fs::write(place.config(), "tables = \"tables/*.toml\"\n").unwrap();
        fs::write(
            place.mapping(),
            "# Ours.\ncluster = \"game-a\"\nsource = \"in\"\ndataset = \"game_a\"\n\n[dms]\ntimestamp = \"ts\" # theirs\n",
        )
        .unwrap();
        place
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("landbridge.toml")
    }

    fn mapping(&self) -> PathBuf {
        self.0.path().join("tables/game-a.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.mapping()).unwrap()
    }
}

/// Runs it as the user who may do everything; the exit code, and what it said.
fn describe(place: &Path, database: &Database<'_>, more: &[&str]) -> (i32, String) {
    let server = database.server;
    let mut command = landbridge();
    command.args([
        "describe",
        "--source",
        &database.address(&server.user, ""),
        "--password-env",
        "PW",
        "--config",
    ]);
    let (output, text) = output(command.arg(place).args(more).env("PW", &server.password));
    assert!(!text.contains(&server.password), "{text}");
    (output.status.code().unwrap(), text)
}

/// Two tables that are worth it, and two that are not; and the mapping that is written of them, behind what was there.
async fn casino() -> (Database<'static>, Place, String) {
    let mut database = MariaDb::get().database("follow").await;
    database
        .run("CREATE TABLE bets (id BIGINT UNSIGNED PRIMARY KEY, placed TIMESTAMP(6) NULL, note TEXT)")
        .await;
    database.run("CREATE TABLE users (region INT, id INT, born DATETIME, PRIMARY KEY (id, region))").await;
    database.run("CREATE TABLE awsdms_status (id INT)").await;
    database.run("CREATE VIEW seen AS SELECT id FROM bets").await;
    let place = Place::new();
    let before = place.text();
    let name = &database.name;
    let expected = format!(
        "{before}\n[[table]]\nname = \"{name}.bets\"\nkey = [\"id\"]\n\n[table.columns]\nid = {{ type = \"bigint unsigned\" \
         }}\nplaced = {{ type = \"timestamp(6)\" }}\nnote = {{ type = \"text\" }}\n\n[[table]]\nname = \
         \"{name}.users\"\nkey = [\"id\", \"region\"]\n\n[table.columns]\nregion = {{ type = \"int\" }}\nid = {{ type = \
         \"int\" }}\nborn = {{ type = \"datetime\" }}\n"
    );
    (database, place, expected)
}

#[tokio::test]
async fn tables_keys_and_types_are_written_once() {
    let (database, place, expected) = casino().await;
    let before = place.text();
    let (code, text) = describe(&place.config(), &database, &["--check"]);
    assert!(
        code == 1 && text.contains("2 tables described: 2 new, 0 changed; nothing was written"),
        "{text}"
    );
    assert_eq!(place.text(), before);
    let (code, text) = describe(&place.config(), &database, &[]);
    assert!(code == 0 && text.contains("  + placed  timestamp(6)\n"), "{text}");
    assert_eq!(place.text(), expected);
    for more in [&[][..], &["--check"]] {
        let (code, text) = describe(&place.config(), &database, more);
        assert!(code == 0 && text.contains("2 tables described: 0 new, 0 changed; "), "{text}");
        assert_eq!(place.text(), expected);
    }
}

#[tokio::test]
async fn a_mapping_follows_its_source_and_people_keep_their_words() {
    let (mut database, place, expected) = casino().await;
    let name = &database.name.clone();
    // People have written into it, and the source has changed.
    let theirs = expected.replace("note = {", "# What the dealer said.\nnote = {").replace(
        &format!("name = \"{name}.users\"\n"),
        &format!("name = \"{name}.users\" # us\nwindow = \"5m\"\n"),
    );
    fs::write(place.mapping(), &theirs).unwrap();
    database.run("ALTER TABLE bets MODIFY note MEDIUMTEXT, ADD flags BIT(8), DROP placed").await;
    database.run("CREATE TABLE fresh (id INT)").await;
    let (code, text) = describe(&place.config(), &database, &[]);
    assert_eq!(code, 0, "{text}");
    for line in [
        &format!("{name}.bets\n"),
        "  ~ note    text → mediumtext\n",
        "  + flags   bit(8)\n",
        "  - placed  gone from the source; it stays, older files may have it\n",
        // Tables that the mapping does not name are taken in only when they are meant.
        "2 tables described: 0 new, 1 changed; ",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let followed = theirs.replace(
        "note = { type = \"text\" }\n",
        "note = { type = \"mediumtext\" }\nflags = { type = \"bit(8)\" }\n",
    );
    assert_eq!(place.text(), followed);

    // New tables by a pattern; one that is gone is told, and its entry stays.
    database.run("DROP TABLE users").await;
    let (code, text) =
        describe(&place.config(), &database, &["--table", &format!("{name}.*s"), "--table", "f?esh"]);
    assert!(code == 0 && text.contains(&format!("{name}.fresh (new)\n  ! has no primary key")), "{text}");
    assert!(
        text.contains(&format!("{name}.users is not at the source, or not shown to this user")),
        "{text}"
    );
    assert!(place.text().starts_with(followed.trim_end()));

    // The product takes what was written.
    let (good, text) = output(landbridge().args(["check", "--config"]).arg(place.config()));
    assert!(good.status.success() && text.contains("1 cluster, 3 tables"), "{text}");
    // Someone says that a wall clock is an instant.
    let wrong = place.text().replace("window = \"5m\"\n", "window = \"5m\"\ninstants = [\"born\"]\n");
    fs::write(place.mapping(), wrong).unwrap();
    let (bad, text) = output(landbridge().args(["check", "--config"]).arg(place.config()));
    assert!(
        !bad.status.success() && text.contains("\"born\" is named as an instant, and its `type` is datetime"),
        "{text}"
    );
}

#[tokio::test]
async fn a_new_mapping_file_is_made_and_asks_to_be_filled_in() {
    let mut database = MariaDb::get().database("fresh").await;
    database.run("CREATE TABLE bets (id INT PRIMARY KEY)").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("game-b.toml");
    let server = database.server;
    let file = folder.path().join("password");
    fs::write(&file, format!("{}\n", server.password)).unwrap();
    let mut command = landbridge();
    command
        .args(["describe", "--source", &database.address(&server.user, "?ssl=off"), "--mapping"])
        .arg(&path);
    let (made, text) = output(command.arg("--password-file").arg(file));
    assert!(made.status.success() && text.contains("fill in what is in capitals"), "{text}");
    let written = fs::read_to_string(&path).unwrap();
    assert!(
        written.contains("cluster = \"game-b\"\n") && written.contains("id = { type = \"int\" }"),
        "{written}"
    );
    fs::write(folder.path().join("landbridge.toml"), "tables = \"game-b.toml\"\n").unwrap();
    let check =
        || output(landbridge().args(["check", "--config"]).arg(folder.path().join("landbridge.toml")));
    assert!(check().1.contains("\"BUCKET\" cannot be the name of a bucket"), "{}", check().1);
    let filled = written
        .replace("s3://BUCKET/FOLDER/", ".")
        .replace("queue = \"https://sqs.REGION.amazonaws.com/ACCOUNT/QUEUE\"\n", "");
    fs::write(&path, filled).unwrap();
    // A source that landbridge writes into is refused for another reason, and its tables for none.
    assert!(!check().1.contains("table"), "{}", check().1);
}

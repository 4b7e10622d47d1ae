//! Who may read, how the connection is made, and what is said when it is not.

use super::Place;
use crate::cli::{landbridge, output};
use crate::support::mariadb::{Database, MariaDb};

const SECRET: &str = "hunter2 it's";

/// A user of the database who may only read it.
async fn reader(database: &mut Database<'_>, user: &str, requires: &str) {
    let name = database.name.clone();
    let password = SECRET.replace('\'', "''");
    database.run(&format!("CREATE OR REPLACE USER '{user}'@'%' IDENTIFIED BY '{password}' {requires}")).await;
    database.run(&format!("GRANT SELECT ON `{name}`.* TO '{user}'@'%'")).await;
}

/// The exit code, and what is said to a reader with this password. The password is in none of it.
fn told(place: &Place, address: &str, password: Option<&str>, more: &[&str]) -> (i32, String) {
    let mut command = landbridge();
    command.args(["describe", "--check", "--source", address, "--config"]).arg(place.config()).args(more);
    if let Some(password) = password {
        command.args(["--password-env", "PW"]).env("PW", password);
    }
    let (output, text) = output(&mut command);
    assert!(!text.contains("hunter2"), "{text}");
    (output.status.code().unwrap(), text)
}

#[tokio::test]
async fn who_may_select_is_shown_everything() {
    let mut database = MariaDb::get().database("seen").await;
    database.run("CREATE TABLE t (id INT PRIMARY KEY, j JSON)").await;
    reader(&mut database, "seer", "").await;
    let (place, address) = (Place::new(), database.address("seer", ""));
    let (code, text) = told(&place, &address, Some(SECRET), &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("  + key (id)\n  + id  int\n  + j   json\n"), "{text}");
    // Neither are other databases, nor is anything of the server's own.
    let (code, text) =
        told(&place, &address, Some(SECRET), &["--table", "mysql.*", "--table", "information_schema.*"]);
    assert!(code == 2 && text.contains("no such table, or does not show it"), "{text}");
}

#[tokio::test]
async fn the_password_is_never_said_and_never_taken_from_the_address() {
    let mut database = MariaDb::get().database("secret").await;
    reader(&mut database, "keeper", "").await;
    let (place, address) = (Place::new(), database.address("keeper", ""));
    for password in [None, Some("hunter2 no")] {
        let (code, text) = told(&place, &address, password, &[]);
        assert!(code == 2 && text.contains("Access denied") && text.contains("--password-env"), "{text}");
    }
    let (code, text) = told(&place, &address.replace("keeper", "keeper:hunter2"), None, &[]);
    assert!(code == 2 && text.contains("the address holds a password"), "{text}");
    let (code, text) = told(&place, &address, None, &["--password-env", "hunter2"]);
    assert!(code == 2 && text.contains("no variable of that name"), "{text}");
    let (code, text) = told(&place, &address, None, &["--password-file", "/nowhere/at-all"]);
    assert!(code == 2 && text.contains("cannot read /nowhere/at-all"), "{text}");
}

#[tokio::test]
async fn the_connection_is_encrypted_where_the_server_can() {
    let mut database = MariaDb::get().database("tls").await;
    database.run("CREATE TABLE t (id INT PRIMARY KEY)").await;
    reader(&mut database, "whisperer", "REQUIRE SSL").await;
    let place = Place::new();
    let ca = database.server.ca.clone().unwrap();
    let verified = ["--ca", ca.to_str().unwrap()];
    let cases: [(&str, &[&str], i32, &str); 6] = [
        ("", &[], 1, "1 new"),
        ("?ssl=preferred", &[], 1, "1 new"),
        ("?ssl=required", &[], 1, "1 new"),
        ("?ssl=verified", &verified, 1, "1 new"),
        // Its authority is nobody's that is known.
        ("?ssl=verified", &[], 2, "UnknownIssuer"),
        ("?ssl=off", &[], 2, "Access denied"),
    ];
    for (query, more, expected, part) in cases {
        let (code, text) = told(&place, &database.address("whisperer", query), Some(SECRET), more);
        assert!(code == expected && text.contains(part), "{query} {more:?}: {text}");
        assert!(!text.contains("not encrypted"), "{query}: {text}");
    }
    // The certificate is good for 127.0.0.1, and for no name.
    let named = database.address("whisperer", "?ssl=verified").replace("127.0.0.1", "localhost");
    let (code, text) = told(&place, &named, Some(SECRET), &verified);
    assert!(
        code == 2
            && text.contains("certificate not valid for name \"localhost\"")
            && text.matches("peer certificate").count() == 1,
        "{text}"
    );
    let (code, text) = told(&place, &database.address("whisperer", ""), Some(SECRET), &verified);
    assert!(
        code == 2 && text.contains("--ca checks the server's certificate only with `?ssl=verified`"),
        "{text}"
    );
}

#[tokio::test]
async fn without_tls_it_is_said_or_refused() {
    let server = MariaDb::without_tls();
    let mut database = server.database("clear").await;
    database.run("CREATE TABLE t (id INT PRIMARY KEY)").await;
    reader(&mut database, "shouter", "").await;
    let place = Place::new();
    let (code, text) = told(&place, &database.address("shouter", ""), Some(SECRET), &[]);
    assert!(
        code == 1 && text.contains("note: the server offers no TLS: the connection is not encrypted"),
        "{text}"
    );
    let (code, text) = told(&place, &database.address("shouter", "?ssl=off"), Some(SECRET), &[]);
    assert!(code == 1 && !text.contains("note:"), "{text}");
    for query in ["?ssl=required", "?ssl=verified"] {
        let (code, text) = told(&place, &database.address("shouter", query), Some(SECRET), &[]);
        assert!(code == 2 && text.contains("the server offers no TLS"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_never_greets_is_told() {
    let place = Place::new();
    // Nobody listens, and somebody who never says a word.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = |socket: std::net::SocketAddr| format!("mysql://u@{socket}/d");
    let (code, text) = told(&place, &address(closed), None, &[]);
    assert!(code == 2 && text.contains(&format!("cannot read from the database at {closed}")), "{text}");
    let (code, text) = told(&place, &address(silent.local_addr().unwrap()), None, &[]);
    assert!(code == 2 && text.contains("no answer within 10s"), "{text}");
}

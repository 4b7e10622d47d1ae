//! A real MariaDB server, started once for all tests, and databases of one test's own in it.
//!
//! `tests/emulators/mariadb.py` finds or unpacks the server, and stops it when this process is gone.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value};

static DATABASES: AtomicU64 = AtomicU64::new(0);

/// The server's address, and a user of it who may do everything.
#[derive(Debug)]
pub struct MariaDb {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    /// The authority of its certificate; none when it was started without TLS.
    pub ca: Option<PathBuf>,
    /// It ends when its standard input does.
    _process: Child,
}

impl MariaDb {
    /// Starts it, unless that was done.
    pub fn get() -> &'static Self {
        static SERVER: OnceLock<MariaDb> = OnceLock::new();
        SERVER.get_or_init(|| Self::start(&[]))
    }

    /// One more, of this test alone.
    pub fn without_tls() -> Self {
        Self::start(&["--without-tls"])
    }

    fn start(arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulators/mariadb.py");
        let mut process = Command::new("python3")
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("MariaDB's server is started by python3");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let place: serde_json::Value = serde_json::from_str(&line).expect("MariaDB did not start; see above");
        let text = |name: &str| place[name].as_str().map(str::to_owned);
        Self {
            host: text("host").unwrap(),
            port: place["port"].as_u64().unwrap().try_into().unwrap(),
            user: text("user").unwrap(),
            password: text("password").unwrap(),
            ca: text("ca").map(PathBuf::from),
            _process: process,
        }
    }

    /// A connection without a current database. The session is in UTC and takes zero dates and whatever else MySQL may hold.
    pub async fn connect(&self) -> Conn {
        let opts = OptsBuilder::default()
            .ip_or_hostname(&self.host)
            .tcp_port(self.port)
            .user(Some(&self.user))
            .pass(Some(&self.password))
            .prefer_socket(false)
            .setup(vec!["SET SESSION sql_mode = '', time_zone = '+00:00'"]);
        Box::pin(Conn::new(opts)).await.unwrap()
    }

    /// An empty database of this test's own; its name begins with `name`.
    pub async fn database(&self, name: &str) -> Database<'_> {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}_{number}");
        let mut connection = self.connect().await;
        connection.query_drop(format!("CREATE DATABASE `{name}`")).await.unwrap();
        connection.query_drop(format!("USE `{name}`")).await.unwrap();
        Database { server: self, name, connection }
    }
}

/// A database, and a connection that is in it.
pub struct Database<'a> {
    pub server: &'a MariaDb,
    pub name: String,
    pub connection: Conn,
}

impl Database<'_> {
    /// Runs a statement.
    pub async fn run(&mut self, sql: &str) {
        self.connection.query_drop(sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// The rows of a query, each value as the server's own text of it; of a BIT its bytes.
    pub async fn rows(&mut self, sql: &str) -> Vec<Vec<Option<Vec<u8>>>> {
        let rows: Vec<Row> =
            self.connection.query(sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
        let value = |value: Value| match value {
            Value::NULL => None,
            Value::Bytes(bytes) => Some(bytes),
            // The text protocol has no others.
            other @ (Value::Int(_)
            | Value::UInt(_)
            | Value::Float(_)
            | Value::Double(_)
            | Value::Date(..)
            | Value::Time(..)) => panic!("{other:?}"),
        };
        rows.into_iter().map(|row| row.unwrap().into_iter().map(value).collect()).collect()
    }

    /// What `landbridge describe --source` takes; `query` as `?ssl=off`.
    pub fn address(&self, user: &str, query: &str) -> String {
        format!("mysql://{user}@{}:{}/{}{query}", self.server.host, self.server.port, self.name)
    }
}

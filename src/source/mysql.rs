//! information_schema of MySQL, Aurora MySQL and MariaDB.
//!
//! A user with SELECT on the tables sees all that is asked for here (tried with MariaDB 10.11). Everything is bounded: the
//! time of a connection and of each query, and what is taken from either.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder, Params, Row, SslOpts};

use super::address::{Address, Tls};
use super::{SourceColumn, SourceTable};
use crate::config::secret::Secret;
use crate::domain::fault::{Fault, FaultKind};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const QUERY_TIMEOUT: Duration = Duration::from_secs(60);
/// Tables that are described at one time.
pub const TABLES_MAX: usize = 10_000;
/// Rows that one query may bring: names of tables, or the columns of one database.
const ROWS_MAX: usize = 1_000_000;

const TABLES: &str = "\
SELECT TABLE_SCHEMA, TABLE_NAME, '' FROM information_schema.TABLES
WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')
AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')
ORDER BY TABLE_SCHEMA, TABLE_NAME";
const COLUMNS: &str = "\
SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, ORDINAL_POSITION";
/// STATISTICS is shown to whoever may SELECT; KEY_COLUMN_USAGE is not, in some versions.
const KEYS: &str = "\
SELECT TABLE_NAME, COLUMN_NAME, '' FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = ? AND INDEX_NAME = 'PRIMARY' ORDER BY TABLE_NAME, SEQ_IN_INDEX";
/// MariaDB alone has the table's name here, and needs it: its JSON is LONGTEXT with such a check.
const CHECKS: &str = "\
SELECT TABLE_NAME, CHECK_CLAUSE, '' FROM information_schema.CHECK_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = ? AND CHECK_CLAUSE LIKE 'json_valid(%'";
/// The error of a server without such a table: MariaDB before 10.2.22.
const UNKNOWN_TABLE: u16 = 1109;
/// Access denied: to the database, to the user, to a command, to whoever has no password here.
const DENIED: [u16; 4] = [1044, 1045, 1142, 1698];

/// A connection.
#[derive(Debug)]
pub struct Database {
    connection: Conn,
    name: String,
    is_mariadb: bool,
    /// Nobody on the way can read what is said.
    pub is_encrypted: bool,
}

impl Database {
    /// Connects. `ca` is a file of certificates that alone are trusted.
    pub async fn connect(
        address: &Address,
        password: Option<&Secret>,
        ca: Option<&Path>,
    ) -> Result<Self, Fault> {
        let name = format!("the database at {}:{}", address.host, address.port);
        let opts = |encrypted: bool| options(address, password, ca, encrypted);
        let wanted = address.tls != Tls::Off;
        let mut is_encrypted = wanted;
        let mut connection = connection(opts(wanted)).await;
        if let (Err(Failure::NoTls), Tls::Preferred) = (&connection, address.tls) {
            is_encrypted = false;
            connection = self::connection(opts(false)).await;
        }
        let connection = connection.map_err(|failure| failure.told(&name))?;
        let mut database = Self { connection, name, is_mariadb: false, is_encrypted };
        // Names are quoted in one way only, whatever the server's own mode is.
        database.run("SET SESSION sql_mode = ''").await?;
        let version = database.rows("SELECT VERSION(), '', ''", Params::Empty, |_| true).await?;
        database.is_mariadb = version.first().is_some_and(|[version, ..]| version.contains("MariaDB"));
        Ok(database)
    }

    /// All tables that this user is shown and `chosen` takes, as database and name.
    pub async fn tables(
        &mut self,
        chosen: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<(String, String)>, Fault> {
        let rows = self.rows(TABLES, Params::Empty, |[schema, table, _]| chosen(schema, table)).await?;
        if rows.len() > TABLES_MAX {
            let text = format!(
                "{} tables are more than the {TABLES_MAX} that are described at one time",
                rows.len()
            );
            return Err(Fault::new(FaultKind::Unavailable, text));
        }
        Ok(rows.into_iter().map(|[schema, table, _]| (schema, table)).collect())
    }

    /// Describes tables that `tables` found; those that have gone since are left out.
    pub async fn describe(&mut self, tables: &[(String, String)]) -> Result<Vec<SourceTable>, Fault> {
        let mut schemas: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (schema, table) in tables {
            schemas.entry(schema).or_default().insert(table);
        }
        let mut found = Vec::new();
        for (schema, names) in schemas {
            found.extend(self.schema(schema, &names).await?);
        }
        Ok(found)
    }

    async fn schema(&mut self, schema: &str, names: &BTreeSet<&str>) -> Result<Vec<SourceTable>, Fault> {
        let of = || Params::Positional(vec![schema.into()]);
        let chosen = |[table, ..]: &[String; 3]| names.contains(table.as_str());
        let json: BTreeSet<(String, String)> = if self.is_mariadb {
            let checks = self.rows(CHECKS, of(), chosen).await?;
            checks
                .into_iter()
                .filter_map(|[table, clause, _]| Some((table, checked_column(&clause)?)))
                .collect()
        } else {
            BTreeSet::new()
        };
        let mut tables: BTreeMap<String, SourceTable> = BTreeMap::new();
        for [table, column, kind] in self.rows(COLUMNS, of(), chosen).await? {
            let place = (table, column);
            let is_json = kind.eq_ignore_ascii_case("longtext") && json.contains(&place);
            let (table, name) = place;
            let described = tables.entry(table.clone()).or_insert_with(|| SourceTable {
                schema: schema.to_owned(),
                name: table,
                columns: Vec::new(),
                key: Vec::new(),
            });
            described
                .columns
                .push(SourceColumn { name, kind: if is_json { "json".to_owned() } else { kind } });
        }
        for [table, column, _] in self.rows(KEYS, of(), chosen).await? {
            if let Some(table) = tables.get_mut(&table) {
                table.key.push(column);
            }
        }
        Ok(tables.into_values().collect())
    }

    async fn run(&mut self, sql: &str) -> Result<(), Fault> {
        let asked = self.connection.query_drop(sql);
        within(QUERY_TIMEOUT, Box::pin(asked)).await.map_err(|failure| failure.told(&self.name))
    }

    /// The rows of a query that `wanted` takes, each of three texts.
    async fn rows(
        &mut self,
        sql: &str,
        parameters: Params,
        wanted: impl Fn(&[String; 3]) -> bool,
    ) -> Result<Vec<[String; 3]>, Fault> {
        let asked = async {
            let (mut rows, mut count) = (Vec::new(), 0_usize);
            let mut answer = self.connection.exec_iter(sql, parameters).await?;
            while let Some(mut row) = answer.next().await? {
                count += 1;
                if count > ROWS_MAX {
                    return Err(Failure::TooMany);
                }
                let row = [text(&mut row, 0)?, text(&mut row, 1)?, text(&mut row, 2)?];
                if wanted(&row) {
                    rows.push(row);
                }
            }
            Ok(rows)
        };
        match within(QUERY_TIMEOUT, Box::pin(asked)).await {
            Err(Failure::Client(Error::Server(error))) if error.code == UNKNOWN_TABLE => Ok(Vec::new()),
            answer => answer.map_err(|failure| failure.told(&self.name)),
        }
    }

    /// Says goodbye, as far as the server listens.
    pub async fn close(self) {
        // Everything has been read: what the server answers to a goodbye matters to nobody.
        drop(tokio::time::timeout(CONNECT_TIMEOUT, Box::pin(self.connection.disconnect())).await);
    }
}

fn options(address: &Address, password: Option<&Secret>, ca: Option<&Path>, encrypted: bool) -> Opts {
    let verified = address.tls == Tls::Verified;
    let tls = encrypted.then(|| {
        let roots = ca.map(|path| path.to_owned().into()).into_iter().collect();
        SslOpts::default()
            .with_disable_built_in_roots(ca.is_some())
            .with_root_certs(roots)
            .with_danger_accept_invalid_certs(!verified)
            .with_danger_skip_domain_validation(!verified)
    });
    OptsBuilder::default()
        .ip_or_hostname(&address.host)
        .tcp_port(address.port)
        .user(Some(&address.user))
        .pass(password.map(Secret::expose))
        // Otherwise the client leaves the connection for a socket that the server names.
        .prefer_socket(false)
        .ssl_opts(tls)
        .into()
}

async fn connection(opts: Opts) -> Result<Conn, Failure> {
    match within(CONNECT_TIMEOUT, Box::pin(Conn::new(opts))).await {
        Err(Failure::Client(Error::Driver(DriverError::NoClientSslFlagFromServer))) => Err(Failure::NoTls),
        answer => answer,
    }
}

/// What may go wrong with a call.
enum Failure {
    Client(Error),
    NoTls,
    NoText,
    TooMany,
    TooSlow(Duration),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl Failure {
    fn told(self, name: &str) -> Fault {
        let (kind, text) = match self {
            Self::Client(error) => {
                let kind = match &error {
                    Error::Server(server) if DENIED.contains(&server.code) => FaultKind::AccessDenied,
                    Error::Driver(_) | Error::Io(_) | Error::Other(_) | Error::Server(_) | Error::Url(_) => {
                        FaultKind::Unavailable
                    }
                };
                // The client tells each cause within the next one: its source would be told again.
                let text = error.to_string();
                (kind, text.trim_start_matches("Input/output error: ").to_owned())
            }
            Self::NoTls => {
                (FaultKind::Unavailable, "the server offers no TLS; `?ssl=off` goes without".to_owned())
            }
            Self::NoText => {
                (FaultKind::Unavailable, "a name in its information_schema is no text".to_owned())
            }
            Self::TooMany => (
                FaultKind::Unavailable,
                format!("an answer has more than {ROWS_MAX} rows, which is too much"),
            ),
            Self::TooSlow(limit) => {
                (FaultKind::Unavailable, format!("no answer within {}", humantime::format_duration(limit)))
            }
        };
        Fault::new(kind, format!("cannot read from {name}: {text}"))
    }
}

async fn within<T, E: Into<Failure>>(
    limit: Duration,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Failure::TooSlow(limit)),
    }
}

fn text(row: &mut Row, position: usize) -> Result<String, Failure> {
    row.take_opt::<String, usize>(position).and_then(Result::ok).ok_or(Failure::NoText)
}

/// The column of a check that is `json_valid` of one column and nothing more.
fn checked_column(clause: &str) -> Option<String> {
    let name = clause.strip_prefix("json_valid(`")?.strip_suffix("`)")?;
    let plain = name.replace("``", "");
    (!plain.contains('`')).then(|| name.replace("``", "`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_of_json_names_its_column() {
        assert_eq!(checked_column("json_valid(`j`)").as_deref(), Some("j"));
        assert_eq!(checked_column("json_valid(`a``b c`)").as_deref(), Some("a`b c"));
        assert_eq!(checked_column("json_valid(`a`) or json_valid(`b`)"), None);
        assert_eq!(checked_column("`j` is not null"), None);
    }
}

//! `landbridge status`, `pause`, `resume`, `flush`: the admin API from a terminal.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::{Client, Method};
use serde_json::Value;

use crate::config::load;
use crate::config::secret::Secret;
use crate::domain::instant::Instant;
use crate::web::human::{ago, duration, number};

/// How long landbridge may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Where it listens unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:9464";
/// The environment variable that holds the token.
const TOKEN: &str = "LANDBRIDGE_TOKEN";

/// Which landbridge is asked, and as whom, where no configuration tells.
#[derive(Debug, Default, Args)]
pub(super) struct Asked {
    /// Its address [default: http://127.0.0.1:9464]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A file that holds the admin token; else LANDBRIDGE_TOKEN is taken
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Asks it.
pub(super) fn call_asked(asked: &Asked, method: Method, path: &str) -> Result<Value, String> {
    let Asked { url, token_file } = asked;
    call(&Target { url: url.clone(), config: None, token_file: token_file.clone() }, method, path)
}

/// Which landbridge is asked, and as whom.
#[derive(Debug, Default, Args)]
pub(super) struct Target {
    /// Its address [default: http://127.0.0.1:9464, or the one that --config names]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Take the address from this configuration
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// A file that holds the admin token; else LANDBRIDGE_TOKEN is taken
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// One table, as cluster/schema.table
    table: Option<String>,
    /// The API's answer as it is
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(super) struct ActArguments {
    /// The table, as cluster/schema.table
    table: String,
    #[command(flatten)]
    target: Target,
}

/// Prints the tables, those that need a person first.
pub(super) fn status(arguments: &StatusArguments) -> ExitCode {
    let path = arguments.table.as_deref().map_or_else(|| Ok("tables".to_owned()), table_path);
    let answer = path.and_then(|path| call(&arguments.target, Method::GET, &path));
    finish(answer.map(|answer| match (&arguments.table, arguments.json) {
        (_, true) => format!("{answer:#}\n"),
        (Some(_), false) => details(&answer),
        (None, false) => overview(&answer),
    }))
}

/// Does something to a table.
pub(super) fn act(action: &'static str, arguments: &ActArguments) -> ExitCode {
    let path = table_path(&arguments.table).map(|path| format!("{path}/{action}"));
    let answer = path.and_then(|path| call(&arguments.target, Method::POST, &path));
    finish(answer.map(|answer| {
        let warning =
            text(&answer, "warning").map(|warning| format!("note: {warning}\n")).unwrap_or_default();
        format!("{} is {}\n{warning}", arguments.table, text(&answer, "mode").unwrap_or("unknown"))
    }))
}

pub(super) fn finish(result: Result<String, String>) -> ExitCode {
    match result {
        Ok(text) => {
            print!("{}", printable(&text));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("landbridge: {}", printable(&problem));
            ExitCode::FAILURE
        }
    }
}

/// A text without what would steer the terminal: foreign words are in it.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// `tables/cluster/schema/table` of `cluster/schema.table`.
pub(super) fn table_path(name: &str) -> Result<String, String> {
    let parts = name.split_once('/').and_then(|(cluster, rest)| Some((cluster, rest.split_once('.')?)));
    let Some((cluster, (schema, table))) = parts else {
        return Err(format!(
            "\"{name}\" is no table\n    expected cluster/schema.table, as `landbridge status` shows it"
        ));
    };
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    Ok(format!("tables/{}/{}/{}", encoded(cluster), encoded(schema), encoded(table)))
}

pub(super) fn call(target: &Target, method: Method, path: &str) -> Result<Value, String> {
    call_with(target, method, path, None)
}

/// The same with a body.
pub(super) fn call_with(
    target: &Target,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, String> {
    let (base, token) = (base(target)?, token(target)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(async {
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(|error| error.to_string())?;
        let mut request = client.request(method, format!("{base}/api/v1/{path}"));
        if let Some(token) = &token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| {
            let cause = if error.is_timeout() { "it does not answer" } else { "nothing answers there" };
            format!("cannot ask {base}: {cause}\n    is landbridge running? name its address with --url or --config")
        })?;
        let status = answer.status();
        let body: Value = answer.json().await.map_err(|_| {
            format!("{base} answers {status}, and not as landbridge does\n    is that its address? name it with --url or --config")
        })?;
        if status.is_success() {
            return Ok(body);
        }
        let (error, remedy) = (text(&body, "error"), text(&body, "remedy"));
        Err(format!("{}\n    {}", error.unwrap_or(status.as_str()), remedy.unwrap_or("look at landbridge's log")))
    })
}

fn base(target: &Target) -> Result<String, String> {
    if let Some(url) = &target.url {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let Some(path) = &target.config else { return Ok(DEFAULT_URL.to_owned()) };
    let config = load(path, std::env::vars()).map_err(|errors| errors.to_string())?;
    let mut listen = config.http.listen.ok_or("the configuration serves nothing: http.listen is off")?;
    if listen.ip().is_unspecified() {
        listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    Ok(format!("http://{listen}"))
}

fn token(target: &Target) -> Result<Option<Secret>, String> {
    let Some(path) = &target.token_file else {
        return Ok(std::env::var(TOKEN).ok().map(Secret::new));
    };
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("cannot read the token from {}: {error}", path.display()))?;
    Ok(Some(Secret::new(text.trim())))
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

pub(super) fn count(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn pending(table: &Value) -> u64 {
    let pending = table.get("pending");
    let counts =
        ["in_hand", "parked", "deferred"].map(|key| pending.map_or(0, |pending| count(pending, key)));
    counts.into_iter().fold(0, u64::saturating_add)
}

fn state(table: &Value) -> &str {
    let late = table.get("late").and_then(Value::as_bool) == Some(true);
    if late { "late" } else { text(table, "mode").unwrap_or("unknown") }
}

fn freshness(table: &Value) -> String {
    let seconds = table.get("freshness_seconds").and_then(Value::as_f64);
    match seconds {
        None => "nothing yet".to_owned(),
        Some(_) if pending(table) == 0 => "up to date".to_owned(),
        Some(seconds) => format!("{} behind", duration(seconds)),
    }
}

fn last_load(table: &Value, now: Option<Instant>) -> String {
    let at = text(table, "last_load_at").and_then(Instant::from_rfc3339);
    match (now, at) {
        (Some(now), Some(at)) => format!("{} ago", ago(now, at)),
        _ => "never".to_owned(),
    }
}

/// One line a table.
pub(super) fn overview(answer: &Value) -> String {
    let now = text(answer, "at").and_then(Instant::from_rfc3339);
    let mut tables: Vec<_> = answer.get("tables").and_then(Value::as_array).into_iter().flatten().collect();
    let need = |table: &Value| {
        let order = ["quarantined", "held", "late", "paused", "running"];
        order.iter().position(|known| *known == state(table)).unwrap_or(0)
    };
    tables.sort_by_key(|table| (need(table), text(table, "name").unwrap_or_default().to_owned()));
    let mut rows = vec![
        ["TABLE", "STATE", "FRESHNESS", "ROWS TODAY", "PENDING", "LAST LOAD", "ERRORS"].map(str::to_owned),
    ];
    for table in &tables {
        let faults = [(count(table, "poison"), "poison"), (count(table, "vanished"), "vanished")];
        let faults: Vec<_> = faults
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        rows.push([
            text(table, "name").unwrap_or_default().to_owned(),
            state(table).to_owned(),
            freshness(table),
            number(count(table, "rows_today")),
            number(pending(table)),
            last_load(table, now),
            if faults.is_empty() { "none".to_owned() } else { faults.join(", ") },
        ]);
    }
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// How long a table's window stays open, and why it is no shorter.
fn window(table: &Value) -> String {
    let Some(window) = table.get("window") else { return "unknown".to_owned() };
    let seconds = window.get("seconds").and_then(Value::as_f64).unwrap_or_default();
    let why = text(window, "why").unwrap_or("unknown").replace('_', " ");
    format!("{seconds:.0} s at the longest ({why})")
}

/// Up to which commit at the source a table is whole.
fn commits(table: &Value) -> String {
    let commits = table.get("commits");
    let at = |key: &str| commits.and_then(|commits| text(commits, key));
    let Some(watermark) = at("watermark") else { return "none: no commit times are loaded".to_owned() };
    let lag =
        commits.and_then(|commits| commits.get("lag_seconds")).and_then(Value::as_f64).unwrap_or_default();
    let lost = count(table, "vanished").saturating_add(count(table, "discarded"));
    let lost = if lost > 0 { format!(", but for {lost} lost files") } else { String::new() };
    let newest = at("last_at").unwrap_or("unknown");
    let behind = commits.and_then(|commits| commits.get("behind")).and_then(|behind| text(behind, "text"));
    let behind = behind.map(|behind| format!("; {behind}")).unwrap_or_default();
    format!("{watermark} ({} ago; newest loaded {newest}{lost}{behind})", duration(lag))
}

/// One table, a line a figure.
pub(super) fn details(table: &Value) -> String {
    let reason = text(table, "reason").map(|reason| format!(": {reason}")).unwrap_or_default();
    let error = table.get("last_error").filter(|error| !error.is_null());
    let shown = error.map(|error| {
        let remedy =
            text(error, "remedy").map(|remedy| format!("\n             {remedy}")).unwrap_or_default();
        let (at, told) = (text(error, "at").unwrap_or_default(), text(error, "text").unwrap_or_default());
        format!("last {:<8}{at}: {told}{remedy}\n", text(error, "level").unwrap_or("error"))
    });
    format!(
        "{}\nto           {}\nstate        {}{reason}\nfreshness    {} (watermark {})\ncommits      whole until {}\nrows today   {} in {} files\n\
         pending      {} files\nwindow       {}\nlast load    {}\npoison       {}\nvanished     {}\n{}",
        text(table, "name").unwrap_or_default(),
        text(table, "destination").unwrap_or_default(),
        state(table),
        freshness(table),
        text(table, "watermark").unwrap_or("none"),
        commits(table),
        number(count(table, "rows_today")),
        number(count(table, "files_today")),
        number(pending(table)),
        window(table),
        text(table, "last_load_at").unwrap_or("never"),
        count(table, "poison"),
        count(table, "vanished"),
        shown.unwrap_or_default(),
    )
}

/// Prints a fresh token and what belongs into the configuration.
pub(super) fn token_command() -> ExitCode {
    finish(crate::web::token::fresh().map_err(|fault| fault.chain()).map(|token| {
        let hash = crate::web::token::hash_text(&token);
        format!(
            "token  {token}\n       keep it: LANDBRIDGE_TOKEN or --token-file for the command line, the sign-in form for the page\n\
             hash   {hash}\n       goes into [http] as admin_token_sha256; the token itself is stored nowhere\n"
        )
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_named_as_the_page_names_it() {
        assert_eq!(table_path("a/s.t"), Ok("tables/a/s/t".to_owned()));
        assert_eq!(table_path("a/s.t/../x"), Ok("tables/a/s/t%2F%2E%2E%2Fx".to_owned()));
        assert!(table_path("s.t").unwrap_err().contains("cluster/schema.table"));
    }

    #[test]
    fn a_mark_that_stands_still_says_why() {
        let commits = |behind: Value| {
            let of = json!({"watermark": "2026-11-23T00:00:00Z", "lag_seconds": 300.0, "last_at": null, "behind": behind});
            details(&json!({"name": "a/s.t", "mode": "running", "commits": of}))
        };
        assert!(!commits(Value::Null).contains("queue"));
        let shown = commits(json!({"what": "queue", "text": "queue not drained since noon"}));
        assert!(shown.contains("newest loaded unknown; queue not drained since noon)"), "{shown}");
    }

    #[test]
    fn the_tables_that_need_a_person_come_first() {
        let table = |name: &str, mode: &str, late: bool| {
            json!({"name": name, "mode": mode, "late": late, "rows_today": 1_234, "freshness_seconds": 5.0,
                "last_load_at": "2026-11-23T00:00:00Z", "poison": 2, "vanished": 0, "pending": {"in_hand": 3}})
        };
        let answer = json!({"at": "2026-11-23T00:00:05Z", "tables": [
            table("a/s.a", "running", false), table("a/s.b", "running", true), table("a/s.c", "held", false)]});
        let shown = overview(&answer);
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[1].starts_with("a/s.c  held") && lines[2].starts_with("a/s.b  late"), "{shown}");
        assert!(
            lines[3].contains("5 s behind") && lines[3].contains("5 s ago") && lines[3].contains("2 poison"),
            "{shown}"
        );
    }
}

//! `mysql://user@host:port/database?ssl=…`. A password is no part of it: it would stand in the list of processes and in
//! the shell's history. No message repeats the address, because a password may be in it all the same.

use percent_encoding::percent_decode_str;

const EXPECTED: &str =
    "expected `mysql://USER@HOST:PORT/DATABASE`, as in `mysql://reader@db.example.com/casino`";
const PORT: u16 = 3306;

/// Where the database is, and who landbridge is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The user.
    pub user: String,
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database whose tables are meant where a pattern names none.
    pub database: Option<String>,
    /// Whether the connection is encrypted.
    pub tls: Tls,
}

/// Whether a connection is encrypted, and to whom. As MySQL's own clients have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Never.
    Off,
    /// Where the server offers it; its certificate is not checked. Against who listens, not against who pretends.
    Preferred,
    /// Always; the certificate is not checked.
    Required,
    /// Always, and the certificate must be good for the host.
    Verified,
}

impl Address {
    /// Reads an address. An error says what is wrong and what to do, without a word of the address.
    pub fn parse(text: &str) -> Result<Self, String> {
        let told = |problem: &str| format!("--source: {problem}\n    {EXPECTED}");
        let rest = text.strip_prefix("mysql://").ok_or_else(|| told("the address is no mysql:// address"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may hold a slash: whatever stands before the last `@` is user and password.
        let (who, place) = rest.rsplit_once('@').ok_or_else(|| told("the address names no user"))?;
        if who.contains(':') {
            return Err(
                "--source: the address holds a password, which every user of the machine could read\n    \
                        take it out, and name where it is with --password-env NAME or --password-file FILE"
                    .to_owned(),
            );
        }
        if who.contains(['/', '@']) {
            return Err(told("`@` and `/` within a name are written `%40` and `%2F`"));
        }
        let (place, database) = place.split_once('/').unwrap_or((place, ""));
        let (host, port) = split_port(place).ok_or_else(|| told("the address has no host and port"))?;
        let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
            Ok(text) => Ok(text.into_owned()),
            Err(_) => Err(told("the address is not in UTF-8 once it is decoded")),
        };
        let user = decoded(who)?;
        if user.is_empty() {
            return Err(told("the address names no user"));
        }
        let database = Some(decoded(database.trim_end_matches('/'))?).filter(|name| !name.is_empty());
        Ok(Self { user, host: host.to_owned(), port, database, tls: tls(query)? })
    }
}

/// Host and port of `host`, `host:port`, `[::1]` or `[::1]:port`.
fn split_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Some(PORT), |port| port.parse().ok().filter(|port| *port != 0))?;
    (!host.is_empty()).then_some((host, port))
}

fn tls(query: &str) -> Result<Tls, String> {
    match query {
        "" | "ssl=preferred" => Ok(Tls::Preferred),
        "ssl=required" => Ok(Tls::Required),
        "ssl=verified" => Ok(Tls::Verified),
        "ssl=off" => Ok(Tls::Off),
        _ => Err("--source: what stands behind `?` is not understood\n    expected `ssl=preferred` (default: where the \
                  server offers it), `ssl=required`, `ssl=verified` or `ssl=off`"
            .to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |text: &str| {
            let Address { user, host, port, database, tls } = Address::parse(text).unwrap();
            format!("{user} {host} {port} {} {tls:?}", database.unwrap_or_else(|| "-".to_owned()))
        };
        for (text, expected) in [
            ("mysql://reader@db.example.com/casino", "reader db.example.com 3306 casino Preferred"),
            ("mysql://reader@10.0.0.1:3307", "reader 10.0.0.1 3307 - Preferred"),
            ("mysql://reader@10.0.0.1:3307/?ssl=required", "reader 10.0.0.1 3307 - Required"),
            ("mysql://r%40x@[::1]:3307/a%20b?ssl=off", "r@x ::1 3307 a b Off"),
            ("mysql://r@[::1]/a?ssl=verified", "r ::1 3306 a Verified"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_nothing_repeated() {
        for (text, part) in [
            ("hunter2", "no mysql:// address"),
            ("postgres://u:hunter2@h/d", "no mysql:// address"),
            ("mysql://hunter2", "names no user"),
            ("mysql://@hunter2/d", "names no user"),
            ("mysql://u:hunter2@h/d", "--password-env NAME or --password-file FILE"),
            ("mysql://u:hun/ter2@h/d", "holds a password"),
            ("mysql://u:hun@ter2@h/d", "holds a password"),
            ("mysql://u@h/hunter2@d", "written `%40`"),
            ("mysql://u@h:hunter2/d", "no host and port"),
            ("mysql://u@h:0/hunter2", "no host and port"),
            ("mysql://u@/hunter2", "no host and port"),
            ("mysql://u@[::1/hunter2", "no host and port"),
            ("mysql://u@h/%FFhunter2", "not in UTF-8"),
            ("mysql://u@h/d?password=hunter2", "behind `?` is not understood"),
            ("mysql://u@h/d?ssl=hunter2", "`ssl=required`"),
        ] {
            let told = Address::parse(text).unwrap_err();
            assert!(told.contains(part), "{text}: {told}");
            assert!(!told.contains("hun") && !told.contains("ter2"), "{text}: {told}");
        }
    }
}

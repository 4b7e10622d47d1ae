//! Kinds of values: how they are written, and what is said when they are not.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;

/// A kind of value, with its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A path.
    Path,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A duration, from and to.
    Duration(Duration, Duration),
    /// Bytes, from and to.
    Size(u64, u64),
    /// A number, from and to.
    Count(u64, u64),
    /// `address:port`, or `off`.
    Listen,
    /// A text that is never shown.
    Secret,
    /// A SHA-256 in hexadecimal digits. What is given in its place is never repeated in a message: it may be the secret
    /// itself.
    Digest,
}

/// A value of its kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Text, path, choice.
    Text(String),
    /// A duration.
    Duration(Duration),
    /// Bytes or a number.
    Number(u64),
    /// An address, or none.
    Listen(Option<SocketAddr>),
}

impl Kind {
    /// What is expected, as a phrase.
    pub fn describe(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Secret => "secret".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Choice(choices) => {
                choices.iter().map(|choice| format!("`\"{choice}\"`")).collect::<Vec<_>>().join(" or ")
            }
            Self::Duration(from, to) => {
                format!(
                    "duration, {} to {}",
                    humantime::format_duration(*from),
                    humantime::format_duration(*to)
                )
            }
            Self::Size(from, to) => format!("size, {} to {}", show_size(*from), show_size(*to)),
            Self::Count(from, to) => format!("number, {from} to {to}"),
            Self::Listen => "`address:port` or `off`".to_owned(),
            Self::Digest => "64 hexadecimal digits".to_owned(),
        }
    }

    /// An example of how it is written.
    fn example(&self) -> &'static str {
        match self {
            Self::Text => "\"info\"",
            Self::Secret => "a text in quotes",
            Self::Path => "\"state/ledger.db\"",
            Self::Choice(_) => "one of these in quotes",
            Self::Duration(..) => "\"60s\"",
            Self::Size(..) => "\"64MiB\"",
            Self::Count(..) => "4",
            Self::Listen => "\"127.0.0.1:9464\"",
            Self::Digest => "the hash that `landbridge token` prints",
        }
    }

    /// Reads a value. `Err` is the problem and what was expected.
    pub(super) fn read(&self, given: &Given) -> Result<Value, (String, String)> {
        let expected = || format!("expected {}, written as {}", self.describe(), self.example());
        let wrong = |shown: &str| (format!("{shown} is not what is expected here"), expected());
        let text = match (self, given) {
            (Self::Count(from, to), Given::Number(number)) => {
                let number = u64::try_from(*number).ok().filter(|number| (from..=to).contains(&number));
                return number
                    .map(Value::Number)
                    .ok_or_else(|| (format!("{} is out of range", given.show()), expected()));
            }
            (Self::Digest, given) => {
                return match given {
                    Given::Text(text) if is_digest(text.trim()) => {
                        Ok(Value::Text(text.trim().to_ascii_lowercase()))
                    }
                    Given::Text(_) | Given::Number(_) | Given::Other(_) => {
                        Err(wrong("the value (not shown)"))
                    }
                };
            }
            (_, Given::Text(text)) => text.trim(),
            (Self::Secret, Given::Number(_) | Given::Other(_)) => {
                return Err(("the secret is no text".to_owned(), expected()));
            }
            (_, Given::Number(_) | Given::Other(_)) => return Err(wrong(&given.show())),
        };
        let out_of_range = || (format!("\"{text}\" is out of range"), expected());
        match self {
            Self::Text | Self::Path | Self::Secret if !text.is_empty() => Ok(Value::Text(text.to_owned())),
            Self::Choice(choices) if choices.contains(&text) => Ok(Value::Text(text.to_owned())),
            Self::Duration(from, to) => match humantime::parse_duration(text) {
                Ok(duration) if (*from..=*to).contains(&duration) => Ok(Value::Duration(duration)),
                Ok(_) => Err(out_of_range()),
                Err(_) => Err(wrong(&given.show())),
            },
            Self::Size(from, to) => match text.parse::<ByteSize>() {
                Ok(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Err(wrong(&format!("{} has no unit: it", given.show())))
                }
                Ok(ByteSize(bytes)) if (*from..=*to).contains(&bytes) => Ok(Value::Number(bytes)),
                Ok(_) => Err(out_of_range()),
                Err(_) => Err(wrong(&given.show())),
            },
            // Environment variables bring numbers as text.
            Self::Count(from, to) => match text.parse::<u64>() {
                Ok(number) if (*from..=*to).contains(&number) => Ok(Value::Number(number)),
                Ok(_) => Err(out_of_range()),
                Err(_) => Err(wrong(&given.show())),
            },
            Self::Listen if text == "off" => Ok(Value::Listen(None)),
            Self::Listen => {
                text.parse().map(|address| Value::Listen(Some(address))).map_err(|_| wrong(&given.show()))
            }
            Self::Text | Self::Path | Self::Secret | Self::Choice(_) | Self::Digest => {
                Err(wrong(&given.show()))
            }
        }
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A value as it was given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Something else, named.
    Other(&'static str),
}

impl Given {
    fn show(&self) -> String {
        match self {
            Self::Text(text) => format!("\"{text}\""),
            Self::Number(number) => number.to_string(),
            Self::Other(name) => format!("a value of type {name}"),
        }
    }
}

fn show_size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string().replace(".0 ", " ")
}

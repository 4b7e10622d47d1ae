//! What a mapping has done with a column's values before anything leaves: selection, masks, and values that no type of the
//! destination holds.

use std::fmt;
use std::sync::Arc;

use wildmatch::WildMatch;

use super::shape::name::folded;

/// How a value is made unreadable. NULL stays NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mask {
    /// HMAC-SHA256 under the key of the mapping's owner, in 64 hexadecimal digits: equal values stay equal, in every table.
    Hash,
    /// The last letters stay, every other becomes `*`; of a text that is no longer than what stays, none does.
    Partial {
        /// How many stay.
        kept: u8,
    },
    /// A text becomes `[redacted]`, a value of any other type NULL.
    Redact,
}

impl Mask {
    /// The names in a mapping.
    pub const NAMES: [&str; 3] = ["hash", "partial", "redact"];
    /// What a redacted text becomes.
    pub const REDACTED: &str = "[redacted]";
    /// Letters that stay when the mapping does not say how many.
    pub const KEPT_DEFAULT: u8 = 4;
    /// The most letters that may stay.
    pub const KEPT_MAX: u8 = 16;
}

impl fmt::Display for Mask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash => formatter.write_str("hash"),
            Self::Partial { kept } => write!(formatter, "partial({kept})"),
            Self::Redact => formatter.write_str("redact"),
        }
    }
}

/// What is done with a value that the column's type in the destination cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnInvalid {
    /// The file is refused.
    Refuse,
    /// It becomes NULL, and is counted.
    Null,
    /// The whole column is carried as text, in which every value can be written; what is not UTF-8 in it becomes U+FFFD, and is
    /// counted.
    String,
}

impl OnInvalid {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Refuse, Self::Null, Self::String];

    /// Its name in a mapping.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Null => "null",
            Self::String => "string",
        }
    }
}

/// What is done with the values of one column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Treatment {
    /// How they are made unreadable.
    pub mask: Option<Mask>,
    /// What is done with those that cannot be carried. Where nothing is said, text that is not UTF-8 refuses its file, and
    /// so do numbers beyond their declared type where they are written anew; what else there is, the warehouse judges.
    pub on_invalid: Option<OnInvalid>,
}

/// What columns are carried as when a warehouse does not take their own type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fallback {
    /// The type itself.
    #[default]
    Native,
    /// DATETIME as TIMESTAMP, of the same digits.
    Timestamp,
    /// As text.
    String,
}

impl Fallback {
    /// Its name in the settings, where it is none of the types' own.
    pub fn of(name: &str) -> Self {
        match name {
            "timestamp" => Self::Timestamp,
            "string" => Self::String,
            _ => Self::Native,
        }
    }

    /// Its name in a hash.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Timestamp => "timestamp",
            Self::String => "string",
        }
    }
}

/// Which columns leave at all. Names are compared without case; `*` and `?` stand for letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    only: Vec<String>,
    without: Vec<String>,
}

impl Selection {
    /// Columns named by `only` (all of them where it is empty), but for those named by `without`.
    pub fn new(only: &[String], without: &[String]) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| folded(name)).collect();
        Self { only: lower(only), without: lower(without) }
    }

    /// True when every column leaves.
    pub fn is_all(&self) -> bool {
        self.only.is_empty() && self.without.is_empty()
    }

    /// True when this column leaves.
    pub fn takes(&self, column: &str) -> bool {
        if self.is_all() {
            return true;
        }
        let column = folded(column);
        let among = |patterns: &[String]| patterns.iter().any(|one| WildMatch::new(one).matches(&column));
        (self.only.is_empty() || among(&self.only)) && !among(&self.without)
    }

    /// Patterns that none of these columns has.
    pub fn without_match<'a>(&self, columns: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let columns: Vec<_> = columns.into_iter().map(folded).collect();
        let matches =
            |pattern: &&String| columns.iter().any(|column| WildMatch::new(pattern).matches(column));
        self.only.iter().chain(&self.without).filter(|pattern| !matches(pattern)).cloned().collect()
    }

    /// All that decides it, for a hash.
    pub fn parts(&self) -> impl Iterator<Item = String> {
        let only = self.only.iter().map(|name| format!("only {name}"));
        only.chain(self.without.iter().map(|name| format!("without {name}")))
    }
}

/// The key of `Mask::Hash`. It never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskKey(Arc<[u8]>);

impl MaskKey {
    /// The fewest bytes of a key (RFC 2104, section 3: at least as long as the hash).
    pub const BYTES_MIN: usize = 32;

    /// A key; `None` when it is too short.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::BYTES_MIN).then(|| Self(bytes.into()))
    }

    /// The bytes, for the one function that hashes with them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// What was done to values of a column that could not be carried as they were, or looks as if it had been done before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueChange {
    /// The destination's type does not hold them: NULL.
    Nulled,
    /// They were no UTF-8: text with U+FFFD.
    Replaced,
    /// As long as DMS's LobMaxSize: cut at the source, most likely.
    Cut,
}

impl ValueChange {
    /// Every change.
    pub const ALL: [Self; 3] = [Self::Nulled, Self::Replaced, Self::Cut];

    /// Its name in metrics and in JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Nulled => "nulled",
            Self::Replaced => "replaced",
            Self::Cut => "cut",
        }
    }
}

/// How many values of a column were changed so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedValues {
    /// The column of the destination; of a rescued value, that of the files.
    pub column: Arc<str>,
    /// What was done.
    pub change: ValueChange,
    /// To how many values.
    pub values: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_takes_what_it_names() {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let takes = |only: &[&str], without: &[&str], column: &str| {
            Selection::new(&texts(only), &texts(without)).takes(column)
        };
        assert!(takes(&[], &[], "anything"));
        assert!(takes(&["id", "am*"], &[], "AMOUNT") && !takes(&["id", "am*"], &[], "email"));
        assert!(!takes(&[], &["*mail"], "E-Mail") && takes(&[], &["*mail"], "mails"));
        assert!(!takes(&["e*"], &["email"], "email"));
    }

    #[test]
    fn a_key_never_prints_and_is_long_enough() {
        let key = MaskKey::new(b"0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(format!("{key:?}"), "***");
        assert_eq!(MaskKey::new(b"0123456789abcdef0123456789abcde"), None);
    }
}

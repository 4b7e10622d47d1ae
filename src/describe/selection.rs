//! Which tables are described.

use std::collections::BTreeSet;

use wildmatch::WildMatch;

/// DMS's own tables: never business data.
const CONTROL_PREFIX: &str = "awsdms_";

/// Which tables are described.
#[derive(Debug)]
pub enum Selection {
    /// Those whose `schema.table` one of the patterns takes; `*` is any run, `?` one letter.
    Patterns(Vec<WildMatch>),
    /// Those that the mapping names.
    Named(BTreeSet<String>),
}

impl Selection {
    /// The tables that are meant: those of `patterns`; without any, those that the mapping names; and where it names none,
    /// all of `database`.
    pub fn new(
        patterns: &[String],
        database: Option<&str>,
        mapped: BTreeSet<String>,
    ) -> Result<Self, String> {
        if patterns.is_empty() && !mapped.is_empty() {
            return Ok(Self::Named(mapped));
        }
        let within = |pattern: &String| match (pattern.contains('.'), database) {
            (true, _) => Ok(pattern.clone()),
            (false, Some(database)) => Ok(format!("{database}.{pattern}")),
            (false, None) => Err(format!(
                "--table: \"{pattern}\" names no database\n    expected it as in `casino.{pattern}`"
            )),
        };
        let mut whole = patterns.iter().map(within).collect::<Result<Vec<_>, _>>()?;
        if whole.is_empty() {
            let database = database.ok_or(
                "no table is named: the mapping has none, and the address no database\n    \
                 name them, as in `--table 'casino.*'`",
            )?;
            whole.push(format!("{database}.*"));
        }
        Ok(Self::Patterns(whole.iter().map(|pattern| WildMatch::new(pattern)).collect()))
    }

    /// True of a table that is meant.
    pub fn takes(&self, schema: &str, table: &str) -> bool {
        !table.starts_with(CONTROL_PREFIX) && self.takes_name(&format!("{schema}.{table}"))
    }

    /// True of a table that is meant, by its whole name.
    pub fn takes_name(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => patterns.iter().any(|pattern| pattern.matches(name)),
            Self::Named(names) => names.contains(name),
        }
    }
}

//! What the mapping says of a table's columns, beyond what the files say themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::treated;
use crate::domain::batch::hex;
use crate::domain::shape::name::folded;
use crate::domain::source_type::{LobSize, SourceType};
use crate::domain::treatment::{Fallback, Mask, MaskKey, OnInvalid, Selection, Treatment};

/// Raised whenever the same file would become other rows than before.
const VERSION: &str = "1";

/// The names of DMS's own columns, which of the table's columns are instants, and their types at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRules {
    /// The operation column; DMS always calls it `Op`.
    pub op: Arc<str>,
    /// The column of the commit time (`TimestampColumnName`), if the task writes one.
    pub timestamp: Option<Arc<str>>,
    /// The column made of `$AR_H_CHANGE_SEQ`, if the task writes one.
    pub sequence: Option<Arc<str>>,
    /// Columns whose values are moments in UTC (MySQL TIMESTAMP) and not what a wall clock showed (MySQL DATETIME).
    /// The file cannot tell them apart.
    pub instants: BTreeSet<String>,
    /// The types at the source, as far as the mapping knows them, by the columns' names without case (`types`).
    pub types: BTreeMap<String, SourceType>,
    /// Which of the table's own columns leave at all.
    pub selection: Selection,
    /// What is done with the values of columns, by the columns' names without case.
    pub treatments: BTreeMap<String, Treatment>,
    /// The key of masks that hash.
    pub mask_key: Option<MaskKey>,
    /// What a DATETIME is carried as.
    pub datetimes: Fallback,
    /// What a TIME is carried as.
    pub times: Fallback,
    /// How long a LOB is that DMS has cut. No row depends on it.
    pub lob_limit: LobLimit,
}

/// DMS's LobMaxSize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LobLimit {
    /// Bytes.
    pub bytes: u32,
    /// The mapping says so: columns whose types are not known are looked at, too.
    pub is_stated: bool,
}

impl LobLimit {
    /// What DMS's console proposes (32 KB).
    pub const DEFAULT: Self = Self { bytes: 32 << 10, is_stated: false };
}

impl Default for ColumnRules {
    fn default() -> Self {
        Self {
            op: "Op".into(),
            timestamp: None,
            sequence: None,
            instants: BTreeSet::new(),
            types: BTreeMap::new(),
            selection: Selection::default(),
            treatments: BTreeMap::new(),
            mask_key: None,
            datetimes: Fallback::Native,
            times: Fallback::Native,
            lob_limit: LobLimit::DEFAULT,
        }
    }
}

/// Stand before the types, and before treatments, in what is hashed, where the length of a further part would: they are no
/// lengths.
const TYPES_MARK: [u8; 8] = [0xFF; 8];
const TREATMENTS_MARK: [u8; 8] = [0xFE; 8];

/// Types as `ColumnRules` keeps them. MySQL and warehouses compare names without case, and a DMS task may change it.
pub fn types<'a>(
    columns: impl IntoIterator<Item = (&'a str, &'a SourceType)>,
) -> BTreeMap<String, SourceType> {
    columns.into_iter().map(|(name, kind)| (folded(name), kind.clone())).collect()
}

impl ColumnRules {
    /// What the mapping knows of a column's type at the source.
    pub fn source_type(&self, column: &str) -> Option<&SourceType> {
        // Most tables have no types, and nothing is to be made of every name then.
        if self.types.is_empty() { None } else { self.types.get(&folded(column)) }
    }

    /// True of a column whose values are moments in UTC.
    pub fn is_instant(&self, column: &str) -> bool {
        self.instants.contains(column) || self.source_type(column).is_some_and(SourceType::is_instant)
    }

    /// What is done with the values of a column.
    pub(super) fn treatment(&self, column: &str) -> Treatment {
        if self.treatments.is_empty() {
            return Treatment::default();
        }
        self.treatments.get(&folded(column)).copied().unwrap_or_default()
    }

    /// The types at the source of columns whose values are still of them: a mask leaves none.
    pub fn unmasked_types(&self) -> BTreeMap<String, SourceType> {
        let unmasked = |name: &String| self.treatment(name).mask.is_none();
        self.types
            .iter()
            .filter(|(name, _)| unmasked(name))
            .map(|(name, kind)| (name.clone(), kind.clone()))
            .collect()
    }

    /// The columns named as instants, but for masked ones.
    pub fn unmasked_instants(&self) -> BTreeSet<String> {
        self.instants.iter().filter(|name| self.treatment(name).mask.is_none()).cloned().collect()
    }

    /// Names and patterns of the mapping that are no column of these, by their names without case: slips, most likely, whose columns
    /// leave as they are.
    pub fn unknown<'a>(&self, columns: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
        let known: BTreeSet<_> = columns.clone().map(folded).collect();
        let treated = self.treatments.keys().filter(|name| !known.contains(*name)).cloned();
        treated.chain(self.selection.without_match(columns)).collect()
    }

    /// Whether what is done with values makes bodies larger than their files.
    pub fn makes_text(&self) -> bool {
        let makes_text = |treatment: &Treatment| {
            treatment.mask.is_some() || treatment.on_invalid == Some(OnInvalid::String)
        };
        self.treatments.values().any(makes_text)
    }

    /// The length of what DMS has cut of a column; `None` where it holds no LOB.
    pub(super) fn lob_bytes(&self, column: &str) -> Option<u32> {
        let is_lob = match self.source_type(column) {
            Some(SourceType::Text(size) | SourceType::Blob(size)) => match size {
                LobSize::Medium | LobSize::Long => true,
                LobSize::Tiny | LobSize::Regular => false,
            },
            Some(SourceType::Json | SourceType::Geometry(_)) => true,
            Some(_) => false,
            None => self.lob_limit.is_stated,
        };
        is_lob.then_some(self.lob_limit.bytes)
    }

    /// A hash of the rules: with a manifest it decides every row (Invariants I-2 and I-3b).
    pub fn hash(&self) -> String {
        let optional = |name: &Option<Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
        let mut parts = vec![
            VERSION.to_owned(),
            self.op.to_string(),
            optional(&self.timestamp),
            optional(&self.sequence),
        ];
        parts.extend(self.instants.iter().cloned());
        let mut hasher = Sha256::new();
        for part in &parts {
            update(&mut hasher, part);
        }
        // A table without types has the hash that it had before there were any.
        if !self.types.is_empty() {
            hasher.update(TYPES_MARK);
            for (name, kind) in &self.types {
                update(&mut hasher, name);
                update(&mut hasher, &kind.to_string());
            }
        }
        self.hash_treatments(&mut hasher);
        let mut text = hex(&hasher.finalize());
        text.truncate(32);
        text
    }

    /// Rules that treat nothing have the hash that they had before anything could be treated.
    fn hash_treatments(&self, hasher: &mut Sha256) {
        let mut parts: Vec<String> = self.selection.parts().collect();
        for (name, Treatment { mask, on_invalid }) in &self.treatments {
            let mask = mask.map(|mask| mask.to_string()).unwrap_or_default();
            let on_invalid = on_invalid.map(OnInvalid::name).unwrap_or_default().to_owned();
            parts.extend([name.clone(), mask, on_invalid]);
        }
        for (what, fallback) in [("datetimes", self.datetimes), ("times", self.times)] {
            if fallback != Fallback::Native {
                parts.push(format!("{what} {}", fallback.name()));
            }
        }
        let hashes = self.treatments.values().any(|treatment| treatment.mask == Some(Mask::Hash));
        // Under another key the same file becomes other rows. What tells keys apart does not tell them.
        if let Some(key) = self.mask_key.as_ref().filter(|_| hashes) {
            parts.push(treated::masked(key, b"landbridge"));
        }
        if !parts.is_empty() {
            hasher.update(TREATMENTS_MARK);
            parts.iter().for_each(|part| update(hasher, part));
        }
    }
}

/// Each part behind its length, so that no two rules share a byte string.
fn update(hasher: &mut Sha256, part: &str) {
    hasher.update((part.len() as u64).to_be_bytes());
    hasher.update(part.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(columns: &[(&str, &str)]) -> ColumnRules {
        let parsed: Vec<_> = columns.iter().map(|(name, kind)| (*name, kind.parse().unwrap())).collect();
        ColumnRules {
            op: "Op".into(),
            timestamp: Some("ts".into()),
            sequence: None,
            instants: ["at".to_owned()].into(),
            types: types(parsed.iter().map(|(name, kind)| (*name, kind))),
            ..ColumnRules::default()
        }
    }

    #[test]
    fn without_types_the_hash_is_that_of_earlier_versions() {
        // An attempt that is in a ledger would be fenced for nothing if this changed.
        assert_eq!(rules(&[]).hash(), "44a200fe6ae36cd57371678fb4458c83");
    }

    #[test]
    fn the_hash_knows_every_type_and_every_name() {
        let all = [
            rules(&[]),
            rules(&[("a", "bit(1)")]),
            rules(&[("a", "bit(8)")]),
            rules(&[("b", "bit(8)")]),
            rules(&[("a", "bit(8)"), ("b", "json")]),
            ColumnRules {
                instants: ["at".to_owned(), "a".to_owned(), "bit(8)".to_owned()].into(),
                ..rules(&[])
            },
        ];
        let hashes: BTreeSet<_> = all.iter().map(ColumnRules::hash).collect();
        assert_eq!(hashes.len(), all.len());
        assert_eq!(rules(&[("A", "INT(11)")]).hash(), rules(&[("a", "int")]).hash());
    }

    #[test]
    fn a_column_is_an_instant_by_either_word_and_found_in_either_case() {
        let rules = rules(&[("Moment", "timestamp(6)"), ("clock", "datetime")]);
        let found = ["at", "Moment", "MOMENT", "clock", "else"].map(|name| rules.is_instant(name));
        assert_eq!(found, [true, true, true, false, false]);
        assert_eq!(rules.source_type("CLOCK").unwrap().to_string(), "datetime");
    }
}

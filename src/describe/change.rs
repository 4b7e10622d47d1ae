//! What describing changes in a mapping, and what it leaves to people.

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Each table that was described, and each that is mapped and not at the source, in the mapping's order.
    pub tables: Vec<TableChange>,
}

/// What happened to a table's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableChange {
    /// `schema.table`.
    pub name: String,
    /// What became of the entry as a whole.
    pub state: TableState,
    /// The key's columns, where they were written.
    pub key: Option<Vec<String>>,
    /// Columns of which there is something to say, in their order.
    pub columns: Vec<(String, ColumnChange)>,
    /// What a person should know of the table.
    pub notes: Vec<String>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableState {
    /// It is new.
    Added,
    /// It was there.
    Kept,
    /// It is there, and its table is not at the source.
    Gone,
    /// It cannot be named in a mapping, and was left out.
    Skipped,
}

/// What happened to a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnChange {
    /// Its type was not there: this was written.
    Added(String),
    /// Its type was another.
    Changed {
        /// What the mapping said.
        from: String,
        /// What it says now.
        to: String,
    },
    /// The mapping has it, the source has not. It stays.
    Gone,
    /// The source names a type that landbridge does not know: nothing was written.
    Unknown(String),
    /// `instants` names it, and the source says that it is no TIMESTAMP: nothing was written.
    NoInstant(String),
}

impl TableChange {
    pub(super) fn new(name: String, state: TableState) -> Self {
        Self { name, state, key: None, columns: Vec::new(), notes: Vec::new() }
    }

    /// True when the entry is not what it was.
    pub fn is_written(&self) -> bool {
        let column = |(_, change): &(String, ColumnChange)| match change {
            ColumnChange::Added(_) | ColumnChange::Changed { .. } => true,
            ColumnChange::Gone | ColumnChange::Unknown(_) | ColumnChange::NoInstant(_) => false,
        };
        self.state == TableState::Added || self.key.is_some() || self.columns.iter().any(column)
    }

    /// True when mapping and source contradict each other, and a person has to say who is right.
    pub fn is_contradicted(&self) -> bool {
        self.columns.iter().any(|(_, change)| matches!(change, ColumnChange::NoInstant(_)))
    }
}

impl Changes {
    /// True when the mapping is not what it was.
    pub fn any_written(&self) -> bool {
        self.tables.iter().any(TableChange::is_written)
    }

    /// True when a person has to say who is right.
    pub fn any_contradicted(&self) -> bool {
        self.tables.iter().any(TableChange::is_contradicted)
    }
}

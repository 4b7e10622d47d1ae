//! The last warning or error of each table, kept in memory for the status page: a layer of the log, so that whatever is
//! told of a table with level WARN or ERROR is here too.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Tables of which an error is kept; the one that was silent for longest makes room.
const TABLES_MAX: usize = 2_000;
/// Letters of one field that are kept.
const LETTERS_MAX: usize = 600;

/// The last thing that went wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// When, on tokio's clock.
    pub at: Instant,
    /// True for ERROR (someone must act), false for WARN (landbridge recovers by itself).
    pub must_act: bool,
    /// What happened, with the file and the cause where they are known.
    pub text: String,
    /// What to do, where there is something to do.
    pub remedy: Option<String>,
}

/// The last errors by table, as events name it: `cluster/schema.table`.
#[derive(Clone, Debug, Default)]
pub struct LastErrors {
    by_table: Arc<Mutex<HashMap<String, LastError>>>,
}

impl LastErrors {
    /// The one of this process, which the log writes to.
    pub fn of_process() -> &'static Self {
        static OF_PROCESS: OnceLock<LastErrors> = OnceLock::new();
        OF_PROCESS.get_or_init(Self::default)
    }

    /// The last error of a table.
    pub fn of(&self, table: &str) -> Option<LastError> {
        self.by_table.lock().unwrap_or_else(PoisonError::into_inner).get(table).cloned()
    }

    fn keep(&self, table: String, error: LastError) {
        let mut by_table = self.by_table.lock().unwrap_or_else(PoisonError::into_inner);
        if by_table.len() >= TABLES_MAX && !by_table.contains_key(&table) {
            let oldest = by_table.iter().min_by_key(|(_, error)| error.at).map(|(table, _)| table.clone());
            oldest.and_then(|oldest| by_table.remove(&oldest));
        }
        by_table.insert(table, error);
    }
}

impl<S: Subscriber> Layer<S> for LastErrors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::WARN {
            return;
        }
        let mut told = Told::default();
        event.record(&mut told);
        // A mode is shown as a mode: a pause is no error.
        let (Some(table), false) = (told.table.take(), told.is_mode) else { return };
        let error = LastError {
            at: Instant::now(),
            must_act: level == Level::ERROR,
            text: told.text(),
            remedy: told.remedy,
        };
        self.keep(table, error);
    }
}

/// The fields of an event that make its text.
#[derive(Default)]
struct Told {
    table: Option<String>,
    message: String,
    file: Option<String>,
    cause: Option<String>,
    remedy: Option<String>,
    is_mode: bool,
}

impl Told {
    fn take(&mut self, field: &Field, value: String) {
        let value = cut(value);
        match field.name() {
            "table" => self.table = Some(value),
            "message" => self.message = value,
            "file" if !value.is_empty() => self.file = Some(value),
            "error" | "reason" | "panic" | "conflict" => self.cause = Some(value),
            "remedy" => self.remedy = Some(value),
            "mode" => self.is_mode = true,
            _ => {}
        }
    }

    fn text(&self) -> String {
        let mut text = self.message.clone();
        for (before, part) in [(": ", &self.cause), (" — file ", &self.file)] {
            if let Some(part) = part {
                text.push_str(before);
                text.push_str(part);
            }
        }
        text
    }
}

impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field, format!("{value:?}"));
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::domain::ids::TableId;
    use crate::domain::transition::TableMode;
    use crate::telemetry::events;

    fn told(tell: impl FnOnce()) -> LastErrors {
        let errors = LastErrors::default();
        let subscriber = tracing_subscriber::registry().with(errors.clone());
        tracing::subscriber::with_default(subscriber, tell);
        errors
    }

    #[test]
    fn the_last_error_of_a_table_is_kept_and_a_mode_is_none() {
        let (one, two) = (TableId::new("a", "s", "one"), TableId::new("a", "s", "two"));
        let errors = told(|| {
            events::TableHeld { table: &one, reason: "first" }.emit();
            events::TableHeld { table: &one, reason: "second" }.emit();
            events::TableModeKnown { table: &two, mode: &TableMode::Paused }.emit();
            tracing::info!(table = %two, "all is well");
            tracing::error!("of no table");
        });
        let last = errors.of("a/s.one").unwrap();
        assert!(last.must_act && last.text.ends_with(": second"), "{last:?}");
        assert_eq!(last.remedy.as_deref(), Some("clear the cause, then resume the table"));
        assert_eq!(errors.of("a/s.two"), None);
    }

    #[test]
    fn neither_tables_nor_letters_grow_without_bound() {
        let errors = told(|| {
            for number in 0..TABLES_MAX + 10 {
                tracing::warn!(table = number.to_string(), reason = "é".repeat(5_000), "boom");
            }
        });
        assert_eq!(errors.by_table.lock().unwrap().len(), TABLES_MAX);
        assert!(errors.of(&(TABLES_MAX + 9).to_string()).unwrap().text.chars().count() < LETTERS_MAX + 20);
        assert_eq!(errors.of("0"), None);
    }
}

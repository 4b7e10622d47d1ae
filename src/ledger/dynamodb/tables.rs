//! Tables' modes, and dead letters.

use std::io::Read;

use sha2::{Digest, Sha256};

use super::item::{Fields, Item, SK, bytes, item, key, number, put, sortable, text};
use super::{DynamoDbLedger, StepError};
use crate::domain::batch::hex;
use crate::domain::ids::TableId;
use crate::domain::instant::Instant;
use crate::domain::transition::TableMode;
use crate::ledger::reader::{DeadLetter, FileCursor, LetterPage};
use crate::ledger::stored::{table_of, table_text};

const MODES: &str = "MODES";
const DEAD: &str = "DEAD";
/// Of a message this much is shown; SQS takes no longer ones.
const LETTER_BYTES_MAX: u64 = 1 << 20;
/// Of a compressed message this much is kept: an item has 400 KB at most.
const DEAD_LETTER_BYTES_MAX: usize = 350 << 10;

impl DynamoDbLedger {
    pub(super) async fn table_modes(&self) -> Result<Vec<(TableId, TableMode)>, StepError> {
        let items = self.query("modes", "pk = :pk", item([(":pk", text(MODES))])).await?;
        let mode = |item: &Item| {
            let table = item.text_of(SK)?;
            let reason = || item.maybe_text("m_reason").map(|reason| reason.unwrap_or_default().to_owned());
            let mode = match item.number_of("m_mode")? {
                0 => TableMode::Running,
                1 => TableMode::Paused,
                2 => TableMode::Quarantined(reason()?),
                3 => TableMode::Held(reason()?),
                other => {
                    return Err(StepError::Corrupt(format!(
                        "the table {table} has the unknown mode {other}"
                    )));
                }
            };
            Ok((table_of(table)?, mode))
        };
        let stopped =
            |known: &Result<(TableId, TableMode), StepError>| !matches!(known, Ok((_, TableMode::Running)));
        items.iter().map(mode).filter(stopped).collect()
    }

    pub(super) async fn write_mode(
        &self,
        table: &TableId,
        mode: &TableMode,
        now: Instant,
    ) -> Result<(), StepError> {
        let (mode, reason) = match mode {
            // Kept, with its time: an older decision that is repeated, because its answer was lost, finds it.
            TableMode::Running => (0, ""),
            TableMode::Paused => (1, ""),
            TableMode::Quarantined(reason) => (2, reason.as_str()),
            TableMode::Held(reason) => (3, reason.as_str()),
        };
        let mut stored = key(MODES, table_text(table)?);
        stored.extend(item([
            ("m_mode", number(mode)),
            ("m_reason", text(reason)),
            ("m_at", number(now.micros())),
        ]));
        let call = self.inner.client.put_item().table_name(&*self.inner.table).set_item(Some(stored));
        let call = call.condition_expression("attribute_not_exists(m_at) OR m_at <= :now");
        let values = item([(":now", number(now.micros()))]);
        let answer = call.set_expression_attribute_values(Some(values)).send().await;
        // A later decision stands.
        self.if_it_held("set_mode", "dynamodb:PutItem", answer)?;
        Ok(())
    }

    /// Dead letters after `after`, oldest first.
    pub(super) async fn letter_page(
        &self,
        after: Option<&FileCursor>,
        limit: usize,
    ) -> Result<LetterPage, StepError> {
        let from = after.map(|cursor| key(DEAD, String::from_utf8_lossy(cursor)));
        let values = item([(":pk", text(DEAD))]);
        let page = self.page("dead_letters", None, "pk = :pk", values, limit, from).await?;
        let letters = page.items.iter().map(letter).collect::<Result<_, _>>()?;
        let next = page.next.map(|last| Ok::<_, StepError>(last.text_of(SK)?.as_bytes().to_vec()));
        Ok(LetterPage { letters, next: next.transpose()? })
    }

    /// The same message at the same time is one letter, however often the step is repeated.
    pub(super) async fn write_dead_letter(
        &self,
        queue: &str,
        body: &str,
        reason: &str,
        now: Instant,
    ) -> Result<(), StepError> {
        let mut hasher = Sha256::new();
        hasher.update(queue.as_bytes());
        hasher.update([0]);
        hasher.update(body.as_bytes());
        let mut name = hex(&hasher.finalize());
        name.truncate(32);
        let whole = zstd::bulk::compress(body.as_bytes(), 3);
        let mut whole = whole.map_err(|error| StepError::Misused(error.to_string()))?;
        let cut = whole.len() > DEAD_LETTER_BYTES_MAX;
        whole.truncate(DEAD_LETTER_BYTES_MAX);
        let mut letter = key(DEAD, format!("{}#{name}", sortable(now.micros())));
        letter.extend(item([
            ("d_queue", text(queue)),
            ("d_body", bytes(whole)),
            ("d_reason", text(reason)),
            ("d_at", number(now.micros())),
        ]));
        put(&mut letter, "d_cut", cut.then(|| aws_sdk_dynamodb::types::AttributeValue::Bool(true)));
        self.put_item("dead_letter", letter).await
    }
}

fn letter(item: &Item) -> Result<DeadLetter, StepError> {
    let mut body = Vec::new();
    let packed = item.maybe_bytes("d_body")?.unwrap_or_default();
    let unpacked = zstd::stream::read::Decoder::new(packed).map(|body| body.take(LETTER_BYTES_MAX));
    // What was cut ends where it was cut.
    let _ = unpacked.and_then(|mut unpacked| unpacked.read_to_end(&mut body));
    Ok(DeadLetter {
        queue: item.text_of("d_queue")?.to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
        reason: item.text_of("d_reason")?.to_owned(),
        at: Instant::from_micros(item.number_of("d_at")?),
    })
}

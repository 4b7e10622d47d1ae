//! The body of a batch, built for the way by which its rows go next.
//!
//! JSON is native only by a stream, and only where no value loses anything by it. So a body is built natively first, where it may
//! be; what cannot be is built as text, which goes beside it ([`crate::domain::shape`]). No body for a stream is ever kept for
//! another attempt.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Performer;
use super::begin::lane_of;
use crate::columns::body::Body;
use crate::columns::transcode::{BuildFailure, build};
use crate::domain::batch::Batch;
use crate::domain::delivery::Event;
use crate::domain::fault::Fault;
use crate::domain::file::FileId;
use crate::domain::summary::CommitSpan;
use crate::flow::credit::Credit;
use crate::flow::pulse;
use crate::telemetry::events;

/// A number or a short text that is hashed becomes about so many times what it was.
const TEXT_FACTOR: u64 = 4;

/// The rows of a batch, ready to be submitted, and the disk that they occupy.
pub(super) struct Built {
    pub(super) body: Body,
    _credit: Credit,
}

/// The columns of JSON that are text all the same, by their names in the destination; none where all of them are.
pub(super) type Texts = Option<BTreeSet<Arc<str>>>;

impl Performer {
    /// Builds the body, fetching the files first when they are not at hand, and makes its stream where its rows go by one.
    pub(super) async fn build(&mut self, batch: &Batch, by_stream: bool) -> Event {
        let mut by_stream = by_stream && self.goes_by_streams();
        let mut texts = (by_stream && self.setup.native_json).then(BTreeSet::new);
        // Each round but the last has fewer columns of JSON than the one before: those that are not exact, then none.
        loop {
            let commits = match self.build_as(batch, &texts).await {
                Ok(commits) => commits,
                Err(BuildFailure { inexact, .. }) if !inexact.is_empty() => {
                    let (table, columns) = (&self.table, &inexact);
                    events::JsonInexact { table, batch: &batch.id, columns }.emit();
                    // All of them were found, unless the table has changed meanwhile.
                    texts = texts.filter(BTreeSet::is_empty).map(|_| inexact);
                    continue;
                }
                Err(BuildFailure { file, fault, .. }) => return self.unbuilt(file, fault),
            };
            let stream = if by_stream { self.open_stream(&batch.destination).await } else { None };
            if stream.is_none() && self.body.as_ref().is_some_and(|built| built.body.plan().has_json()) {
                (by_stream, texts) = (false, None);
                continue;
            }
            return Event::Built { plan_hash: Arc::clone(&self.setup.plan_hash), commits, stream };
        }
    }

    /// Builds the body with these columns of JSON as text. Answers the commit times in its files.
    async fn build_as(&mut self, batch: &Batch, texts: &Texts) -> Result<Option<CommitSpan>, BuildFailure> {
        // A body that was refused is built anew: what it occupies goes back before anything is waited for.
        self.body = None;
        if self.inputs.is_empty()
            && let Err((file, fault)) = self.open_all(batch).await
        {
            return Err(self.without_inputs(Some(file), fault));
        }
        let bytes: u64 = batch.manifest.entries.iter().map(|entry| entry.file.size_bytes).sum();
        // A body is rarely larger than its files; where it is, the estimate's error is bounded by the slots.
        let bytes = if self.setup.rules.makes_text() { bytes.saturating_mul(TEXT_FACTOR) } else { bytes };
        let credit = self.world.body_pool_of(lane_of(batch)).take(bytes).await;
        let plan = match self.place_columns(texts).await {
            Ok(plan) => plan,
            Err((file, fault)) => return Err(self.without_inputs(file, fault)),
        };
        let inputs = std::mem::take(&mut self.inputs);
        // Where a page makes the decoder panic, only a batch of one file tells whose page it was.
        let alone = match batch.manifest.entries.as_slice() {
            [entry] => Some(entry.file.clone()),
            _ => None,
        };
        let (batch, rules) = (batch.clone(), Arc::clone(&self.setup.rules));
        let (path, layout) = (self.world.next_body_path(), self.world.bounds.layout);
        let wanted = Arc::new(());
        let watch = Arc::downgrade(&wanted);
        let job = move || {
            let goes_on = || {
                pulse::moved();
                watch.strong_count() > 0
            };
            let result = build(&layout, &batch, &plan, &rules, &inputs, path, &goes_on);
            (inputs, result)
        };
        let outcome = self.world.cpu.run("building a batch", job).await;
        drop(wanted);
        let (inputs, result) = outcome.map_err(|fault| BuildFailure { file: alone, ..fault.into() })?;
        self.inputs = inputs;
        let body = result?;
        let commits = CommitSpan::of(body.commits().values().copied());
        self.body = Some(Built { body, _credit: credit });
        self.stages.built();
        Ok(commits)
    }

    /// The files are to be opened again.
    fn without_inputs(&mut self, file: Option<FileId>, fault: Fault) -> BuildFailure {
        self.inputs.clear();
        self.credit.clear();
        BuildFailure { file, ..fault.into() }
    }

    fn unbuilt(&self, file: Option<FileId>, fault: Fault) -> Event {
        events::BodyUnbuilt { table: &self.table, file: file.as_ref(), fault: &fault }.emit();
        Event::Unbuilt { file, kind: fault.kind, reason: fault.chain() }
    }
}

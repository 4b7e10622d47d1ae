//! The memory of fetched files, in a forecast: who has none waits, first come first served, and the fattest windows close.

use std::collections::VecDeque;

use super::clockwork::Clockwork;
use crate::domain::file::FileId;
use crate::domain::pressure::to_close;
use crate::domain::table::{CloseReason, Event};

/// `spool.threshold`, and what a larger object holds of the memory.
const IN_MEMORY_MAX: u64 = 8 << 20;
const OPEN_OBJECT_BYTES: u64 = 256 << 10;

/// What is held of it, and who waits.
#[derive(Default)]
pub(super) struct Memory {
    held: u64,
    waiting: VecDeque<Waiting>,
}

/// A file that waits for memory: that has just come, or that waited in the ledger before.
struct Waiting {
    lane: usize,
    file: FileId,
    is_new: bool,
}

fn bytes_of(file: &FileId) -> u64 {
    if file.size_bytes > IN_MEMORY_MAX { OPEN_OBJECT_BYTES } else { file.size_bytes }
}

impl Clockwork<'_> {
    /// A file is to be opened, as soon as there is memory for it.
    pub(super) fn fetch(&mut self, lane: usize, file: FileId, is_new: bool) {
        self.memory.waiting.push_back(Waiting { lane, file, is_new });
        self.open_waiting();
        if !self.memory.waiting.is_empty() {
            self.outcome.waited_for_memory += 1;
            self.press();
        }
    }

    /// What these files held is free.
    pub(super) fn free<'f>(&mut self, files: impl IntoIterator<Item = &'f FileId>) {
        let bytes: u64 = files.into_iter().map(bytes_of).sum();
        self.memory.held = self.memory.held.saturating_sub(bytes);
        self.open_waiting();
    }

    fn open_waiting(&mut self) {
        while let Some(first) = self.memory.waiting.front() {
            let held = self.memory.held + bytes_of(&first.file);
            // One that is larger than all of it passes alone.
            if held > self.scenario.memory_bytes && self.memory.held > 0 {
                return;
            }
            let Some(Waiting { lane, file, is_new }) = self.memory.waiting.pop_front() else { return };
            self.memory.held = held;
            self.outcome.most_memory = self.outcome.most_memory.max(held);
            self.opened(lane, file, is_new);
        }
    }

    fn press(&mut self) {
        let bytes = |held: &super::clockwork::Lane| held.table.window().iter().map(bytes_of).sum();
        let windows: Vec<(usize, u64)> = self.lanes.iter().map(bytes).enumerate().collect();
        let in_windows: u64 = windows.iter().map(|(_, bytes)| bytes).sum();
        let waits = self.memory.waiting.iter().map(|waiting| bytes_of(&waiting.file)).sum();
        let planner = &mut self.planner;
        let gives_way = |(lane, _): &(usize, u64)| match (planner.as_mut(), self.scenario.tables.get(*lane)) {
            (Some(planner), Some(table)) => planner.window(&table.id, self.now).why.gives_way_to_pressure(),
            (None, _) | (_, None) => true,
        };
        let windows: Vec<_> = windows.into_iter().filter(gives_way).collect();
        for lane in to_close(windows, waits, self.memory.held.saturating_sub(in_windows)) {
            self.step(lane, Event::Flush(CloseReason::Pressure));
        }
    }
}

//! Memory and disk, in a forecast: files that have none wait, first come first served, and the fattest windows close.

use std::collections::VecDeque;

use super::clockwork::Clockwork;
use crate::domain::file::FileId;
use crate::domain::pressure::to_close;
use crate::domain::table::{CloseReason, Event};

/// `spool.threshold`, and what a larger object holds of the memory.
const IN_MEMORY_MAX: u64 = 8 << 20;
const OPEN_OBJECT_BYTES: u64 = 256 << 10;

/// What is held, and who waits.
#[derive(Default)]
pub(super) struct Memory {
    held: Room,
    /// The disk of bodies that are being built or loaded.
    bodies: u64,
    waiting: VecDeque<Waiting>,
}

/// A file that waits for memory: that has just come, or that waited in the ledger before.
struct Waiting {
    lane: usize,
    file: FileId,
    is_new: bool,
}

/// Bytes of memory, and of the disk of fetched files.
#[derive(Clone, Copy, Default)]
struct Room {
    memory: u64,
    disk: u64,
}

impl Room {
    fn of(file: &FileId) -> Self {
        if file.size_bytes > IN_MEMORY_MAX {
            Self { memory: OPEN_OBJECT_BYTES, disk: file.size_bytes }
        } else {
            Self { memory: file.size_bytes, disk: 0 }
        }
    }

    fn plus(self, other: Self) -> Self {
        Self { memory: self.memory + other.memory, disk: self.disk + other.disk }
    }

    fn of_all<'f>(files: impl IntoIterator<Item = &'f FileId>) -> Self {
        files.into_iter().map(Self::of).fold(Self::default(), Self::plus)
    }
}

/// One of both.
const KINDS: [fn(&Room) -> u64; 2] = [|room| room.memory, |room| room.disk];

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
        let (held, freed) = (self.memory.held, Room::of_all(files));
        self.memory.held = Room {
            memory: held.memory.saturating_sub(freed.memory),
            disk: held.disk.saturating_sub(freed.disk),
        };
        self.open_waiting();
    }

    /// Whether there is disk for a body of so many bytes, which it has from now on. One that is larger than all of it passes alone.
    pub(super) fn room_for_body(&mut self, bytes: u64) -> bool {
        let bodies = self.memory.bodies + bytes;
        if bodies > self.scenario.bodies_disk_bytes && self.memory.bodies > 0 {
            return false;
        }
        self.memory.bodies = bodies;
        self.outcome.most_bodies_disk = self.outcome.most_bodies_disk.max(bodies);
        true
    }

    /// The body is gone.
    pub(super) fn body_gone(&mut self, bytes: u64) {
        self.memory.bodies = self.memory.bodies.saturating_sub(bytes);
    }

    fn open_waiting(&mut self) {
        while let Some(first) = self.memory.waiting.front() {
            let (own, before) = (Room::of(&first.file), self.memory.held);
            let held = before.plus(own);
            // One that is larger than all of it passes alone.
            let no_memory = held.memory > self.scenario.memory_bytes && before.memory > 0;
            let no_disk = own.disk > 0 && held.disk > self.scenario.objects_disk_bytes && before.disk > 0;
            if no_memory || no_disk {
                return;
            }
            let Some(Waiting { lane, file, is_new }) = self.memory.waiting.pop_front() else { return };
            self.memory.held = held;
            self.outcome.most_memory = self.outcome.most_memory.max(held.memory);
            self.outcome.most_objects_disk = self.outcome.most_objects_disk.max(held.disk);
            self.opened(lane, file, is_new);
        }
    }

    fn press(&mut self) {
        for bytes in KINDS {
            self.press_for(bytes);
        }
    }

    fn press_for(&mut self, bytes: fn(&Room) -> u64) {
        let waits = bytes(&Room::of_all(self.memory.waiting.iter().map(|waiting| &waiting.file)));
        if waits == 0 {
            return;
        }
        let own = |held: &super::clockwork::Lane| bytes(&Room::of_all(held.table.window().iter()));
        let windows: Vec<(usize, u64)> = self.lanes.iter().map(own).enumerate().collect();
        let in_windows: u64 = windows.iter().map(|(_, bytes)| bytes).sum();
        let planner = &mut self.planner;
        let gives_way = |(lane, _): &(usize, u64)| match (planner.as_mut(), self.scenario.tables.get(*lane)) {
            (Some(planner), Some(table)) => planner.window(&table.id, self.now).why.gives_way_to_pressure(),
            (None, _) | (_, None) => true,
        };
        let windows: Vec<_> = windows.into_iter().filter(gives_way).collect();
        for lane in to_close(windows, waits, bytes(&self.memory.held).saturating_sub(in_windows)) {
            self.step(lane, Event::Flush(CloseReason::Pressure));
        }
    }
}

//! The small worlds that are explored, each whole.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use landbridge::domain::file::FileId;

use super::outside::{Bucket, Message};
use super::table_id;
use Kind::{Empty, Good, Refused, Unreadable};

/// How often each thing may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Faults {
    pub crashes: u8,
    /// Calls that are not answered, whether they were done or not, or are done later.
    pub lost: u8,
    pub refusals: u8,
    pub job_failures: u8,
    pub foreign: u8,
    pub redeliveries: u8,
    pub vanishing: u8,
    pub overwriting: u8,
    /// How often a person resumes the table.
    pub resumes: u8,
}

const NONE: Faults = Faults {
    crashes: 0,
    lost: 0,
    refusals: 0,
    job_failures: 0,
    foreign: 0,
    redeliveries: 0,
    vanishing: 0,
    overwriting: 0,
    resumes: 0,
};

/// What a file is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Good,
    /// It has no rows.
    Empty,
    /// The warehouse refuses what is in it.
    Refused,
    /// It cannot be read.
    Unreadable,
}

/// A small world.
#[derive(Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub processes: usize,
    /// The files of each message; a number is a place in `files`.
    pub messages: &'static [&'static [usize]],
    pub files: &'static [Kind],
    /// Every process goes by other column rules than the one before.
    pub rules_change: bool,
    /// Rows go by streams.
    pub streamed: bool,
    /// Processes are taken for dead while they live: one was frozen, or could not say that it lives.
    pub unheard: bool,
    pub faults: Faults,
}

impl PartialEq for Scenario {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Scenario {}

impl Hash for Scenario {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Scenario {
    pub fn file(&self, number: usize) -> FileId {
        let key = format!("k{number}").into();
        FileId { table: table_id(), bucket: "b".into(), key, etag: "e".into(), size_bytes: 1 }
    }

    /// A version that came later is as the first one.
    fn kind(&self, file: &FileId) -> Kind {
        let number: usize = file.key.trim_start_matches('k').parse().unwrap();
        self.files[number]
    }

    pub fn rows(&self, file: &FileId) -> u64 {
        if self.kind(file) == Kind::Empty { 0 } else { 2 }
    }

    pub fn is_refused(&self, file: &FileId) -> bool {
        self.kind(file) == Kind::Refused
    }

    pub fn is_unreadable(&self, file: &FileId) -> bool {
        self.kind(file) == Kind::Unreadable
    }

    pub fn bucket(&self) -> Bucket {
        (0..self.files.len())
            .map(|number| self.file(number))
            .map(|file| (Arc::clone(&file.key), file))
            .collect()
    }

    pub fn queue(&self) -> Vec<Message> {
        let files = |numbers: &[usize]| numbers.iter().map(|number| self.file(*number)).collect();
        let messages = self.messages.iter();
        messages.map(|numbers| Message { files: files(numbers), visible: true, deleted: false }).collect()
    }

    pub fn plan_hash(&self, p: usize, lives: usize) -> Arc<str> {
        if self.rules_change { format!("plan {}", p + 2 * lives).into() } else { "plan".into() }
    }
}

/// One good file, announced once to one process.
const ONE_FILE: Scenario = Scenario {
    name: "",
    processes: 1,
    messages: &[&[0]],
    files: &[Good],
    rules_change: false,
    streamed: false,
    unheard: false,
    faults: NONE,
};

/// All of them.
pub const SCENARIOS: [Scenario; 15] = [
    Scenario {
        name: "one file, two processes",
        processes: 2,
        unheard: true,
        faults: Faults { crashes: 1, lost: 1, redeliveries: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "one file, announced twice, crashes",
        messages: &[&[0], &[0]],
        faults: Faults { crashes: 2, lost: 2, redeliveries: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "two files, two windows",
        messages: &[&[0], &[1]],
        files: &[Good, Good],
        faults: Faults { crashes: 1, lost: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "one of two is refused by the warehouse",
        messages: &[&[0, 1]],
        files: &[Good, Refused],
        faults: Faults { crashes: 1, lost: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "requests are refused, a person resumes",
        faults: Faults { crashes: 1, lost: 1, refusals: 1, resumes: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "jobs fail",
        faults: Faults { crashes: 1, lost: 1, job_failures: 2, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "a foreign job, a person resumes",
        faults: Faults { crashes: 2, lost: 1, foreign: 1, resumes: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "an object vanishes",
        messages: &[&[0, 1]],
        files: &[Good, Good],
        faults: Faults { crashes: 1, lost: 1, vanishing: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "an object is overwritten",
        faults: Faults { crashes: 1, lost: 1, redeliveries: 1, overwriting: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "an empty file and an unreadable one",
        messages: &[&[0, 1]],
        files: &[Empty, Unreadable],
        faults: Faults { crashes: 1, lost: 1, redeliveries: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "the column rules change",
        processes: 2,
        rules_change: true,
        faults: Faults { crashes: 1, lost: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "by streams, crashes and refusals",
        streamed: true,
        faults: Faults { crashes: 1, lost: 2, refusals: 1, resumes: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "by streams, two processes",
        processes: 2,
        streamed: true,
        faults: Faults { crashes: 1, lost: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "by streams, two processes, taken for dead",
        processes: 2,
        streamed: true,
        unheard: true,
        faults: Faults { lost: 1, ..NONE },
        ..ONE_FILE
    },
    Scenario {
        name: "by streams, an object vanishes",
        messages: &[&[0, 1]],
        files: &[Good, Good],
        streamed: true,
        faults: Faults { crashes: 1, lost: 1, vanishing: 1, ..NONE },
        ..ONE_FILE
    },
];

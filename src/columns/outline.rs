//! What a footer claims, counted before anything is made of it: the Parquet reader makes room for as much as is claimed,
//! and follows groups within groups down its stack.

use super::limits::{CHUNKS_MAX, COLUMNS_MAX, LIST_ELEMENTS_MAX, SCHEMA_DEPTH_MAX};
use super::thrift::{Broken, Compact, Field, Kind};

// Numbers of fields, from parquet.thrift.
const FILE_SCHEMA: i16 = 2;
const FILE_ROW_GROUPS: i16 = 4;
const FILE_ENCRYPTION: i16 = 8;
const ELEMENT_CHILDREN: i16 = 5;
const ROW_GROUP_COLUMNS: i16 = 1;

/// Checks the footer `thrift`; says what is wrong with it.
pub(super) fn check(thrift: &[u8]) -> Result<(), String> {
    let mut footer = Compact::new(thrift);
    let mut outline = Outline::default();
    outline.file(&mut footer).map_err(|problem| match problem {
        Problem::Broken(broken) => format!("the footer is damaged: {}", broken.text()),
        Problem::Refused(text) => text,
    })
}

enum Problem {
    Broken(Broken),
    Refused(String),
}

impl From<Broken> for Problem {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

#[derive(Default)]
struct Outline {
    chunks: usize,
}

impl Outline {
    fn file(&mut self, footer: &mut Compact<'_>) -> Result<(), Problem> {
        fields(footer, |footer, field| match (field.id, field.kind) {
            (FILE_SCHEMA, Kind::List) => schema(footer),
            (FILE_ROW_GROUPS, Kind::List) => self.row_groups(footer),
            (FILE_ENCRYPTION, Kind::Struct) => Err(Problem::Refused("the file is encrypted".to_owned())),
            (_, kind) => Ok(footer.skip(kind)?),
        })
    }

    fn row_groups(&mut self, footer: &mut Compact<'_>) -> Result<(), Problem> {
        let groups = structs(footer)?;
        if groups > CHUNKS_MAX {
            return Err(Problem::Refused(format!(
                "the file has {groups} row groups, and {CHUNKS_MAX} at most are read"
            )));
        }
        for _ in 0..groups {
            fields(footer, |footer, field| match (field.id, field.kind) {
                (ROW_GROUP_COLUMNS, Kind::List) => self.columns(footer),
                (_, kind) => Ok(footer.skip(kind)?),
            })?;
        }
        Ok(())
    }

    fn columns(&mut self, footer: &mut Compact<'_>) -> Result<(), Problem> {
        let columns = structs(footer)?;
        self.chunks = self.chunks.saturating_add(columns);
        if self.chunks > CHUNKS_MAX {
            return Err(Problem::Refused(format!(
                "the file has more than {CHUNKS_MAX} column chunks (its row groups times its columns)"
            )));
        }
        Ok((0..columns).try_for_each(|_| footer.skip(Kind::Struct))?)
    }
}

/// The tree that the schema's flat list makes must be whole, and neither wide nor deep beyond reason.
fn schema(footer: &mut Compact<'_>) -> Result<(), Problem> {
    let elements = structs(footer)?;
    // The root is no column.
    if elements > COLUMNS_MAX + 1 {
        let text = format!("the file has {} columns, and {COLUMNS_MAX} at most are read", elements - 1);
        return Err(Problem::Refused(text));
    }
    // For each group that is open, how many of its children are to come.
    let mut open: Vec<usize> = Vec::new();
    for number in 0..elements {
        while open.last() == Some(&0) {
            open.pop();
        }
        match open.last_mut() {
            Some(children) => *children -= 1,
            None if number == 0 => {}
            None => return Err(Problem::Broken(Broken::Wrong("its schema has more than one root"))),
        }
        let children = children(footer)?;
        if children > elements - number - 1 {
            return Err(Problem::Broken(Broken::Wrong("its schema lacks columns")));
        }
        if children > 0 {
            open.push(children);
        }
        if open.len() > SCHEMA_DEPTH_MAX {
            let text = format!("the schema is nested deeper than {SCHEMA_DEPTH_MAX} groups");
            return Err(Problem::Refused(text));
        }
    }
    if open.iter().any(|children| *children > 0) {
        return Err(Problem::Broken(Broken::Wrong("its schema lacks columns")));
    }
    Ok(())
}

fn children(footer: &mut Compact<'_>) -> Result<usize, Problem> {
    let mut children = 0;
    fields(footer, |footer, field| match (field.id, field.kind) {
        (ELEMENT_CHILDREN, Kind::Int) => {
            let wrong = Broken::Wrong("its schema has a group of no possible size");
            children = usize::try_from(footer.int32()?).map_err(|_| wrong)?;
            Ok(())
        }
        (_, kind) => Ok(footer.skip(kind)?),
    })?;
    Ok(children)
}

fn fields<'a>(
    footer: &mut Compact<'a>,
    mut visit: impl FnMut(&mut Compact<'a>, Field) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut last = 0;
    while let Some(field) = footer.field(last)? {
        visit(footer, field)?;
        last = field.id;
    }
    Ok(())
}

/// The length of a list of structures.
fn structs(footer: &mut Compact<'_>) -> Result<usize, Problem> {
    match footer.list()? {
        (_, 0) => Ok(0),
        (Kind::Struct, count) => Ok(count),
        (_, _) => Err(Problem::Broken(Broken::Wrong("it has a list of the wrong type"))),
    }
}

// Whatever the schema may have, the shorter lists may have too: orders of columns, sorting.
const _: () = assert!(COLUMNS_MAX <= LIST_ELEMENTS_MAX);

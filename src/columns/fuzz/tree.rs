//! Thrift structures as trees that can be changed and written again.

/// A value, with the code of its type where one type has several.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::columns) enum Tree {
    Bool(bool),
    Byte(u8),
    Int(u8, i64),
    Double([u8; 8]),
    Binary(Vec<u8>),
    List(u8, Vec<Tree>),
    Struct(Vec<(i16, Tree)>),
}

const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl Tree {
    /// Reads a structure at the beginning of `bytes`, and its length. Only for what a sound writer wrote.
    pub(in crate::columns) fn read(bytes: &[u8]) -> (Self, usize) {
        let mut rest = bytes;
        let tree = read(&mut rest, STRUCT);
        (tree, bytes.len() - rest.len())
    }

    /// Writes it.
    pub(in crate::columns) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => out.push(if *value { 1 } else { 2 }),
            Self::Byte(byte) => out.push(*byte),
            Self::Int(_, number) => varint(out, ((number << 1) ^ (number >> 63)).cast_unsigned()),
            Self::Double(bytes) => out.extend(bytes),
            Self::Binary(bytes) => {
                varint(out, bytes.len() as u64);
                out.extend(bytes);
            }
            Self::List(kind, elements) => {
                if elements.len() < 15 {
                    out.push(u8::try_from(elements.len() << 4).unwrap() | kind);
                } else {
                    out.push(0xF0 | kind);
                    varint(out, elements.len() as u64);
                }
                elements.iter().for_each(|element| element.write(out));
            }
            Self::Struct(fields) => {
                let mut last = 0;
                for (id, value) in fields {
                    let code = value.code();
                    match i16::checked_sub(*id, last) {
                        Some(delta @ 1..=15) => out.push(u8::try_from(delta << 4).unwrap() | code),
                        Some(_) | None => {
                            out.push(code);
                            Self::Int(4, i64::from(*id)).write(out);
                        }
                    }
                    if !matches!(value, Self::Bool(_)) {
                        value.write(out);
                    }
                    last = *id;
                }
                out.push(0);
            }
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Bool(true) => 1,
            Self::Bool(false) => 2,
            Self::Byte(_) => 3,
            Self::Int(code, _) => *code,
            Self::Double(_) => 7,
            Self::Binary(_) => BINARY,
            Self::List(..) => LIST,
            Self::Struct(_) => STRUCT,
        }
    }

    /// The field `id` of a structure.
    pub(in crate::columns) fn get(&self, id: i16) -> Option<&Self> {
        let Self::Struct(fields) = self else { return None };
        fields.iter().find(|(field, _)| *field == id).map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub(in crate::columns) fn get_mut(&mut self, id: i16) -> Option<&mut Self> {
        let Self::Struct(fields) = self else { return None };
        fields.iter_mut().find(|(field, _)| *field == id).map(|(_, value)| value)
    }

    /// The number in field `id`.
    pub(in crate::columns) fn number(&self, id: i16) -> Option<i64> {
        match self.get(id)? {
            Self::Int(_, number) => Some(*number),
            Self::Bool(_)
            | Self::Byte(_)
            | Self::Double(_)
            | Self::Binary(_)
            | Self::List(..)
            | Self::Struct(_) => None,
        }
    }

    /// Sets the number in field `id`, if it is there.
    pub(in crate::columns) fn set(&mut self, id: i16, to: i64) {
        if let Some(Self::Int(_, number)) = self.get_mut(id) {
            *number = to;
        }
    }

    /// The elements of the list in field `id`.
    pub(in crate::columns) fn elements(&mut self, id: i16) -> &mut [Self] {
        match self.get_mut(id) {
            Some(Self::List(_, elements)) => elements,
            Some(_) | None => &mut [],
        }
    }

    /// Every node, itself first.
    pub(in crate::columns) fn nodes(&mut self) -> usize {
        let below: usize = match self {
            Self::List(_, elements) => elements.iter_mut().map(Self::nodes).sum(),
            Self::Struct(fields) => fields.iter_mut().map(|(_, value)| value.nodes()).sum(),
            Self::Bool(_) | Self::Byte(_) | Self::Int(..) | Self::Double(_) | Self::Binary(_) => 0,
        };
        below + 1
    }

    /// The node of this number, in the order of `nodes`.
    pub(in crate::columns) fn node(&mut self, number: usize) -> Option<&mut Self> {
        if number == 0 {
            return Some(self);
        }
        let children: Vec<&mut Self> = match self {
            Self::List(_, elements) => elements.iter_mut().collect(),
            Self::Struct(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
            Self::Bool(_) | Self::Byte(_) | Self::Int(..) | Self::Double(_) | Self::Binary(_) => Vec::new(),
        };
        let mut left = number - 1;
        for child in children {
            let nodes = child.nodes();
            if left < nodes {
                return child.node(left);
            }
            left -= nodes;
        }
        None
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn read(rest: &mut &[u8], code: u8) -> Tree {
    match code {
        1 | 2 => Tree::Bool(byte(rest) == 1),
        3 => Tree::Byte(byte(rest)),
        4..=6 => Tree::Int(code, int(rest)),
        7 => Tree::Double(take(rest, 8).try_into().unwrap()),
        BINARY => {
            let length = usize::try_from(unsigned(rest)).unwrap();
            Tree::Binary(take(rest, length).to_vec())
        }
        LIST | 10 => {
            let head = byte(rest);
            let count = if head >> 4 == 15 { unsigned(rest) } else { u64::from(head >> 4) };
            Tree::List(head & 15, (0..count).map(|_| read(rest, head & 15)).collect())
        }
        STRUCT => {
            let (mut fields, mut last) = (Vec::new(), 0);
            loop {
                let head = byte(rest);
                if head & 15 == 0 {
                    return Tree::Struct(fields);
                }
                last = if head >> 4 == 0 {
                    i16::try_from(int(rest)).unwrap()
                } else {
                    last + i16::from(head >> 4)
                };
                let value = match head & 15 {
                    flag @ 1..=2 => Tree::Bool(flag == 1),
                    code => read(rest, code),
                };
                fields.push((last, value));
            }
        }
        other => panic!("no writer writes the type {other}"),
    }
}

fn byte(rest: &mut &[u8]) -> u8 {
    take(rest, 1)[0]
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(count);
    *rest = after;
    taken
}

fn unsigned(rest: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = byte(rest);
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
        shift += 7;
    }
}

fn int(rest: &mut &[u8]) -> i64 {
    let value = unsigned(rest);
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

//! The frame of every JSON object that a command prints.
//!
//! `docs/json.md` has the names and types of all members. A name means the same in every command:
//! `files` is a list of paths and `files_count` a number, `lines`, `bytes` and `rejected` are
//! numbers, `seconds` is the duration.

use serde::ser::SerializeMap;
use serde_json::{Map, Value};

/// Increased when a member is removed, or changes its type or meaning; new members do not increase
/// it.
pub(crate) const FORMAT: u64 = 1;

/// What an object is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectType {
    /// The last object of a command, or its only one.
    Summary,
    Finding,
    Note,
    /// A row of `sessions`.
    Participant,
    Session,
}

impl ObjectType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Finding => "finding",
            Self::Note => "note",
            Self::Participant => "participant",
            Self::Session => "session",
        }
    }
}

/// The object of a command, with the members that every object has.
pub(crate) fn object(command: &'static str, of_type: ObjectType, members: Value) -> Value {
    let mut object = Map::new();
    object.insert("format".to_owned(), FORMAT.into());
    object.insert("command".to_owned(), command.into());
    object.insert("type".to_owned(), of_type.as_str().into());
    if let Value::Object(members) = members {
        object.extend(members);
    }
    Value::Object(object)
}

/// The same for an object that is written member by member: writes the first members.
pub(crate) fn begin<M: SerializeMap>(
    command: &'static str,
    of_type: ObjectType,
    object: &mut M,
) -> Result<(), M::Error> {
    object.serialize_entry("format", &FORMAT)?;
    object.serialize_entry("command", command)?;
    object.serialize_entry("type", of_type.as_str())
}

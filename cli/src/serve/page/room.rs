//! One room of the page: who and what is in it, and how it is sent.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::count::event::ActivityKind;

/// One participant, present or not.
#[derive(Debug, Serialize)]
pub(super) struct Participant {
    pub(super) label: Box<str>,
    pub(super) platform: Box<str>,
    pub(super) joined_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) left_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Box<str>>,
}

/// A recording, an egress, and so on.
#[derive(Debug, Serialize)]
pub(super) struct Activity {
    pub(super) kind: &'static str,
    pub(super) id: Box<str>,
    pub(super) began_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
}

/// One room.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) name: Box<str>,
    pub(super) unique: Option<Box<str>>,
    pub(super) began_ms: i64,
    /// Its start was read.
    pub(super) has_start: bool,
    pub(super) last_ms: i64,
    pub(super) ended_ms: Option<i64>,
    pub(super) reason: Option<Box<str>>,
    pub(super) present: u64,
    pub(super) joins: u64,
    pub(super) participants: BTreeMap<Box<str>, Participant>,
    pub(super) activities: BTreeMap<(&'static str, Box<str>), Activity>,
}

/// A room, as it is sent.
#[derive(Debug, Serialize)]
pub(super) struct RoomRow<'a> {
    key: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique: Option<&'a str>,
    pub(super) began_ms: i64,
    pub(super) has_start: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    present: u64,
    pub(super) joins: u64,
    participants: Vec<(&'a str, &'a Participant)>,
    activities: Vec<&'a Activity>,
}

/// What an event does to an activity.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Began,
    Ended { began: Option<i64>, bytes: Option<u64> },
}

impl Change {
    pub(super) const fn began(self) -> Option<i64> {
        match self {
            Self::Began => None,
            Self::Ended { began, .. } => began,
        }
    }
}

/// `None` for tracks, of which there are too many to look at.
pub(super) const fn kind_name(kind: ActivityKind) -> Option<&'static str> {
    match kind {
        ActivityKind::Egress => Some("egress"),
        ActivityKind::Ingress => Some("ingress"),
        ActivityKind::Recording => Some("recording"),
        ActivityKind::Broadcast => Some("broadcast"),
        ActivityKind::Track => None,
    }
}

/// How many there are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Open {
    pub(super) rooms: u64,
    pub(super) participants: u64,
    pub(super) recordings: u64,
    pub(super) egress: u64,
}

impl Open {
    pub(super) fn begin(&mut self, kind: &str) {
        if let Some(count) = self.count(kind) {
            *count += 1;
        }
    }

    pub(super) fn end(&mut self, kind: &str) {
        if let Some(count) = self.count(kind) {
            *count -= 1;
        }
    }

    fn count(&mut self, kind: &str) -> Option<&mut u64> {
        match kind {
            "recording" => Some(&mut self.recordings),
            "egress" => Some(&mut self.egress),
            _ => None,
        }
    }
}

impl Room {
    /// Without those who left if only the present ones are asked for.
    pub(super) fn row<'a>(&'a self, key: &'a str, has_all: bool) -> RoomRow<'a> {
        let participants = self.participants.iter();
        RoomRow {
            key,
            name: &self.name,
            unique: self.unique.as_deref(),
            began_ms: self.began_ms,
            has_start: self.has_start,
            ended_ms: self.ended_ms,
            reason: self.reason.as_deref(),
            present: self.present,
            joins: self.joins,
            participants: participants
                .filter(|(_, one)| has_all || one.left_ms.is_none())
                .map(|(id, one)| (&**id, one))
                .take(50)
                .collect(),
            activities: self.activities.values().collect(),
        }
    }

    pub(super) fn contains(&self, query: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(query);
        query.is_empty()
            || has(&self.name)
            || self.unique.as_deref().is_some_and(has)
            || self.participants.iter().any(|(id, one)| has(id) || has(&one.label))
            || self.activities.values().any(|one| has(&one.id))
    }
}

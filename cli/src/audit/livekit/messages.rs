//! The messages of LiveKit's RoomService, as far as they are needed, with the member names of both
//! forms of Protocol Buffers JSON.

use serde::{Deserialize, Deserializer};

#[derive(Debug, Default, Deserialize)]
pub(super) struct Rooms {
    #[serde(default)]
    pub(super) rooms: Vec<Room>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Room {
    pub(super) sid: String,
    pub(super) name: String,
    #[serde(alias = "creationTime", deserialize_with = "number")]
    creation_time: i64,
    #[serde(alias = "creationTimeMs", deserialize_with = "number")]
    creation_time_ms: i64,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Participants {
    #[serde(default)]
    pub(super) participants: Vec<Participant>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Participant {
    pub(super) sid: String,
    pub(super) identity: String,
    state: State,
    #[serde(alias = "joinedAt", deserialize_with = "number")]
    joined_at: i64,
    #[serde(alias = "joinedAtMs", deserialize_with = "number")]
    joined_at_ms: i64,
}

/// The server sends the event of a join once the participant is active.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum State {
    Active,
    #[default]
    #[serde(other)]
    Other,
}

impl Room {
    /// When it began, in milliseconds since 1970.
    pub(super) fn began(&self) -> i64 {
        milliseconds(self.creation_time_ms, self.creation_time)
    }
}

impl Participant {
    /// When it joined, in milliseconds since 1970.
    pub(super) fn joined(&self) -> i64 {
        milliseconds(self.joined_at_ms, self.joined_at)
    }

    pub(super) fn is_active(&self) -> bool {
        self.state == State::Active
    }
}

/// The server sends 0 for a time that it does not tell.
fn milliseconds(ms: i64, seconds: i64) -> i64 {
    if ms > 0 { ms } else { seconds.saturating_mul(1000) }
}

/// 64-bit integers are strings in Protocol Buffers JSON, but some writers use numbers.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Text(String),
        Integer(i64),
    }
    match Number::deserialize(deserializer)? {
        Number::Text(text) => text.parse().map_err(serde::de::Error::custom),
        Number::Integer(number) => Ok(number),
    }
}

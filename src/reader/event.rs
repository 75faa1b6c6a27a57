//! A parsed line.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use simd_json::OwnedValue;

use super::error::EventError;
use super::value::{Members, Value};

/// The event of a CDR line, with all of its members.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    name: String,
    timestamp_ms: Option<i64>,
    session_id: Option<String>,
    members: Box<simd_json::owned::Object>,
}

impl Event {
    /// Parses a line, with or without its line feed. This copies it.
    ///
    /// # Errors
    ///
    /// [`EventError`] if it is not a JSON object with one member that is an object.
    pub fn from_line(line: &[u8]) -> Result<Self, EventError> {
        match simd_json::serde::from_slice(&mut line.to_vec()) {
            Ok(Parsed(event)) => event,
            Err(error) => Err(EventError::NotJson { fault: error.to_string() }),
        }
    }

    /// The name of the event, which is the key of the root member.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When the event happened, in milliseconds since 1970: the member `timestamp`, else LiveKit's
    /// `createdAt` (which is in seconds), else OpenVidu Meet's `creationDate`. `None` if it has
    /// none.
    #[must_use]
    pub const fn timestamp_ms(&self) -> Option<i64> {
        self.timestamp_ms
    }

    /// The session: the member `sessionId`, else the name of LiveKit's room, else Meet's `roomId`.
    /// `None` if it has none.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// All members, including those above.
    #[must_use]
    pub fn members(&self) -> Members<'_> {
        Members::new(&self.members)
    }

    /// The value of a member; `None` if there is no such member.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        self.members().get(key)
    }

    fn new(name: String, members: Box<simd_json::owned::Object>) -> Self {
        let view = Members::new(&members);
        let timestamp_ms = view
            .get("timestamp")
            .and_then(milliseconds)
            .or_else(|| milliseconds(view.get("createdAt")?)?.checked_mul(1000))
            .or_else(|| milliseconds(view.get("creationDate")?));
        let session_id = text(view, &["sessionId"])
            .or_else(|| text(view, &["room", "name"]))
            .or_else(|| text(view, &["egressInfo", "roomName"]))
            .or_else(|| text(view, &["ingressInfo", "roomName"]))
            .or_else(|| text(view, &["data", "roomId"]))
            .map(str::to_owned);
        Self { name, timestamp_ms, session_id, members }
    }
}

/// A whole number, which LiveKit writes as a string.
fn milliseconds(value: Value<'_>) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.parse().ok())
        .or_else(|| value.as_f64().map(|number| number as i64))
}

/// The text at the end of `path`, if it is not empty.
fn text<'event>(members: Members<'event>, path: &[&str]) -> Option<&'event str> {
    let mut keys = path.iter();
    let first = members.get(keys.next()?)?;
    let value = keys.try_fold(first, |value, key| value.get(key))?;
    value.as_str().filter(|text| !text.is_empty())
}

/// A JSON object, and the event if it is one.
struct Parsed(Result<Event, EventError>);

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor).map(Parsed)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Result<Event, EventError>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one member, the event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((name, value)) = map.next_entry::<String, OwnedValue>()? else {
            return Ok(Err(EventError::NoMember));
        };
        let OwnedValue::Object(members) = value else { return Ok(Err(EventError::NotAnObject)) };
        if map.next_key::<String>()?.is_some() {
            return Ok(Err(EventError::SeveralMembers));
        }
        Ok(Ok(Event::new(name, members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str) -> Event {
        Event::from_line(line.as_bytes()).unwrap()
    }

    #[test]
    fn an_event_has_its_name_time_session_and_every_member() {
        let event = event(
            r#"{"signalSent":{"timestamp":1538481330577,"sessionId":"s","x":[1,null,"\u00e9"],"n":123456789012345678901234567890}}"#,
        );
        assert_eq!((event.name(), event.timestamp_ms()), ("signalSent", Some(1_538_481_330_577)));
        assert_eq!(event.session_id(), Some("s"));
        assert_eq!(event.get("x").unwrap().to_string(), "[1,null,\"\u{e9}\"]");
        assert!(event.get("n").is_some());
    }

    #[test]
    fn time_and_session_are_found_where_livekit_and_meet_have_them() {
        let livekit =
            event(r#"{"room_started":{"room":{"name":"daily"},"createdAt":"1700000001"}}"#);
        assert_eq!(livekit.timestamp_ms(), Some(1_700_000_001_000));
        assert_eq!(livekit.session_id(), Some("daily"));
        let meet = event(r#"{"meetingStarted":{"creationDate":17,"data":{"roomId":"room-123"}}}"#);
        assert_eq!((meet.timestamp_ms(), meet.session_id()), (Some(17), Some("room-123")));
        let bare = event(r#"{"x":{}}"#);
        assert_eq!((bare.timestamp_ms(), bare.session_id()), (None, None));
    }

    #[test]
    fn what_is_no_event_is_an_error_that_says_why() {
        let fault = |line: &str| Event::from_line(line.as_bytes()).unwrap_err();
        for line in ["", "{", "[]", "1", "{\"x\":{}} 1"] {
            assert!(matches!(fault(line), EventError::NotJson { .. }), "{line}");
        }
        assert_eq!(fault("{}"), EventError::NoMember);
        assert_eq!(fault("{\"x\":1}"), EventError::NotAnObject);
        assert_eq!(fault("{\"x\":{},\"y\":{}}"), EventError::SeveralMembers);
        assert_eq!(fault("{\"x\":{},\"x\":{}}"), EventError::SeveralMembers);
    }

    /// Building values recurses: the parser's own limit keeps it from overflowing the stack.
    #[test]
    fn a_line_that_is_nested_very_deep_is_an_error_and_no_end_of_the_process() {
        let line =
            |depth| format!("{{\"x\":{{\"y\":{}{}}}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Event::from_line(line(127).as_bytes()).is_ok());
        for depth in [10_000, 1_000_000] {
            assert!(Event::from_line(line(depth).as_bytes()).is_err());
        }
        let open = format!("{{\"x\":{{\"y\":{}", "[".repeat(1_000_000));
        assert!(Event::from_line(open.as_bytes()).is_err());
    }
}

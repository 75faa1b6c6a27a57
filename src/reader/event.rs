//! A line as values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use simd_json::OwnedValue;
use simd_json::prelude::{ValueAsScalar, ValueObjectAccess};

/// The event of a CDR line, with all members that it has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// Its name, the one root member of the line.
    pub name: String,
    /// When it happened, in milliseconds since 1970: the member `timestamp`; LiveKit's `createdAt`
    /// (in seconds) or OpenVidu Meet's `creationDate` where there is none.
    pub timestamp: Option<i64>,
    /// The session: the member `sessionId`; the name of LiveKit's room or Meet's `roomId` where
    /// there is none.
    pub session_id: Option<String>,
    /// All members, those above too; an object.
    pub body: OwnedValue,
}

impl Event {
    /// Reads a line, with or without its line feed. This copies it.
    ///
    /// # Errors
    ///
    /// Where it is no JSON object with one member that is an object.
    pub fn from_line(line: &[u8]) -> Result<Self, simd_json::Error> {
        simd_json::serde::from_slice(&mut line.to_vec())
    }

    fn new(name: String, body: OwnedValue) -> Self {
        let timestamp = body
            .get("timestamp")
            .and_then(milliseconds)
            .or_else(|| milliseconds(body.get("createdAt")?)?.checked_mul(1000))
            .or_else(|| milliseconds(body.get("creationDate")?));
        let session_id = text(&body, &["sessionId"])
            .or_else(|| text(&body, &["room", "name"]))
            .or_else(|| text(&body, &["egressInfo", "roomName"]))
            .or_else(|| text(&body, &["ingressInfo", "roomName"]))
            .or_else(|| text(&body, &["data", "roomId"]));
        Self { name, timestamp, session_id, body }
    }
}

/// A whole number, which LiveKit writes as a string.
fn milliseconds(value: &OwnedValue) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.parse().ok())
        .or_else(|| value.as_f64().map(|number| number as i64))
}

fn text(body: &OwnedValue, way: &[&str]) -> Option<String> {
    let value = way.iter().try_fold(body, |value, key| value.get(*key))?;
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one member, the event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let Some((name, body)) = map.next_entry::<String, OwnedValue>()? else {
            return Err(Error::custom("the root object has no member"));
        };
        if !matches!(body, OwnedValue::Object(_)) {
            return Err(Error::custom("the value of the root's member is not an object"));
        }
        if map.next_key::<String>()?.is_some() {
            return Err(Error::custom("the root object has more than one member"));
        }
        Ok(Event::new(name, body))
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
        assert_eq!((event.name.as_str(), event.timestamp), ("signalSent", Some(1_538_481_330_577)));
        assert_eq!(event.session_id.as_deref(), Some("s"));
        assert_eq!(event.body.get("x").unwrap(), &simd_json::json!([1, null, "\u{e9}"]));
        assert!(event.body.contains_key("n"));
    }

    #[test]
    fn time_and_session_are_found_where_livekit_and_meet_have_them() {
        let livekit =
            event(r#"{"room_started":{"room":{"name":"daily"},"createdAt":"1700000001"}}"#);
        assert_eq!(livekit.timestamp, Some(1_700_000_001_000));
        assert_eq!(livekit.session_id.as_deref(), Some("daily"));
        let meet = event(r#"{"meetingStarted":{"creationDate":17,"data":{"roomId":"room-123"}}}"#);
        assert_eq!((meet.timestamp, meet.session_id.as_deref()), (Some(17), Some("room-123")));
        let bare = event(r#"{"x":{}}"#);
        assert_eq!((bare.timestamp, bare.session_id), (None, None));
    }

    #[test]
    fn what_is_no_event_is_an_error_and_nothing_overflows() {
        let deep = format!("{{\"x\":{{\"y\":{}", "[".repeat(1_000_000));
        for line in ["", "{", "{}", "[]", "{\"x\":1}", "{\"x\":{},\"y\":{}}", "{\"x\":{}} 1", &deep]
        {
            assert!(Event::from_line(line.as_bytes()).is_err(), "{:.40}", line);
        }
    }
}

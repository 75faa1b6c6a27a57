//! What an event tells of a participant beside the id: texts for people, chosen by callers.

use std::borrow::Cow;

use crate::count::line::{Members, text};
use crate::print::beginning;

/// A longer text is cut.
const TEXT_BYTES_MAX: usize = 160;

/// The texts of a participant; empty if the event has none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Person {
    /// LiveKit's identity, or the `clientData` of OpenVidu 2.
    pub(super) label: Box<str>,
    pub(super) platform: Box<str>,
}

impl Person {
    /// Reads the members of an event.
    pub(super) fn of(body: &[u8]) -> Self {
        let mut person = Self::default();
        for (key, value) in Members::of_object(body) {
            match key.as_ref() {
                b"clientData" => person.label = label(value),
                b"platform" => person.platform = label(value),
                b"participant" => person.read_livekit(value),
                _ => {}
            }
        }
        person
    }

    fn read_livekit(&mut self, participant: &[u8]) {
        for (key, value) in Members::of_object(participant) {
            match key.as_ref() {
                b"identity" => self.label = label(value),
                b"name" if self.label.is_empty() => self.label = label(value),
                _ => {}
            }
        }
    }
}

fn label(value: &[u8]) -> Box<str> {
    text(value).map(shown).unwrap_or_default()
}

/// A text of an event, as it is shown: not longer than people read.
pub(super) fn shown(text: Cow<'_, [u8]>) -> Box<str> {
    let text = String::from_utf8_lossy(&text);
    beginning(&text, TEXT_BYTES_MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_participant_has_the_texts_that_its_server_sends() {
        let of = |body: &str| Person::of(body.as_bytes());
        let person = of(r#"{"clientData":"Ada \u003c3","platform":"Chrome"}"#);
        assert_eq!((&*person.label, &*person.platform), ("Ada <3", "Chrome"));
        let person = of(r#"{"participant":{"name":"Ada","identity":"ada"}}"#);
        assert_eq!(&*person.label, "ada");
        assert_eq!(of(r#"{"clientData":{"a":1},"participant":7}"#), Person::default());
    }

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let cut = shown(Cow::Owned("ö".repeat(1000).into_bytes()));
        assert!(cut.len() <= TEXT_BYTES_MAX && cut.chars().all(|one| one == 'ö'));
    }
}

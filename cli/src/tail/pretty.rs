//! An event for people, on one line.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use cdrlog::reader::{Event, Value};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::local_time;

/// Most names of events are shorter, so sessions are aligned.
const NAME_WIDTH: usize = 22;

/// Shown in place of a missing time.
const NO_TIME: &str = "-----------------------";

/// How events are shown.
#[derive(Debug)]
pub(super) struct Pretty {
    zone: TimeZone,
    time: Style,
    name: Style,
    session: Style,
    key: Style,
    fault: Style,
}

impl Pretty {
    /// With colours, unless `NO_COLOR` is set or the terminal has none; in local time.
    pub(super) fn of_environment() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = !is_set("NO_COLOR") && !is_dumb;
        Self::new(colour, local_time::zone())
    }

    fn new(colour: bool, zone: TimeZone) -> Self {
        let style = |style: Style| if colour { style } else { Style::new() };
        Self {
            zone,
            time: style(Style::new().dimmed()),
            name: style(AnsiColor::Cyan.on_default().bold()),
            session: style(AnsiColor::Green.on_default()),
            key: style(Style::new().dimmed()),
            fault: style(AnsiColor::Red.on_default()),
        }
    }

    pub(super) fn event(&self, event: &Event) -> String {
        let time = event
            .timestamp_ms()
            .and_then(|timestamp| Timestamp::from_millisecond(timestamp).ok())
            .map(|timestamp| timestamp.to_zoned_datetime(self.zone.clone()))
            .map(|zoned| zoned.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string());
        let time = time.as_deref().unwrap_or(NO_TIME);
        let name = printable(event.name());
        let mut text =
            format!("{} {}", self.painted(self.time, time), self.painted(self.name, &name));
        if let Some(session) = event.session_id() {
            let gap = " ".repeat(NAME_WIDTH.saturating_sub(name.chars().count()));
            let session = printable(session);
            text += &format!("{gap} {}", self.painted(self.session, &session));
        }
        for (key, value) in event.members().iter() {
            if !matches!(key, "timestamp" | "sessionId") {
                let key = format!("{}=", printable(key));
                text += &format!(" {}{}", self.painted(self.key, &key), shown(value));
            }
        }
        text
    }

    /// A line that is not an event.
    pub(super) fn no_event(&self, line: &[u8]) -> String {
        self.painted(self.fault, &printable(&String::from_utf8_lossy(line)))
    }

    fn painted(&self, style: Style, text: &str) -> String {
        format!("{style}{text}{style:#}")
    }
}

/// A value as JSON; a string without its quotes if it is a single word.
fn shown(value: Value<'_>) -> String {
    match value {
        Value::String(text) if is_word(text) => text.to_owned(),
        other => printable(&other.to_string()),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_alphanumeric() || "_-.:/@+".contains(char))
}

/// `text` without control characters, which a terminal would obey: events contain what strangers
/// sent.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            // Writing to a string does not fail.
            let _ = write!(printable, "\\u{:04x}", u32::from(char));
        } else {
            printable.push(char);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pretty(colour: bool, line: &str) -> String {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        Pretty::new(colour, zone).event(&Event::from_line(line.as_bytes()).unwrap())
    }

    #[test]
    fn an_event_is_one_line_of_time_name_session_and_the_rest() {
        let line = r#"{"participantLeft":{"timestamp":1538481330577,"sessionId":"ses_1","reason":"disconnect","location":"Madrid, Spain","n":[1,{"a":null}],"e":""}}"#;
        assert_eq!(
            pretty(false, line),
            "2018-10-02 12:55:30.577 participantLeft        ses_1 reason=disconnect \
             location=\"Madrid, Spain\" n=[1,{\"a\":null}] e=\"\""
        );
        assert!(pretty(true, line).contains("\u{1b}[32mses_1\u{1b}[0m"));
        assert_eq!(pretty(false, r#"{"x":{"a":1}}"#), "----------------------- x a=1");
    }

    #[test]
    fn what_strangers_sent_does_not_command_the_terminal() {
        let text = pretty(
            false,
            "{\"x\\u001b[2J\":{\"sessionId\":\"\\u009b2J\",\"a\\u0007\":\"\\u001b]0;x\\u0007 \u{9b}\"}}",
        );
        assert!(!text.chars().any(char::is_control), "{text:?}");
        let text = Pretty::new(false, TimeZone::UTC).no_event(b"\x1b[2J\xff");
        assert_eq!(text, "\\u001b[2J\u{fffd}");
    }
}

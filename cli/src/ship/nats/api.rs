//! The requests to JetStream that are needed, and their answers.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::connection::{Connection, Fault};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the acknowledgement of a message may take: it may have to wait for a disk.
const STORE_TIMEOUT: Duration = Duration::from_secs(60);

/// What JetStream gives as reasons.
const NO_MESSAGE: u64 = 10037;
const NO_STREAM: u64 = 10059;
const WRONG_STREAM: u64 = 10060;
const WRONG_LAST: [u64; 2] = [10071, 10164];
const NOT_ENABLED: [u64; 2] = [10039, 10076];

impl Fault {
    pub(super) const fn is_no_stream(&self) -> bool {
        matches!(self, Self::Refused { code: NO_STREAM, .. })
    }

    pub(super) const fn is_wrong_stream(&self) -> bool {
        matches!(self, Self::Refused { code: WRONG_STREAM, .. })
    }

    /// The last message of the subject is another one.
    pub(super) fn is_wrong_last(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if WRONG_LAST.contains(code))
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: Option<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// The answer in a message, or why there is none.
fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Fault> {
    let odd =
        |error: serde_json::Error| Fault::Lost(format!("the answer is none of JetStream: {error}"));
    let refusal: Refusal = serde_json::from_slice(payload).map_err(odd)?;
    match refusal.error {
        Some(reason) if NOT_ENABLED.contains(&reason.err_code) => {
            Err(Fault::Setup(format!("{}: enable JetStream for this account", reason.description)))
        }
        Some(reason) => Err(Fault::Refused { code: reason.err_code, text: reason.description }),
        None => serde_json::from_slice(payload).map_err(odd),
    }
}

fn call<T: DeserializeOwned>(
    connection: &Connection,
    name: &str,
    request: Option<serde_json::Value>,
) -> Result<T, Fault> {
    let payload = request.map(|request| Bytes::from(request.to_string())).unwrap_or_default();
    let subject = format!("$JS.API.{name}");
    let answer = connection.ask(&subject, HeaderMap::new(), payload, ANSWER_TIMEOUT)?;
    read(&answer.payload)
}

/// What a stream was made to do, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamConfig {
    pub(super) retention: String,
    pub(super) storage: String,
    pub(super) discard: String,
    /// In nanoseconds; 0 for ever.
    pub(super) max_age: i64,
    pub(super) max_msgs_per_subject: i64,
    pub(super) max_msg_size: i64,
    pub(super) deny_delete: bool,
    pub(super) deny_purge: bool,
    pub(super) allow_rollup_hdrs: bool,
    pub(super) allow_msg_counter: bool,
    pub(super) no_ack: bool,
    pub(super) sealed: bool,
    pub(super) persist_mode: String,
    pub(super) mirror: Option<serde::de::IgnoredAny>,
    pub(super) sources: Option<Vec<serde::de::IgnoredAny>>,
    pub(super) subject_transform: Option<serde::de::IgnoredAny>,
}

pub(super) fn stream_config(connection: &Connection, stream: &str) -> Result<StreamConfig, Fault> {
    #[derive(Deserialize)]
    struct Info {
        config: StreamConfig,
    }
    let info: Info = call(connection, &format!("STREAM.INFO.{stream}"), None)?;
    Ok(info.config)
}

/// The subjects that have messages, of those that `filter` names.
pub(super) fn subjects(
    connection: &Connection,
    stream: &str,
    filter: &str,
) -> Result<Vec<String>, Fault> {
    #[derive(Deserialize)]
    struct Info {
        state: State,
        #[serde(default)]
        total: usize,
    }
    #[derive(Deserialize)]
    struct State {
        #[serde(default)]
        subjects: HashMap<String, u64>,
    }
    let mut subjects = Vec::new();
    loop {
        let request = json!({ "subjects_filter": filter, "offset": subjects.len() });
        let Info { state, total } =
            call(connection, &format!("STREAM.INFO.{stream}"), Some(request))?;
        let is_last = state.subjects.is_empty();
        subjects.extend(state.subjects.into_keys());
        if is_last || subjects.len() >= total {
            return Ok(subjects);
        }
    }
}

pub(super) fn create_stream(
    connection: &Connection,
    stream: &str,
    config: serde_json::Value,
) -> Result<(), Fault> {
    let created: Result<serde::de::IgnoredAny, Fault> =
        call(connection, &format!("STREAM.CREATE.{stream}"), Some(config));
    created.map(|_| ())
}

/// A message of a stream.
#[derive(Debug)]
pub(super) struct Stored {
    /// Its number in the stream.
    pub(super) seq: u64,
    pub(super) subject: String,
    /// As they are sent: a line for the version, and one for each header.
    pub(super) headers: Vec<u8>,
    encoded: String,
}

impl Stored {
    /// What was sent.
    pub(super) fn payload(&self) -> Result<Vec<u8>, Fault> {
        decode(&self.encoded, self.seq)
    }

    #[cfg(test)]
    pub(super) const fn of_headers(seq: u64, subject: String, headers: Vec<u8>) -> Self {
        Self { seq, subject, headers, encoded: String::new() }
    }
}

fn decode(encoded: &str, seq: u64) -> Result<Vec<u8>, Fault> {
    let decoded = STANDARD.decode(encoded);
    decoded.map_err(|error| Fault::Lost(format!("message {seq} is no base64: {error}")))
}

/// Which message.
pub(super) enum Which<'a> {
    Last {
        subject: &'a str,
    },
    Number(u64),
    /// The first of the subject from a number on.
    From {
        seq: u64,
        subject: &'a str,
    },
}

/// A message, by the leader of the stream: its copies may be behind. `None` if there is none.
pub(super) fn message(
    connection: &Connection,
    stream: &str,
    which: &Which<'_>,
) -> Result<Option<Stored>, Fault> {
    #[derive(Deserialize)]
    struct Found {
        message: Encoded,
    }
    #[derive(Deserialize)]
    struct Encoded {
        seq: u64,
        subject: String,
        #[serde(default)]
        hdrs: String,
        #[serde(default)]
        data: String,
    }
    let request = match which {
        Which::Last { subject } => json!({ "last_by_subj": subject }),
        Which::Number(seq) => json!({ "seq": seq }),
        Which::From { seq, subject } => json!({ "seq": seq, "next_by_subj": subject }),
    };
    match call::<Found>(connection, &format!("STREAM.MSG.GET.{stream}"), Some(request)) {
        Ok(Found { message: Encoded { seq, subject, hdrs, data } }) => {
            let headers = decode(&hdrs, seq)?;
            Ok(Some(Stored { seq, subject, headers, encoded: data }))
        }
        Err(Fault::Refused { code: NO_MESSAGE, .. }) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Stores a message, and returns its number in the stream.
pub(super) fn store(
    connection: &Connection,
    stream: &str,
    subject: &str,
    headers: HeaderMap,
    payload: Bytes,
) -> Result<u64, Fault> {
    #[derive(Deserialize)]
    struct Acknowledgement {
        stream: String,
        seq: u64,
        #[serde(default)]
        duplicate: bool,
    }
    let answer =
        connection.ask(subject, headers, payload, STORE_TIMEOUT).map_err(|fault| match fault {
            Fault::NoResponders => Fault::Setup(format!(
                "no stream takes the subject {subject}: add it to those of {stream}"
            )),
            fault => fault,
        })?;
    let stored: Acknowledgement = read(&answer.payload)?;
    if stored.stream != stream || stored.duplicate {
        return Err(Fault::Lost(format!("it was stored elsewhere: in {}", stored.stream)));
    }
    Ok(stored.seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_number() {
        let text = br#"{"type":"x","error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"}}"#;
        let fault = read::<serde::de::IgnoredAny>(text).unwrap_err();
        assert!(fault.is_wrong_last() && fault.sentence().contains("wrong last sequence: 5"));
        let text =
            br#"{"error":{"code":503,"err_code":10076,"description":"jetstream not enabled"}}"#;
        assert!(matches!(read::<serde::de::IgnoredAny>(text), Err(Fault::Setup(_))));
        assert!(matches!(read::<serde::de::IgnoredAny>(b"+OK"), Err(Fault::Lost(_))));
    }
}

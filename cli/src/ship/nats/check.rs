//! Whether a stream keeps what the protocol relies on.

use bytes::Bytes;
use serde_json::json;

use super::address::StreamAddress;
use super::api::{StreamConfig, create_stream, store, stream_config};
use super::connection::{Connection, Fault};
use super::message::{MESSAGE_BYTES_MIN, expectation};

/// Older servers accepted two messages at once that expected the same last one.
const VERSION_MIN: (i64, i64) = (2, 12);

/// The most bytes of a message to the stream, headers included; or why it cannot be used.
pub(super) fn check(connection: &Connection, address: &StreamAddress) -> Result<usize, Fault> {
    let (major, minor) = VERSION_MIN;
    if !connection.is_at_least(major, minor) {
        return Err(refused(
            "version",
            &format!("the server is nats-server {}", connection.version()),
            &format!("use {major}.{minor} or later, which checks what a message expects"),
        ));
    }
    let StreamAddress { stream, .. } = address;
    let config = stream_config(connection, stream).map_err(|fault| no_stream(fault, stream))?;
    if let Some((found, way_out)) = weakness(&config) {
        let way_out = way_out.replace("STREAM", stream);
        return Err(refused("stream", &format!("{stream} {found}"), &way_out));
    }
    let marks = address.marks_stream();
    stream_config(connection, &marks).map_err(|fault| no_stream(fault, &marks))?;
    let of_stream = usize::try_from(config.max_msg_size).ok().filter(|&bytes| bytes > 0);
    let bytes = of_stream.unwrap_or(usize::MAX).min(connection.message_bytes_max());
    if bytes < MESSAGE_BYTES_MIN {
        return Err(refused(
            "max_payload",
            &format!("messages may have {bytes} bytes"),
            &format!("let the server and the stream take {MESSAGE_BYTES_MIN} or more"),
        ));
    }
    Ok(bytes)
}

fn no_stream(fault: Fault, stream: &str) -> Fault {
    if !fault.is_no_stream() {
        return fault;
    }
    Fault::Setup(format!("there is no stream {stream}: make it with `cdrlog ship --init`"))
}

/// A message that expects what cannot be must be refused, and by the right stream.
pub(super) fn compare_and_swap(
    connection: &Connection,
    address: &StreamAddress,
    writer: &str,
) -> Result<(), Fault> {
    let StreamAddress { stream, prefix, .. } = address;
    let subject = format!("{prefix}.probes.{writer}");
    // The number of no message: nothing is stored.
    let headers = expectation(stream, u64::MAX >> 1);
    match store(connection, stream, &subject, headers, Bytes::from_static(b"probe\n")) {
        Err(fault) if fault.is_wrong_last() => Ok(()),
        Err(fault) if fault.is_wrong_stream() => Err(Fault::Setup(format!(
            "another stream takes the subjects {}: use another prefix, such as ?prefix=cdr2",
            address.subjects()
        ))),
        Err(fault) => Err(fault),
        Ok(_) => Err(refused(
            "compare-and-swap",
            "a message was stored that expected another last one",
            "use a server that checks Nats-Expected-Last-Subject-Sequence",
        )),
    }
}

/// Makes the streams unless they exist. True if that of the blocks was made.
pub(super) fn init(connection: &Connection, address: &StreamAddress) -> Result<bool, Fault> {
    make(connection, &address.marks_stream(), marks_config_of(address))?;
    let is_new = make(connection, &address.stream, config_of(address))?;
    check(connection, address)?;
    Ok(is_new)
}

fn make(connection: &Connection, stream: &str, config: serde_json::Value) -> Result<bool, Fault> {
    match stream_config(connection, stream) {
        Err(fault) if fault.is_no_stream() => {
            create_stream(connection, stream, config).map(|()| true)
        }
        found => found.map(|_| false),
    }
}

/// What is lost of it is made again within a minute.
fn marks_config_of(address: &StreamAddress) -> serde_json::Value {
    json!({
        "name": address.marks_stream(),
        "description": "up to which time the nodes of cdrlog are complete",
        "subjects": [address.marks_subjects()],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "num_replicas": 1,
    })
}

fn config_of(address: &StreamAddress) -> serde_json::Value {
    json!({
        "name": address.stream,
        "description": "CDR lines of cdrlog",
        "subjects": [address.subjects()],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_age": 0,
        "max_bytes": -1,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "max_consumers": -1,
        "num_replicas": 1,
        "deny_delete": true,
        "deny_purge": true,
        "allow_direct": true,
    })
}

fn refused(name: &str, found: &str, way_out: &str) -> Fault {
    Fault::Setup(format!("the probe {name:?} failed: {found}; {way_out}"))
}

/// What the stream may do that loses blocks, and the way out.
fn weakness(config: &StreamConfig) -> Option<(&'static str, &'static str)> {
    const ANEW: &str = "make another stream with `cdrlog ship --init`";
    let is = |text: &str, value: &str| text.eq_ignore_ascii_case(value);
    let checks = [
        (!is(&config.storage, "file"), "is in memory only", ANEW),
        (
            !is(&config.retention, "limits"),
            "drops messages that consumers acknowledged",
            "`nats stream edit STREAM --retention limits`, or another stream",
        ),
        (
            config.max_age != 0,
            "drops messages after a time (max_age)",
            "`nats stream edit STREAM --max-age -1`",
        ),
        (
            config.max_msgs_per_subject > 0,
            "drops messages of a subject (max_msgs_per_subject)",
            "`nats stream edit STREAM --max-msgs-per-subject -1`",
        ),
        (
            !is(&config.discard, "new"),
            "drops old messages where it is full (discard)",
            "`nats stream edit STREAM --discard new`",
        ),
        (
            config.allow_rollup_hdrs,
            "lets a message replace others (rollup)",
            "`nats stream edit STREAM --no-allow-rollup`",
        ),
        (!config.deny_delete, "lets messages be deleted (deny_delete)", ANEW),
        (!config.deny_purge, "lets messages be purged (deny_purge)", ANEW),
        (config.mirror.is_some(), "is a mirror", "name the stream that it mirrors"),
        (
            config.sources.as_ref().is_some_and(|sources| !sources.is_empty()),
            "takes messages from other streams (sources)",
            ANEW,
        ),
        (config.subject_transform.is_some(), "changes subjects (subject_transform)", ANEW),
        (config.allow_msg_counter, "holds counters", ANEW),
        (config.no_ack, "acknowledges nothing (no_ack)", "`nats stream edit STREAM --ack`"),
        (config.sealed, "is sealed", ANEW),
        (
            is(&config.persist_mode, "async"),
            "acknowledges before it writes (persist_mode async)",
            ANEW,
        ),
    ];
    checks.into_iter().find(|(is_weak, ..)| *is_weak).map(|(_, found, way_out)| (found, way_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> serde_json::Value {
        config_of(&StreamAddress::parse("127.0.0.1/CDR", false).unwrap())
    }

    fn weakness_with(member: &str, value: serde_json::Value) -> Option<&'static str> {
        let mut config = sound();
        config[member] = value;
        weakness(&serde_json::from_value(config).unwrap()).map(|(found, _)| found)
    }

    #[test]
    fn the_stream_that_init_makes_is_a_sound_one() {
        assert_eq!(weakness_with("name", json!("X")), None);
        // A server says what it did not do, too.
        assert_eq!(weakness_with("sources", json!([])), None);
        assert_eq!(weakness_with("mirror", json!(null)), None);
        // It refuses messages where it is full.
        assert_eq!(weakness_with("max_bytes", json!(1000)), None);
    }

    #[test]
    fn a_stream_that_may_lose_blocks_is_refused() {
        for (member, value) in [
            ("storage", json!("memory")),
            ("retention", json!("workqueue")),
            ("retention", json!("interest")),
            ("max_age", json!(1)),
            ("max_msgs_per_subject", json!(1)),
            ("discard", json!("old")),
            ("allow_rollup_hdrs", json!(true)),
            ("deny_delete", json!(false)),
            ("deny_purge", json!(false)),
            ("mirror", json!({ "name": "X" })),
            ("sources", json!([{ "name": "X" }])),
            ("subject_transform", json!({ "src": "a", "dest": "b" })),
            ("allow_msg_counter", json!(true)),
            ("no_ack", json!(true)),
            ("sealed", json!(true)),
            ("persist_mode", json!("async")),
        ] {
            assert!(weakness_with(member, value.clone()).is_some(), "{member} {value}");
        }
    }
}

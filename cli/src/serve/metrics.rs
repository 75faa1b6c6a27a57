//! The counters of `GET /metrics`, in the OpenMetrics text format.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cdrlog::Stats;
use hyper::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::options::AckLevel;
use super::refusals::Reason;

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Label = [(&'static str, String); 1];

/// Upper bounds in seconds, from a single event on an idle machine to the timeout of the sender.
const ACK_SECONDS: [f64; 14] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0,
    10.0,
];

/// Statuses that are counted without a lookup in the map.
const STATUSES: [StatusCode; 2] = [StatusCode::OK, StatusCode::BAD_REQUEST];

/// What is counted here, and room for what the appender counts.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    sampled: Arc<Mutex<Sample>>,
    requests: Family<Label, Counter>,
    /// In the order of [`Reason::ALL`].
    refused: [Counter; Reason::ALL.len()],
    frequent: [Counter; STATUSES.len()],
    acks: [Histogram; 4],
    body_bytes: Counter,
}

/// Values that are read only when somebody asks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) stats: Stats,
    pub(super) connections: u64,
    pub(super) repeated: u64,
    pub(super) sender_dropped: u64,
    pub(super) bodies_bytes: u64,
    pub(super) is_healthy: bool,
}

impl Metrics {
    pub(super) fn new(directory: &Path) -> Self {
        let mut registry = Registry::with_prefix("cdrlog");
        #[cfg(feature = "ship")]
        registry.register_collector(Box::new(Shipping(directory.to_owned())));
        #[cfg(not(feature = "ship"))]
        let _ = directory;
        let sampled = Arc::new(Mutex::default());
        registry.register_collector(Box::new(Samples(sampled.clone())));
        let requests = Family::<Label, Counter>::default();
        registry.register(
            "http_requests",
            "Requests by the status of the answer",
            requests.clone(),
        );
        let refused = Family::<Label, Counter>::default();
        registry.register(
            "http_refused",
            "Requests and TLS handshakes that were refused, by reason",
            refused.clone(),
        );
        let acks = Family::<Label, Histogram>::new_with_constructor(|| Histogram::new(ACK_SECONDS));
        registry.register(
            "ack_seconds",
            "Seconds from the body of an event to its acknowledgement, by level",
            acks.clone(),
        );
        let body_bytes = Counter::default();
        registry.register("http_body_bytes", "Bytes of bodies of events", body_bytes.clone());
        let levels = ["accepted", "journaled", "written", "synced"];
        Self {
            registry,
            sampled,
            frequent: STATUSES.map(|status| requests.get_or_create_owned(&label(status))),
            requests,
            refused: Reason::ALL.map(|reason| {
                refused.get_or_create_owned(&[("reason", reason.as_str().to_owned())])
            }),
            acks: levels.map(|level| acks.get_or_create_owned(&[("level", level.to_owned())])),
            body_bytes,
        }
    }

    pub(super) fn count_request(&self, status: StatusCode) {
        let frequent = STATUSES.iter().zip(&self.frequent).find(|(known, _)| **known == status);
        match frequent {
            Some((_, counter)) => counter.inc(),
            None => self.requests.get_or_create(&label(status)).inc(),
        };
    }

    pub(super) fn count_refusal(&self, reason: Reason) {
        if let Some(counter) = self.refused.get(reason as usize) {
            counter.inc();
        }
    }

    /// How often requests were refused, by the reasons for which some were.
    pub(super) fn refusals(&self) -> Vec<(&'static str, u64)> {
        let counts = Reason::ALL.iter().zip(&self.refused);
        let counts = counts.map(|(reason, counter)| (reason.as_str(), counter.get()));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn count_body(&self, bytes: usize) {
        self.body_bytes.inc_by(bytes as u64);
    }

    pub(super) fn observe_ack(&self, level: AckLevel, latency: Duration) {
        let [accepted, journaled, written, synced] = &self.acks;
        match level {
            AckLevel::Accepted => accepted,
            AckLevel::Journaled => journaled,
            AckLevel::Written => written,
            AckLevel::Synced => synced,
        }
        .observe(latency.as_secs_f64());
    }

    /// The text of `GET /metrics`.
    pub(super) fn render(&self, sample: Sample) -> Result<String, fmt::Error> {
        *self.sampled.lock().unwrap_or_else(PoisonError::into_inner) = sample;
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn label(status: StatusCode) -> Label {
    [("status", status.as_str().to_owned())]
}

/// How far destinations are, as shippers of the directory say.
#[cfg(feature = "ship")]
#[derive(Debug)]
struct Shipping(std::path::PathBuf);

#[cfg(feature = "ship")]
impl Collector for Shipping {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        type Value = fn(&crate::ship::Shipped) -> Option<i64>;
        let gauges: [(&str, &str, Value); 6] = [
            ("ship_acknowledged_seq", "Number of the last block that the destination has", |it| {
                i64::try_from(it.seq).ok()
            }),
            ("ship_lag_bytes", "Synced bytes that the destination does not have yet", |it| {
                i64::try_from(it.lag_bytes).ok()
            }),
            (
                "ship_caught_up_timestamp_seconds",
                "When the destination last had everything",
                |it| Some(it.caught_up_at_ms / 1000),
            ),
            ("ship_failing", "1 while shipping fails or has stopped", |it| {
                Some(it.is_failing.into())
            }),
            ("ship_stopped", "1 after shipping stopped, as GET /healthz/ship says", |it| {
                Some(it.stopped.is_some().into())
            }),
            (
                "ship_disk_full_seconds",
                "How long the disk has room, while files are kept for a destination that is away",
                |it| it.disk_full_in_seconds.and_then(|seconds| i64::try_from(seconds).ok()),
            ),
        ];
        let shipped = crate::ship::shipped(&self.0);
        for (name, help, value) in gauges {
            let known = shipped.iter().filter_map(|it| Some((it, value(it)?)));
            let known: Vec<_> = known.collect();
            if known.is_empty() {
                continue;
            }
            let mut descriptor = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (it, value) in known {
                let labels = [("destination", it.destination.as_str()), ("stream", it.stream)];
                ConstGauge::new(value).encode(descriptor.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Samples(Arc<Mutex<Sample>>);

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Sample { stats, connections, repeated, sender_dropped, bodies_bytes, is_healthy } =
            *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let again = "Events that came again within the window, answered with 200 and not written";
        let repeated = ("events_repeated", again, repeated);
        let dropped = "Events that never came, as far as their senders say so (numDropped)";
        let dropped = ("sender_dropped", dropped, sender_dropped);
        for (name, help, value) in counters(&stats).into_iter().chain([repeated, dropped]) {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let gauges = [
            ("events_queued", "Events in the queue now", stats.events_queued),
            ("bytes_queued", "Bytes in the queue now", stats.bytes_queued),
            ("connections", "Connections that are open now", connections),
            ("bodies_bytes", "Bytes of bodies that are not in the queue yet, now", bodies_bytes),
            ("healthy", "1 while events can be written, as GET /healthz says", is_healthy.into()),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

fn counters(stats: &Stats) -> [(&'static str, &'static str, u64); 22] {
    [
        ("events_accepted", "Events that left the queue", stats.events_accepted),
        ("bytes_accepted", "Bytes of events that left the queue", stats.bytes_accepted),
        ("events_journaled", "Events whose line is in the journal", stats.events_journaled),
        ("bytes_journaled", "Bytes of lines in the journal", stats.bytes_journaled),
        ("events_rejected", "Bodies that are not events", stats.events_rejected),
        (
            "events_unprotected",
            "Events that had no place in the inbox: a crash would have lost them",
            stats.events_unprotected,
        ),
        ("queue_full", "Times that the queue was full", stats.queue_full),
        ("journal_full", "Times that the journal was full", stats.journal_full),
        ("bytes_written", "Bytes of lines in the CDR file", stats.bytes_written),
        ("bytes_synced", "Bytes of lines that are on the disk", stats.bytes_synced),
        ("rejects_bytes_written", "Bytes in the rejects file", stats.rejects_bytes_written),
        ("writes", "Calls of write that wrote something", stats.writes),
        ("write_errors", "Calls of write that failed and are tried again", stats.write_errors),
        ("syncs", "Calls of fdatasync", stats.syncs),
        (
            "sync_errors",
            "Calls of fdatasync that failed: nothing is synced any more",
            stats.sync_errors,
        ),
        ("rotations", "Files that were sealed for a new one", stats.rotations),
        (
            "files_changed_by_others",
            "Times that others truncated, moved or removed the file",
            stats.files_changed_by_others,
        ),
        ("files_listed", "Sealed files that were listed in the manifest", stats.files_listed),
        ("files_compressed", "Sealed files that were compressed", stats.files_compressed),
        ("files_removed", "Files that were too old or too much", stats.files_removed),
        ("bytes_removed", "Bytes of removed files", stats.bytes_removed),
        (
            "maintenance_errors",
            "Times that a sealed file could not be listed, compressed or removed",
            stats.maintenance_errors,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_the_appender_is_shown() {
        let text = Metrics::new(Path::new("/nonexistent")).render(Sample::default()).unwrap();
        for (name, _) in Stats::default().iter() {
            let suffix = if Stats::is_gauge(name) { "" } else { "_total" };
            assert!(text.contains(&format!("\ncdrlog_{name}{suffix} 0\n")), "{name} is missing");
        }
    }

    #[test]
    fn every_metric_is_in_the_table_of_the_documents() {
        let text = Metrics::new(Path::new("/nonexistent")).render(Sample::default()).unwrap();
        let document = include_str!("../../../docs/operations.md");
        let mut count = 0;
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffix = if kind == "counter" { "_total" } else { "" };
            let (alone, labelled) = (format!("`{name}{suffix}`"), format!("`{name}{suffix}{{"));
            let is_there = document.contains(&alone) || document.contains(&labelled);
            assert!(is_there, "docs/operations.md lacks {name}{suffix}");
            count += 1;
        }
        assert!(count > 30, "{count} metrics");
    }
}

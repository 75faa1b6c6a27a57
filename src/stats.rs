//! What the appender counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// A snapshot of every counter since the open. Counters only grow, except those that say "now".
///
/// Each number is exact. They are read one after the other, so two of them may differ by what
/// happened in between. After `close` they agree: `events_accepted` is `events_journaled +
/// events_rejected` unless events were given back.
///
/// With the feature `serde` it is `Serialize`: an object with a number for each field, by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Events that a `send` accepted and that left the queue.
    pub events_accepted: u64,
    /// Their bytes.
    pub bytes_accepted: u64,
    /// Events whose lines were committed in the journal.
    pub events_journaled: u64,
    /// Bytes of those lines.
    pub bytes_journaled: u64,
    /// Accepted bodies that are not events; they go to the rejects file.
    pub events_rejected: u64,
    /// Events that left the queue and had no place in the inbox: a crash before they were journaled
    /// would have lost them. 0 as long as the promise for *accepted* holds for all events; without
    /// an inbox, all events.
    pub events_unprotected: u64,
    /// Events in the queue now.
    pub events_queued: u64,
    /// Bytes in the queue now.
    pub bytes_queued: u64,
    /// Times that a `send` waited, or a `try_send` gave its event back, because the queue was full.
    pub queue_full: u64,
    /// Times that the rewriter waited because every segment of the journal was waiting to be
    /// written.
    pub journal_full: u64,
    /// Bytes of lines written to the CDR file.
    pub bytes_written: u64,
    /// Bytes of lines that were synced.
    pub bytes_synced: u64,
    /// Bytes of records written to the rejects file.
    pub rejects_bytes_written: u64,
    /// Calls of `write` to either file that wrote something.
    pub writes: u64,
    /// Calls of `write` that failed, or of what it takes to create a file; each was retried.
    pub write_errors: u64,
    /// Calls of `fdatasync` for either file.
    pub syncs: u64,
    /// Syncs that failed: of a file, its directory, an anchor or the list of files. None is
    /// retried.
    pub sync_errors: u64,
    /// Files that were sealed because the next one was created.
    pub rotations: u64,
    /// Times that another program was found to have truncated, moved or removed an open file.
    pub files_changed_by_others: u64,
    /// Sealed files that got their line in the manifest. 0 without the feature `manifest`.
    pub files_listed: u64,
    /// Sealed files of which only the compressed form is left.
    pub files_compressed: u64,
    /// Files that retention removed.
    pub files_removed: u64,
    /// Their bytes, as they were on the disk.
    pub bytes_removed: u64,
    /// Times that a sealed file could not be listed, compressed or removed; each is retried, except
    /// for a failed sync.
    pub maintenance_errors: u64,
}

/// The fields of a [`Stats`] with their names. If one is missing here, this does not compile.
macro_rules! fields {
    ($stats:expr; $($name:ident)*) => {{
        let Stats { $($name),* } = $stats;
        [$((stringify!($name), $name)),*]
    }};
}

impl Stats {
    /// Every number with its name, in the order of the fields, to feed any metrics library without
    /// naming each. A later version may have more of them; a name never changes its meaning.
    ///
    /// A name starts with its unit: `bytes_…` are bytes (`rejects_bytes_written` too), `events_…`
    /// events, `files_…` files; `…_errors`, `…_full` and all others count how often something
    /// happened. The two that end in `_queued` are gauges ([`is_gauge`](Self::is_gauge)); all
    /// others are counters that start at 0 at the open.
    ///
    /// For the crate `metrics` it takes two lines: `gauge!(name).set(value as f64)` or
    /// `counter!(name).absolute(value)`. For `prometheus-client`, a collector is called at each
    /// scrape:
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use cdrlog::{Appender, Stats};
    /// use prometheus_client::collector::Collector;
    /// use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
    /// use prometheus_client::metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge};
    /// use prometheus_client::registry::Registry;
    ///
    /// #[derive(Debug)]
    /// struct Cdr(Arc<Appender>);
    ///
    /// impl Collector for Cdr {
    ///     fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
    ///         for (name, value) in self.0.stats().iter() {
    ///             if Stats::is_gauge(name) {
    ///                 let gauge = ConstGauge::new(value as i64);
    ///                 gauge.encode(encoder.encode_descriptor(name, "", None, MetricType::Gauge)?)?;
    ///             } else {
    ///                 let counter = ConstCounter::new(value);
    ///                 counter
    ///                     .encode(encoder.encode_descriptor(name, "", None, MetricType::Counter)?)?;
    ///             }
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let appender = Arc::new(Appender::builder(&directory).open()?);
    /// let mut registry = Registry::with_prefix("cdr");
    /// registry.register_collector(Box::new(Cdr(appender)));
    /// let mut text = String::new();
    /// prometheus_client::encoding::text::encode(&mut text, &registry)?;
    /// assert!(text.contains("\ncdr_events_queued 0\n"));
    /// assert!(text.contains("\ncdr_events_journaled_total 0\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "an iterator does nothing unless it is used"]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, u64)> + use<> {
        fields!(*self;
            events_accepted
            bytes_accepted
            events_journaled
            bytes_journaled
            events_rejected
            events_unprotected
            events_queued
            bytes_queued
            queue_full
            journal_full
            bytes_written
            bytes_synced
            rejects_bytes_written
            writes
            write_errors
            syncs
            sync_errors
            rotations
            files_changed_by_others
            files_listed
            files_compressed
            files_removed
            bytes_removed
            maintenance_errors
        )
        .into_iter()
    }

    /// Whether the number of that name is a gauge, which grows and shrinks. All others only grow.
    #[must_use]
    pub fn is_gauge(name: &str) -> bool {
        name.ends_with("_queued")
    }
}

/// A counter that one thread adds to and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds without a locked instruction: the counter has one writer.
    pub(crate) fn add_alone(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Adds from any thread.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters, apart from each other by the thread that writes them, so that no two threads write
/// to one cache line.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) producers: CachePadded<ProducerCounters>,
    pub(crate) rewriter: CachePadded<RewriterCounters>,
    pub(crate) flusher: CachePadded<FlusherCounters>,
    pub(crate) maintenance: Arc<MaintenanceCounters>,
}

#[derive(Debug, Default)]
pub(crate) struct ProducerCounters {
    pub(crate) queue_full: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct RewriterCounters {
    pub(crate) events_accepted: Counter,
    pub(crate) bytes_accepted: Counter,
    pub(crate) events_journaled: Counter,
    pub(crate) bytes_journaled: Counter,
    pub(crate) events_rejected: Counter,
    pub(crate) journal_full: Counter,
    pub(crate) events_unprotected: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct FlusherCounters {
    pub(crate) bytes_written: Counter,
    pub(crate) bytes_synced: Counter,
    pub(crate) rejects_bytes_written: Counter,
    pub(crate) writes: Counter,
    pub(crate) write_errors: Counter,
    pub(crate) syncs: Counter,
    pub(crate) sync_errors: Counter,
    pub(crate) rotations: Counter,
    pub(crate) files_changed_by_others: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct MaintenanceCounters {
    pub(crate) files_listed: Counter,
    pub(crate) files_compressed: Counter,
    pub(crate) files_removed: Counter,
    pub(crate) bytes_removed: Counter,
    pub(crate) maintenance_errors: Counter,
}

impl Counters {
    pub(crate) fn snapshot(&self, events_queued: u64, bytes_queued: u64) -> Stats {
        let Self { rewriter, flusher, maintenance, .. } = self;
        Stats {
            events_accepted: rewriter.events_accepted.get(),
            bytes_accepted: rewriter.bytes_accepted.get(),
            events_journaled: rewriter.events_journaled.get(),
            bytes_journaled: rewriter.bytes_journaled.get(),
            events_rejected: rewriter.events_rejected.get(),
            events_unprotected: rewriter.events_unprotected.get(),
            events_queued,
            bytes_queued,
            queue_full: self.producers.queue_full.get(),
            journal_full: rewriter.journal_full.get(),
            bytes_written: flusher.bytes_written.get(),
            bytes_synced: flusher.bytes_synced.get(),
            rejects_bytes_written: flusher.rejects_bytes_written.get(),
            writes: flusher.writes.get(),
            write_errors: flusher.write_errors.get(),
            syncs: flusher.syncs.get(),
            sync_errors: flusher.sync_errors.get(),
            rotations: flusher.rotations.get(),
            files_changed_by_others: flusher.files_changed_by_others.get(),
            files_listed: maintenance.files_listed.get(),
            files_compressed: maintenance.files_compressed.get(),
            files_removed: maintenance.files_removed.get(),
            bytes_removed: maintenance.bytes_removed.get(),
            maintenance_errors: maintenance.maintenance_errors.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_name_and_a_name_comes_once() {
        let stats = Stats {
            events_accepted: 1,
            events_queued: 2,
            maintenance_errors: 3,
            ..Stats::default()
        };
        let numbers: Vec<_> = stats.iter().filter(|&(_, value)| value > 0).collect();
        assert_eq!(
            numbers,
            [("events_accepted", 1), ("events_queued", 2), ("maintenance_errors", 3)]
        );
        let mut names: Vec<_> = stats.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), size_of::<Stats>() / size_of::<u64>());
        names.retain(|name| Stats::is_gauge(name));
        assert_eq!(names, ["bytes_queued", "events_queued"]);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn what_is_serialised_is_what_is_iterated() {
        let stats = Stats { events_accepted: 1, bytes_removed: 1 << 60, ..Stats::default() };
        let expected: serde_json::Map<_, _> =
            stats.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        assert_eq!(serde_json::to_value(stats).unwrap(), serde_json::Value::Object(expected));
    }
}

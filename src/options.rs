//! The options of an appender, as plain data.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::error::OpenError;
use crate::file::Clock;
use crate::flush::SyncPolicy;
use crate::inbox;
use crate::journal::SEGMENT_COUNT_MAX;
use crate::notice::Listener;
use crate::rewrite::EVENT_BYTES_MAX_DEFAULT;
#[cfg(feature = "compress")]
use crate::sealed::Compression;
use crate::sealed::Rules;
use crate::storage::Disk;

/// The setters of [`Builder`](crate::Builder) document each.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) directory: PathBuf,
    pub(crate) queue_events_max: usize,
    pub(crate) queue_bytes_max: usize,
    pub(crate) event_bytes_max: usize,
    pub(crate) segment_count: usize,
    pub(crate) segment_bytes: usize,
    pub(crate) flush_interval: Duration,
    pub(crate) sync_policy: SyncPolicy,
    pub(crate) write_retry_timeout: Option<Duration>,
    pub(crate) close_timeout: Duration,
    pub(crate) utc: bool,
    pub(crate) rotate_bytes: Option<u64>,
    pub(crate) rotate_daily: bool,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    pub(crate) listener: Listener,
    /// The directory of the inbox; `None` if there is to be no inbox.
    pub(crate) inbox_directory: Option<PathBuf>,
    #[cfg(feature = "compress")]
    pub(crate) compression: Compression,
    pub(crate) retention_age: Option<Duration>,
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) manage_foreign: bool,
    pub(crate) time_marks: bool,
}

/// OpenVidu's own defaults: 30 days, 20 GB.
const RETENTION_AGE_DEFAULT: Duration = Duration::from_secs(30 * 24 * 3600);
const RETENTION_BYTES_DEFAULT: u64 = 20_000_000_000;

const SEGMENT_BYTES_UNIT: usize = 4096;
pub(crate) const SEGMENT_BYTES_MAX: usize = 1 << 30;

/// 16 million events (the maximum of `queue_events_max`) of 1 KiB. An inbox takes memory for all of
/// them at the open.
const QUEUE_BYTES_MAX: usize = 16 << 30;

impl Options {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            queue_events_max: 1 << 15,
            queue_bytes_max: 16 << 20,
            event_bytes_max: EVENT_BYTES_MAX_DEFAULT,
            segment_count: 4,
            segment_bytes: 1 << 20,
            flush_interval: Duration::from_millis(20),
            sync_policy: SyncPolicy::default(),
            write_retry_timeout: None,
            close_timeout: Duration::from_secs(5),
            utc: false,
            rotate_bytes: None,
            rotate_daily: true,
            clock: Clock::default(),
            disk: Disk::default(),
            listener: Listener::default(),
            inbox_directory: Some(PathBuf::from(inbox::DIRECTORY_DEFAULT)),
            #[cfg(feature = "compress")]
            compression: Compression::default(),
            retention_age: Some(RETENTION_AGE_DEFAULT),
            retention_bytes: Some(RETENTION_BYTES_DEFAULT),
            manage_foreign: false,
            time_marks: false,
        }
    }

    /// The same options with a directory that does not depend on the current directory of the
    /// process.
    pub(crate) fn with_absolute_directory(mut self) -> Result<Self, OpenError> {
        self.directory = std::path::absolute(&self.directory).map_err(|source| OpenError::Io {
            action: "find the current directory of",
            path: self.directory.clone(),
            source: Arc::new(source),
        })?;
        Ok(self)
    }

    pub(crate) fn maintenance_rules(&self) -> Rules {
        Rules {
            #[cfg(feature = "compress")]
            compression: self.compression,
            retention_age: self.retention_age,
            retention_bytes: self.retention_bytes,
            manage_foreign: self.manage_foreign,
        }
    }

    pub(crate) fn time_zone(&self) -> TimeZone {
        if self.utc { TimeZone::UTC } else { TimeZone::system() }
    }

    /// `segment_bytes`, rounded up to whole pages.
    pub(crate) fn segment_bytes_rounded(&self) -> usize {
        self.segment_bytes.next_multiple_of(SEGMENT_BYTES_UNIT)
    }

    /// Checks that each option is in its range.
    pub(crate) fn validate(&self) -> Result<(), OpenError> {
        let minute = Duration::from_secs(60);
        let segment_range = self.event_bytes_max..=SEGMENT_BYTES_MAX;
        let checks = [
            (
                "queue_events_max",
                (1..=1 << 24).contains(&self.queue_events_max),
                "from 1 to 16777216",
            ),
            (
                "queue_bytes_max",
                (1..=QUEUE_BYTES_MAX).contains(&self.queue_bytes_max),
                "from 1 to 17179869184, which is 16 GiB",
            ),
            (
                "event_bytes_max",
                (1..=SEGMENT_BYTES_MAX).contains(&self.event_bytes_max),
                "from 1 to segment_bytes, which is at most 1 GiB",
            ),
            (
                "segment_count",
                (2..=SEGMENT_COUNT_MAX).contains(&self.segment_count),
                "from 2 to 64",
            ),
            (
                "segment_bytes",
                segment_range.contains(&self.segment_bytes),
                "from event_bytes_max to 1 GiB",
            ),
            ("rotate_bytes", self.rotate_bytes != Some(0), "at least 1"),
            (
                "retention_age",
                self.retention_age.is_none_or(|age| age >= Duration::from_secs(1)),
                "at least 1 second",
            ),
            ("retention_bytes", self.retention_bytes != Some(0), "at least 1"),
            (
                "flush_interval",
                (Duration::from_millis(1)..=minute).contains(&self.flush_interval),
                "from 1 ms to 1 minute",
            ),
            (
                "sync_policy",
                self.sync_policy.is_valid(),
                "an interval longer than zero; for zero there is SyncPolicy::Always",
            ),
        ];
        match checks.into_iter().find(|(_, valid, _)| !valid) {
            None => Ok(()),
            Some((option, _, requirement)) => {
                Err(OpenError::InvalidOption { option, requirement: requirement.to_owned() })
            }
        }
    }
}

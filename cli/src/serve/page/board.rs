//! How the endpoint and the disk are, as the endpoint tells it to the page about once a second.
//!
//! The endpoint writes here and does not wait for anybody; the page never asks the endpoint.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// What the endpoint tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(in super::super) struct Status {
    /// Why events cannot be written now, if they cannot.
    pub(in super::super) failure: Option<String>,
    pub(in super::super) connections: u64,
    /// Events that came again and were not written again, since the start.
    pub(in super::super) repeated: u64,
    /// Events that senders say they dropped.
    pub(in super::super) sender_dropped: u64,
    /// Bytes of lines that are in the journal and not in the CDR file yet.
    pub(in super::super) lag_bytes: u64,
    /// Bytes of lines that are in the CDR file and not synced to the disk yet.
    pub(in super::super) unsynced_bytes: u64,
    /// The counters of the appender that are not zero.
    pub(in super::super) counters: Vec<(&'static str, u64)>,
    /// Refused requests by reason, since the start; without reasons that never occurred.
    pub(in super::super) refused: Vec<(&'static str, u64)>,
}

/// The space of the file system that the directory is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Disk {
    bytes: u64,
    free_bytes: u64,
}

impl Disk {
    /// `None` if it cannot be told: the directory is gone.
    pub(super) fn of(directory: &Path) -> Option<Self> {
        let disk = rustix::fs::statvfs(directory).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some(Self { bytes: bytes(disk.f_blocks), free_bytes: bytes(disk.f_bavail) })
    }
}

/// How far a destination of `cdrlog ship` is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shipping {
    destination: String,
    /// `lines` or `rejects`.
    stream: &'static str,
    /// Synced bytes that the destination does not have.
    lag_bytes: u64,
    /// When it last had everything; `None` if it never had since the shipper started.
    caught_up_ms: Option<i64>,
    /// Why shipping fails or has stopped, if it does.
    failure: Option<String>,
    /// It does not go on before somebody does something.
    has_stopped: bool,
    /// When the disk will be full, if the destination stays away.
    disk_full_in_seconds: Option<u64>,
}

impl Shipping {
    /// What the shippers of a directory last said. Empty if there are none.
    #[cfg(feature = "ship")]
    pub(super) fn of(directory: &Path) -> Vec<Self> {
        let shipped = crate::ship::shipped(directory).into_iter();
        shipped
            .map(|it| Self {
                destination: it.destination,
                stream: it.stream,
                lag_bytes: it.lag_bytes,
                caught_up_ms: Some(it.caught_up_at_ms).filter(|at| *at > 0),
                has_stopped: it.stopped.is_some(),
                failure: it.error,
                disk_full_in_seconds: it.disk_full_in_seconds,
            })
            .collect()
    }

    /// Nothing is shipped without the feature.
    #[cfg(not(feature = "ship"))]
    pub(super) fn of(_: &Path) -> Vec<Self> {
        Vec::new()
    }
}

/// The last status; `None` if there is no endpoint.
#[derive(Debug, Default)]
pub(in super::super) struct Board(Mutex<Option<Status>>);

impl Board {
    pub(in super::super) fn put(&self, status: Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    pub(super) fn get(&self) -> Option<Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

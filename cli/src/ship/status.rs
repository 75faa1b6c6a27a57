//! How far the shipper of a directory got.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::header::Stream;
use super::notes::NoteStore;
use super::shipper::Shipper;

/// How often the file is written at most: it is for people.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// What is going on with one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    pub(super) error: Option<String>,
    pub(super) waits_for: Option<String>,
    lines: u64,
    bytes: u64,
    acknowledged_at: Option<i64>,
    caught_up_at: Option<i64>,
    pub(super) lag_bytes: u64,
}

impl Health {
    pub(super) fn shipped(&mut self, lines: u64, bytes: u64, now: i64) {
        self.lines += lines;
        self.bytes += bytes;
        self.acknowledged_at = Some(now);
        self.error = None;
    }

    pub(super) fn caught_up(&mut self, now: i64) {
        self.caught_up_at = Some(now);
        self.error = None;
    }
}

/// What is told of one stream.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct StreamStatus {
    pub(super) stream: Stream,
    /// The last acknowledged block, and where it ends.
    pub(super) seq: u64,
    pub(super) file: Option<String>,
    pub(super) offset: u64,
    /// When that was, in milliseconds since 1970; `null` if this process shipped nothing.
    pub(super) acknowledged_at: Option<i64>,
    /// When everything that may be shipped was last acknowledged, in milliseconds since 1970.
    pub(super) caught_up_at: Option<i64>,
    /// Synced bytes that are not acknowledged, as they are on the disk.
    pub(super) lag_bytes: u64,
    /// All that the node took before this time is at the destination.
    pub(super) through: Option<i64>,
    /// What this process shipped.
    pub(super) lines: u64,
    pub(super) bytes: u64,
    /// How often the destination lost blocks and got them again.
    pub(super) rollbacks: u64,
    pub(super) waits_for: Option<String>,
    pub(super) error: Option<String>,
    /// It does not go on before somebody did something.
    #[serde(default)]
    pub(super) has_stopped: bool,
}

impl StreamStatus {
    pub(super) fn new<S: NoteStore>(
        stream: Stream,
        shipper: &Shipper<S>,
        health: &Health,
        has_stopped: bool,
    ) -> Self {
        let last = shipper.acknowledged().map(|header| &header.fields);
        Self {
            stream,
            seq: last.map_or(0, |last| last.seq),
            file: last.map(|last| last.file.clone()),
            offset: last.map_or(0, |last| last.end),
            acknowledged_at: health.acknowledged_at,
            caught_up_at: health.caught_up_at,
            lag_bytes: health.lag_bytes,
            through: shipper.through(),
            lines: health.lines,
            bytes: health.bytes,
            rollbacks: shipper.rollbacks,
            waits_for: health.waits_for.clone(),
            error: health.error.clone(),
            has_stopped,
        }
    }
}

/// What is told of one destination.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Status {
    pub(super) destination: String,
    /// Files are kept until it has them.
    #[serde(default = "yes")]
    pub(super) required: bool,
    /// When the disk will be full, if the destination stays away: `null` while it is there.
    #[serde(default)]
    pub(super) disk_full_in_seconds: Option<u64>,
    pub(super) streams: Vec<StreamStatus>,
}

const fn yes() -> bool {
    true
}

impl Status {
    /// What the last shipper wrote; `None` if none did.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The file that `--status` reads.
pub(super) struct StatusFile {
    path: PathBuf,
    destination: String,
    required: bool,
    written: Option<(Instant, Vec<StreamStatus>)>,
}

impl StatusFile {
    pub(super) const fn new(path: PathBuf, destination: String, required: bool) -> Self {
        Self { path, destination, required, written: None }
    }

    /// Writes what changed, at most once a second; false if it need not. It is not synced: a power loss
    /// takes only this report away.
    pub(super) fn write(
        &mut self,
        streams: &[StreamStatus],
        disk_full_in_seconds: Option<u64>,
        is_last: bool,
    ) -> io::Result<bool> {
        let is_due = self.written.as_ref().is_none_or(|(at, last)| {
            let has_news = last.iter().zip(streams).any(|(last, now)| last.error != now.error);
            last != streams && (is_last || has_news || at.elapsed() >= WRITE_INTERVAL)
        });
        if !is_due {
            return Ok(false);
        }
        let status = Status {
            destination: self.destination.clone(),
            required: self.required,
            disk_full_in_seconds,
            streams: streams.to_vec(),
        };
        let new = self.path.with_extension("json.new");
        let text = serde_json::to_vec_pretty(&status)?;
        if let Err(error) = fs::write(&new, text).and_then(|()| fs::rename(&new, &self.path)) {
            // On a full disk, half a file takes the room that others need more.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        self.written = Some((Instant::now(), streams.to_vec()));
        Ok(true)
    }
}

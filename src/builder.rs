//! The options of an appender.

use std::path::Path;
use std::time::Duration;

use crate::appender::Appender;
use crate::error::OpenError;
#[cfg(test)]
use crate::file::Clock;
use crate::flush::SyncPolicy;
use crate::journal::Recovery;
use crate::notice::{Listener, Notice};
use crate::options::Options;
#[cfg(feature = "compress")]
use crate::sealed::Compression;
use crate::storage::{Disk, Storage};
use crate::{opening, recovery};

/// Options of an [`Appender`], created by [`Appender::builder`].
///
/// Each setter documents its default and its range. [`open`](Self::open) checks them: a value out
/// of range is [`OpenError::InvalidOption`], and nothing is touched.
///
/// With the defaults an appender uses at most about 39 MiB of memory: 18 MiB for the inbox, which
/// holds the queued events, 0.5 MiB for the queue, 4.5 MiB for the journal, and up to 16 MiB for
/// events that find no room in the inbox.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open`"]
pub struct Builder {
    options: Options,
}

impl Appender {
    /// Options for an appender to `directory`, to be opened by [`Builder::open`]. A relative path
    /// is resolved by `open`; a later change of the current directory does not matter.
    pub fn builder(directory: impl AsRef<Path>) -> Builder {
        Builder { options: Options::new(directory.as_ref()) }
    }
}

impl Builder {
    /// The number of events in the queue above which `send` waits. Default: 32 768. From 1 to
    /// 16 777 216.
    pub fn queue_events_max(mut self, events: usize) -> Self {
        self.options.queue_events_max = events;
        self
    }

    /// The bytes of events in the queue above which `send` waits. Default: 16 MiB. From 1 to 16 GiB.
    ///
    /// [`open`](Self::open) takes memory for all of them
    /// ([`inbox_directory`](Self::inbox_directory)), which needs some seconds per GiB.
    ///
    /// Each event counts 64 bytes more than its length, for its place. An event that is larger than
    /// the whole queue is let in alone.
    pub fn queue_bytes_max(mut self, bytes: usize) -> Self {
        self.options.queue_bytes_max = bytes;
        self
    }

    /// The maximum length of a body in bytes; a longer one is rejected. Default: 1 MiB. From 1 to
    /// `segment_bytes`.
    pub fn event_bytes_max(mut self, bytes: usize) -> Self {
        self.options.event_bytes_max = bytes;
        self
    }

    /// The number of segments in the ring of the journal. Default: 4. From 2 to 64.
    pub fn segment_count(mut self, segments: usize) -> Self {
        self.options.segment_count = segments;
        self
    }

    /// The length of a segment of the journal in bytes. Default: 1 MiB. From `event_bytes_max` to
    /// 1 GiB; rounded up to 4 KiB.
    ///
    /// A small ring stays in the processor's cache; a large one outlasts a longer stall of the
    /// disk.
    pub fn segment_bytes(mut self, bytes: usize) -> Self {
        self.options.segment_bytes = bytes;
        self
    }

    /// The maximum time from sending an event until its line is in the file, while the disk keeps
    /// up. Default: 20 ms. From 1 ms to 1 minute.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.options.flush_interval = interval;
        self
    }

    /// When written lines are synced. Default: every second. An interval must be longer than zero.
    pub fn sync_policy(mut self, policy: SyncPolicy) -> Self {
        self.options.sync_policy = policy;
        self
    }

    /// How long writes may fail without a byte written before the appender gives up: sends then
    /// give their events back, and [`Appender::close`] returns the error. Default: for ever, writes
    /// are retried until one succeeds. Any duration; with zero, the appender gives up at the first
    /// failure.
    pub fn write_retry_timeout(mut self, timeout: Duration) -> Self {
        self.options.write_retry_timeout = Some(timeout);
        self
    }

    /// How long [`Appender::close`] retries failing writes before it gives up; the time starts
    /// again whenever something is written. Default: 5 seconds. Any duration.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.options.close_timeout = timeout;
        self
    }

    /// Whether file names use UTC instead of local time. Default: local time, from `TZ` or the
    /// system.
    pub fn utc(mut self, utc: bool) -> Self {
        self.options.utc = utc;
        self
    }

    /// The maximum length of a file in bytes, at least 1: the line that would make it longer goes to
    /// a new file. A single line that is longer gets a file of its own. Default: no limit, as in
    /// OpenVidu. A reject record larger than 256 KiB is started before its length is known, and may
    /// make its file longer; it is never split.
    ///
    /// Files always end at the end of a line, and a rotation loses and doubles no line, whatever
    /// happens to the process. The new file is named after the time of its creation, like the first
    /// one.
    pub fn rotate_bytes(mut self, bytes: u64) -> Self {
        self.options.rotate_bytes = Some(bytes);
        self
    }

    /// Whether the first line of a new day starts a new file, in local time or in UTC
    /// ([`utc`](Self::utc)). Default: yes, as in OpenVidu.
    pub fn rotate_daily(mut self, daily: bool) -> Self {
        self.options.rotate_daily = daily;
        self
    }

    /// How sealed files are compressed. Default: not at all. A thread of low priority compresses
    /// them, and removes the plain file once the compressed one is synced and was found to have the
    /// same content.
    #[cfg(feature = "compress")]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.options.compression = compression;
        self
    }

    /// How long a file is kept after the last write to it; `None` is for ever. Default: 30 days, as
    /// in OpenVidu. At least 1 second.
    ///
    /// This and [`retention_bytes`](Self::retention_bytes) apply to all CDR and rejects files that
    /// an appender created in the directory, in any process, compressed or not; to other such files
    /// only with [`manage_foreign`](Self::manage_foreign). Open files always stay, and so do files
    /// with other names and anything that is not a regular file. Checked when a file is sealed, and
    /// every hour.
    ///
    /// If the clock jumps forward by more than a third of this age (from an hour to 10 days) while
    /// nothing is written, it is trusted only after it has run for a day, or for that third if it
    /// is shorter. Until then, [`Notice::ClockJumped`] reports that files are spared.
    pub fn retention_age(mut self, age: Option<Duration>) -> Self {
        self.options.retention_age = age;
        self
    }

    /// The total length of the files in bytes above which the oldest are removed; `None` is no
    /// limit. Default: 20 GB (20 000 000 000), as in OpenVidu. At least 1.
    ///
    /// Open files count, but stay: use [`rotate_bytes`](Self::rotate_bytes) if one of them could
    /// become too large.
    pub fn retention_bytes(mut self, bytes: Option<u64>) -> Self {
        self.options.retention_bytes = bytes;
        self
    }

    /// The directory of the inbox, on a tmpfs. The inbox is one file, in which accepted events
    /// outlive the process until they are journaled. Default: `/dev/shm`.
    ///
    /// It takes as much memory as the queue ([`queue_bytes_max`](Self::queue_bytes_max)) and an
    /// eighth more, but at most a quarter of what is free there. Events that find no room are held
    /// in the memory of the process, and
    /// [`Stats::events_unprotected`](crate::Stats::events_unprotected) counts them. If the
    /// directory is missing, full, not writable or not on a tmpfs, this holds for all events:
    /// [`Appender::inbox_path`] is then `None`, and [`on_notice`](Self::on_notice) gets
    /// [`Notice::NoInbox`]. `docs/operations.md` says what a container needs.
    pub fn inbox_directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.options.inbox_directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Turns the inbox off: if the process dies, events that are accepted and not journaled are
    /// lost. What an earlier process left in its inbox is still recovered.
    pub fn no_inbox(mut self) -> Self {
        self.options.inbox_directory = None;
        self
    }

    /// Whether compression and retention also apply to CDR and rejects files that no appender
    /// created in the directory, such as those of OpenVidu's own server. Default: no, they are left
    /// alone; [`Appender::foreign_files`] counts them. With `true`, they are compressed once nobody
    /// has written to them for 25 hours; retention counts and removes them at once.
    pub fn manage_foreign(mut self, manage: bool) -> Self {
        self.options.manage_foreign = manage;
        self
    }

    /// Whether to note in the control file, once a second, up to which time everything that was
    /// accepted is synced, also while no event arrives. Programs that ship the directory tell their
    /// readers so (feature `synced`). Default: no; then they know it only after a close.
    pub fn time_marks(mut self, time_marks: bool) -> Self {
        self.options.time_marks = time_marks;
        self
    }

    /// Replaces the file system, for tests or to keep the files elsewhere: see
    /// [`storage`](crate::storage). Default: [`FileSystem`](crate::storage::FileSystem).
    ///
    /// [`plan_recovery`](Self::plan_recovery) and [`recover`](Self::recover) use it too.
    pub fn storage(mut self, storage: impl Storage) -> Self {
        self.options.disk = Disk::new(storage);
        self
    }

    #[cfg(test)]
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.options.clock = clock;
        self
    }

    /// A callback for everything that an operator should know: failed writes and syncs, their end,
    /// and what else [`Notice`] has. Default: none; [`Appender::stats`] and
    /// [`Appender::write_failure`] say the same on request.
    ///
    /// Most notices come from the flusher thread, which writes nothing in the meantime, so the
    /// callback should send a message or log a line and return. Notices about sealed files come
    /// from the maintenance thread. The callback must not call [`Appender::flush`],
    /// [`Appender::sync`], [`Appender::rotate`] or [`Appender::wait_for_maintenance`], which would wait
    /// for the very thread that it runs on. It may drop or close the appender: another thread ends it
    /// then. A panic in it is caught and changes nothing.
    pub fn on_notice(mut self, listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.options.listener = Listener::new(listener);
        self
    }

    /// Checks the options, creates the directory if it is missing, locks it, writes what an earlier
    /// process left in the journal and the inbox, and starts the threads.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: an option is out of range, the directory is in use or not writable, or the
    /// journal is damaged.
    pub fn open(self) -> Result<Appender, OpenError> {
        self.options.validate()?;
        opening::open(self.options.with_absolute_directory()?)
    }

    #[cfg(test)]
    pub(crate) fn open_on(mut self, disk: &Disk) -> Result<Appender, OpenError> {
        self.options.disk = disk.clone();
        self.open()
    }

    /// What [`open`](Self::open) would write or repair now. The same code runs on the same files
    /// without changing a byte. If there is nothing to do, this is the default [`Recovery`].
    ///
    /// Of the options, [`utc`](Self::utc) matters for the name of a file that would have to be
    /// created again, and [`inbox_directory`](Self::inbox_directory) for
    /// [`Recovery::unclaimed_inboxes`]. This locks the directory while it runs, and does not wait
    /// for a lock.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] while an appender has the directory, [`OpenError::Damaged`] if `open`
    /// would refuse it, [`OpenError::Io`].
    pub fn plan_recovery(&self) -> Result<Recovery, OpenError> {
        recovery::plan(&self.options.clone().with_absolute_directory()?)
    }

    /// Writes and repairs what [`open`](Self::open) would, and nothing else: it creates no journal
    /// and no CDR file. The next open then finds nothing to do.
    ///
    /// # Errors
    ///
    /// Those of [`plan_recovery`](Self::plan_recovery), and [`OpenError::Io`] on a full disk. It
    /// may be called again.
    pub fn recover(&self) -> Result<Recovery, OpenError> {
        recovery::recover(&self.options.clone().with_absolute_directory()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_refused_by_name_before_anything_is_touched() {
        let directory = Path::new("/proc/never-created");
        let builder = || Appender::builder(directory);
        let wrong = [
            (builder().queue_events_max(0), "queue_events_max"),
            (builder().queue_bytes_max(0), "queue_bytes_max"),
            (builder().event_bytes_max(0), "event_bytes_max"),
            (builder().segment_count(1), "segment_count"),
            (builder().segment_bytes(1000), "segment_bytes"),
            (builder().rotate_bytes(0), "rotate_bytes"),
            (builder().retention_age(Some(Duration::from_millis(999))), "retention_age"),
            (builder().retention_bytes(Some(0)), "retention_bytes"),
            (builder().flush_interval(Duration::ZERO), "flush_interval"),
            (builder().sync_policy(SyncPolicy::Interval(Duration::ZERO)), "sync_policy"),
        ];
        for (builder, name) in wrong {
            match builder.open() {
                Err(OpenError::InvalidOption { option, .. }) => assert_eq!(option, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    /// Without this, the largest number, meant as "no limit", commits a quarter of the machine's
    /// memory for an inbox.
    #[test]
    fn the_largest_number_is_refused_where_memory_or_disk_is_taken_for_it() {
        let builder = || Appender::builder("/proc/never-created");
        let wrong = [
            (builder().queue_events_max(usize::MAX), "queue_events_max"),
            (builder().queue_bytes_max(usize::MAX), "queue_bytes_max"),
            (builder().queue_bytes_max((16 << 30) + 1), "queue_bytes_max"),
            (builder().event_bytes_max(usize::MAX), "event_bytes_max"),
            (builder().segment_count(usize::MAX), "segment_count"),
            (builder().segment_bytes(usize::MAX), "segment_bytes"),
            (builder().flush_interval(Duration::MAX), "flush_interval"),
        ];
        for (builder, name) in wrong {
            match builder.open() {
                Err(OpenError::InvalidOption { option, .. }) => assert_eq!(option, name),
                other => panic!("{name}: {other:?}"),
            }
        }
        builder().queue_bytes_max(16 << 30).options.validate().unwrap();
    }

    /// Without this, the flusher thread panics when it adds the interval to the time of day.
    #[test]
    fn the_largest_number_means_no_limit_where_nothing_is_taken_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let appender = Appender::builder(&directory)
            .no_inbox()
            .sync_policy(SyncPolicy::Interval(Duration::MAX))
            .write_retry_timeout(Duration::MAX)
            .close_timeout(Duration::MAX)
            .rotate_bytes(u64::MAX)
            .retention_age(Some(Duration::MAX))
            .retention_bytes(Some(u64::MAX))
            .open()
            .unwrap();
        let producer = appender.producer();
        // Between two flushes, the flusher asks when the next sync is due.
        for _ in 0..2 {
            producer.send_slice(br#"{"event":"e"}"#).unwrap();
            appender.flush().unwrap();
        }
        appender.rotate().unwrap();
        appender.wait_for_maintenance().unwrap();
        assert_eq!(appender.close().unwrap().events_journaled, 2);
    }
}

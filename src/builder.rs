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

/// Options of an [`Appender`], made by [`Appender::builder`].
///
/// Each setter says its default and its range. They are looked at by [`open`](Self::open): a value
/// out of its range is [`OpenError::InvalidOption`], and nothing is touched.
///
/// The defaults take about 39 MiB at most: 18 MiB of inbox, for the events in the queue, 0.5 MiB for
/// its places, 4.5 MiB of journal, and up to 16 MiB of events that find no room in the inbox.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open`"]
pub struct Builder {
    options: Options,
}

impl Appender {
    /// Options for an appender to `directory`, to be opened by [`Builder::open`]. A relative path is
    /// one from the current directory at the opening, wherever the process goes later.
    pub fn builder(directory: impl AsRef<Path>) -> Builder {
        Builder { options: Options::new(directory.as_ref()) }
    }
}

impl Builder {
    /// How many events the queue holds before `send` waits. Default: 32 768. From 1 to 16 777 216.
    pub fn queue_events_max(mut self, events: usize) -> Self {
        self.options.queue_events_max = events;
        self
    }

    /// How many bytes of events the queue holds before `send` waits. Default: 16 MiB. At least 1.
    ///
    /// Each event counts 64 bytes more than it has, for its place. An event that is larger than the
    /// whole queue is taken alone.
    pub fn queue_bytes_max(mut self, bytes: usize) -> Self {
        self.options.queue_bytes_max = bytes;
        self
    }

    /// The largest body that is an event, in bytes; a larger one is rejected. Default: 1 MiB. From 1
    /// to `segment_bytes`.
    pub fn event_bytes_max(mut self, bytes: usize) -> Self {
        self.options.event_bytes_max = bytes;
        self
    }

    /// How many segments the ring of the journal has. Default: 4. From 2 to 64.
    pub fn segment_count(mut self, segments: usize) -> Self {
        self.options.segment_count = segments;
        self
    }

    /// Bytes in a segment of the journal. Default: 1 MiB. From `event_bytes_max` to 1 GiB; rounded
    /// up to 4 KiB.
    ///
    /// Small rings stay in the processor's cache; large ones outlast a longer stall of the disk.
    pub fn segment_bytes(mut self, bytes: usize) -> Self {
        self.options.segment_bytes = bytes;
        self
    }

    /// The longest time between the send of an event and its line being in the file, while the disk
    /// keeps up. Default: 20 ms. From 1 ms to 1 minute.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.options.flush_interval = interval;
        self
    }

    /// When written lines are synced. Default: every second. An interval is longer than zero.
    pub fn sync_policy(mut self, policy: SyncPolicy) -> Self {
        self.options.sync_policy = policy;
        self
    }

    /// How long writes may fail, one after the other and without a byte written, before the appender
    /// gives up: sends then give their events back, and [`Appender::close`] says why. Default: for
    /// ever, the writes are tried again until one succeeds. Any duration; with zero the first failure
    /// is the last.
    pub fn write_retry_timeout(mut self, timeout: Duration) -> Self {
        self.options.write_retry_timeout = Some(timeout);
        self
    }

    /// How long [`Appender::close`] tries to write what is left when writes fail, counted anew each
    /// time that something is written. Default: 5 seconds. Any duration.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.options.close_timeout = timeout;
        self
    }

    /// Whether names of files are in UTC instead of local time. Default: local time, as `TZ` or the
    /// system has it.
    pub fn utc(mut self, utc: bool) -> Self {
        self.options.utc = utc;
        self
    }

    /// The length in bytes that a file does not exceed: the line that would make it longer goes to
    /// a new one. A line that is longer alone gets a file of its own. Default: no such limit,
    /// as in OpenVidu. At least 1. A record of a reject that is larger than 256 KiB is begun before
    /// its length is known, and may make its file longer; it is never split.
    ///
    /// Every rotation is on the end of a line, and no line is lost or doubled by it, whatever
    /// happens to the process. The new file is named by the time of its beginning, like the
    /// first one.
    pub fn rotate_bytes(mut self, bytes: u64) -> Self {
        self.options.rotate_bytes = Some(bytes);
        self
    }

    /// Whether a new file is begun with the first line that is written on a new day, in local time
    /// or as by [`utc`](Self::utc). Default: yes, as in OpenVidu.
    pub fn rotate_daily(mut self, daily: bool) -> Self {
        self.options.rotate_daily = daily;
        self
    }

    /// How sealed files are compressed. Default: not at all. A thread of low priority does it,
    /// and removes the plain file once the compressed one is on the disk and was found to hold the
    /// same.
    #[cfg(feature = "compress")]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.options.compression = compression;
        self
    }

    /// How long a file is kept after it was written to last; `None` is for ever. Default: 30 days,
    /// as in OpenVidu. At least 1 second.
    ///
    /// This and [`retention_bytes`](Self::retention_bytes) hold for all CDR and rejects files that
    /// an appender began in the directory, compressed or not, whichever process it was in; for
    /// others only where [`manage_foreign`](Self::manage_foreign) says so. The files that are
    /// written to now always stay, as does every file of another name, and whatever is no regular
    /// file. Looked at when a file is finished, and every hour.
    ///
    /// After the clock has jumped over more than a third of this age (from an hour to 10 days) in
    /// which nothing was written, it is believed only once it has gone on for a day, or for that
    /// third where it is less. Until then [`Notice::ClockJumped`] tells that files are spared.
    pub fn retention_age(mut self, age: Option<Duration>) -> Self {
        self.options.retention_age = age;
        self
    }

    /// How many bytes the files may have together before the oldest are removed; `None` is any
    /// number. Default: 20 GB (20 000 000 000), as in OpenVidu. At least 1.
    ///
    /// The files that are written to now count, and stay: use [`rotate_bytes`](Self::rotate_bytes)
    /// where one of them could become too large.
    pub fn retention_bytes(mut self, bytes: Option<u64>) -> Self {
        self.options.retention_bytes = bytes;
        self
    }

    /// The directory on a tmpfs in which the inbox is made: one file, in which accepted events
    /// outlive the process until they are journaled. Default: `/dev/shm`.
    ///
    /// It takes the memory of the queue ([`queue_bytes_max`](Self::queue_bytes_max)) and an eighth
    /// more, but at most a quarter of what is free there; events that find no room are held in the
    /// memory of the process and counted in
    /// [`Stats::events_unprotected`](crate::Stats::events_unprotected). Where the directory is
    /// missing, full, not writable or not on a tmpfs, all are: [`Appender::inbox_path`] is `None`
    /// then, and [`on_notice`](Self::on_notice) hears of it. `docs/operations.md` says what a
    /// container needs.
    pub fn inbox_directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.options.inbox_directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Makes no inbox: what is accepted and not journaled is lost where the process dies. What an
    /// earlier process left in one is recovered all the same.
    pub fn no_inbox(mut self) -> Self {
        self.options.inbox_directory = None;
        self
    }

    /// Whether compression and retention hold also for CDR and rejects files that no appender began
    /// in the directory, those of OpenVidu's own server for example. Default: no, they are left
    /// alone; [`Appender::foreign_files`] counts them. With `true`, they are compressed once nobody
    /// wrote to them for 25 hours, and count and are removed at once.
    pub fn manage_foreign(mut self, manage: bool) -> Self {
        self.options.manage_foreign = manage;
        self
    }

    /// What takes the place of the file system. Default:
    /// [`FileSystem`](crate::storage::FileSystem). For tests, and for files that are kept
    /// elsewhere: see [`storage`](crate::storage).
    ///
    /// [`plan_recovery`](Self::plan_recovery) and [`recover`](Self::recover) go through it too.
    pub fn storage(mut self, storage: impl Storage) -> Self {
        self.options.disk = Disk::new(storage);
        self
    }

    #[cfg(test)]
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.options.clock = clock;
        self
    }

    /// A callback that hears of failures of the disk, when they begin and when they end. Default:
    /// none; [`Appender::stats`] and [`Appender::write_failure`] tell the same to who asks.
    ///
    /// Most of it is told by the thread that writes, which writes nothing meanwhile: it should send a
    /// message or log a line and return. It must not call [`Appender::flush`],
    /// [`Appender::sync`], [`Appender::wait_for_maintenance`] or [`Appender::close`], which would wait for the
    /// very thread that calls. What concerns sealed files is told by the thread that sees to
    /// them. A panic in it is caught and changes nothing.
    pub fn on_notice(mut self, listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.options.listener = Listener::new(listener);
        self
    }

    /// Checks the options, takes the directory (which is created where it is missing), finishes
    /// what an earlier process left in the journal, and starts the threads.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: an option out of its range, the directory in use or not writable, a damaged
    /// journal.
    pub fn open(self) -> Result<Appender, OpenError> {
        self.options.validate()?;
        opening::open(self.options.with_absolute_directory()?)
    }

    #[cfg(test)]
    pub(crate) fn open_on(mut self, disk: &Disk) -> Result<Appender, OpenError> {
        self.options.disk = disk.clone();
        self.open()
    }

    /// What [`open`](Self::open) would finish or repair now, found out by the same code on the same
    /// files, of which no byte is changed. The default [`Recovery`] where there is nothing to do.
    ///
    /// Of the options, only [`utc`](Self::utc) matters: it is in the name of a file that would have
    /// to be made anew. Writers are locked out while this looks; it does not wait for one.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open): [`OpenError::Locked`] while somebody writes to the directory,
    /// [`OpenError::Damaged`] where opening would refuse, [`OpenError::Io`].
    pub fn plan_recovery(&self) -> Result<Recovery, OpenError> {
        recovery::plan(&self.options.clone().with_absolute_directory()?)
    }

    /// Finishes and repairs what [`open`](Self::open) would, and nothing else: no journal is made
    /// and no CDR file is begun. The next opening then finds nothing to do.
    ///
    /// # Errors
    ///
    /// As [`plan_recovery`](Self::plan_recovery), and [`OpenError::Io`] where the disk is full. It
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
}

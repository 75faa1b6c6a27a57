//! The appender: opens a directory, owns the threads, and ends them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use crate::builder::Builder;
use crate::error::{CloseError, FlushError, OpenError, Undone, UpkeepError};
use crate::file::disk::Disk;
use crate::file::{Calendar, Identity, Lock, LockError};
use crate::finished::{Begun, Keeper};
use crate::flush::{Flusher, Rotation, Schedule, Sink, Trouble};
use crate::journal::{self, Folder, JournalError, JournalOptions, Recovery, Stream};
use crate::pipeline::{Goal, Pipeline};
use crate::producer::Producer;
use crate::queue::{Barrier, Message, Queue, Refused, queue};
use crate::rewrite::Stage;
use crate::shared_producer::SharedProducer;
use crate::stats::Stats;

/// How often a waiting `flush` looks whether the disk has failed, or the threads are gone.
const REPLY_POLL: Duration = Duration::from_millis(10);

/// The longest nap of the rewriter thread: an idle appender costs about a third of a percent of a
/// core this way.
const NAP_MAX: Duration = Duration::from_millis(10);

/// Appends events to the CDR of one directory.
///
/// Made by [`Appender::builder`]; events come in through [`producer`](Self::producer)s. Three
/// threads work for it: one rewrites events into the journal, one writes the journal to the files,
/// and one, of low priority, sees to finished files.
///
/// Dropping it does what [`close`](Self::close) does, but has nowhere to report an error to.
#[derive(Debug)]
#[must_use = "dropping an appender closes it"]
pub struct Appender {
    queue: Queue,
    pipeline: Arc<Pipeline>,
    threads: Option<Threads>,
    recovery: Recovery,
    first_rejects_path: PathBuf,
    foreign_files: usize,
    /// The folder of the journal; `None` where it was gone at once.
    journal_place: Option<Identity>,
    /// The process that opened it. A forked child has a copy, which must not touch anything.
    process_id: u32,
}

#[derive(Debug)]
struct Threads {
    rewriter: JoinHandle<Vec<Bytes>>,
    flusher: JoinHandle<Result<(), FlushError>>,
    keeper: JoinHandle<()>,
    /// Given back last.
    _lock: Arc<Lock>,
}

impl Appender {
    /// Options for an appender to `directory`, to be opened by [`Builder::open`]. A relative path is
    /// one from the current directory at the opening, wherever the process goes later.
    pub fn builder(directory: impl AsRef<Path>) -> Builder {
        Builder::new(directory.as_ref())
    }

    pub(crate) fn open(options: Builder, disk: &Disk) -> Result<Self, OpenError> {
        let directory = options.directory.as_path();
        disk.create_directory(directory)?;
        let locked = |error| lock_error(error, directory);
        let lock = Arc::new(Lock::take(disk, directory).map_err(locked)?);
        let folder = Folder::create(disk, directory)?;
        lock.take_folder().map_err(locked)?;
        let zone = options.time_zone();
        let calendar = Calendar::new(disk, directory, zone, options.clock.clone());
        let begun = Begun::new(disk, directory);
        let mut inventory = begun.look(&calendar)?;
        let recovery = journal::recover(directory, &folder, calendar.next_stamp())?;
        if !recovery.is_nothing() {
            // It may have used its stamp for a file that was gone.
            inventory = begun.look(&calendar)?;
        }
        begun.shorten(&inventory)?;
        let stamp = calendar.take_stamp();
        let ring = JournalOptions {
            segment_count: options.segment_count,
            segment_bytes: options.segment_bytes_rounded(),
        };
        let mut journal = folder.create_journal(ring)?;
        let journal_place = Identity::of(disk, &directory.join(".cdrlog"))?;
        let cdr_path = directory.join(stamp.cdr_name());
        let rejects_path = directory.join(stamp.rejects_name());
        let pipeline = Arc::new(Pipeline::new(options.listener.clone()));
        let foreign_files = inventory.foreign_files;
        if foreign_files > 0 && inventory.is_first_opening && !options.manage_foreign {
            let directory = directory.to_owned();
            options.listener.tell(&Trouble::ForeignFiles { directory, files: foreign_files });
        }
        let rotation = |stream| {
            let Builder { rotate_bytes, rotate_daily, .. } = options;
            Rotation::new(calendar.clone(), begun.clone(), stream, rotate_bytes, rotate_daily)
        };
        let (lines, rejects) = (Stream::Lines, Stream::Rejects);
        let mut lines = Sink::new(lines, journal.lines.1, cdr_path, rotation(lines));
        lines.create_file(&mut journal.control, &pipeline)?;
        if let Some(FlushError::Sync { path, source }) = lines.sync_failure() {
            let (path, source) = (path.clone(), source.clone());
            return Err(OpenError::Io { action: "sync", path, source });
        }
        let first_rejects_path = rejects_path.clone();
        let rejects = Sink::new(rejects, journal.rejects.1, rejects_path, rotation(rejects));

        let (queue, queue_end) =
            queue(options.queue_events_max, options.queue_bytes_max as u64, pipeline.clone());
        let stage = Stage::new(
            options.event_bytes_max,
            queue_end,
            journal.lines.0,
            journal.rejects.0,
            pipeline.clone(),
            NAP_MAX.min(options.flush_interval / 2),
        );
        let flusher = Flusher::new(
            lines,
            rejects,
            journal.control,
            schedule(&options),
            pipeline.clone(),
            lock.clone(),
        );
        let keeper = Keeper::new(
            directory,
            calendar,
            options.keeper_rules(),
            inventory.ours,
            pipeline.clone(),
        );
        let threads = start(stage, flusher, keeper, &queue, lock)?;
        let process_id = std::process::id();
        Ok(Self {
            queue,
            pipeline,
            threads: Some(threads),
            recovery,
            first_rejects_path,
            foreign_files,
            journal_place,
            process_id,
        })
    }

    /// A new producer. Producers outlive the appender: after its close they give every event back.
    #[must_use]
    pub fn producer(&self) -> Producer {
        Producer::new(self.queue.clone())
    }

    /// A new handle for tasks of an async runtime, which all of them share.
    #[must_use]
    pub fn shared_producer(&self) -> SharedProducer {
        SharedProducer::new(self.queue.clone())
    }

    /// Waits until everything sent before is *written*: in the files, visible to readers.
    ///
    /// # Errors
    ///
    /// [`FlushError::Write`] where a write failed while this waited; what was sent is not lost, and
    /// later calls may succeed. [`FlushError::Closed`] where the appender gave up.
    pub fn flush(&self) -> Result<(), FlushError> {
        self.wait_for(Goal::Written)
    }

    /// Waits until everything sent before is *synced*: an `fdatasync(2)` of the files returned
    /// after it was written.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush), and [`FlushError::Sync`] from the first failed sync on.
    pub fn sync(&self) -> Result<(), FlushError> {
        if let Some(failure) = self.pipeline.sync_failure() {
            return Err(failure);
        }
        self.wait_for(Goal::Synced)
    }

    /// Begins a new CDR file, and a new rejects file, behind everything sent before. The files
    /// before are complete, and synced unless by [`SyncPolicy::Never`](crate::SyncPolicy::Never). A
    /// file that holds nothing yet is kept.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush), and [`FlushError::Sync`] where a sync failed, of these files or
    /// earlier: new files are begun all the same.
    pub fn rotate(&self) -> Result<(), FlushError> {
        self.wait_for(Goal::Rotated)
    }

    /// Waits until all is done that is due for finished files: they have their lines in the manifest
    /// (feature `manifest`), are compressed (`Builder::compression`), and the oldest are removed
    /// ([`Builder::retention_age`], [`Builder::retention_bytes`]). This happens by itself; who ends
    /// soon after the beginning may want to wait for it. May take minutes where much is to be
    /// compressed. Nothing else waits for it.
    ///
    /// # Errors
    ///
    /// The first [`UpkeepError`]. What it does not concern is done.
    pub fn upkeep(&self) -> Result<(), UpkeepError> {
        let (waiting, answer) = crossbeam_channel::bounded(1);
        self.pipeline.keeper.ask(waiting);
        answer.recv().unwrap_or(Err(UpkeepError::Closed))
    }

    fn wait_for(&self, goal: Goal) -> Result<(), FlushError> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        let troubles = self.pipeline.troubles();
        let trouble = || self.pipeline.trouble().filter(|_| self.pipeline.troubles() > troubles);
        let mut message = self.queue.arena().store(Message::Barrier(Barrier { goal, reply }));
        while let Err(refused) = self.queue.try_push(message) {
            message = match refused {
                Refused::Closed(_) => return Err(FlushError::Closed),
                Refused::Full(message) => message,
            };
            if let Some(trouble) = trouble() {
                return Err(trouble);
            }
            std::thread::sleep(REPLY_POLL);
        }
        self.pipeline.rewriter_bell.ring();
        loop {
            match answer.recv_timeout(REPLY_POLL) {
                Ok(answer) => return answer,
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                    return Err(FlushError::Closed);
                }
                // A full journal keeps the barrier in the queue, so the flusher may not know of it.
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                    if let Some(trouble) = trouble() {
                        return Err(trouble);
                    }
                }
            }
        }
    }

    /// A snapshot of every counter. Costs a few loads; never waits.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.pipeline.counters.snapshot(self.queue.events_queued(), self.queue.bytes_queued())
    }

    /// The failed write that is being tried again now, if there is one: a full disk, most of the
    /// time.
    #[must_use]
    pub fn write_trouble(&self) -> Option<FlushError> {
        self.pipeline.trouble()
    }

    /// What the opening had to repair after a process that did not close.
    #[must_use]
    pub const fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// How many CDR and rejects files were in the directory at the opening that no appender began
    /// there: those of OpenVidu's own server, for example. They are left alone unless
    /// [`Builder::manage_foreign`] says otherwise.
    #[must_use]
    pub const fn foreign_files(&self) -> usize {
        self.foreign_files
    }

    /// The CDR file that lines are written to now.
    #[must_use]
    pub fn cdr_path(&self) -> PathBuf {
        self.pipeline.place(Stream::Lines).map(|place| place.file.to_path_buf()).unwrap_or_default()
    }

    /// The rejects file that was written to last, or will be first: it is created when the first
    /// body is rejected.
    #[must_use]
    pub fn rejects_path(&self) -> PathBuf {
        let place = self.pipeline.place(Stream::Rejects);
        place.map_or_else(|| self.first_rejects_path.clone(), |place| place.file.to_path_buf())
    }

    /// Accepts nothing more, writes and (unless by [`SyncPolicy::Never`](crate::SyncPolicy::Never))
    /// syncs everything that was accepted, and ends the threads.
    ///
    /// # Errors
    ///
    /// [`CloseError`], with the events that could be neither written nor journaled, where writes
    /// failed until patience ended, or a sync has failed.
    pub fn close(mut self) -> Result<Stats, CloseError> {
        self.end()
    }

    fn end(&mut self) -> Result<Stats, CloseError> {
        let Some(threads) = self.threads.take() else { return Ok(self.stats()) };
        self.pipeline.keeper.stop();
        self.queue.close();
        self.pipeline.begin_closing();
        // A panic of a thread is a bug of cdrlog, and still no reason to take the server along.
        let events = threads.rewriter.join();
        let written = threads.flusher.join().unwrap_or(Err(FlushError::Closed));
        // No line depends on it, whatever became of it.
        let _ = threads.keeper.join();
        let stats = self.stats();
        match (written, events) {
            (Ok(()), Ok(events)) if events.is_empty() => Ok(stats),
            (written, events) => {
                let place = self.journal_place.as_ref();
                Err(CloseError::from(Undone {
                    cause: written.err().unwrap_or(FlushError::Closed),
                    sync_failure: self.pipeline.sync_failure(),
                    journal_is_in_place: place.is_some_and(Identity::is_in_place),
                    stats,
                    events: events.unwrap_or_default(),
                }))
            }
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        if self.process_id == std::process::id() {
            // Whoever wants to know calls `close`.
            let _ = self.end();
        } else {
            // The threads are the parent's; joining them here would wait for ever.
            std::mem::forget(self.threads.take());
        }
    }
}

fn schedule(options: &Builder) -> Schedule {
    Schedule {
        // Half of the interval may pass before the event is seen (`NAP_MAX`), a quarter is left for
        // waking up and for the write itself, so that also an event that comes alone is in
        // the file within one interval of its being sent.
        gather: options.flush_interval / 4,
        sync_policy: options.sync_policy,
        write_patience: options.write_patience,
        close_patience: options.close_patience,
    }
}

fn start(
    stage: Stage,
    flusher: Flusher,
    keeper: Keeper,
    queue: &Queue,
    lock: Arc<Lock>,
) -> Result<Threads, OpenError> {
    let close_queue = {
        let queue = queue.clone();
        Box::new(move || queue.close())
    };
    let rewriter = spawn("cdrlog-rewrite", move || stage.run())?;
    // Where this fails, the queue is dropped with the flusher and the rewriter ends by itself. So it
    // does where the next one fails, and the flusher with it.
    let flusher =
        spawn("cdrlog-flush", move || flusher.run(close_queue)).inspect_err(|_| queue.close())?;
    let keeper = spawn("cdrlog-keep", move || keeper.run()).inspect_err(|_| queue.close())?;
    Ok(Threads { rewriter, flusher, keeper, _lock: lock })
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, OpenError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|source| OpenError::Io {
        action: "start thread",
        path: PathBuf::from(name),
        source: Arc::new(source),
    })
}

pub(crate) fn lock_error(error: LockError, directory: &Path) -> OpenError {
    match error {
        LockError::Held(process_id) => {
            OpenError::Locked { directory: directory.to_owned(), process_id }
        }
        LockError::Disk(error) => error.into(),
    }
}

impl From<JournalError> for OpenError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Disk(error) => error.into(),
            JournalError::Damaged { path, fault } => Self::Damaged { path, fault },
        }
    }
}

const _: fn() = || {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Appender>();
};

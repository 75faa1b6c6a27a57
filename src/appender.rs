//! The appender: opens a directory, owns the threads, and ends them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use crate::builder::Builder;
use crate::engine::{Pace, RewriterThread, Undelivered};
use crate::error::{CloseError, FlushError, OpenError, Undone, UpkeepError};
use crate::file::{Calendar, CreatedFiles, Identity, Lock, LockError, STATE_DIR_NAME};
use crate::flush::{Flusher, Rotation, Schedule, Sink, Trouble};
use crate::inbox::{self, ChunkPool, Inbox, InboxName};
use crate::journal::{self, Journal, JournalError, JournalOptions, Recovery, StateDir, Stream};
use crate::pipeline::{Goal, Pipeline};
use crate::producer::Producer;
use crate::queue::{Barrier, Message, Other, Queue, Refused, queue};
use crate::sealed::Maintenance;
use crate::shared_producer::SharedProducer;
use crate::stats::Stats;
use crate::storage::{Disk, DiskError};

/// How often a waiting `flush` looks whether the disk has failed, or the threads are gone.
const REPLY_POLL: Duration = Duration::from_millis(10);

/// The longest that an event goes unseen by the rewriter thread.
const SLEEP_MAX: Duration = Duration::from_millis(10);

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
    /// `None` where accepted events are in memory of the process alone.
    inbox: Option<Inbox>,
    first_rejects_path: PathBuf,
    foreign_files: usize,
    /// The state directory; `None` where it was gone at once.
    journal_place: Option<Identity>,
    /// The process that opened it. A forked child has a copy, which must not touch anything.
    process_id: u32,
}

#[derive(Debug)]
struct Threads {
    rewriter: JoinHandle<Vec<Undelivered>>,
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

    pub(crate) fn open(options: Builder) -> Result<Self, OpenError> {
        let disk = &options.disk;
        let directory = options.directory.as_path();
        disk.create_directory(directory)?;
        let locked = |error| lock_error(error, directory);
        let lock = Arc::new(Lock::take(disk, directory).map_err(locked)?);
        let state_dir = StateDir::create(disk, directory)?;
        lock.take_state_dir().map_err(locked)?;
        let zone = options.time_zone();
        let calendar = Calendar::new(disk, directory, zone, options.clock.clone());
        let created_files = CreatedFiles::new(disk, directory);
        let mut inventory = created_files.look(&calendar)?;
        let recovery = journal::recover(directory, &state_dir, calendar.next_stamp())?;
        if !recovery.is_nothing() {
            // It may have used its stamp for a file that was gone.
            inventory = created_files.look(&calendar)?;
        }
        created_files.shorten(&inventory)?;
        let stamp = calendar.take_stamp();
        let ring = JournalOptions {
            segment_count: options.segment_count,
            segment_bytes: options.segment_bytes_rounded(),
        };
        let (mut journal, inbox) = create_journal(disk, &state_dir, ring, &options)?;
        let journal_place = Identity::of(disk, &directory.join(STATE_DIR_NAME))?;
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
            Rotation::new(
                calendar.clone(),
                created_files.clone(),
                stream,
                rotate_bytes,
                rotate_daily,
            )
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

        let inbox_identity = match &inbox {
            Some(inbox) => Identity::of(disk, inbox.path())?,
            None => None,
        };
        let pool = chunk_pool(inbox.as_ref(), &options);
        let (queue, queue_end) =
            queue(options.queue_events_max, options.queue_bytes_max as u64, pool, pipeline.clone());
        let rewriter = RewriterThread::new(
            options.event_bytes_max,
            queue_end,
            journal.lines.0,
            journal.rejects.0,
            pipeline.clone(),
            pace(options.flush_interval),
        );
        let flusher = Flusher::new(
            lines,
            rejects,
            journal.control,
            schedule(&options),
            pipeline.clone(),
            lock.clone(),
            inbox_identity,
        );
        let keeper = Maintenance::new(
            directory,
            calendar,
            options.keeper_rules(),
            inventory.ours,
            pipeline.clone(),
        );
        let threads = start(rewriter, flusher, keeper, &queue, lock)?;
        let process_id = std::process::id();
        Ok(Self {
            queue,
            pipeline,
            threads: Some(threads),
            recovery,
            inbox,
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
        if self.process_id != std::process::id() {
            return Err(FlushError::Closed);
        }
        let mut message = Message::other(Other::Barrier(Barrier { goal, reply }));
        while let Err(refused) = self.queue.try_push(message, |_| ()) {
            message = match refused {
                Refused::Closed(_) => return Err(FlushError::Closed),
                Refused::Full(message) => message,
            };
            if let Some(trouble) = trouble() {
                return Err(trouble);
            }
            std::thread::sleep(REPLY_POLL);
        }
        self.pipeline.rewriter_waker.wake();
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

    /// The inbox: the file in which accepted events outlive the process. `None` where there is none,
    /// because of [`Builder::no_inbox`] or because it could not be made: accepted events are then in
    /// memory of the process alone.
    #[must_use]
    pub fn inbox_path(&self) -> Option<&Path> {
        self.inbox.as_ref().map(Inbox::path)
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
        self.end(Fate::GivenBack)
    }

    fn end(&mut self, fate: Fate) -> Result<Stats, CloseError> {
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
        let rewriter_panicked = events.is_err();
        let undelivered = events.unwrap_or_default();
        let all_written =
            !rewriter_panicked && matches!(written, Ok(()) | Err(FlushError::Sync { .. }));
        if all_written && undelivered.is_empty() {
            self.remove_inbox();
        }
        match written {
            Ok(()) if !rewriter_panicked && undelivered.is_empty() => Ok(stats),
            written => {
                let place = self.journal_place.as_ref();
                Err(CloseError::from(Undone {
                    cause: written.err().unwrap_or(FlushError::Closed),
                    sync_failure: self.pipeline.sync_failure(),
                    journal_is_in_place: place.is_some_and(Identity::is_in_place),
                    stats,
                    events: self.give_back(undelivered, fate),
                }))
            }
        }
    }

    /// Everything that was accepted is in the files.
    fn remove_inbox(&mut self) {
        if let Some(inbox) = self.inbox.take() {
            // Where it stays, the next opening removes it: the control file says that it is not used.
            let _ = inbox.remove();
        }
    }

    /// What was accepted and could not be journaled: the caller gets it back, or the next opening has
    /// it.
    fn give_back(&self, undelivered: Vec<Undelivered>, fate: Fate) -> Vec<Bytes> {
        if fate == Fate::Kept {
            return Vec::new();
        }
        if let Some(inbox) = self.inbox.as_ref().filter(|_| !undelivered.is_empty()) {
            inbox.set_void();
        }
        let pool = self.queue.pool();
        undelivered.into_iter().map(|event| event.into_bytes(pool)).collect()
    }
}

/// What becomes of events that could not be journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The caller of `close` gets them.
    GivenBack,
    /// They stay in the inbox, for the next opening.
    Kept,
}

impl Drop for Appender {
    fn drop(&mut self) {
        if self.process_id == std::process::id() {
            // Whoever wants to know calls `close`.
            let _ = self.end(Fate::Kept);
        } else {
            // The threads are the parent's; joining them here would wait for ever.
            std::mem::forget(self.threads.take());
        }
    }
}

/// An event that comes alone is in the file within one interval of its being sent: a quarter of it
/// may pass before the rewriter sees it, half while others gather, and the rest is left for waking
/// up and for the write itself.
fn pace(flush_interval: Duration) -> Pace {
    Pace { sleep_max: SLEEP_MAX.min(flush_interval / 4), gather: flush_interval / 2 }
}

fn schedule(options: &Builder) -> Schedule {
    Schedule {
        gather: pace(options.flush_interval).gather,
        sync_policy: options.sync_policy,
        write_patience: options.write_patience,
        close_patience: options.close_patience,
    }
}

/// Makes the journal, and the inbox that its control file names.
fn create_journal(
    disk: &Disk,
    state_dir: &StateDir,
    ring: JournalOptions,
    options: &Builder,
) -> Result<(Journal, Option<Inbox>), OpenError> {
    let name = options.inbox_directory.as_deref().map(InboxName::fresh).transpose();
    let name = name.unwrap_or_else(|error| {
        tell_no_inbox(options, error);
        None
    });
    // First this: a file that no control file names would stay for ever.
    let journal = state_dir.create_journal(ring, name.as_ref())?;
    let inbox = match &name {
        Some(name) => create_inbox(disk, name, state_dir, options)?,
        None => None,
    };
    if inbox.is_some() {
        // Nothing is accepted before.
        journal.control.set_inbox_in_use(true);
    }
    Ok((journal, inbox))
}

/// Where records are stored: in the inbox, or in memory of the process alone.
fn chunk_pool(inbox: Option<&Inbox>, options: &Builder) -> Arc<ChunkPool> {
    let unprotected = || ChunkPool::unprotected(inbox::bytes_for_queue(options.queue_bytes_max));
    inbox.map_or_else(|| Arc::new(unprotected()), |inbox| inbox.pool().clone())
}

/// Makes the inbox; `None` where it cannot be had, which is told.
fn create_inbox(
    disk: &Disk,
    name: &InboxName,
    state_dir: &StateDir,
    options: &Builder,
) -> Result<Option<Inbox>, OpenError> {
    let owner = inbox::Owner {
        directory: &options.directory,
        folder: state_dir.identity()?,
        event_bytes_max: options.event_bytes_max,
    };
    let bytes = inbox::bytes_for_queue(options.queue_bytes_max);
    match Inbox::create(disk, name, owner, bytes) {
        Ok(inbox) => Ok(Some(inbox)),
        Err(error) => {
            tell_no_inbox(options, error);
            Ok(None)
        }
    }
}

fn tell_no_inbox(options: &Builder, error: DiskError) {
    options.listener.tell(&Trouble::NoInbox { path: error.path, source: error.source });
}

fn start(
    rewriter: RewriterThread,
    flusher: Flusher,
    keeper: Maintenance,
    queue: &Queue,
    lock: Arc<Lock>,
) -> Result<Threads, OpenError> {
    let close_queue = {
        let queue = queue.clone();
        Box::new(move || queue.close())
    };
    let rewriter = spawn("cdrlog-rewrite", move || rewriter.run())?;
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

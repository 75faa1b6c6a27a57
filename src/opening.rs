//! Opening a directory: locks it, recovers what the last process left, and starts the threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::appender::{Appender, Parts, Threads};
use crate::engine::{FlusherThread, MaintenanceThread, Pace, RewriterThread, TimeMarks};
use crate::error::{FlushError, OpenError};
use crate::file::{CreatedFiles, FileNamer, Identity, Inventory, Lock, STATE_DIR_NAME};
use crate::flush::{Rotation, Schedule, Sink, Sinks};
use crate::inbox::{self, ChunkPool, Inbox, InboxName};
use crate::journal::{
    self, Control, Journal, JournalOptions, Recovery, RingReader, StateDir, Stream,
};
use crate::notice::Notice;
use crate::options::Options;
use crate::pipeline::Pipeline;
use crate::queue::{Queue, queue};
use crate::recovery::{follow_names, lock_error};
use crate::sealed::Maintenance;
use crate::storage::{Disk, DiskError};
use crate::system;

/// The maximum sleep of the rewriter thread while there are events.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// The same without an inbox: if the process dies meanwhile, events that the rewriter did not see
/// are lost.
const SLEEP_MAX_UNPROTECTED: Duration = Duration::from_millis(10);

/// Opens the directory of valid options, which is absolute.
pub(crate) fn open(options: Options) -> Result<Appender, OpenError> {
    let (disk, directory) = (&options.disk, options.directory.as_path());
    let (lock, state_dir) = lock_directory(disk, directory)?;
    let zone = options.time_zone();
    let calendar = FileNamer::new(disk, directory, zone, options.clock.clone());
    let created_files = CreatedFiles::new(disk, directory);
    let (recovery, inventory) = recover(directory, &state_dir, &calendar, &created_files)?;
    let stamp = calendar.take_stamp();
    let (mut journal, inbox) = create_journal(disk, &state_dir, &options)?;
    let journal_place = Identity::of(disk, &directory.join(STATE_DIR_NAME))?;
    let pipeline = Arc::new(Pipeline::new(options.listener.clone()));
    tell_weaknesses(&options);
    tell_foreign_files(&options, &inventory);

    let sink = |stream, reader: RingReader, path: &Path| {
        let Options { rotate_bytes, rotate_daily, .. } = options;
        let (calendar, created) = (calendar.clone(), created_files.clone());
        let rotation = Rotation::new(calendar, created, stream, rotate_bytes, rotate_daily);
        Sink::new(stream, reader, path.to_owned(), rotation)
    };
    let cdr_path = directory.join(stamp.cdr_name());
    let first_rejects_path = directory.join(stamp.rejects_name());
    let mut lines = sink(Stream::Lines, journal.lines.1, &cdr_path);
    create_first_file(&mut lines, &mut journal.control, &pipeline)?;
    let rejects = sink(Stream::Rejects, journal.rejects.1, &first_rejects_path);

    let pool = chunk_pool(inbox.as_ref(), &options);
    let (queue, queue_end) =
        queue(options.queue_events_max, options.queue_bytes_max as u64, pool, pipeline.clone());
    let rewriter = RewriterThread::new(
        options.event_bytes_max,
        queue_end,
        journal.lines.0,
        journal.rejects.0,
        pipeline.clone(),
        pace(options.flush_interval, inbox.is_some()),
    );
    let (schedule, shared) = (schedule(&options), pipeline.clone());
    let inbox_identity = match &inbox {
        Some(inbox) => Identity::of(disk, inbox.path())?,
        None => None,
    };
    let sinks = Sinks::new(lines, rejects, journal.control);
    let time_marks = options.time_marks.then(|| TimeMarks::new(queue.clone()));
    let flusher =
        FlusherThread::new(sinks, schedule, shared, lock.clone(), inbox_identity, time_marks);
    let (rules, foreign_files) = (options.maintenance_rules(), inventory.foreign_files);
    let context = pipeline.maintenance_context();
    let maintenance = Maintenance::new(directory, calendar, rules, inventory.ours, context);
    let maintenance = MaintenanceThread::new(maintenance, pipeline.maintenance.clone());
    let threads = Some(start(rewriter, flusher, maintenance, &queue, lock)?);
    Ok(Appender::new(Parts {
        queue,
        pipeline,
        threads,
        recovery,
        inbox,
        first_rejects_path,
        foreign_files,
        journal_place,
    }))
}

/// Creates the directory and its state directory if they are missing, and locks both.
fn lock_directory(disk: &Disk, directory: &Path) -> Result<(Arc<Lock>, StateDir), OpenError> {
    disk.create_directory(directory)?;
    let locked = |error| lock_error(error, directory);
    let lock = Arc::new(Lock::take(disk, directory).map_err(locked)?);
    let state_dir = StateDir::create(disk, directory)?;
    lock.take_state_dir().map_err(locked)?;
    Ok((lock, state_dir))
}

/// Recovers what the last process left, and then lists the directory.
fn recover(
    directory: &Path,
    state_dir: &StateDir,
    calendar: &FileNamer,
    created_files: &CreatedFiles,
) -> Result<(Recovery, Inventory), OpenError> {
    let mut inventory = created_files.look(calendar)?;
    follow_names(state_dir, directory, calendar)?;
    let recovery = journal::recover(directory, state_dir, calendar.next_stamp())?;
    if !recovery.is_nothing() {
        // Recovery may have used its stamp for a file that was gone.
        inventory = created_files.look(calendar)?;
    }
    created_files.shorten(&inventory)?;
    Ok((recovery, inventory))
}

fn tell_weaknesses(options: &Options) {
    let weaknesses = system::weaknesses();
    if !weaknesses.is_empty() {
        options.listener.tell(&Notice::WeakerSystem { weaknesses });
    }
}

fn tell_foreign_files(options: &Options, inventory: &Inventory) {
    let files = inventory.foreign_files;
    if files > 0 && inventory.is_first_opening && !options.manage_foreign {
        let directory = options.directory.clone();
        options.listener.tell(&Notice::ForeignFiles { directory, files });
    }
}

/// Creates the first file of lines; a failed sync of its name is an error too.
fn create_first_file(
    lines: &mut Sink,
    control: &mut Control,
    pipeline: &Pipeline,
) -> Result<(), OpenError> {
    lines.create_file(control, pipeline)?;
    match lines.sync_failure() {
        Some(FlushError::Sync { path, source }) => {
            let (path, source) = (path.clone(), source.clone());
            Err(OpenError::Io { action: "sync", path, source })
        }
        _ => Ok(()),
    }
}

/// An event is in the file within one flush interval after it was sent: the flusher is told to
/// write after four fifths of it, and the rest is left for waking up and for the write itself.
///
/// Events in the inbox survive the process before they are journaled, so the rewriter may sleep for
/// as long as the flusher may wait, and both wake up once. Without an inbox it journals them
/// sooner.
fn pace(flush_interval: Duration, has_inbox: bool) -> Pace {
    let write_within = flush_interval - write_margin(flush_interval);
    let sleep_max = match has_inbox {
        true => write_within.min(SLEEP_MAX),
        false => (flush_interval / 4).min(SLEEP_MAX_UNPROTECTED),
    };
    Pace { sleep_max, write_within }
}

/// What is left of the flush interval when the flusher is told to write.
fn write_margin(flush_interval: Duration) -> Duration {
    flush_interval / 5
}

fn schedule(options: &Options) -> Schedule {
    Schedule {
        gather: write_margin(options.flush_interval),
        sync_policy: options.sync_policy,
        write_retry_timeout: options.write_retry_timeout,
        close_timeout: options.close_timeout,
    }
}

/// Creates the journal, and the inbox that its control file names.
fn create_journal(
    disk: &Disk,
    state_dir: &StateDir,
    options: &Options,
) -> Result<(Journal, Option<Inbox>), OpenError> {
    let ring = JournalOptions {
        segment_count: options.segment_count,
        segment_bytes: options.segment_bytes_rounded(),
    };
    let name = options.inbox_directory.as_deref().map(InboxName::fresh).transpose();
    let name = name.unwrap_or_else(|error| {
        tell_no_inbox(options, error);
        None
    });
    // The journal first: an inbox that no control file names would stay for ever.
    let journal = state_dir.create_journal(ring, name.as_ref())?;
    let inbox = match &name {
        Some(name) => create_inbox(disk, name, state_dir, options)?,
        None => None,
    };
    if inbox.is_some() {
        // Nothing is accepted before this.
        journal.control.set_inbox_in_use(true);
    }
    Ok((journal, inbox))
}

/// Where records are stored: in the inbox, or in the memory of the process alone.
fn chunk_pool(inbox: Option<&Inbox>, options: &Options) -> Arc<ChunkPool> {
    let unprotected = || ChunkPool::unprotected(inbox::bytes_for_queue(options.queue_bytes_max));
    inbox.map_or_else(|| Arc::new(unprotected()), |inbox| inbox.pool().clone())
}

/// Creates the inbox; if it cannot be created, reports that and returns `None`.
fn create_inbox(
    disk: &Disk,
    name: &InboxName,
    state_dir: &StateDir,
    options: &Options,
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

fn tell_no_inbox(options: &Options, error: DiskError) {
    options.listener.tell(&Notice::NoInbox { path: error.path, source: error.source });
}

fn start(
    rewriter: RewriterThread,
    flusher: FlusherThread,
    maintenance: MaintenanceThread,
    queue: &Queue,
    lock: Arc<Lock>,
) -> Result<Threads, OpenError> {
    let close_queue = {
        let queue = queue.clone();
        Box::new(move || queue.close())
    };
    let rewriter = spawn("cdrlog-rewrite", move || rewriter.run())?;
    // If this fails, the queue is dropped with the flusher, and the rewriter ends on its own. If
    // the next one fails, so does the flusher.
    let flusher =
        spawn("cdrlog-flush", move || flusher.run(close_queue)).inspect_err(|_| queue.close())?;
    let maintenance =
        spawn("cdrlog-maint", move || maintenance.run()).inspect_err(|_| queue.close())?;
    Ok(Threads { rewriter, flusher, maintenance, _lock: lock })
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

//! What an embedder hears of a disk that fails.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::contain::contain;
use crate::error::{FlushError, MaintenanceError};

/// Something that an operator should know of, told to the callback of
/// [`Builder::on_notice`](crate::Builder::on_notice).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A write failed: a full disk, most of the time. Nothing is lost; it is tried again and again.
    WritesFail(FlushError),
    /// Writes succeed again.
    WritesGoOn {
        /// How long they had failed.
        failed_for: Duration,
    },
    /// A sync failed. It is told once, because nothing will be synced any more.
    SyncFailed(FlushError),
    /// Others truncated, moved or removed the file, or wrote to it. Lines go on in the file of this
    /// name.
    ChangedByOthers(PathBuf),
    /// The directory, the folder `.cdrlog` in it, or the lock file in that was moved or removed while
    /// an appender has it. What is at this path now is locked instead, and lines go on there. The
    /// journal stays where it is: where the directory or the folder is gone, lines that are not
    /// written yet do not survive a kill until the appender is closed and opened again.
    LockReplaced(PathBuf),
    /// Writes failed for longer than the appender was told to try them again. It has ended.
    GaveUp(FlushError),
    /// There is no inbox: until the next opening, events that are accepted and not journaled are lost
    /// where the process dies.
    NoInbox {
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// Others removed the inbox, or put something else in its place. It is told once, at the next
    /// write to a CDR file. Until the appender is closed and opened again, events that are accepted
    /// and not journaled are lost where the process dies.
    InboxRemoved(PathBuf),
    /// A sealed file could not be listed in the manifest, compressed or removed. It is tried
    /// again, but for a sync, and told once until a time when all goes well. Lines go on.
    MaintenanceFails(MaintenanceError),
    /// The clock has jumped over a long time in which nothing was written. Retention by age waits
    /// until the clock has gone on for a while: it would remove files that are old by a wrong clock
    /// only. It is told once for each jump.
    ClockJumped {
        /// The time that nobody saw pass.
        skipped: Duration,
        /// When the clock is believed, unless it is set meanwhile.
        believed_in: Duration,
    },
    /// The directory holds CDR or rejects files that no appender began in it. They are left alone,
    /// unless [`Builder::manage_foreign`](crate::Builder::manage_foreign) says otherwise. It is told
    /// at the first opening of the directory, by the thread that opens it.
    ForeignFiles {
        /// The directory.
        directory: PathBuf,
        /// How many there are.
        files: usize,
    },
    /// Retention removed a file. Nothing is wrong, but nobody should wonder where it is.
    FileRemoved {
        /// The file.
        path: PathBuf,
        /// How long it was.
        bytes: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WritesFail(failure) => write!(f, "{failure}; it is tried again"),
            Self::WritesGoOn { failed_for } => {
                write!(f, "writes go on after {:.1} s", failed_for.as_secs_f64())
            }
            Self::SyncFailed(failure) => write!(f, "{failure}; nothing is synced any more"),
            Self::ChangedByOthers(path) => {
                write!(f, "{} was changed by others; lines go on", path.display())
            }
            Self::LockReplaced(path) => write!(
                f,
                "{} was moved or removed while in use; lines go on at that path: close the appender and open it again",
                path.display()
            ),
            Self::GaveUp(failure) => write!(f, "{failure}; it is not tried any more"),
            Self::NoInbox { path, source } => {
                write!(
                    f,
                    "no inbox, {}: {source}; a crash loses what is not journaled",
                    path.display()
                )
            }
            Self::InboxRemoved(path) => write!(
                f,
                "the inbox {} was removed; a crash loses what is not journaled: close the appender and open it again",
                path.display()
            ),
            Self::MaintenanceFails(failure @ MaintenanceError::Sync { .. }) => {
                write!(f, "{failure}; it is not synced any more before the next opening")
            }
            Self::MaintenanceFails(failure) => write!(f, "{failure}; it is tried again later"),
            Self::ClockJumped { skipped, believed_in } => write!(
                f,
                "the clock is {:.1} days after the last line: set it if it is wrong; else old files \
                 are removed in {:.1} hours",
                skipped.as_secs_f64() / 86_400.0,
                believed_in.as_secs_f64() / 3600.0
            ),
            Self::ForeignFiles { directory, files } => write!(
                f,
                "{} holds {files} CDR or rejects {} that cdrlog did not begin there; they are \
                 neither compressed nor removed",
                directory.display(),
                if *files == 1 { "file" } else { "files" }
            ),
            Self::FileRemoved { path, bytes } => {
                write!(f, "removed {} ({bytes} bytes), as retention has it", path.display())
            }
        }
    }
}

type Callback = dyn Fn(&Notice) + Send + Sync;

/// The callback of an embedder, or none.
#[derive(Clone, Default)]
pub(crate) struct Listener(Option<Arc<Callback>>);

impl Listener {
    pub(crate) fn new(listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Tells the embedder. A panic of the callback is its own matter: lines must go on.
    pub(crate) fn tell(&self, notice: &Notice) {
        if let Some(listener) = &self.0 {
            contain(|| listener(notice));
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Listener" } else { "no listener" })
    }
}

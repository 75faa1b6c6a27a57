//! What the embedder is notified of.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::contain::contain;
use crate::error::{FlushError, MaintenanceError};

/// Something that an operator should know, passed to the callback of
/// [`Builder::on_notice`](crate::Builder::on_notice). [`Display`](fmt::Display) gives a sentence
/// for the log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A write failed, usually because the disk is full. Nothing is lost; it is retried.
    WritesFail(FlushError),
    /// Writes succeed again.
    WritesGoOn {
        /// How long writes had failed.
        failed_for: Duration,
    },
    /// A sync failed. Reported once, because nothing will be synced any more.
    SyncFailed(FlushError),
    /// Another program truncated, moved or removed the file, or wrote to it. Lines continue in the
    /// file of this name.
    ChangedByOthers(PathBuf),
    /// The directory, `.cdrlog` in it, or the lock file in that was moved or removed while an
    /// appender has it open. What is at this path now is locked instead, and lines continue there.
    /// The journal stays where it is: if the directory or `.cdrlog` is gone, lines that are not
    /// written yet do not survive a kill until the appender is closed and opened again.
    LockReplaced(PathBuf),
    /// Writes failed for [`Builder::write_retry_timeout`](crate::Builder::write_retry_timeout), or
    /// while closing for [`Builder::close_timeout`](crate::Builder::close_timeout), and the
    /// appender gave up.
    GaveUp(FlushError),
    /// The inbox could not be made: until the next open, events that are accepted and not journaled
    /// are lost if the process dies.
    NoInbox {
        /// Where it was to be made.
        path: PathBuf,
        /// The error of the system.
        source: Arc<std::io::Error>,
    },
    /// This system is weaker than Linux, or this sandbox than other ones. Reported at each open, on
    /// the thread that opens. `docs/systems.md` has the table of systems.
    WeakerSystem {
        /// What does not hold here, a sentence each without its end.
        weaknesses: Vec<&'static str>,
    },
    /// Another program removed the inbox, or put something else in its place. Reported once, at the
    /// next write to a CDR file. Until the appender is closed and opened again, events that are
    /// accepted and not journaled are lost if the process dies.
    InboxRemoved(PathBuf),
    /// A sealed file could not be listed in the manifest, compressed or removed. This is retried,
    /// except for a failed sync, and reported once until everything has succeeded again. Lines are
    /// not affected.
    MaintenanceFails(MaintenanceError),
    /// The clock jumped forward over a long time in which nothing was written. If it is wrong,
    /// retention by age would remove files that are not old, so it waits until the clock has run
    /// for a while. Reported once for each jump.
    ClockJumped {
        /// The time that the clock jumped over.
        skipped: Duration,
        /// The time until the clock is trusted, unless it is set meanwhile.
        believed_in: Duration,
    },
    /// The directory holds CDR or rejects files that no appender created there. They are left alone
    /// unless [`Builder::manage_foreign`](crate::Builder::manage_foreign) is set. Reported at the
    /// first open of the directory, on the thread that opens it.
    ForeignFiles {
        /// The directory.
        directory: PathBuf,
        /// How many there are.
        files: usize,
    },
    /// What a program that ships the directory still needs cannot be read. Until it is repaired or
    /// forgotten, retention removes nothing. Reported once for each fault.
    PinUnreadable {
        /// The file in `.cdrlog/pins`, or that directory.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// Retention removed a file. This is not a problem, but nobody should wonder where the file is.
    FileRemoved {
        /// The file.
        path: PathBuf,
        /// Its length on the disk.
        bytes: u64,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WritesFail(failure) => write!(f, "{failure}; it is retried"),
            Self::WritesGoOn { failed_for } => {
                write!(f, "writes succeed again after {:.1} s", failed_for.as_secs_f64())
            }
            Self::SyncFailed(failure) => write!(f, "{failure}; nothing is synced any more"),
            Self::ChangedByOthers(path) => {
                write!(f, "{} was changed by another program; lines continue", path.display())
            }
            Self::LockReplaced(path) => write!(
                f,
                "{} was moved or removed while in use; lines continue at that path: close the appender and open it again",
                path.display()
            ),
            Self::GaveUp(failure) => write!(f, "{failure}; it is not retried any more"),
            Self::NoInbox { path, source } => {
                write!(
                    f,
                    "no inbox at {}: {source}; a crash loses events that are not journaled",
                    path.display()
                )
            }
            Self::WeakerSystem { weaknesses } => {
                write!(f, "not all promises hold on this system: {}", weaknesses.join("; "))
            }
            Self::InboxRemoved(path) => write!(
                f,
                "the inbox {} was removed; a crash loses events that are not journaled: close the appender and open it again",
                path.display()
            ),
            Self::MaintenanceFails(failure @ MaintenanceError::Sync { .. }) => {
                write!(f, "{failure}; it is not synced again before the next open")
            }
            Self::MaintenanceFails(failure) => write!(f, "{failure}; it is retried later"),
            Self::ClockJumped { skipped, believed_in } => write!(
                f,
                "the clock is {:.1} days after the last line: set it if it is wrong; otherwise old files \
                 are removed in {:.1} hours",
                skipped.as_secs_f64() / 86_400.0,
                believed_in.as_secs_f64() / 3600.0
            ),
            Self::ForeignFiles { directory, files } => write!(
                f,
                "{} holds {files} CDR or rejects {} that cdrlog did not create there; they are \
                 neither compressed nor removed",
                directory.display(),
                if *files == 1 { "file" } else { "files" }
            ),
            Self::PinUnreadable { path, fault } => write!(
                f,
                "cannot read the pin {}: {fault}; no old files are removed until it is repaired or forgotten",
                path.display()
            ),
            Self::FileRemoved { path, bytes } => {
                write!(f, "retention removed {} ({bytes} bytes)", path.display())
            }
        }
    }
}

type Callback = dyn Fn(&Notice) + Send + Sync;

/// The callback of the embedder, if any.
#[derive(Clone, Default)]
pub(crate) struct Listener(Option<Arc<Callback>>);

impl Listener {
    pub(crate) fn new(listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Passes a notice to the callback. A panic of the callback is caught: lines must go on.
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

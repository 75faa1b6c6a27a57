//! What an embedder hears of a disk that fails.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::contain::contain;
use crate::error::{FlushError, UpkeepError};

/// Something that an operator should know of, told to the callback of
/// [`Builder::on_trouble`](crate::Builder::on_trouble).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Trouble {
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
    /// Writes failed for longer than the patience of the appender, which has ended.
    GaveUp(FlushError),
    /// There is no inbox: until the next opening, events that are accepted and not journaled are lost
    /// where the process dies.
    NoInbox {
        /// Where it was to be.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// A finished file could not be listed in the manifest, compressed or removed. It is tried
    /// again, and told once until a time when all goes well. Lines go on.
    UpkeepFails(UpkeepError),
    /// Retention removed a file. No trouble, but nobody should wonder where it is.
    FileRemoved {
        /// The file.
        path: PathBuf,
        /// How long it was.
        bytes: u64,
    },
}

impl fmt::Display for Trouble {
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
            Self::GaveUp(failure) => write!(f, "{failure}; it is not tried any more"),
            Self::NoInbox { path, source } => {
                write!(
                    f,
                    "no inbox, {}: {source}; a crash loses what is not journaled",
                    path.display()
                )
            }
            Self::UpkeepFails(failure) => write!(f, "{failure}; it is tried again later"),
            Self::FileRemoved { path, bytes } => {
                write!(f, "removed {} ({bytes} bytes), as retention has it", path.display())
            }
        }
    }
}

type Callback = dyn Fn(&Trouble) + Send + Sync;

/// The callback of an embedder, or none.
#[derive(Clone, Default)]
pub(crate) struct Listener(Option<Arc<Callback>>);

impl Listener {
    pub(crate) fn new(listener: impl Fn(&Trouble) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Tells of trouble. A panic of the callback is its own matter: lines must go on.
    pub(crate) fn tell(&self, trouble: &Trouble) {
        if let Some(listener) = &self.0 {
            contain(|| listener(trouble));
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Listener" } else { "no listener" })
    }
}

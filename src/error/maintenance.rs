//! Sealed files that cannot be listed, compressed or removed.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::storage::DiskError;

/// Something could not be done with a sealed file. No line is lost by it, and it is tried again,
/// but for a sync.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// The system said no: a full disk, most of the time.
    Io {
        /// What was tried: "read", "write", "remove".
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A sync failed, of the manifest or of a compressed file. It is not tried again before the next
    /// opening, because a second try would say that all is well: the manifest goes on and may not
    /// survive a power loss, and the plain file stays.
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// There is a compressed file beside a plain one, and it does not hold the same. Both are left
    /// as they are: somebody has to look which one to keep.
    Differs {
        /// The plain file.
        plain: PathBuf,
        /// The compressed one.
        compressed: PathBuf,
    },
    /// Others wrote to the file while it was compressed. It is left as it is.
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The appender was closed, or the thread that does it has ended.
    Closed,
}

#[cfg(any(feature = "compress", feature = "manifest"))]
impl MaintenanceError {
    pub(crate) fn sync(error: DiskError) -> Self {
        Self::Sync { path: error.path, source: error.source }
    }
}

impl From<DiskError> for MaintenanceError {
    fn from(error: DiskError) -> Self {
        Self::Io { action: error.action, path: error.path, source: error.source }
    }
}

impl fmt::Display for MaintenanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::Sync { path, source } => write!(f, "cannot sync {}: {source}", path.display()),
            Self::Differs { plain, compressed } => write!(
                f,
                "{} does not hold what {} holds; remove or rename one of them",
                compressed.display(),
                plain.display()
            ),
            Self::Changed { path } => {
                write!(f, "{} was changed by others while it was compressed", path.display())
            }
            Self::Closed => f.write_str("the appender is closed"),
        }
    }
}

impl Error for MaintenanceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Sync { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

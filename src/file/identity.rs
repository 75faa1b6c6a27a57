//! Whether a path still leads to the same file.

use std::path::{Path, PathBuf};

use crate::storage::{Disk, DiskResult, Metadata};

/// The identity of what was at a path.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    disk: Disk,
    path: PathBuf,
    metadata: Metadata,
}

impl Identity {
    /// The identity of what is at `path`; `None` if nothing is.
    pub(crate) fn of(disk: &Disk, path: &Path) -> DiskResult<Option<Self>> {
        let Some(metadata) = disk.examine(path)? else { return Ok(None) };
        let (disk, path) = (disk.clone(), path.to_owned());
        Ok(Some(Self { disk, path, metadata }))
    }

    /// Whether it is still there. `false` also if that cannot be determined: nobody should rely on
    /// it then.
    pub(crate) fn is_in_place(&self) -> bool {
        let now = self.disk.examine(&self.path);
        now.is_ok_and(|now| now.is_some_and(|now| now.is_same_file(&self.metadata)))
    }

    /// Whether something else is there now, or nothing. `false` also if that cannot be determined.
    pub(crate) fn is_gone(&self) -> bool {
        let now = self.disk.examine(&self.path);
        now.is_ok_and(|now| now.is_none_or(|now| !now.is_same_file(&self.metadata)))
    }

    pub(crate) fn into_path(self) -> PathBuf {
        self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_directory_that_was_moved_or_replaced_is_not_in_its_place() {
        let parent = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (parent.path().join("a"), parent.path().join("b"));
        fs::create_dir(&path).unwrap();
        let identity = Identity::of(&Disk::default(), &path).unwrap().unwrap();
        assert!(identity.is_in_place());
        fs::rename(&path, &elsewhere).unwrap();
        assert!(!identity.is_in_place());
        fs::create_dir(&path).unwrap();
        assert!(!identity.is_in_place());
        fs::remove_dir(&path).unwrap();
        fs::rename(&elsewhere, &path).unwrap();
        assert!(identity.is_in_place());
    }
}

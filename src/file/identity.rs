//! Whether what is at a path is still what was there.

use std::path::{Path, PathBuf};

use crate::storage::{Disk, DiskResult, Metadata};

/// What was at a path at one time.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    disk: Disk,
    path: PathBuf,
    metadata: Metadata,
}

impl Identity {
    /// Of what is at `path`; `None` where nothing is.
    pub(crate) fn of(disk: &Disk, path: &Path) -> DiskResult<Option<Self>> {
        let Some(metadata) = disk.examine(path)? else { return Ok(None) };
        let (disk, path) = (disk.clone(), path.to_owned());
        Ok(Some(Self { disk, path, metadata }))
    }

    /// Whether it is there still. `false` also where that cannot be found out: nobody should rely
    /// on it then.
    pub(crate) fn is_in_place(&self) -> bool {
        let now = self.disk.examine(&self.path);
        now.is_ok_and(|now| now.is_some_and(|now| now.is_same_file(&self.metadata)))
    }

    /// Whether something else is there now, or nothing. `false` also where that cannot be found out.
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

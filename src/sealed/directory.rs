//! Lists the CDR and rejects files of a directory, whoever wrote them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::file::{Encoding, FileName};
use crate::storage::{Disk, DiskError, DiskResult};

/// A regular file whose name is that of a CDR or rejects file.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Without `.zst` or `.gz`.
    pub(super) plain_name: String,
    pub(super) name: FileName,
    pub(super) bytes: u64,
    /// The time of the last write to it.
    pub(super) modified: SystemTime,
}

impl Found {
    /// Oldest first; of the same stamp, the plain file before a compressed one.
    fn order(&self) -> impl Ord + use<> {
        let FileName { kind, stamp, encoding } = self.name;
        (stamp, kind, encoding)
    }
}

/// All CDR and rejects files in `directory`, oldest first. A link, and what it leads to, is left
/// out.
pub(super) fn find(disk: &Disk, directory: &Path) -> DiskResult<Vec<Found>> {
    let mut all = Vec::new();
    for text in disk.names(directory)? {
        let Some(name) = FileName::parse(&text) else { continue };
        let path = directory.join(&text);
        let Some(metadata) = disk.examine(&path)?.filter(|metadata| metadata.is_file()) else {
            continue;
        };
        let modified = metadata.modified.ok_or_else(|| {
            DiskError::new("find the time of", &path, io::ErrorKind::Unsupported.into())
        })?;
        let plain_name = plain_name(&text, name.encoding).to_owned();
        all.push(Found { path, plain_name, name, bytes: metadata.bytes, modified });
    }
    all.sort_by_key(Found::order);
    Ok(all)
}

fn plain_name(name: &str, encoding: Encoding) -> &str {
    name.strip_suffix(encoding.suffix()).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_regular_files_of_ours_are_found_the_oldest_first() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let ours = [
            "CDR.2025-01-01_00-00-00.log",
            "CDR.2026-01-01_00-00-00.log.gz",
            "rejected.2026-01-01_00-00-00.jsonl",
            "CDR.2026-01-01_00-00-00.1.log.zst",
            "CDR.2026-01-01_00-00-00.10.log",
        ];
        for name in ours.iter().rev().chain(&["CDR.log", "x", "CDR.2026-01-01_00-00-00.log.1"]) {
            fs::write(at(name), name).unwrap();
        }
        fs::create_dir(at("CDR.2024-01-01_00-00-00.log")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("x"), at("CDR.2024-01-01_00-00-01.log")).unwrap();
        let found = find(&Disk::default(), directory.path()).unwrap();
        let names: Vec<_> =
            found.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ours);
        assert_eq!(found[3].plain_name, "CDR.2026-01-01_00-00-00.1.log");
    }
}

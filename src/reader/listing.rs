//! Lists the files of a directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;

use super::ReadError;
use crate::file::{Encoding, FileKind, FileName};

/// A CDR or rejects file of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CdrFile {
    /// The path of the file.
    pub path: PathBuf,
    /// What the file holds.
    pub kind: FileKind,
    /// The name of the file without `.zst` or `.gz`.
    pub name: String,
    /// The time in its name: the local time of its creation, or UTC if the appender used UTC.
    pub created: DateTime,
    /// How it is compressed.
    pub encoding: Encoding,
    /// Its length on the disk, in bytes.
    pub bytes: u64,
    /// The sort key, without the encoding.
    pub(super) key: FileName,
}

/// The CDR and rejects files of a directory: CDR files first, and the oldest of each kind first.
///
/// A file that exists in both forms because it is being compressed is listed once. Files whose
/// names are not exactly those of CDR and rejects files are left out, and so is anything that is
/// not a regular file.
///
/// # Errors
///
/// [`ReadError::NoDirectory`] if the directory does not exist, [`ReadError::Io`] if it cannot be
/// listed.
pub fn cdr_files(directory: impl AsRef<Path>) -> Result<Vec<CdrFile>, ReadError> {
    list(directory.as_ref(), |_| true)
}

impl FileKind {
    /// What a file of this name holds, compressed or not. `None` if it is not exactly the name of a
    /// CDR or rejects file. Such a name has no separator, no space and nothing to escape.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        FileName::parse(name).map(|name| name.kind)
    }
}

/// Like [`cdr_files`], but only files whose names, without the encoding, `is_wanted`.
pub(super) fn list(
    directory: &Path,
    is_wanted: impl Fn(FileName) -> bool,
) -> Result<Vec<CdrFile>, ReadError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::NoDirectory { path: directory.to_owned() },
        _ => ReadError::io("list", directory, error),
    };
    // Twice: if a file is compressed meanwhile, its plain name may be removed before the listing
    // gets to it, and its compressed name may be added where the listing has been. The second one
    // finds it.
    let mut found = BTreeMap::new();
    for _ in 0..2 {
        for entry in fs::read_dir(directory).map_err(failed)? {
            let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
            let Some(key) = key_of_name(&name).filter(|key| is_wanted(*key)) else { continue };
            let (plain_name, encoding) = Encoding::of_name(&name);
            let (_, seen) = found.entry(key).or_insert_with(|| (plain_name.to_owned(), encoding));
            *seen = encoding.min(*seen);
        }
    }
    let examined = found
        .into_iter()
        .map(|(key, (plain_name, encoding))| examine(directory, plain_name, encoding, key));
    examined.filter_map(Result::transpose).collect()
}

/// The file whose uncompressed name is `name`, and which was just seen with `encoding`. `None` if
/// it was removed since, or is not a regular file.
fn examine(
    directory: &Path,
    name: String,
    encoding: Encoding,
    key: FileName,
) -> Result<Option<CdrFile>, ReadError> {
    let plain_path = directory.join(&name);
    let [plain, zstd, gzip] = Encoding::ALL;
    // It may have been compressed since.
    for encoding in [encoding, plain, zstd, gzip] {
        let path = with_encoding(&plain_path, encoding);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                let (kind, created, bytes) = (key.kind, key.stamp.begun(), metadata.len());
                return Ok(Some(CdrFile { path, kind, name, created, encoding, bytes, key }));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ReadError::io("examine", &path, error)),
        }
    }
    Ok(None)
}

/// The sort key of a file of this name, however it is compressed.
pub(super) fn key_of_name(name: &str) -> Option<FileName> {
    FileName::parse(name).map(FileName::plain)
}

/// `path` without `.zst` or `.gz`, and the encoding by its name.
pub(super) fn without_encoding(path: &Path) -> (PathBuf, Encoding) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return (path.to_owned(), Encoding::Plain);
    };
    let (plain, encoding) = Encoding::of_name(name);
    (path.with_file_name(plain), encoding)
}

/// `path`, which has no such suffix, with the suffix of `encoding`.
pub(super) fn with_encoding(path: &Path, encoding: Encoding) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(encoding.suffix());
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn files_are_listed_oldest_first_and_those_of_others_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in [
            "CDR.2026-11-23_13-07-29.log",
            "CDR.2026-11-23_13-07-28.log.zst",
            "CDR.2026-11-23_13-07-28.log",
            "CDR.2026-11-22_13-07-28.log.gz",
            "rejected.2026-11-21_00-00-00.jsonl",
            "CDR.2026-11-23_13-07-28.log.1",
            "CDR.log",
        ] {
            fs::write(at(name), name).unwrap();
        }
        fs::create_dir(at("CDR.2026-11-20_13-07-28.log")).unwrap();
        let files = cdr_files(&directory).unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
        let expected = [
            "CDR.2026-11-22_13-07-28.log.gz",
            "CDR.2026-11-23_13-07-28.log",
            "CDR.2026-11-23_13-07-29.log",
            "rejected.2026-11-21_00-00-00.jsonl",
        ];
        assert_eq!(paths, expected.map(at));
        assert_eq!(files[0].name, "CDR.2026-11-22_13-07-28.log");
        assert_eq!(files[0].created, date(2026, 11, 22).at(13, 7, 28, 0));
        assert_eq!((files[0].kind, files[0].encoding), (FileKind::Cdr, Encoding::Gzip));
        assert_eq!((files[3].kind, files[3].bytes), (FileKind::Rejects, 34));
    }

    #[test]
    fn no_directory_is_an_error_of_its_own() {
        let error = cdr_files("/no/such/directory").unwrap_err();
        assert!(matches!(error, ReadError::NoDirectory { .. }), "{error}");
    }
}

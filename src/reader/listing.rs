//! Which files a directory has.

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
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub kind: FileKind,
    /// Its name without `.zst` or `.gz`: the one that it had when it was written.
    pub name: String,
    /// The local time in its name: when it was created.
    pub created: DateTime,
    /// How it is compressed.
    pub encoding: Encoding,
    /// Its length in bytes, as it is on the disk.
    pub bytes: u64,
    /// What sorts it, without the encoding.
    pub(super) key: FileName,
}

/// The CDR and rejects files of a directory, CDR files first, the oldest of each first.
///
/// A file that is there compressed and not compressed, because it is just being compressed, is
/// listed once. Names that are not exactly those of CDR and rejects files are left out, and so is
/// what is no regular file.
///
/// # Errors
///
/// [`ReadError::NoDirectory`] where there is none, [`ReadError::Io`] where it cannot be listed.
pub fn cdr_files(directory: impl AsRef<Path>) -> Result<Vec<CdrFile>, ReadError> {
    list(directory.as_ref(), |_| true)
}

impl FileKind {
    /// What a file of this name holds, be it compressed or not. `None` where it is not exactly a
    /// name of a CDR or rejects file: that one has no separator, no blank and nothing to escape.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        FileName::parse(name).map(|name| name.kind)
    }
}

/// What [`cdr_files`] gives, but only files whose names, without the encoding, `is_wanted`.
pub(super) fn list(
    directory: &Path,
    is_wanted: impl Fn(FileName) -> bool,
) -> Result<Vec<CdrFile>, ReadError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::NoDirectory { path: directory.to_owned() },
        _ => ReadError::io("list", directory, error),
    };
    // Twice: a file that is compressed meanwhile may have its plain name removed before it is come
    // to, and its compressed name put where the first look has been. The second look finds that.
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

/// The file that is called `name` when it is not compressed, and was just seen with `encoding`.
/// `None` where it was removed since, or is no regular file.
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

/// What sorts the file of this name, however it is compressed.
pub(super) fn key_of_name(name: &str) -> Option<FileName> {
    FileName::parse(name).map(|key| FileName { encoding: Encoding::Plain, ..key })
}

/// `path` without `.zst` or `.gz`, and how it is compressed by its name.
pub(super) fn without_encoding(path: &Path) -> (PathBuf, Encoding) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return (path.to_owned(), Encoding::Plain);
    };
    let (plain, encoding) = Encoding::of_name(name);
    (path.with_file_name(plain), encoding)
}

/// `path`, which is without one, with the suffix of `encoding`.
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

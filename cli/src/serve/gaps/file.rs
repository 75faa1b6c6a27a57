//! The file of the events that never came: `gaps.jsonl` in the CDR directory, one object per line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

pub(super) const NAME: &str = "gaps.jsonl";

/// The previous file, once one has reached [`BYTES_MAX`].
const EARLIER_NAME: &str = "gaps.1.jsonl";

/// The maximum length of the file: the reports of some 80 000 outages.
const BYTES_MAX: u64 = 16 << 20;

/// Appends whole lines. Nobody else appends: the directory has one writer.
pub(super) fn append(path: &Path, lines: &str) -> io::Result<()> {
    append_within(path, lines, BYTES_MAX)
}

fn append_within(path: &Path, lines: &str, bytes_max: u64) -> io::Result<()> {
    let (mut file, mut bytes) = open(path)?;
    if bytes > 0 && bytes + lines.len() as u64 > bytes_max {
        fs::rename(path, path.with_file_name(EARLIER_NAME))?;
        (file, bytes) = open(path)?;
    }
    cut_after_last_line(&file, bytes)?;
    file.write_all(lines.as_bytes())
}

/// Whoever may read the CDR may read it. A link is not followed, and a pipe does not block.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o640);
    let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok((file, metadata.len()))
}

/// A full disk or a kill may have cut the last line. The CDR has what it said.
fn cut_after_last_line(file: &File, bytes: u64) -> io::Result<()> {
    let mut last = [b'\n'];
    if bytes > 0 {
        file.read_exact_at(&mut last, bytes - 1)?;
    }
    if last == *b"\n" {
        return Ok(());
    }
    let mut text = Vec::new();
    let mut whole = file;
    whole.seek(SeekFrom::Start(0))?;
    whole.take(bytes).read_to_end(&mut text)?;
    let end = memchr::memrchr(b'\n', &text).map_or(0, |feed| feed as u64 + 1);
    file.set_len(end)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn lines_are_added_and_one_that_was_cut_is_taken_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        append(&path, "{\"a\":1}\n").unwrap();
        append(&path, "{\"b\":1}\n{\"c\":1}\n").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & !0o640, 0, "{mode:o}");
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"cut").unwrap();
        append(&path, "{\"d\":1}\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"b\":1}\n{\"c\":1}\n{\"d\":1}\n");
    }

    #[test]
    fn a_file_that_is_full_makes_room_for_another_and_one_before_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        for line in ["1234567\n", "2\n", "3\n", "4\n"] {
            append_within(&path, line, 10).unwrap();
        }
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!([read(EARLIER_NAME), read(NAME)], ["1234567\n2\n", "3\n4\n"]);
    }

    #[test]
    fn what_is_no_file_is_an_error_and_nobody_waits_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = directory.path().join("elsewhere");
        let path = directory.path().join(NAME);
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        append(&path, "{}\n").unwrap_err();
        assert!(!elsewhere.exists());
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        append(&path, "{}\n").unwrap_err();
    }
}

//! What differs between operating systems, behind functions that do not differ.
//!
//! Servers run on Linux, and there all promises hold. Other systems are for development. What they
//! cannot do is an error of a function here, or one of the [`weaknesses`], of which an open notifies
//! the embedder; `docs/systems.md` has the table.
//!
//! | file | |
//! |---|---|
//! | `unix.rs` | Linux and its relatives: files, owners, locks |
//! | `linux/` | only Linux: reserved space, memory that outlives the process, names of directories |
//! | `development.rs` | what all others do instead |
//! | `other_unix.rs` | the boot id and forked children of macOS and the BSDs |
//! | `windows.rs` | files and their identity on Windows |

#[cfg(not(target_os = "linux"))]
mod development;
mod file_identity;
#[cfg(target_os = "linux")]
mod linux;
mod name_holder;
#[cfg(all(unix, not(target_os = "linux")))]
mod other_unix;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

// Each of the modules of a target has a part of the same functions.
#[cfg(not(target_os = "linux"))]
pub(crate) use self::development::*;
pub(crate) use self::file_identity::FileIdentity;
#[cfg(target_os = "linux")]
pub(crate) use self::linux::*;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use self::other_unix::*;
#[cfg(unix)]
pub(crate) use self::unix::*;
#[cfg(windows)]
pub(crate) use self::windows::*;

/// What holds on Linux and not on this system, a sentence each without its end. That there is no inbox
/// has a notice of its own.
pub(crate) fn weaknesses() -> Vec<&'static str> {
    weaknesses_with(boot_id())
}

fn weaknesses_with(boot_id: [u8; 16]) -> Vec<&'static str> {
    let unknown_boot = (boot_id == [0; 16]).then_some(
        "a restart of the machine cannot be told from the death of a process, so after a power loss \
         lines that were not synced may be broken",
    );
    WEAKNESSES.iter().copied().chain(unknown_boot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_has_no_weakness() {
        assert_eq!(weaknesses(), Vec::<&str>::new());
    }

    #[test]
    fn a_sandbox_that_hides_the_boot_id_is_weaker() {
        let (known, unknown) = (weaknesses_with([1; 16]), weaknesses_with([0; 16]));
        assert_eq!(unknown.len(), known.len() + 1);
        assert!(unknown.iter().any(|weakness| weakness.contains("after a power loss")));
    }

    /// Without this, a Mac would promise what only Linux keeps.
    #[test]
    #[cfg(not(target_os = "linux"))]
    fn a_system_that_is_not_linux_says_what_it_lacks() {
        assert!(!weaknesses().is_empty());
    }

    #[test]
    fn a_file_is_the_same_through_its_name_and_its_handle_and_no_other_file_is() {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        let file = std::fs::File::create(&one).unwrap();
        std::fs::write(&other, "").unwrap();
        let (_, held) = file_identity(&file).unwrap();
        let (_, named) = path_identity(&one, true).unwrap();
        let (_, other) = path_identity(&other, true).unwrap();
        assert!(held.is_same_file(&named));
        assert!(!held.is_same_file(&other));
        assert_eq!(named.names, 1);
    }

    #[test]
    fn bytes_are_read_and_written_where_the_caller_says_and_the_cursor_stays() {
        use std::io::{Read, Seek, SeekFrom};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(2)).unwrap();
        let mut bytes = [0; 3];
        read_exact_at(&file, &mut bytes, 7).unwrap();
        assert_eq!(&bytes, b"789");
        let mut rest = String::new();
        file.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "23456789");
        let error = read_exact_at(&file, &mut bytes, 8).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        assert_eq!(write_at(&file, b"xy", 1).unwrap(), 2);
        assert_eq!(read_at(&file, &mut bytes, 0).unwrap(), 3);
        assert_eq!(&bytes, b"0xy");
    }

    /// Without this, sealed files are never compressed on Windows, where a file that is open for
    /// reading alone cannot be synced.
    #[test]
    fn a_file_that_is_open_for_reading_can_be_synced_by_who_may_write_to_it_and_read_by_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "0123").unwrap();
        let mut options = std::fs::OpenOptions::new();
        options.read(true);
        let file = open_reading(&options, &path).unwrap();
        file.sync_data().unwrap();
        file.sync_all().unwrap();
        drop(file);
        let mut permissions = path.metadata().unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&path, permissions).unwrap();
        let mut bytes = [0; 4];
        read_exact_at(&open_reading(&options, &path).unwrap(), &mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"0123");
        let missing = open_reading(&options, &directory.path().join("missing"));
        assert_eq!(missing.unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }

    /// Two appenders that write to one file, or another program that does, must not overwrite.
    #[test]
    fn what_is_appended_comes_after_whatever_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut options = std::fs::OpenOptions::new();
        options.read(true);
        make_appending(&mut options);
        let [one, other] =
            [true, false].map(|is_new| options.create_new(is_new).open(&path).unwrap());
        for (file, bytes) in [(&one, b"a"), (&other, b"b"), (&one, b"c")] {
            assert_eq!(append(file, bytes).unwrap(), 1);
        }
        one.set_len(2).unwrap();
        append(&other, b"d").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abd");
    }

    #[test]
    fn a_path_comes_back_from_its_bytes() {
        let path = std::path::Path::new("/a directory/\u{e4}");
        let bytes = path.as_os_str().as_encoded_bytes();
        assert_eq!(path_from_bytes(bytes).as_deref(), Some(path));
    }
}

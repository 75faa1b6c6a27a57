//! Unix sockets at a path. They are made under another name and moved into place, so that nobody
//! finds one that does not listen yet or has another mode, and the process that made them removes
//! them.
//!
//! A socket that a killed process left is replaced. One that somebody listens on stays, and so does
//! anything that is not a socket.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::{AtFlags, RenameFlags, renameat_with, unlinkat};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// The name of a socket in the file system. When its owner drops it, it is removed, unless it is
/// the name of another socket by then.
#[derive(Debug)]
pub(in super::super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
    is_owned: bool,
}

impl SocketFile {
    /// The name of an existing socket. Another process owns it.
    pub(in super::super) fn find(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), id: id(&fs::symlink_metadata(path)?), is_owned: false })
    }

    /// Whether this process removes it at its end: another one may own it, before or after a
    /// hand-over.
    pub(in super::super) fn own(&mut self, is_owned: bool) {
        self.is_owned = is_owned;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_there = || fs::symlink_metadata(&self.path).is_ok_and(|file| id(&file) == self.id);
        if self.is_owned
            && is_there()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

fn id(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// A socket of this type that listens at `path`, with these permissions.
pub(in super::super) fn listen(
    path: &Path,
    kind: SocketType,
    mode: u32,
) -> io::Result<(OwnedFd, SocketFile)> {
    let place = Place::new(path)?;
    let temporary = place.temporary_name();
    let socket = socket(kind)?;
    net::bind(&socket, &place.address(&temporary)?)?;
    let listened = fs::set_permissions(place.in_proc(&temporary), PermissionsExt::from_mode(mode))
        .and_then(|()| Ok(net::listen(&socket, super::BACKLOG.into())?))
        .and_then(|()| place.move_in(&temporary, kind));
    if let Err(error) = listened {
        // What cannot be removed has the name of a process that is gone, and does no harm.
        let _ = unlinkat(&place.directory, &temporary, AtFlags::empty());
        return Err(error);
    }
    let mut file = SocketFile::find(path)?;
    file.own(true);
    Ok((socket, file))
}

/// Connects to the socket at `path`.
pub(in super::super) fn connect(path: &Path, kind: SocketType) -> io::Result<OwnedFd> {
    let place = Place::new(path)?;
    let socket = socket(kind)?;
    net::connect(&socket, &place.address(&place.name)?)?;
    Ok(socket)
}

fn socket(kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(net::socket_with(AddressFamily::UNIX, kind, flags, None)?)
}

/// A name in a directory that is held open. An address has room for 107 bytes, and the path of a
/// CDR may be longer: so sockets are named through `/proc/self/fd`.
struct Place {
    directory: File,
    name: OsString,
}

impl Place {
    fn new(path: &Path) -> io::Result<Self> {
        let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name");
        let name = path.file_name().ok_or_else(no_name)?.to_owned();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(parent.unwrap_or(Path::new(".")))?;
        Ok(Self { directory, name })
    }

    fn temporary_name(&self) -> OsString {
        let mut name = OsString::from(format!(".{}.", process::id()));
        name.push(&self.name);
        name
    }

    fn in_proc(&self, name: &OsStr) -> PathBuf {
        Path::new("/proc/self/fd").join(self.directory.as_raw_fd().to_string()).join(name)
    }

    fn address(&self, name: &OsStr) -> io::Result<SocketAddrUnix> {
        Ok(SocketAddrUnix::new(self.in_proc(name))?)
    }

    /// Gives the new socket its name.
    fn move_in(&self, temporary: &OsStr, kind: SocketType) -> io::Result<()> {
        match self.rename(temporary, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => self.replace(temporary, kind),
            renamed => Ok(renamed?),
        }
    }

    /// Takes the name of a socket that nobody listens on. The two files are exchanged, and only
    /// then the old one is removed: if another one was put there meanwhile, it is found now and put
    /// back.
    fn replace(&self, temporary: &OsStr, kind: SocketType) -> io::Result<()> {
        self.check_stale(&self.name, kind)?;
        self.rename(temporary, RenameFlags::EXCHANGE)?;
        if let Err(error) = self.check_stale(temporary, kind) {
            self.rename(temporary, RenameFlags::EXCHANGE)?;
            return Err(error);
        }
        Ok(unlinkat(&self.directory, temporary, AtFlags::empty())?)
    }

    fn rename(&self, temporary: &OsStr, flags: RenameFlags) -> Result<(), Errno> {
        renameat_with(&self.directory, temporary, &self.directory, &self.name, flags)
    }

    fn check_stale(&self, name: &OsStr, kind: SocketType) -> io::Result<()> {
        let exists = |fault| io::Error::new(io::ErrorKind::AddrInUse, fault);
        if !fs::symlink_metadata(self.in_proc(name))?.file_type().is_socket() {
            return Err(exists("there is a file of this name that is not a socket"));
        }
        match net::connect(&socket(kind)?, &self.address(name)?) {
            Err(Errno::CONNREFUSED) => Ok(()),
            _ => Err(exists("another process listens on it")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn listen_at(path: &Path) -> io::Result<(OwnedFd, SocketFile)> {
        listen(path, SocketType::STREAM, 0o620)
    }

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_socket_has_its_mode_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("http.sock");
        let (socket, file) = listen_at(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o620);
        UnixStream::connect(&path).unwrap();
        drop((socket, file));
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("http.sock");
        drop(UnixListener::bind(&path).unwrap());
        let _listening = listen_at(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        assert_eq!(names(directory.path()), ["http.sock"]);
    }

    #[test]
    fn neither_a_socket_in_use_nor_another_file_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("http.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let error = listen_at(&path).unwrap_err().to_string();
        assert_eq!(error, "another process listens on it");
        UnixStream::connect(&path).unwrap();
        drop(listener);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        let error = listen_at(&path).unwrap_err().to_string();
        assert_eq!(error, "there is a file of this name that is not a socket");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        assert_eq!(names(directory.path()), ["http.sock"]);
    }

    #[test]
    fn what_has_another_owner_by_now_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("http.sock");
        let (socket, file) = listen_at(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let other = listen_at(&path).unwrap();
        drop(file);
        UnixStream::connect(&path).unwrap();
        drop(SocketFile::find(&path).unwrap());
        UnixStream::connect(&path).unwrap();
        drop((socket, other));
    }

    #[test]
    fn a_path_may_be_longer_than_an_address() {
        let directory = tempfile::tempdir().unwrap();
        let parent = directory.path().join("x".repeat(150));
        fs::create_dir(&parent).unwrap();
        let path = parent.join("http.sock");
        let _listening = listen_at(&path).unwrap();
        connect(&path, SocketType::STREAM).unwrap();
    }
}

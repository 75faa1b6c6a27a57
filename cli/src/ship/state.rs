//! What the shipper keeps on its own disk, in `.cdrlog`.
//!
//! ```text
//! .cdrlog/node                        the name of the node
//!         ship/lock                   locked while a shipper works
//!              <id>/destination       the address that <id> stands for
//!                   lines.jsonl       the headers of the blocks that were cut, see `notes.rs`
//!                   rejects.jsonl
//!                   status.json       how far it got, for `--status`
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cdrlog::manifest::Hash;

use super::header::Stream;
use super::notes::NoteStore;
use crate::cdr_path::STATE_DIR_NAME;

const NODE_BYTES_MAX: usize = 100;

/// The files of the shipper of one directory. Nobody else changes them while this exists.
pub(super) struct State {
    /// `.cdrlog`.
    directory: PathBuf,
    _lock: Option<File>,
}

/// The state directory of the shipper cannot be used.
#[derive(Debug)]
pub(super) struct StateError(String);

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StateError {}

impl StateError {
    fn io(action: &str, path: &Path, error: &io::Error) -> Self {
        Self(format!("cannot {action} {}: {error}", path.display()))
    }
}

impl State {
    /// The state of the directory of a CDR, to look at.
    pub(super) fn of(directory: &Path) -> Result<Self, StateError> {
        let path = directory.join(STATE_DIR_NAME);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Ok(Self { directory: path, _lock: None }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::io("read", &path, &error))
            }
            _ => {
                let directory = directory.display();
                Err(StateError(format!("cdrlog never wrote to {directory}: nothing to ship")))
            }
        }
    }

    /// The same, to ship: there is one shipper of a directory. `None` while another process ships it.
    pub(super) fn lock(directory: &Path) -> Result<Option<Self>, StateError> {
        let state = Self::of(directory)?;
        make_directory(&state.ship())?;
        let path = state.ship().join("lock");
        let failed = |error: &io::Error| StateError::io("lock", &path, error);
        let lock = OpenOptions::new().create(true).append(true).open(&path);
        let lock = lock.map_err(|error| failed(&error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { _lock: Some(lock), ..state })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(&error)),
        }
    }

    fn ship(&self) -> PathBuf {
        self.directory.join("ship")
    }

    /// The name of the node: the given one, or that of the directory, which is made at the first ship.
    pub(super) fn node(&self, given: Option<&str>) -> Result<String, StateError> {
        let path = self.directory.join("node");
        let kept = match fs::read_to_string(&path) {
            Ok(text) => Some(text.trim_end().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StateError::io("read", &path, &error)),
        };
        match (given, kept) {
            (Some(given), Some(kept)) if given != kept && self.has_notes()? => {
                Err(StateError(format!(
                    "this directory is shipped as {kept}, not as {given}: leave --node out; for another \
                 name, remove {}, and its lines are shipped anew from the oldest one on",
                    path.display()
                )))
            }
            (None, Some(kept)) => Ok(check_node(&kept)?.to_owned()),
            (Some(given), Some(kept)) if given == kept => Ok(check_node(given)?.to_owned()),
            (None, None) if self.was_shipped() => Err(StateError(format!(
                "{} is missing, but lines were shipped from here: name the node with --node, as at \
                 the destination",
                path.display()
            ))),
            (given, _) => {
                let node = match given {
                    Some(given) => check_node(given)?.to_owned(),
                    None => random_uuid().map_err(|error| StateError::io("make", &path, &error))?,
                };
                replace(&path, format!("{node}\n").as_bytes())
                    .map_err(|error| StateError::io("write", &path, &error))?;
                Ok(node)
            }
        }
    }

    /// Whether a block was ever cut here. Before that, nobody knows the name.
    fn has_notes(&self) -> Result<bool, StateError> {
        for place in self.destinations()? {
            for stream in Stream::ALL {
                let NoteFile { path } = place.notes(stream);
                let bytes = match fs::metadata(&path) {
                    Ok(metadata) => metadata.len(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                    Err(error) => return Err(StateError::io("examine", &path, &error)),
                };
                if bytes > 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn was_shipped(&self) -> bool {
        self.destinations().is_ok_and(|destinations| !destinations.is_empty())
    }

    /// The places for what is kept of each destination.
    pub(super) fn destinations(&self) -> Result<Vec<Place>, StateError> {
        let failed = |error: &io::Error| StateError::io("list", &self.ship(), error);
        let entries = match fs::read_dir(self.ship()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&error)),
        };
        let mut places = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| failed(&error))?.path();
            if let Ok(address) = fs::read_to_string(path.join("destination")) {
                places.push(Place { path, address: address.trim_end().to_owned() });
            }
        }
        places.sort_by(|one, other| one.address.cmp(&other.address));
        Ok(places)
    }

    /// The place of the destination of this address, which holds no secret.
    pub(super) fn place(&self, address: &str) -> Place {
        let id = Hash::of(address.as_bytes()).to_string();
        let path = self.ship().join(id.get(..16).unwrap_or(&id));
        Place { path, address: address.to_owned() }
    }
}

/// What is kept of one destination.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    pub(super) address: String,
}

impl Place {
    pub(super) fn make(&self) -> Result<(), StateError> {
        make_directory(&self.path)?;
        let path = self.path.join("destination");
        if path.exists() {
            return Ok(());
        }
        replace(&path, format!("{}\n", self.address).as_bytes())
            .map_err(|error| StateError::io("write", &path, &error))
    }

    /// The name of the pin that keeps files for this destination.
    pub(super) fn pin_name(&self) -> String {
        format!("ship-{}", self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    pub(super) fn notes(&self, stream: Stream) -> NoteFile {
        NoteFile { path: self.path.join(format!("{stream}.jsonl")) }
    }

    pub(super) fn status_path(&self) -> PathBuf {
        self.path.join("status.json")
    }

    /// Forgets everything about the destination.
    pub(super) fn forget(&self) -> Result<(), StateError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::io("remove", &self.path, &error))
            }
            _ => Ok(()),
        }
    }
}

/// The notes of one chain, in a file.
#[derive(Debug)]
pub(super) struct NoteFile {
    pub(super) path: PathBuf,
}

impl NoteStore for NoteFile {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        if is_new { sync_directory_of(&self.path) } else { Ok(()) }
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        replace(&self.path, bytes)
    }
}

/// Replaces a file at once: after a power loss it is the old or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&new, path)) {
        // On a full disk, half a file takes the room that others need more.
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    sync_directory_of(path)
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn make_directory(path: &Path) -> Result<(), StateError> {
    let failed = |error: &io::Error| StateError::io("create", path, error);
    match fs::create_dir(path) {
        Ok(()) => sync_directory_of(path).map_err(|error| failed(&error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}

/// A name goes into keys, subjects and paths.
pub(super) fn check_node(name: &str) -> Result<&str, StateError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = (1..=NODE_BYTES_MAX).contains(&name.len())
        && name.chars().all(is_plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    fits.then_some(name).ok_or_else(|| {
        StateError(format!(
            "{name:?} cannot be the name of a node: use up to {NODE_BYTES_MAX} letters, digits, -, _ \
             and ., and begin with a letter or a digit"
        ))
    })
}

/// 16 random bytes in hexadecimal digits.
pub(super) fn random_id() -> io::Result<String> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random_uuid() -> io::Result<String> {
    let id = random_id()?;
    let part = |range| id.get(range).unwrap_or_default();
    // Version 4, variant 1.
    let (a, b, c, d, e) = (part(0..8), part(8..12), part(13..16), part(17..20), part(20..32));
    Ok(format!("{a}-{b}-4{c}-8{d}-{e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(STATE_DIR_NAME)).unwrap();
        directory
    }

    #[test]
    fn a_node_keeps_its_name() {
        let directory = directory();
        let state = State::of(directory.path()).unwrap();
        let name = state.node(None).unwrap();
        assert_eq!((name.len(), name.matches('-').count()), (36, 4), "{name}");
        assert_eq!(state.node(None).unwrap(), name);
        assert_eq!(state.node(Some(&name)).unwrap(), name);
        // It may be another one for as long as nobody was told.
        assert_eq!(state.node(Some("other")).unwrap(), "other");
        assert_eq!(state.node(None).unwrap(), "other");
    }

    #[test]
    fn a_node_that_shipped_keeps_its_name() {
        let directory = directory();
        let state = State::lock(directory.path()).unwrap().unwrap();
        state.node(Some("media-1")).unwrap();
        let place = state.place("file:///archive");
        place.make().unwrap();
        place.notes(Stream::Rejects).append(b"{}\n").unwrap();
        assert!(state.node(Some("other")).unwrap_err().0.contains("is shipped as"));
    }

    #[test]
    fn a_lost_name_is_asked_for_and_not_made_anew() {
        let directory = directory();
        let state = State::lock(directory.path()).unwrap().unwrap();
        state.node(Some("media-1")).unwrap();
        state.place("file:///archive").make().unwrap();
        fs::remove_file(directory.path().join(".cdrlog/node")).unwrap();
        assert!(state.node(None).unwrap_err().0.contains("with --node"));
        assert_eq!(state.node(Some("media-1")).unwrap(), "media-1");
    }

    #[test]
    fn names_that_do_not_fit_into_a_key_are_refused() {
        for name in ["", "a/b", "..", "a b", "-a", &"a".repeat(101), "ä"] {
            assert!(check_node(name).is_err(), "{name:?}");
        }
        assert!(check_node("media-1.example_2").is_ok());
    }

    #[test]
    fn a_directory_has_one_shipper() {
        let directory = directory();
        let first = State::lock(directory.path()).unwrap();
        assert!(first.is_some());
        assert!(State::lock(directory.path()).unwrap().is_none());
        drop(first);
        assert!(State::lock(directory.path()).unwrap().is_some());
    }

    #[test]
    fn notes_are_appended_and_replaced() {
        let directory = directory();
        let mut file = NoteFile { path: directory.path().join("lines.jsonl") };
        assert!(file.read().unwrap().is_empty());
        file.append(b"one\n").unwrap();
        file.append(b"two\n").unwrap();
        assert_eq!(file.read().unwrap(), b"one\ntwo\n");
        file.replace(b"three\n").unwrap();
        assert_eq!(file.read().unwrap(), b"three\n");
    }
}

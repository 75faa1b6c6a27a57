//! A model of a disk that loses power.
//!
//! It keeps what a sync returned for. Of everything stored after that it keeps any pages in any of
//! the states they went through, one of them cut at a sector, and any length of a file between the
//! old and the new one. Of the names that were made, changed and removed since a directory was
//! synced it keeps any, each change as a whole.
//!
//! The model watches the calls of an appender that works on a real directory, and takes copies of
//! the files now and then, also in the middle of writes. What the disk may hold afterwards is made
//! of these.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use crate::file::STATE_DIR_NAME;
use crate::storage::FaultHook;

const PAGE_BYTES: usize = 4096;
const SECTOR_BYTES: usize = 512;

/// How many losses of power a test plays: `quick`, or what `CDRLOG_POWER_LOSS_OUTCOMES` says.
pub(super) fn outcomes(quick: u64) -> u64 {
    std::env::var("CDRLOG_POWER_LOSS_OUTCOMES").map_or(quick, |count| count.parse().unwrap())
}

/// splitmix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

/// Paths in the directory, and what is there.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Numbers of files by their paths in the directory.
type Names = BTreeMap<PathBuf, usize>;

/// What a file went through since its last sync; the first state is the one that was synced.
#[derive(Clone)]
struct File {
    states: Vec<Vec<u8>>,
    /// Which of them is being synced.
    syncing: usize,
}

/// A change of a directory that was not synced yet.
#[derive(Clone)]
struct Change {
    directory: PathBuf,
    gone: Option<PathBuf>,
    made: Option<(PathBuf, usize)>,
}

impl Change {
    fn apply(self, names: &mut Names) {
        if let Some(gone) = self.gone {
            names.remove(&gone);
        }
        names.extend(self.made);
    }
}

#[derive(Clone, Default)]
struct State {
    files: Vec<File>,
    names: Names,
    /// The names that were synced, and the changes since.
    synced_names: Names,
    changes: Vec<Change>,
    /// The power is gone.
    is_off: bool,
}

impl State {
    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.names);
        self.changes.push(change);
    }

    /// A file that is there and was not before.
    fn found(&mut self, path: &Path) {
        if !self.names.contains_key(path) {
            self.files.push(File { states: vec![Vec::new()], syncing: 0 });
            let (directory, made) = (parent(path), Some((path.to_owned(), self.files.len() - 1)));
            self.change(Change { directory, gone: None, made });
        }
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        self.names.get(path).and_then(|&number| self.files.get_mut(number))
    }
}

/// The disk below `root`.
pub(super) struct LossyDisk {
    root: PathBuf,
    state: Mutex<State>,
}

impl LossyDisk {
    /// A disk on which the directory `root` is empty but for the folder of the journal.
    pub(super) fn new(root: &Path) -> Self {
        fs::create_dir(root.join(STATE_DIR_NAME)).unwrap();
        Self { root: root.to_owned(), state: Mutex::default() }
    }

    /// The same disk after a kill: `root` is a copy of the directory.
    pub(super) fn moved_to(&self, root: &Path) -> Self {
        Self { root: root.to_owned(), state: Mutex::new(self.lock().clone()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn note(&self, state: &mut State, path: &Path) {
        if let Ok(content) = fs::read(self.root.join(path))
            && let Some(file) = state.file(path)
        {
            file.states.push(content);
        }
    }

    /// Takes a copy of every file.
    pub(super) fn note_all(&self) {
        self.note_names(&mut self.lock());
    }

    fn note_names(&self, state: &mut State) {
        if !state.is_off {
            let paths: Vec<_> = state.names.keys().cloned().collect();
            paths.iter().for_each(|path| self.note(state, path));
        }
    }

    /// The power goes: what happens from now on does not count.
    #[cfg(all(feature = "compress", feature = "manifest"))]
    pub(super) fn turn_off(&self) {
        let mut state = self.lock();
        self.note_names(&mut state);
        state.is_off = true;
    }

    /// Whether what returned before this call happened with the power on.
    #[cfg(all(feature = "compress", feature = "manifest"))]
    pub(super) fn is_on(&self) -> bool {
        !self.lock().is_off
    }

    /// What the disk may hold when it is on again.
    pub(super) fn survivors(&self, random: &mut Random) -> Files {
        let state = self.lock();
        let mut names = state.synced_names.clone();
        let changes = state.changes.iter().cloned();
        changes.filter(|_| random.below(2) == 0).for_each(|change| change.apply(&mut names));
        names
            .into_iter()
            .map(|(path, number)| (path, survivor(&state.files[number].states, random)))
            .collect()
    }
}

impl FaultHook for LossyDisk {
    fn before(&self, action: &'static str, path: &Path) -> std::io::Result<()> {
        // The directory above is examined, and nothing else outside of this one.
        let Ok(path) = path.strip_prefix(&self.root) else { return Ok(()) };
        let mut state = self.lock();
        if !state.is_off && ["write", "shorten", "sync"].contains(&action) {
            // Read under the lock: what is read before a sync must not be noted after it.
            self.note(&mut state, path);
        }
        // What is stored while a sync is under way is not covered by it.
        if let Some(file) = state.file(path).filter(|_| action == "sync") {
            file.syncing = file.states.len() - 1;
        }
        Ok(())
    }

    fn after(&self, action: &'static str, path: &Path) {
        let Ok(path) = path.strip_prefix(&self.root) else { return };
        let mut state = self.lock();
        if state.is_off {
            return;
        }
        match action {
            "open" | "create" => state.found(path),
            "remove" => {
                let gone = Some(path.to_owned());
                state.change(Change { directory: parent(path), gone, made: None });
            }
            "move a file to" => {
                let beside = path.with_extension("new");
                let compressing = PathBuf::from(".cdrlog/compressing");
                let from = if state.names.contains_key(&beside) { beside } else { compressing };
                state.moved(&from, path);
            }
            "sync" => {
                if let Some(file) = state.file(path) {
                    file.states.drain(..file.syncing);
                }
            }
            "sync directory" => {
                let State { changes, synced_names, .. } = &mut *state;
                let synced = changes.extract_if(.., |change| change.directory == path);
                synced.for_each(|change| change.apply(synced_names));
            }
            _ => {}
        }
    }
}

impl State {
    fn moved(&mut self, from: &Path, to: &Path) {
        let number = self.names[from];
        let (gone, made) = (Some(from.to_owned()), Some((to.to_owned(), number)));
        self.change(Change { directory: parent(to), gone, made });
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// What the disk may hold of a file that went through `states`.
fn survivor(states: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let pick = |random: &mut Random| &states[random.below(states.len() as u64) as usize];
    let mut file = vec![0; pick(random).len()];
    let torn_page = random.below(8) as usize;
    for (number, page) in file.chunks_mut(PAGE_BYTES).enumerate() {
        let unit = if number == torn_page { SECTOR_BYTES } else { PAGE_BYTES };
        for (index, part) in page.chunks_mut(unit).enumerate() {
            let state = pick(random);
            let from = (number * PAGE_BYTES + index * unit).min(state.len());
            let to = (from + part.len()).min(state.len());
            part[..to - from].copy_from_slice(&state[from..to]);
        }
    }
    file
}

/// Puts files into a directory as they are after another boot.
pub(super) fn put(files: Files, directory: &Path) {
    fs::create_dir_all(directory.join(STATE_DIR_NAME)).unwrap();
    for (path, content) in files {
        let path = directory.join(path);
        fs::create_dir_all(parent(&path)).unwrap();
        fs::write(path, content).unwrap();
    }
    if directory.join(".cdrlog/control").exists() {
        super::boot::change_boot_id(directory);
    }
}

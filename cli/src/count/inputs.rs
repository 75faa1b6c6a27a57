//! The inputs of the command line: files, each once, and shipped records.

use std::collections::{BTreeSet, HashSet};
use std::error::Error;
use std::fs::{self, Metadata};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
#[cfg(feature = "ship")]
use std::sync::{Arc, Mutex};

use cdrlog::reader::{CdrFile, Encoding, FileKind, cdr_files};

use super::Source;
#[cfg(feature = "ship")]
use super::chain::ChainInput;
use super::input::Input;
use crate::cdr_path;
use crate::places::{self, Places};
#[cfg(feature = "ship")]
use crate::ship::Stream;
#[cfg(feature = "ship")]
use crate::shipped::{Reach, Shipped};

/// Everything that the command line names.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    pub(crate) files: Vec<Input>,
    /// The rejects files of directories, and the rejects of shipped records.
    pub(crate) rejects: Vec<Input>,
    /// Directories that have no CDR files.
    pub(crate) empty: Vec<PathBuf>,
    /// Files that were already named, by the same name or another one.
    pub(crate) repeated: Vec<PathBuf>,
    /// How complete the shipped records are, a sentence each.
    pub(crate) told: Vec<String>,
    /// Nodes that were closed or retired: nothing more comes from them.
    pub(crate) ended: BTreeSet<Source>,
    /// A node that is expected never shipped anything.
    pub(crate) lacks_expected: bool,
    known: HashSet<(u64, u64)>,
    /// What distinguishes the inputs, see [`Source`].
    origins: Vec<Origin>,
}

/// What an event is told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Directory(PathBuf),
    /// The address of a record, and a node of it.
    #[cfg(feature = "ship")]
    Node(String, String),
}

impl Origin {
    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(directory) => Some(directory),
            #[cfg(feature = "ship")]
            Self::Node(..) => None,
        }
    }
}

impl Inputs {
    /// Checks everything before the first line is read, so that a typing error shows at once.
    pub(crate) fn of(places: &Places, period: &Range<i64>) -> Result<Self, Box<dyn Error>> {
        let mut found = Self::default();
        for path in &places.paths {
            if let Some(address) = places::record_address(path) {
                found.add_record(address, places, period)?;
                continue;
            }
            let metadata = cdr_path::metadata(path)?;
            if metadata.is_dir() {
                found.add_directory(path)?;
            } else if !metadata.is_file() {
                // A pipe can be read only once, and not in two places.
                let path = path.display();
                return Err(format!("{path} is neither a directory nor a regular file").into());
            } else if found.is_new(path, &metadata) {
                let bytes = (cdr_path::plain_path(path) == *path).then_some(metadata.len());
                let source = found.source_of(path.parent().unwrap_or(Path::new("")));
                found.files.push(Input::file(path.clone(), source, bytes, false));
            }
        }
        Ok(found)
    }

    /// The total length of the files; `None` if that is not known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The directories that were named, and those of single files.
    pub(crate) fn directories(&self) -> impl Iterator<Item = (Source, &Path)> {
        let origins = self.origins.iter().enumerate();
        origins.filter_map(|(source, origin)| Some((source, origin.directory()?)))
    }

    fn add_directory(&mut self, directory: &Path) -> Result<(), Box<dyn Error>> {
        let files = cdr_files(directory)?;
        let source = self.source_of(directory);
        if !files.iter().any(|file| file.kind == FileKind::Cdr) {
            self.empty.push(directory.to_owned());
        }
        for CdrFile { path, kind, encoding, bytes, .. } in files {
            // It is not a failure if a listed file was removed meanwhile.
            if fs::metadata(&path).is_ok_and(|metadata| !self.is_new(&path, &metadata)) {
                continue;
            }
            if kind == FileKind::Rejects {
                self.rejects.push(Input::file(path, source, None, true));
                continue;
            }
            let bytes = (encoding == Encoding::Plain).then_some(bytes);
            self.files.push(Input::file(path, source, bytes, true));
        }
        Ok(())
    }

    fn source_of(&mut self, directory: &Path) -> Source {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        // If that fails, the given name identifies it well enough.
        let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        self.source_of_origin(Origin::Directory(directory))
    }

    fn source_of_origin(&mut self, origin: Origin) -> Source {
        let known = self.origins.iter().position(|known| *known == origin);
        known.unwrap_or_else(|| {
            self.origins.push(origin);
            self.origins.len() - 1
        })
    }

    /// The nodes of a shipped record: only the blocks in which something of this time can be.
    #[cfg(feature = "ship")]
    fn add_record(
        &mut self,
        address: &str,
        places: &Places,
        period: &Range<i64>,
    ) -> Result<(), Box<dyn Error>> {
        let target = places::record_target(address)?;
        let unreadable = |failure| format!("{target}: {failure}");
        for stream in Stream::ALL {
            let selection = places.selection(period);
            let shipped = Shipped::open(&target, stream, &selection).map_err(unreadable)?;
            let Shipped { blocks, completeness } = shipped;
            if stream == Stream::Lines {
                let tell = |sentence| format!("{target}: {sentence}");
                self.told.extend(completeness.sentences().into_iter().map(tell));
                self.lacks_expected |= completeness.lacks_expected();
            }
            let reaches = blocks.reaches().to_vec();
            let blocks = Arc::new(Mutex::new(blocks));
            for (index, Reach { chain, first, .. }) in reaches.into_iter().enumerate() {
                let origin = Origin::Node(target.to_string(), chain.node.clone());
                let source = self.source_of_origin(origin);
                if stream == Stream::Lines && completeness.has_ended(&chain.node) {
                    self.ended.insert(source);
                }
                let node = PathBuf::from(&chain.node);
                let chain =
                    ChainInput { blocks: Arc::clone(&blocks), index, node: node.clone(), first };
                let input = Input { chain: Some(chain), ..Input::file(node, source, None, false) };
                match stream {
                    Stream::Lines => self.files.push(input),
                    Stream::Rejects => self.rejects.push(input),
                }
            }
        }
        if !self.files.iter().any(|input| !input.is_file()) {
            self.empty.push(PathBuf::from(target.to_string()));
        }
        Ok(())
    }

    #[cfg(not(feature = "ship"))]
    fn add_record(&mut self, _: &str, _: &Places, _: &Range<i64>) -> Result<(), Box<dyn Error>> {
        Err(places::RECORDS_NEED_SHIP.into())
    }

    /// A file is the same whatever its name is: a hard link, a symbolic link, another mount.
    fn is_new(&mut self, path: &Path, metadata: &Metadata) -> bool {
        if self.known.insert((metadata.dev(), metadata.ino())) {
            return true;
        }
        self.repeated.push(path.to_owned());
        false
    }
}

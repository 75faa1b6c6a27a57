//! What to check.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use cdrlog::manifest::Hash;
use cdrlog::reader::{CdrFile, FileKind, cdr_files};

use super::chain::{Chain, has_writer};
use super::file::FileTask;
use super::journal;
use super::remark::{Kind, Remark};
#[cfg(feature = "ship")]
use super::shipped::ChainTask;
use crate::cdr_path;
use crate::places::{self, Places};
#[cfg(feature = "ship")]
use crate::ship::Stream;
#[cfg(feature = "ship")]
use crate::shipped::{Reach, Shipped};

/// Something to check.
#[derive(Debug)]
pub(super) enum Task {
    File(FileTask),
    #[cfg(feature = "ship")]
    Chain(ChainTask),
}

/// Everything to check, in the order of the report.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) tasks: Vec<Task>,
    /// What is known before a file is read.
    pub(super) remarks: Vec<Remark>,
}

/// What is required of the manifest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demands<'a> {
    /// Hashes that a line of it must have.
    pub(super) expected: &'a [Hash],
    /// It must exist, and list every sealed file.
    pub(super) is_required: bool,
}

impl Plan {
    pub(super) fn new(places: &Places, demands: Demands<'_>) -> Result<Self, Box<dyn Error>> {
        let mut plan = Self::default();
        for path in &places.paths {
            if let Some(address) = places::record_address(path) {
                plan.add_record(address, places)?;
                continue;
            }
            let metadata = cdr_path::metadata(path)?;
            if metadata.is_dir() {
                plan.add_directory(path, demands)?;
            } else {
                plan.add_file(path, metadata.len(), demands);
            }
        }
        Ok(plan)
    }

    pub(super) fn bytes(&self) -> u64 {
        let bytes = |task: &Task| match task {
            Task::File(file) => file.bytes,
            // Nobody knows before it is read.
            #[cfg(feature = "ship")]
            Task::Chain(_) => 0,
        };
        self.tasks.iter().map(bytes).sum()
    }

    /// Each chain of a shipped record, and how complete it is.
    #[cfg(feature = "ship")]
    fn add_record(&mut self, address: &str, places: &Places) -> Result<(), Box<dyn Error>> {
        let target = places::record_target(address)?;
        let selection = places.selection(&(i64::MIN..i64::MAX));
        let path = std::path::PathBuf::from(target.to_string());
        let mut is_empty = true;
        for stream in Stream::ALL {
            let opened = Shipped::open(&target, stream, &selection);
            let Shipped { blocks, completeness } =
                opened.map_err(|failure| format!("{target}: {failure}"))?;
            if stream == Stream::Lines {
                let note = |sentence| Remark::note(&path, "completeness", sentence);
                self.remarks.extend(completeness.sentences().into_iter().map(note));
            }
            for Reach { chain, .. } in blocks.reaches() {
                is_empty = false;
                let (target, chain) = (target.clone(), chain.clone());
                self.tasks.push(Task::Chain(ChainTask { target, chain }));
            }
        }
        if is_empty {
            return Err(format!("{target}: nothing was shipped there").into());
        }
        Ok(())
    }

    #[cfg(not(feature = "ship"))]
    fn add_record(&mut self, _: &str, _: &Places) -> Result<(), Box<dyn Error>> {
        Err(places::RECORDS_NEED_SHIP.into())
    }

    fn add_directory(
        &mut self,
        directory: &Path,
        demands: Demands<'_>,
    ) -> Result<(), Box<dyn Error>> {
        // Before the files: what is sealed or removed meanwhile is then not a finding.
        let chain = Chain::read(directory, demands.expected, &mut self.remarks);
        let files = cdr_files(directory)?;
        if files.is_empty() && chain.is_empty && !directory.join(cdr_path::STATE_DIR_NAME).is_dir()
        {
            let directory = directory.display();
            return Err(format!("there is no CDR or rejects file in {directory}").into());
        }
        self.note_missing(directory, &chain, &files);
        if chain.is_missing && (demands.is_required || files.len() > 1) {
            let kind = if demands.is_required { Kind::Finding } else { Kind::Unchecked };
            let message = "there is no manifest, so it is not known whether files are complete";
            self.remarks.push(Remark::new(kind, directory, "no_manifest", message));
        }
        self.remarks.extend(journal::check(directory));
        // A running process lists the file before the newest one within moments.
        let is_required = demands.is_required && !has_writer(directory);
        let newest: Vec<_> = [FileKind::Cdr, FileKind::Rejects]
            .iter()
            .filter_map(|&kind| files.iter().rfind(|file| file.kind == kind))
            .map(|file| file.name.clone())
            .collect();
        for file in files {
            let is_newest = newest.contains(&file.name);
            let task = FileTask::in_directory(file, &chain, is_newest, is_required);
            self.tasks.push(Task::File(task));
        }
        Ok(())
    }

    /// Files in the manifest that are not in the directory.
    fn note_missing(&mut self, directory: &Path, chain: &Chain, files: &[CdrFile]) {
        let there: BTreeSet<_> = files.iter().map(|file| file.name.as_str()).collect();
        let mut missing: Vec<_> =
            chain.names_to_be_there().filter(|name| !there.contains(name)).collect();
        if missing.is_empty() {
            return;
        }
        // Retention may have removed them since the manifest was read.
        let again = Chain::read(directory, &[], &mut Vec::new());
        missing.retain(|missing| again.names_to_be_there().any(|name| name == *missing));
        for name in missing {
            let message =
                "it is in the manifest but not in the directory, and retention did not remove it";
            let path = directory.join(name);
            self.remarks.push(Remark::finding(&path, "file_missing", message));
        }
    }

    fn add_file(&mut self, path: &Path, bytes: u64, demands: Demands<'_>) {
        let plain_path = cdr_path::plain_path(path);
        let name = plain_path.file_name().unwrap_or_default().to_string_lossy();
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        // The chain is checked for the directory.
        let chain = Chain::read(directory.unwrap_or(Path::new(".")), &[], &mut Vec::new());
        let sealed = chain.sealed(&name).cloned();
        if sealed.is_none() && demands.is_required {
            let message = "it is not in the manifest, so it is not known whether it is complete";
            self.remarks.push(Remark::finding(path, "entry_missing", message));
        }
        self.tasks.push(Task::File(FileTask {
            path: path.to_owned(),
            kind: if name.starts_with("rejected.") { FileKind::Rejects } else { FileKind::Cdr },
            may_grow: sealed.is_none(),
            sealed,
            bytes,
            is_compressed: plain_path != path,
            remark: None,
        }));
    }
}

impl FileTask {
    fn in_directory(file: CdrFile, chain: &Chain, is_newest: bool, is_required: bool) -> Self {
        let sealed = chain.sealed(&file.name).cloned();
        let is_listed = sealed.is_some() || file.bytes == 0 || chain.is_empty;
        let remark = if is_listed {
            None
        } else if chain.goes_on_after(&file.name) {
            let message = "it is not in the manifest, but later files are";
            Some(Remark::finding(&file.path, "entry_missing", message))
        } else if is_newest {
            None
        } else {
            let kind = if is_required { Kind::Finding } else { Kind::Unchecked };
            let message =
                "it is not in the manifest yet, so it is not known whether it is complete";
            Some(Remark::new(kind, &file.path, "entry_missing", message))
        };
        Self {
            kind: file.kind,
            may_grow: is_newest && sealed.is_none(),
            sealed,
            bytes: file.bytes,
            is_compressed: file.encoding != cdrlog::reader::Encoding::Plain,
            remark,
            path: file.path,
        }
    }
}

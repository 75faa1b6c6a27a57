//! Checks one file.

use std::io;
use std::path::{Path, PathBuf};

use cdrlog::manifest::{Measure, SealedFile};
use cdrlog::reader::{FileKind, Line, ReadError};
use cdrlog::{LineCheck, LineFault, LineReason, Reader};

use super::chain::has_writer;
use super::remark::Remark;

/// One file to check.
#[derive(Debug)]
pub(super) struct FileTask {
    pub(super) path: PathBuf,
    pub(super) kind: FileKind,
    /// What it must be, if the manifest lists it.
    pub(super) sealed: Option<SealedFile>,
    /// The length on the disk.
    pub(super) bytes: u64,
    pub(super) is_compressed: bool,
    /// An appender may be writing to it now.
    pub(super) may_grow: bool,
    /// Printed after the findings of the file.
    pub(super) remark: Option<Remark>,
}

/// Receives the findings.
pub(super) trait Listener {
    /// Whether to continue.
    fn tell(&mut self, remark: Remark) -> Result<(), NobodyListens>;

    /// This many bytes of files were read, as on the disk.
    fn read(&mut self, bytes: u64) -> Result<(), NobodyListens>;
}

#[derive(Debug)]
pub(super) struct NobodyListens;

/// What was checked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checked {
    pub(super) lines: u64,
    /// Uncompressed.
    pub(super) bytes: u64,
}

/// Checks every line of a file, and the file as a whole.
pub(super) fn check(
    task: FileTask,
    listener: &mut impl Listener,
) -> Result<Checked, NobodyListens> {
    let measure = task.sealed.is_some().then(Measure::new);
    let mut check = FileCheck {
        task: &task,
        listener,
        lines: LineCheck::new(),
        measure,
        checked: Checked::default(),
    };
    check.run()?;
    let (measure, checked) = (check.measure, check.checked);
    if let (Some(measure), Some(sealed)) = (measure, &task.sealed) {
        let found = measure.finish(&sealed.name);
        if let Some((reason, message)) = difference(&found, sealed) {
            listener.tell(Remark::finding(&task.path, reason, message))?;
        }
    }
    if task.is_compressed {
        listener.read(task.bytes)?;
    }
    task.remark.map_or(Ok(()), |remark| listener.tell(remark))?;
    Ok(checked)
}

struct FileCheck<'a, L> {
    task: &'a FileTask,
    listener: &'a mut L,
    lines: LineCheck,
    /// `None` if there is nothing to compare with.
    measure: Option<Measure>,
    checked: Checked,
}

impl<L: Listener> FileCheck<'_, L> {
    fn run(&mut self) -> Result<(), NobodyListens> {
        let mut reader = match Reader::of_files([&self.task.path]).open() {
            Ok(reader) => reader,
            Err(error) => return self.give_up(error),
        };
        loop {
            match reader.next_lines() {
                Ok(Some(lines)) => {
                    if let Some(measure) = &mut self.measure {
                        measure.update(lines.bytes());
                    }
                    for line in lines.iter() {
                        self.line(line)?;
                    }
                    let bytes = lines.bytes().len() as u64;
                    self.checked.bytes += bytes;
                    self.listener.read(if self.task.is_compressed { 0 } else { bytes })?;
                }
                Ok(None) => return Ok(()),
                Err(ReadError::LineTooLong { offset, line_bytes_max, .. }) => {
                    self.too_long(offset, line_bytes_max)?;
                }
                Err(error) => return self.give_up(error),
            }
        }
    }

    #[inline]
    fn line(&mut self, line: Line<'_>) -> Result<(), NobodyListens> {
        self.checked.lines += 1;
        let checked = match self.task.kind {
            FileKind::Cdr => self.lines.line(line.bytes_with_end()),
            FileKind::Rejects => self.lines.record(line.bytes_with_end()),
        };
        checked.or_else(|fault| self.fault(line.offset(), fault))
    }

    #[cold]
    fn fault(&mut self, line_offset: u64, fault: LineFault) -> Result<(), NobodyListens> {
        let LineFault { reason, offset, .. } = fault;
        let path = &self.task.path;
        let is_being_written = reason == LineReason::NoLineEnd
            && self.task.may_grow
            && has_writer(path.parent().unwrap_or(Path::new(".")));
        let remark = if is_being_written {
            Remark::note(path, "line_open", "this line is being written")
        } else {
            Remark::finding(path, reason.as_str(), reason)
        };
        self.listener.tell(remark.at(self.checked.lines, line_offset + offset as u64))
    }

    fn too_long(&mut self, offset: u64, line_bytes_max: usize) -> Result<(), NobodyListens> {
        // Its bytes are not read, so there is nothing to compare.
        self.measure = None;
        self.checked.lines += 1;
        let message = format!("a line of more than {line_bytes_max} bytes, which is not checked");
        let remark = Remark::finding(&self.task.path, "line_too_long", message);
        self.listener.tell(remark.at(self.checked.lines, offset))
    }

    /// The file cannot be read any further.
    fn give_up(&mut self, error: ReadError) -> Result<(), NobodyListens> {
        self.measure = None;
        let (path, bytes) = (&self.task.path, self.checked.bytes);
        let message = match &error {
            ReadError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                return self.listener.tell(Remark::note(
                    path,
                    "file_gone",
                    "it was removed just now",
                ));
            }
            ReadError::Io { source, .. } if bytes == 0 => format!("cannot be read: {source}"),
            ReadError::Io { source, .. } => format!("cannot be read after byte {bytes}: {source}"),
            other => other.to_string(),
        };
        self.listener.tell(Remark::finding(path, "unreadable", message))
    }
}

/// How a file differs from what it was when it was sealed.
fn difference(found: &SealedFile, sealed: &SealedFile) -> Option<(&'static str, String)> {
    if found.bytes != sealed.bytes {
        let message =
            format!("it has {} bytes, and had {} when it was sealed", found.bytes, sealed.bytes);
        return Some(("bytes_differ", message));
    }
    if found.blake3 != sealed.blake3 {
        let message = "its length is unchanged since it was sealed, but its content is not";
        return Some(("content_differs", message.to_owned()));
    }
    (found != sealed).then(|| {
        let message = "its content is unchanged since it was sealed, but the manifest has other lines or timestamps for it";
        ("entry_differs", message.to_owned())
    })
}

//! `Reader`: the lines of a CDR directory.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cdrlog::reader::{FileKind, ReaderPosition};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors;
use crate::process::Process;
use crate::wait::SIGNAL_POLL;

/// Gives the lines of a CDR directory, oldest first, each once, compressed or not: an iterator of
/// `bytes` without their line feeds. One that follows waits for new lines and never ends.
#[pyclass(frozen, module = "cdrlog")]
pub struct Reader {
    reader: Mutex<cdrlog::Reader>,
    follows: bool,
    process: Process,
}

#[pymethods]
impl Reader {
    #[new]
    #[pyo3(signature = (directory, *, rejects = false, follow = false, begin = None, line_bytes_max = None))]
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        rejects: bool,
        follow: bool,
        begin: Option<(PathBuf, u64)>,
        line_bytes_max: Option<usize>,
    ) -> PyResult<Self> {
        let mut builder = cdrlog::Reader::builder(directory).follow(follow);
        if rejects {
            builder = builder.kind(FileKind::Rejects);
        }
        if let Some((file, offset)) = begin {
            builder = builder.begin_at(ReaderPosition { file, offset });
        }
        if let Some(bytes) = line_bytes_max {
            builder = builder.line_bytes_max(bytes);
        }
        let reader = py.detach(|| builder.open()).map_err(errors::read)?;
        Ok(Self { reader: Mutex::new(reader), follows: follow, process: Process::this() })
    }

    /// The next line, or None if there is none, or none yet.
    fn read_line<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.process.must_be_this()?;
        let line = py.detach(|| match self.lock().next_line() {
            Ok(line) => Ok(line.map(|line| line.bytes().to_vec())),
            Err(error) => Err(errors::read(error)),
        })?;
        Ok(line.map(|line| PyBytes::new(py, &line)))
    }

    /// Where the next line starts: the file and the offset. Save it, and begin there later.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<Option<(OsString, u64)>> {
        self.process.must_be_this()?;
        let position = py.detach(|| self.lock().position());
        Ok(position.map(|position| (position.file.into(), position.offset)))
    }

    const fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        loop {
            let line = self.read_line(py)?;
            if line.is_some() || !self.follows {
                return Ok(line);
            }
            py.detach(|| self.lock().wait(SIGNAL_POLL));
            py.check_signals()?;
        }
    }
}

impl Reader {
    /// Never with the GIL: its holder may be waiting for it.
    fn lock(&self) -> MutexGuard<'_, cdrlog::Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

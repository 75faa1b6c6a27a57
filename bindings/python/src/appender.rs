//! `Appender`: an open directory, and the sends.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use cdrlog::{AckError, Bytes, Durability, SharedProducer, TrySendError};
use pyo3::exceptions::{PyTimeoutError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::event::with_bytes;
use crate::process::Process;
use crate::wait::{SIGNAL_POLL, wait_for};
use crate::{errors, notice, options};

/// Appends events to the CDR files of a directory. Any thread may use it.
///
/// `with Appender(directory) as appender:` closes it at the end.
#[pyclass(frozen, module = "cdrlog")]
pub struct Appender {
    producer: SharedProducer,
    /// `None` once it is closed. Calls that wait have it for reading, so a close waits for them.
    open: RwLock<Option<cdrlog::Appender>>,
    notices: notice::Callback,
    process: Process,
}

#[pymethods]
impl Appender {
    #[new]
    #[pyo3(signature = (directory, **options))]
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let (builder, notices) = options::builder(directory, options)?;
        let appender = py.detach(|| builder.open()).map_err(errors::open)?;
        let producer = appender.shared_producer();
        let open = RwLock::new(Some(appender));
        Ok(Self { producer, open, notices, process: Process::this() })
    }

    /// Sends an event, the body of a webhook: `str`, or anything with a buffer of bytes. Waits while
    /// the queue is full. Once it returns, the event outlives the process. If a signal ends the wait,
    /// such as that of Ctrl-C, the event was not taken.
    fn send(&self, event: &Bound<'_, PyAny>) -> PyResult<()> {
        match with_bytes(event, |event| self.producer.try_send_slice(event))? {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(copy)) => self.send_when_there_is_room(event.py(), copy),
            Err(_) => Err(errors::closed()),
        }
    }

    /// Sends an event without waiting: False if the queue is full, and then it was not taken.
    fn try_send(&self, event: &Bound<'_, PyAny>) -> PyResult<bool> {
        match with_bytes(event, |event| self.producer.try_send_slice(event))? {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(_) => Err(errors::closed()),
        }
    }

    /// Like `send`, and returns an `Ack` that tells when the event is "journaled", "written" or
    /// "synced".
    fn send_acked(&self, event: &Bound<'_, PyAny>, durability: &str) -> PyResult<Ack> {
        let durability = match durability {
            "journaled" => Durability::Journaled,
            "written" => Durability::Written,
            "synced" => Durability::Synced,
            _ => return Err(PyValueError::new_err("durability is journaled, written or synced")),
        };
        let event_bytes = with_bytes(event, Bytes::copy_from_slice)?;
        let ack = match self.producer.try_send_acked(event_bytes, durability) {
            Ok(ack) => ack,
            Err(TrySendError::Full(event_bytes)) => {
                notice::may_wait()?;
                let sent = self.producer.send_acked_async(event_bytes, durability);
                wait_for(event.py(), sent)?.map_err(errors::send)?
            }
            Err(_) => return Err(errors::closed()),
        };
        Ok(Ack { ack: Mutex::new(Some(ack)), process: self.process })
    }

    /// Waits until everything sent before is written: readers see it.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, |appender| appender.flush().map_err(errors::flush))
    }

    /// Waits until everything sent before survives a power loss.
    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, |appender| appender.sync().map_err(errors::flush))
    }

    /// Starts new files after everything sent before.
    fn rotate(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, |appender| appender.rotate().map_err(errors::flush))
    }

    /// Waits until sealed files are listed, compressed, and the oldest removed: maybe minutes.
    fn wait_for_maintenance(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, |appender| appender.wait_for_maintenance().map_err(errors::maintenance))
    }

    /// All counters since the open, by their names.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        for (name, value) in self.look(cdrlog::Appender::stats)?.iter() {
            counters.set_item(name, value)?;
        }
        Ok(counters)
    }

    /// The file that lines are being written to.
    #[getter]
    fn cdr_path(&self) -> PyResult<OsString> {
        self.look(|appender| appender.cdr_path().into())
    }

    /// The file of bodies that are not events. It exists once there is one.
    #[getter]
    fn rejects_path(&self) -> PyResult<OsString> {
        self.look(|appender| appender.rejects_path().into())
    }

    /// The file of accepted events; None if there is none, and they do not outlive the process.
    #[getter]
    fn inbox_path(&self) -> PyResult<Option<OsString>> {
        self.look(|appender| appender.inbox_path().map(OsString::from))
    }

    /// What the open repaired after a process that did not close, as a sentence; None if there was
    /// nothing to repair.
    #[getter]
    fn recovered(&self) -> PyResult<Option<String>> {
        self.look(|appender| {
            let recovery = appender.recovery();
            (!recovery.is_nothing()).then(|| recovery.to_string())
        })
    }

    /// Writes and syncs everything that was accepted. After an error, what could not be written is
    /// in the journal and the inbox, and the next open writes it; the appender is closed all the
    /// same. A second close does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        notice::may_wait()?;
        self.process.must_be_this()?;
        let closed = py.detach(|| {
            let appender = self.open.write().unwrap_or_else(PoisonError::into_inner).take()?;
            Some(appender.close_keeping())
        });
        let Some(closed) = closed else { return Ok(()) };
        // The last notice was given.
        self.notices.forget();
        closed.map(drop).map_err(|error| errors::close(&error))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.notices.traverse(&visit)
    }

    fn __clear__(&self) {
        self.notices.forget();
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) -> PyResult<()> {
        self.close(py)
    }
}

impl Appender {
    fn send_when_there_is_room(&self, py: Python<'_>, event: Bytes) -> PyResult<()> {
        notice::may_wait()?;
        wait_for(py, self.producer.send_async(event))?.map_err(errors::send)
    }

    /// Uses the open appender without the GIL.
    fn wait(
        &self,
        py: Python<'_>,
        run: impl FnOnce(&cdrlog::Appender) -> PyResult<()> + Send,
    ) -> PyResult<()> {
        notice::may_wait()?;
        self.process.must_be_this()?;
        py.detach(|| {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            open.as_ref().map_or_else(|| Err(errors::closed()), run)
        })
    }

    /// Looks at the open appender. Never waits: while it is being closed, it counts as closed, so
    /// that a notice during the close can look.
    fn look<R>(&self, look: impl FnOnce(&cdrlog::Appender) -> R) -> PyResult<R> {
        self.process.must_be_this()?;
        let open = match self.open.try_read() {
            Ok(open) => open,
            Err(TryLockError::Poisoned(open)) => open.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(errors::closed()),
        };
        open.as_ref().map(look).ok_or_else(errors::closed)
    }
}

impl Drop for Appender {
    /// A thread of the library may be waiting for the GIL, to give a notice, while the appender is
    /// being closed.
    fn drop(&mut self) {
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Where the interpreter has ended there is no GIL: `open` is dropped with the closure.
        let _is_attached = Python::try_attach(|py| py.detach(|| drop(open)));
    }
}

/// Tells when an event has reached its level.
#[pyclass(frozen, module = "cdrlog")]
pub struct Ack {
    /// `None` once it was answered.
    ack: Mutex<Option<cdrlog::Ack>>,
    process: Process,
}

#[pymethods]
impl Ack {
    /// Waits for at most `timeout` seconds (None: for ever), and returns where the line is.
    ///
    /// Raises `Rejected` if the body is not an event, `TimeoutError` if it is not there yet and can
    /// be waited for again, and another `Error` if it will never be. The answer is given once.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Position> {
        notice::may_wait()?;
        self.process.must_be_this()?;
        let timeout = timeout.map(Duration::try_from_secs_f64).transpose();
        let timeout = timeout.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let outcome = py.detach(|| self.wait_for_some_time(left))?;
            if let Some(outcome) = outcome {
                let position = outcome.map_err(errors::ack)?;
                let cdrlog::Position { file, offset, line_bytes, .. } = position;
                return Ok(Position { file: file.as_os_str().to_owned(), offset, line_bytes });
            }
            py.check_signals()?;
            if left.is_some_and(|left| left <= SIGNAL_POLL) {
                return Err(PyTimeoutError::new_err("the event has not reached its level yet"));
            }
        }
    }
}

impl Ack {
    /// The outcome, unless it comes after `left` or the next look for a signal.
    fn wait_for_some_time(
        &self,
        left: Option<Duration>,
    ) -> PyResult<Option<Result<cdrlog::Position, AckError>>> {
        let mut place = self.ack.lock().unwrap_or_else(PoisonError::into_inner);
        let ack = place.take().ok_or_else(|| PyValueError::new_err("it was answered"))?;
        match ack.wait_timeout(left.unwrap_or(SIGNAL_POLL).min(SIGNAL_POLL)) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(ack) => {
                *place = Some(ack);
                Ok(None)
            }
        }
    }
}

/// Where the line of an event is.
#[pyclass(frozen, get_all, eq, module = "cdrlog")]
#[derive(PartialEq)]
pub struct Position {
    file: OsString,
    /// Of its first byte.
    offset: u64,
    /// With its line feed.
    line_bytes: u64,
}

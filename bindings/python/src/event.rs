//! The bytes of an event, and the rewriter.

use cdrlog::Rewriter;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::errors;

/// Calls a function with the bytes of `bytes` or `str`, which are not copied, or of anything else
/// that has a buffer of bytes, whose owner may change it, and which is copied.
pub fn with_bytes<R>(event: &Bound<'_, PyAny>, use_bytes: impl FnOnce(&[u8]) -> R) -> PyResult<R> {
    if let Ok(bytes) = event.cast::<PyBytes>() {
        Ok(use_bytes(bytes.as_bytes()))
    } else if let Ok(text) = event.cast::<PyString>() {
        Ok(use_bytes(text.to_str()?.as_bytes()))
    } else {
        let bytes = PyBuffer::<u8>::get(event)?.to_vec(event.py())?;
        Ok(use_bytes(&bytes))
    }
}

/// The CDR line of an event with its line feed, without files and threads.
#[pyfunction]
#[pyo3(signature = (event, event_bytes_max = 1 << 20))]
pub fn rewrite<'py>(
    event: &Bound<'py, PyAny>,
    event_bytes_max: usize,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut line = Vec::new();
    let rewriter = Rewriter::with_event_bytes_max(event_bytes_max);
    with_bytes(event, |event| rewriter.rewrite(event, &mut line))?.map_err(errors::rejection)?;
    Ok(PyBytes::new(event.py(), &line))
}

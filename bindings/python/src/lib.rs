//! cdrlog for Python.
//!
//! On the Rust library and not on the C interface: a wheel has everything in it, and nothing here is
//! `unsafe`.
//!
//! Whatever may wait does so without the GIL. A send that finds room does not wait, and keeps it:
//! to give it up and take it again costs more than the send.

mod appender;
mod errors;
mod event;
mod notice;
mod options;
mod process;
mod reader;
mod wait;

use pyo3::prelude::*;

#[pymodule]
fn _cdrlog(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<appender::Appender>()?;
    module.add_class::<appender::Ack>()?;
    module.add_class::<appender::Position>()?;
    module.add_class::<reader::Reader>()?;
    module.add_function(wrap_pyfunction!(event::rewrite, module)?)?;
    module.add_function(wrap_pyfunction!(notice::end_notices, module)?)
}

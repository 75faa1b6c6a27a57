//! The keyword arguments of `Appender` as options of the library. Times are in seconds; `None` is
//! no limit, or no inbox.

use std::path::PathBuf;
use std::time::Duration;

use cdrlog::{Appender, Builder, Compression, SyncPolicy};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::notice::{self, Callback};

/// Those that are not given keep their defaults. What `on_notice` is comes apart.
pub fn builder(
    directory: PathBuf,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<(Builder, Callback)> {
    let mut builder = Appender::builder(directory);
    let notices = Callback::default();
    for (name, value) in options.into_iter().flatten() {
        builder = match name.extract()? {
            "on_notice" if value.is_none() => builder,
            "on_notice" => {
                notices.set(&value)?;
                builder.on_notice(notice::listener(notices.clone()))
            }
            name => set(builder, name, &value)?,
        };
    }
    Ok((builder, notices))
}

fn set(builder: Builder, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Builder> {
    Ok(match name {
        "queue_events_max" => builder.queue_events_max(value.extract()?),
        "queue_bytes_max" => builder.queue_bytes_max(value.extract()?),
        "event_bytes_max" => builder.event_bytes_max(value.extract()?),
        "segment_count" => builder.segment_count(value.extract()?),
        "segment_bytes" => builder.segment_bytes(value.extract()?),
        "flush_interval" => builder.flush_interval(seconds(name, value)?),
        "sync_policy" => builder.sync_policy(sync_policy(value)?),
        "write_retry_timeout" if value.is_none() => builder,
        "write_retry_timeout" => builder.write_retry_timeout(seconds(name, value)?),
        "close_timeout" => builder.close_timeout(seconds(name, value)?),
        "utc" => builder.utc(value.extract()?),
        "rotate_daily" => builder.rotate_daily(value.extract()?),
        "rotate_bytes" if value.is_none() => builder,
        "rotate_bytes" => builder.rotate_bytes(value.extract()?),
        "compression" => builder.compression(compression(value)?),
        "retention_age" if value.is_none() => builder.retention_age(None),
        "retention_age" => builder.retention_age(Some(seconds(name, value)?)),
        "retention_bytes" => builder.retention_bytes(value.extract()?),
        "manage_foreign" => builder.manage_foreign(value.extract()?),
        "inbox_directory" if value.is_none() => builder.no_inbox(),
        "inbox_directory" => builder.inbox_directory(value.extract::<PathBuf>()?),
        "time_marks" => builder.time_marks(value.extract()?),
        _ => return Err(PyTypeError::new_err(format!("there is no option {name}"))),
    })
}

fn seconds(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value.extract()?)
        .map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}

fn sync_policy(value: &Bound<'_, PyAny>) -> PyResult<SyncPolicy> {
    match value.extract::<&str>() {
        Ok("never") => Ok(SyncPolicy::Never),
        Ok("always") => Ok(SyncPolicy::Always),
        Ok(_) => Err(PyValueError::new_err("sync_policy is never, always, or an interval")),
        Err(_) => Ok(SyncPolicy::Interval(seconds("sync_policy", value)?)),
    }
}

fn compression(value: &Bound<'_, PyAny>) -> PyResult<Compression> {
    match value.extract()? {
        "none" => Ok(Compression::None),
        "zstd" => Ok(Compression::Zstd),
        "gzip" => Ok(Compression::Gzip),
        _ => Err(PyValueError::new_err("compression is none, zstd or gzip")),
    }
}

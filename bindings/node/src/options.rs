//! Options of an appender.

use std::time::Duration;

use cdrlog::{Appender, Builder, Compression, Notice, SyncPolicy};
use napi::Result;
use napi::bindgen_prelude::{Either, Null};
use napi_derive::napi;

use crate::failure;

/// What `index.d.ts` says. Infinity is no limit.
#[napi(object)]
pub struct NativeOptions {
    pub queue_events_max: Option<f64>,
    pub queue_bytes_max: Option<f64>,
    pub event_bytes_max: Option<f64>,
    pub segment_count: Option<f64>,
    pub segment_bytes: Option<f64>,
    pub flush_interval_ms: Option<f64>,
    pub sync_policy: Option<Either<String, f64>>,
    pub write_retry_timeout_ms: Option<f64>,
    pub close_timeout_ms: Option<f64>,
    pub utc: Option<bool>,
    pub rotate_daily: Option<bool>,
    pub rotate_bytes: Option<f64>,
    pub compression: Option<String>,
    pub retention_age_ms: Option<f64>,
    pub retention_bytes: Option<f64>,
    pub manage_foreign: Option<bool>,
    pub time_marks: Option<bool>,
    pub inbox_directory: Option<Either<String, Null>>,
}

/// Applies a setter if the option is given.
fn given<T>(
    builder: Builder,
    value: Option<T>,
    set: impl FnOnce(Builder, T) -> Result<Builder>,
) -> Result<Builder> {
    match value {
        Some(value) => set(builder, value),
        None => Ok(builder),
    }
}

impl NativeOptions {
    pub fn builder(
        self,
        directory: &str,
        listener: impl Fn(&Notice) + Send + Sync + 'static,
    ) -> Result<Builder> {
        let builder = Appender::builder(directory).on_notice(listener);
        let builder =
            given(builder, self.queue_events_max, |b, n| Ok(b.queue_events_max(whole(n)?)))?;
        let builder =
            given(builder, self.queue_bytes_max, |b, n| Ok(b.queue_bytes_max(whole(n)?)))?;
        let builder =
            given(builder, self.event_bytes_max, |b, n| Ok(b.event_bytes_max(whole(n)?)))?;
        let builder = given(builder, self.segment_count, |b, n| Ok(b.segment_count(whole(n)?)))?;
        let builder = given(builder, self.segment_bytes, |b, n| Ok(b.segment_bytes(whole(n)?)))?;
        let builder =
            given(builder, self.flush_interval_ms, |b, n| Ok(b.flush_interval(time(n)?)))?;
        let builder = given(builder, self.sync_policy, |b, s| Ok(b.sync_policy(sync_policy(s)?)))?;
        let builder = given(builder, limit(self.write_retry_timeout_ms), |b, n| {
            Ok(b.write_retry_timeout(time(n)?))
        })?;
        let builder = given(builder, self.close_timeout_ms, |b, n| Ok(b.close_timeout(time(n)?)))?;
        let builder = given(builder, self.utc, |b, utc| Ok(b.utc(utc)))?;
        let builder = given(builder, self.rotate_daily, |b, daily| Ok(b.rotate_daily(daily)))?;
        let builder =
            given(builder, limit(self.rotate_bytes), |b, n| Ok(b.rotate_bytes(whole(n)? as u64)))?;
        let builder = given(builder, self.compression, |b, c| Ok(b.compression(compression(&c)?)))?;
        let builder = given(builder, self.retention_age_ms, |b, n| {
            Ok(b.retention_age(limit(Some(n)).map(time).transpose()?))
        })?;
        let builder = given(builder, self.retention_bytes, |b, n| {
            Ok(b.retention_bytes(limit(Some(n)).map(whole).transpose()?.map(|bytes| bytes as u64)))
        })?;
        let builder =
            given(builder, self.manage_foreign, |b, manage| Ok(b.manage_foreign(manage)))?;
        let builder = given(builder, self.time_marks, |b, marks| Ok(b.time_marks(marks)))?;
        given(builder, self.inbox_directory, |b, directory| {
            Ok(match directory {
                Either::A(directory) => b.inbox_directory(directory),
                Either::B(Null) => b.no_inbox(),
            })
        })
    }
}

/// The number, unless it is Infinity.
fn limit(number: Option<f64>) -> Option<f64> {
    number.filter(|number| *number != f64::INFINITY)
}

/// The largest number up to which all whole ones can be told apart.
const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;

/// A number of things or bytes.
pub fn whole(number: f64) -> Result<usize> {
    if number.fract() == 0.0 && (0.0..=WHOLE_MAX).contains(&number) {
        Ok(number as usize)
    } else {
        Err(failure::argument(format!("{number} is not a whole number that is not negative")))
    }
}

fn time(milliseconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(milliseconds / 1000.0)
        .map_err(|error| failure::argument(format!("{milliseconds} ms: {error}")))
}

fn sync_policy(policy: Either<String, f64>) -> Result<SyncPolicy> {
    match policy {
        Either::A(policy) if policy == "never" => Ok(SyncPolicy::Never),
        Either::A(policy) if policy == "always" => Ok(SyncPolicy::Always),
        Either::A(_) => Err(failure::argument("syncPolicy is never, always, or an interval")),
        Either::B(interval) => Ok(SyncPolicy::Interval(time(interval)?)),
    }
}

fn compression(compression: &str) -> Result<Compression> {
    match compression {
        "none" => Ok(Compression::None),
        "zstd" => Ok(Compression::Zstd),
        "gzip" => Ok(Compression::Gzip),
        _ => Err(failure::argument("compression is none, zstd or gzip")),
    }
}

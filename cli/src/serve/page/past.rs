//! What viewers ask for beside the live view: a past day, a search, the events of a room.
//!
//! Each question reads files, so there is one at a time, and it ends when nobody waits for it any
//! more. The last days are remembered.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Semaphore;

use super::hub::Hub;
use super::record::{self, live_span, now_ms};
use super::timeline::{self, Wanted};
use super::view::View;

/// Days that are remembered.
const DAYS_MAX: usize = 4;

/// How long a day is remembered. A day that is not over yet is read again earlier.
const DAY_AGE: Duration = Duration::from_secs(600);
const NEW_DAY_AGE: Duration = Duration::from_secs(20);

/// Files are still written to for some time after the day.
const SETTLED_MS: i64 = 3_600_000;

/// The rooms that a search returns.
const ROOMS_MAX: usize = 200;

/// Questions that wait for the one that is answered.
const WAITING_MAX: usize = 16;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Too many ask.
    Busy,
    /// The record cannot be read.
    Unreadable(String),
}

#[derive(Debug)]
pub(super) struct Past {
    directory: PathBuf,
    hub: Arc<Hub>,
    /// Who waits or is being answered.
    places: Semaphore,
    turn: Semaphore,
    days: Mutex<VecDeque<Day>>,
}

#[derive(Debug)]
struct Day {
    span: Range<i64>,
    read_at: Instant,
    view: Arc<View>,
}

impl Past {
    pub(super) fn new(directory: PathBuf, hub: Arc<Hub>) -> Self {
        Self {
            directory,
            hub,
            places: Semaphore::new(WAITING_MAX + 1),
            turn: Semaphore::new(1),
            days: Mutex::default(),
        }
    }

    /// The numbers of a span, as JSON.
    pub(super) async fn day(&self, span: Range<i64>) -> Result<String, NoAnswer> {
        let view = self.view(span).await?;
        let (outside, series) = (view.outside, view.series.all());
        Ok(json!({ "outside": outside, "series": series }).to_string())
    }

    /// The rooms of a span in which a text occurs, as JSON.
    pub(super) async fn rooms(&self, span: Range<i64>, query: &str) -> Result<String, NoAnswer> {
        let answer = |view: &View| {
            let (rooms, count) = view.rooms.search(&span, query, ROOMS_MAX);
            json!({ "rooms": rooms, "count": count }).to_string()
        };
        if span.start >= live_span(now_ms()).start {
            return Ok(answer(&self.hub.ask().view));
        }
        Ok(answer(&*self.view(span.clone()).await?))
    }

    /// The events of one room, as JSON.
    pub(super) async fn timeline(
        &self,
        span: Range<i64>,
        wanted: Wanted,
    ) -> Result<String, NoAnswer> {
        let read = move |directory: &Path, stop: &AtomicBool| {
            timeline::read(directory, &span, &wanted, stop)
        };
        self.ask(read).await
    }

    async fn view(&self, span: Range<i64>) -> Result<Arc<View>, NoAnswer> {
        let _place = self.places.try_acquire().map_err(|_| NoAnswer::Busy)?;
        let _turn = self.turn.acquire().await.map_err(|_| NoAnswer::Busy)?;
        if let Some(view) = self.known(&span) {
            return Ok(view);
        }
        let wanted = span.clone();
        let view = self
            .run(move |directory, stop| record::view_of(directory, &wanted, stop))
            .await
            .map(Arc::new)?;
        let mut days = self.days();
        days.retain(|day| day.span != span);
        days.push_front(Day { span, read_at: Instant::now(), view: view.clone() });
        days.truncate(DAYS_MAX);
        Ok(view)
    }

    async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Path, &AtomicBool) -> Read<T> + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let _place = self.places.try_acquire().map_err(|_| NoAnswer::Busy)?;
        let _turn = self.turn.acquire().await.map_err(|_| NoAnswer::Busy)?;
        self.run(read).await
    }

    /// Reads where blocking is allowed, at the low priority of the thread that starts it.
    async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Path, &AtomicBool) -> Read<T> + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let stop = StopOnDrop::default();
        let (directory, is_over) = (self.directory.clone(), stop.0.clone());
        let reading = tokio::task::spawn_blocking(move || {
            read(&directory, &is_over).map_err(|error| error.to_string())
        });
        match reading.await {
            Ok(Ok(Some(read))) => Ok(read),
            // Only who asked can stop it.
            Ok(Ok(None)) | Err(_) => Err(NoAnswer::Busy),
            Ok(Err(error)) => Err(NoAnswer::Unreadable(error)),
        }
    }

    fn known(&self, span: &Range<i64>) -> Option<Arc<View>> {
        let is_settled = span.end + SETTLED_MS < now_ms();
        let age_max = if is_settled { DAY_AGE } else { NEW_DAY_AGE };
        let mut days = self.days();
        days.retain(|day| day.read_at.elapsed() < DAY_AGE);
        let known = days.iter().find(|day| day.span == *span);
        known.filter(|day| day.read_at.elapsed() < age_max).map(|day| day.view.clone())
    }

    fn days(&self) -> MutexGuard<'_, VecDeque<Day>> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Read<T> = Result<Option<T>, Box<dyn std::error::Error>>;

/// Stops the reading when nobody waits for it any more.
#[derive(Debug, Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

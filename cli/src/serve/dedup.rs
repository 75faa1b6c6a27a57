//! Events that are repeated within a window are answered like the first time, and written once.
//!
//! A sender whose request timed out sends the same event again, although the first one may be in
//! the journal. So what was acknowledged is remembered, by a hash of its *line*: a restarted server
//! finds the line in the CDR, so nothing has to be written for this, and the lines it finds are
//! exactly those that survived, whenever the kill came. Bodies that differ only in the place of
//! `event` have the same line, and are the same event.
//!
//! The same event twice *at the same time* is written once too: the second request waits for the
//! result of the first. And an event stays in flight until it is acknowledged, even if its request
//! is gone: see [`Guard::settle`].

mod filled;
mod generations;
mod key;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub(super) use self::filled::FilledDedup;
use self::generations::Generations;
pub(super) use self::key::Key;
use self::key::KeyHash;
use self::tail::ReadSoFar;

/// How many acknowledged events are remembered in any case; at most twice as many are, and the
/// oldest are forgotten first. They take 9 MiB at most, and are the events of a window of a minute
/// at 3 800 events per second. (As many as fit into a hash set of 2^18 places.)
pub(super) const EVENTS_MAX: usize = 7 << 15;

/// The events of the window. Clones share the same memory.
#[derive(Clone, Debug)]
pub(super) struct Dedup(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    window: Duration,
    table: Mutex<Table>,
    duplicates: AtomicU64,
}

/// A key is in flight, acknowledged or unknown. One lock covers both: an event goes from in flight
/// to acknowledged, and nobody ever finds it to be neither.
#[derive(Debug)]
struct Table {
    /// With those who wait for the result: whether it was acknowledged.
    in_flight: HashMap<Key, Vec<oneshot::Sender<bool>>, KeyHash>,
    acknowledged: Generations,
}

/// What is to be done with an event.
#[derive(Debug)]
pub(super) enum Entered {
    /// It is to be written, by the holder of the guard.
    New(Guard),
    /// The same one was acknowledged within the window. It has been counted.
    Duplicate,
}

/// The same, without waiting for an event in flight.
#[derive(Debug)]
enum Lookup {
    New(Guard),
    Duplicate,
    InFlight(oneshot::Receiver<bool>),
}

impl Dedup {
    /// Remembers what is acknowledged for `window`. `None` if that is zero.
    pub(super) fn new(window: Duration) -> Option<Self> {
        Self::with_events_max(window, EVENTS_MAX)
    }

    fn with_events_max(window: Duration, events_max: usize) -> Option<Self> {
        if window.is_zero() {
            return None;
        }
        let acknowledged = Generations::new(window, events_max, Instant::now());
        let table = Mutex::new(Table { in_flight: HashMap::default(), acknowledged });
        Some(Self(Arc::new(Shared { window, table, duplicates: AtomicU64::new(0) })))
    }

    /// Whether the event is to be written. Waits while the same one is in flight: that ends with
    /// the acknowledgement of the other one.
    pub(super) async fn enter(&self, key: Key) -> Entered {
        loop {
            match self.begin(key, Instant::now()) {
                Lookup::New(guard) => return Entered::New(guard),
                Lookup::Duplicate => break,
                Lookup::InFlight(outcome) => {
                    // If the other one was not acknowledged, or nobody knows, this one is tried.
                    if outcome.await == Ok(true) {
                        break;
                    }
                }
            }
        }
        self.0.duplicates.fetch_add(1, Relaxed);
        Entered::Duplicate
    }

    fn begin(&self, key: Key, now: Instant) -> Lookup {
        let mut table = self.0.table();
        table.acknowledged.forget_older(now);
        if table.acknowledged.contains(&key) {
            return Lookup::Duplicate;
        }
        match table.in_flight.entry(key) {
            Entry::Occupied(mut waiting) => {
                // Those whose requests have gone meanwhile do not wait any more.
                waiting.get_mut().retain(|waiter| !waiter.is_closed());
                let (sender, receiver) = oneshot::channel();
                waiting.get_mut().push(sender);
                Lookup::InFlight(receiver)
            }
            Entry::Vacant(place) => {
                place.insert(Vec::new());
                Lookup::New(Guard { shared: Arc::clone(&self.0), key, is_open: true })
            }
        }
    }

    /// How many events were answered without being written again.
    pub(super) fn duplicates(&self) -> u64 {
        self.0.duplicates.load(Relaxed)
    }

    /// How many acknowledged events are remembered.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.table().acknowledged.len()
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, key: Key, is_acknowledged: bool) {
        let mut table = self.table();
        let waiting = table.in_flight.remove(&key).unwrap_or_default();
        if is_acknowledged {
            table.acknowledged.insert(key, Instant::now());
        }
        drop(table);
        for waiter in waiting {
            // Nobody is there any more if its request is gone.
            let _ = waiter.send(is_acknowledged);
        }
    }
}

/// An event in flight. If it is dropped, the event is forgotten, and its next repetition is
/// written.
#[derive(Debug)]
#[must_use = "a dropped guard forgets the event"]
pub(super) struct Guard {
    shared: Arc<Shared>,
    key: Key,
    is_open: bool,
}

impl Guard {
    /// Remembers it as acknowledged.
    pub(super) fn commit(mut self) {
        self.end(true);
    }

    /// Waits for the acknowledgement of the event, and remembers the event if it is acknowledged.
    ///
    /// The request may end before that: the sender hangs up, or the server answers that it took too
    /// long. The event may then still be written, so it must not be forgotten, or a retry would
    /// double it. If the future is dropped, a task waits in its place. Call this as soon as the
    /// event has been sent, without an `.await` between.
    pub(super) fn settle<A, T, E>(self, acknowledgement: A) -> Settling<A>
    where
        A: Future<Output = Result<T, E>> + Send + Unpin + 'static,
    {
        Settling { parts: Some((self, acknowledgement)), go_on: go_on::<A, T, E> }
    }

    fn end(&mut self, is_acknowledged: bool) {
        if std::mem::replace(&mut self.is_open, false) {
            self.shared.end(self.key, is_acknowledged);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// The future that [`Guard::settle`] returns.
#[must_use = "futures do nothing unless they are awaited"]
pub(super) struct Settling<A> {
    parts: Option<(Guard, A)>,
    go_on: fn(Guard, A),
}

impl<A, T, E> Future for Settling<A>
where
    A: Future<Output = Result<T, E>> + Unpin,
{
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((_, acknowledgement)) = &mut self.parts else {
            // It was polled after it was ready, which no executor does.
            return Poll::Pending;
        };
        let outcome = std::task::ready!(Pin::new(acknowledgement).poll(context));
        if let Some((guard, _)) = self.parts.take()
            && outcome.is_ok()
        {
            guard.commit();
        }
        Poll::Ready(outcome)
    }
}

impl<A> Unpin for Settling<A> {}

impl<A> Drop for Settling<A> {
    fn drop(&mut self) {
        if let Some((guard, acknowledgement)) = self.parts.take() {
            (self.go_on)(guard, acknowledgement);
        }
    }
}

/// If there is no runtime any more, the process ends, and the next one reads the CDR.
fn go_on<A, T, E>(guard: Guard, acknowledgement: A)
where
    A: Future<Output = Result<T, E>> + Send + 'static,
{
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            if acknowledgement.await.is_ok() {
                guard.commit();
            }
        });
    }
}

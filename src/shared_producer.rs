//! The handle by which the tasks of an async runtime send events: one for all of them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::available_parallelism;

use bytes::Bytes;
use crossbeam_utils::CachePadded;

use crate::ack::{Ack, Durability};
use crate::error::{ReserveError, SendError, TrySendError};
use crate::options::SEGMENT_BYTES_MAX;
use crate::producer::Producer;
use crate::queue::{KeptRoom, Queue, Refusal, TaskPlace};

/// The maximum number of producers that are kept: more threads than that are hardly ever in the
/// middle of a send at the same time.
const PRODUCERS_MAX: usize = 64;

/// Sends events from any number of tasks and threads.
///
/// It is `Clone + Send + Sync`, so it can be part of a web server's state without a lock, and a
/// clone costs one reference count. Created by
/// [`Appender::shared_producer`](crate::Appender::shared_producer).
///
/// Nothing here blocks a thread. The futures need no particular runtime: when the queue is full,
/// their wakers are called as soon as half of it is free again. Each send costs some tens of
/// nanoseconds more than one by a [`Producer`]; a thread that sends all the time should get its own
/// ([`producer`](Self::producer)). The handle keeps up to one producer per processor, and each owns
/// a chunk of 4 to 64 KiB of the inbox from its first send on.
///
/// ```no_run
/// use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
/// use cdrlog::{Durability, SharedProducer};
///
/// async fn webhook(State(cdr): State<SharedProducer>, body: Bytes) -> StatusCode {
///     // The sender gets its 200 when the line survives `kill -9`; otherwise it retries.
///     let Ok(ack) = cdr.send_acked_async(body, Durability::Journaled).await else {
///         return StatusCode::SERVICE_UNAVAILABLE;
///     };
///     match ack.await {
///         Ok(_position) => StatusCode::OK,
///         Err(cdrlog::AckError::Rejected(_)) => StatusCode::BAD_REQUEST,
///         Err(_) => StatusCode::SERVICE_UNAVAILABLE,
///     }
/// }
///
/// let appender = cdrlog::Appender::builder("/opt/openvidu/cdr").open()?;
/// let router: Router = Router::new()
///     .route("/webhook", post(webhook))
///     .with_state(appender.shared_producer());
/// # Ok::<(), cdrlog::OpenError>(())
/// ```
///
/// # Order
///
/// If a send completes (its future is ready, or the call returns) before another one starts, its
/// event comes first in the file, whatever handles and producers they use. Tasks that wait for room
/// at the same time get in in any order.
///
/// # Cancellation
///
/// A future that is dropped before it is ready has sent nothing: its event is dropped with it. A
/// future that is ready has sent the whole event. If an event must not be lost with a future (in a
/// `select!`, or with a timeout), keep a clone of the `Bytes`, or [`reserve`](Self::reserve) first.
///
/// # What completion means, and what happens after a close
///
/// The same as for [`Producer`]: a sent event is *accepted*, and after a close every call gives its
/// event back.
#[derive(Clone)]
pub struct SharedProducer(Arc<Shared>);

struct Shared {
    queue: Queue,
    /// Producers that are not in use. Each thread starts its search at a place of its own, so that
    /// it finds the chunk in its cache and the lock free.
    idle: Box<[CachePadded<Mutex<Option<Producer>>>]>,
}

impl SharedProducer {
    pub(crate) fn new(queue: Queue) -> Self {
        let producers = available_parallelism().map_or(1, usize::from).min(PRODUCERS_MAX);
        let idle = (0..producers).map(|_| CachePadded::default()).collect();
        Self(Arc::new(Shared { queue, idle }))
    }

    /// A producer for one thread, which blocks that thread to wait for room.
    #[must_use]
    pub fn producer(&self) -> Producer {
        Producer::new(self.0.queue.clone())
    }

    /// Sends an event as soon as there is room in the queue: see [`Producer::send`].
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] with the event.
    pub async fn send_async(&self, event: Bytes) -> Result<(), SendError> {
        self.when_there_is_room(event, |event| self.try_send(event)).await
    }

    /// Like [`send_async`](Self::send_async), and returns an [`Ack`], a future that completes when
    /// the event has reached `durability`: see [`Producer::send_acked`].
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] with the event.
    pub async fn send_acked_async(
        &self,
        event: Bytes,
        durability: Durability,
    ) -> Result<Ack, SendError> {
        self.when_there_is_room(event, |event| self.try_send_acked(event, durability)).await
    }

    /// Sends an event; never waits.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with the event.
    pub fn try_send(&self, event: Bytes) -> Result<(), TrySendError> {
        self.0.with_producer(|producer| producer.try_send(event))
    }

    /// Sends an event, copying it once, into the inbox; never waits.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with a copy of the event.
    pub fn try_send_slice(&self, event: &[u8]) -> Result<(), TrySendError> {
        self.0.with_producer(|producer| producer.try_send_slice(event))
    }

    /// Sends an event, never waiting for room, and returns an [`Ack`]: see
    /// [`Producer::send_acked`].
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with the event.
    pub fn try_send_acked(
        &self,
        event: Bytes,
        durability: Durability,
    ) -> Result<Ack, TrySendError> {
        self.0.with_producer(|producer| producer.try_send_acked(event, durability))
    }

    /// Reserves room in the queue for one event of up to `event_bytes` bytes, as soon as there is
    /// some. With a reservation, sending does not wait, so the event can be taken from its source
    /// once it is certain to be accepted.
    ///
    /// Nobody else can use reserved room, so hold it only briefly. A task that holds a reservation
    /// and waits for another one may deadlock. Reservations count against `queue_bytes_max`. They
    /// do not take a place of `queue_events_max`: if all places are taken when their events arrive,
    /// the queue holds that many events more. A reservation for more than 1 GiB is one for 1 GiB, the
    /// longest event that can become a line: a longer one may come back.
    ///
    /// A future that is dropped before it is ready has reserved nothing.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let appender = cdrlog::Appender::builder(&directory).open()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # let (source, mut events) = tokio::sync::mpsc::channel(1);
    /// # runtime.block_on(async {
    /// # source.send(cdrlog::Bytes::from_static(b"{\"event\":\"e\"}")).await?;
    /// let shared = appender.shared_producer();
    /// let room = shared.reserve(64 << 10).await?;
    /// // Nothing is lost if this is cancelled: there is no await between receiving and sending.
    /// if let Some(event) = events.recv().await {
    ///     room.send(event)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # assert_eq!(appender.close()?.events_journaled, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReserveError::Closed`].
    pub async fn reserve(&self, event_bytes: usize) -> Result<Reservation, ReserveError> {
        // The queue counts bytes in 63 bits, for its whole life.
        let event_bytes = event_bytes.min(SEGMENT_BYTES_MAX);
        loop {
            match self.0.queue.keep_room(event_bytes) {
                Ok(room) => return Ok(Reservation { shared: self.0.clone(), room }),
                Err(Refusal::Closed) => return Err(ReserveError::Closed),
                Err(Refusal::Full) => self.room_for(event_bytes).await,
            }
        }
    }

    /// Wakes the rewriter thread, if it sleeps, to process the queue now.
    pub fn wake(&self) {
        self.0.queue.wake();
    }

    async fn when_there_is_room<T>(
        &self,
        mut event: Bytes,
        try_send: impl Fn(Bytes) -> Result<T, TrySendError>,
    ) -> Result<T, SendError> {
        loop {
            event = match try_send(event) {
                Ok(sent) => return Ok(sent),
                Err(TrySendError::Closed(event)) => return Err(SendError::Closed(event)),
                Err(TrySendError::Full(event)) => event,
            };
            self.room_for(event.len()).await;
        }
    }

    fn room_for(&self, event_bytes: usize) -> RoomFor<'_> {
        RoomFor { queue: &self.0.queue, event_bytes, place: None }
    }
}

impl fmt::Debug for SharedProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedProducer")
            .field("events_queued", &self.0.queue.events_queued())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Calls `send` with a producer that nobody else uses. No lock is held meanwhile: `send` may
    /// drop values of the embedder, whose destructors may send in turn.
    fn with_producer<T>(&self, send: impl FnOnce(&Producer) -> T) -> T {
        let (before, after) = self.idle.split_at(place_of_thread() % self.idle.len());
        let mut places = after.iter().chain(before);
        let found = places.find_map(|place| Some((Some(place), take(place)?)));
        // None was created yet, or all are in use.
        let (place, producer) =
            found.unwrap_or_else(|| (after.first(), Producer::new(self.queue.clone())));
        let sent = send(&producer);
        if let Some(place) = place {
            put_back(place, producer);
        }
        sent
    }
}

fn take(place: &Mutex<Option<Producer>>) -> Option<Producer> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Drops the producer if the place is taken.
fn put_back(place: &Mutex<Option<Producer>>, producer: Producer) {
    let one_too_many = {
        let mut idle = place.lock().unwrap_or_else(PoisonError::into_inner);
        match &*idle {
            Some(_) => Some(producer),
            None => idle.replace(producer),
        }
    };
    drop(one_too_many);
}

/// A number that two threads hardly ever share, made from the address of a thread-local.
fn place_of_thread() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    let address = HERE.with(|here| std::ptr::from_ref(here).addr()) as u64;
    // The upper half of a product with an odd number depends on all bits of the address.
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
}

/// Room in the queue for one event, reserved until the event is sent or this is dropped. Dropping
/// it wakes tasks and threads that wait for room.
///
/// Created by [`SharedProducer::reserve`]. A close of the appender does not wait for reservations;
/// after it, they give the event back.
#[must_use = "dropping a reservation gives the room back"]
pub struct Reservation {
    shared: Arc<Shared>,
    room: KeptRoom,
}

impl Reservation {
    /// The length of the longest event that there is room for, in bytes.
    #[must_use]
    pub fn event_bytes(&self) -> u64 {
        self.room.event_bytes()
    }

    /// Sends the event without waiting.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Closed`] with the event; [`TrySendError::Full`] only if it is longer than
    /// [`event_bytes`](Self::event_bytes) and there is no room for the rest.
    pub fn send(self, event: Bytes) -> Result<(), TrySendError> {
        let Self { shared, room } = self;
        shared.with_producer(|producer| producer.send_kept(event, room))
    }

    /// Like [`send`](Self::send), and returns an [`Ack`]: see [`Producer::send_acked`].
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_acked(self, event: Bytes, durability: Durability) -> Result<Ack, TrySendError> {
        let Self { shared, room } = self;
        shared.with_producer(|producer| producer.send_acked_kept(event, durability, room))
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("event_bytes", &self.event_bytes())
            .finish_non_exhaustive()
    }
}

/// Ready when an event of `event_bytes` would fit into the queue, or the queue is closed.
struct RoomFor<'a> {
    queue: &'a Queue,
    event_bytes: usize,
    place: TaskPlace,
}

impl Future for RoomFor<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { queue, event_bytes, place } = &mut *self;
        queue.poll_room(*event_bytes, place, context.waker())
    }
}

impl Drop for RoomFor<'_> {
    fn drop(&mut self) {
        self.queue.stop_waiting(&mut self.place);
    }
}

const _: fn() = || {
    fn is_shared<T: Clone + Send + Sync + 'static>() {}
    fn is_send<T: Send + Sync + 'static>() {}
    fn is_send_future<T: Future + Send>(_: fn(&'static SharedProducer) -> T) {}
    is_shared::<SharedProducer>();
    is_send::<Reservation>();
    is_send_future(|shared| shared.send_async(Bytes::new()));
    is_send_future(|shared| shared.send_acked_async(Bytes::new(), Durability::Synced));
    is_send_future(|shared| shared.reserve(0));
};

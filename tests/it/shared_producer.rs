//! One handle for all tasks of an async server: it waits without a thread, loses nothing when it is
//! cancelled, and keeps the order.
//!
//! Where a test needs a full queue, it stops the thread that empties it: inside the waker of an
//! acknowledgement, which that thread calls.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::support::{body, cdr, line, lines};
use cdrlog::{Appender, Builder, Bytes, Durability, ReserveError, SharedProducer};

fn event(number: u64) -> Bytes {
    Bytes::from(body(number))
}

fn builder(directory: &tempfile::TempDir) -> Builder {
    Appender::builder(directory)
}

/// Stops the rewriter thread, until this is dropped.
struct Stopped {
    _release: Sender<()>,
}

struct Stop {
    is_in: Sender<()>,
    release: Mutex<Receiver<()>>,
}

impl Wake for Stop {
    fn wake(self: Arc<Self>) {
        self.is_in.send(()).unwrap();
        // Ends when the other side is dropped.
        let _ = self.release.lock().unwrap().recv();
    }
}

impl Stopped {
    /// Sends event 0 until its sender has to wait for the acknowledgement; gives how many that were.
    fn new(appender: &Appender) -> (Self, u64) {
        let (is_in, entered) = channel();
        let (release, released) = channel();
        let waker = Waker::from(Arc::new(Stop { is_in, release: Mutex::new(released) }));
        let producer = appender.producer();
        for sent in 1.. {
            let mut ack = producer.send_acked(event(0), Durability::Journaled).unwrap();
            if Pin::new(&mut ack).poll(&mut Context::from_waker(&waker)).is_pending() {
                entered.recv().unwrap();
                return (Self { _release: release }, sent);
            }
        }
        unreachable!("it never has to wait")
    }
}

/// Counts how often a task was woken, and wakes the thread that waits for it.
struct Woken {
    count: AtomicUsize,
    tell: Mutex<Sender<()>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::SeqCst);
        // The test may have ended.
        let _ = self.tell.lock().unwrap().send(());
    }
}

/// A task that is polled by hand.
struct Task {
    woken: Arc<Woken>,
    waker: Waker,
    told: Receiver<()>,
}

impl Task {
    fn new() -> Self {
        let (tell, told) = channel();
        let woken = Arc::new(Woken { count: AtomicUsize::new(0), tell: Mutex::new(tell) });
        Self { waker: woken.clone().into(), woken, told }
    }

    fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker))
    }

    /// Polls again whenever it was woken.
    fn finish<F: Future>(&self, mut future: Pin<&mut F>) -> F::Output {
        loop {
            if let Poll::Ready(output) = self.poll(future.as_mut()) {
                return output;
            }
            self.told.recv().unwrap();
        }
    }

    fn count(&self) -> usize {
        self.woken.count.load(Ordering::SeqCst)
    }
}

/// Fills the queue with the events from `first` on; gives the number of the next one.
fn fill(shared: &SharedProducer, first: u64) -> u64 {
    (first..)
        .find(|&number| shared.try_send(event(number)).is_err_and(|error| error.is_full()))
        .unwrap()
}

#[test]
fn a_send_that_finds_the_queue_full_waits_without_a_thread_and_goes_on_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).queue_events_max(4).open().unwrap();
    let shared = appender.shared_producer();
    let (stopped, zeros) = Stopped::new(&appender);
    let next = fill(&shared, 1);
    // Far more than there are threads, all on this one.
    let task = Task::new();
    let mut waiting: Vec<_> =
        (next..next + 500).map(|number| Box::pin(shared.send_async(event(number)))).collect();
    for future in &mut waiting {
        assert!(task.poll(future.as_mut()).is_pending());
    }
    assert_eq!(task.count(), 0, "a task was woken though nothing has changed");
    drop(stopped);
    for mut future in waiting {
        // Each finds the others in the queue, and is woken again.
        task.finish(future.as_mut()).unwrap();
    }
    let stats = appender.close().unwrap();
    assert_eq!(stats.events_journaled, zeros + next - 1 + 500);
    assert!(stats.queue_full > 500);
}

/// Others fill the queue meanwhile, so that room was mostly reserved before all places were taken.
#[test]
fn what_was_sent_before_is_before_it_by_whatever_way_it_came() {
    const EVENTS: u64 = 1500;
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).queue_events_max(4).open().unwrap();
    let (shared, producer) = (appender.shared_producer(), appender.producer());
    let is_done = Arc::new(AtomicBool::new(false));
    let others = [(); 2].map(|()| {
        let (producer, is_done) = (appender.producer(), is_done.clone());
        std::thread::spawn(move || {
            while !is_done.load(Ordering::Relaxed) {
                producer.send(Bytes::from_static(b"{\"event\":\"other\"}")).unwrap();
            }
        })
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        for number in 0..EVENTS {
            let (shared, event) = (shared.clone(), event(number));
            match number % 5 {
                0 => shared.send_async(event).await.unwrap(),
                1 => tokio::spawn(async move { shared.send_async(event).await.unwrap() })
                    .await
                    .unwrap(),
                2 => shared.reserve(event.len()).await.unwrap().send(event).unwrap(),
                3 => {
                    let room = shared.reserve(event.len()).await.unwrap();
                    tokio::spawn(async move { room.send(event).unwrap() }).await.unwrap();
                }
                _ => producer.send(event).unwrap(),
            }
        }
    });
    is_done.store(true, Ordering::Relaxed);
    for other in others {
        other.join().unwrap();
    }
    appender.close().unwrap();
    let written = cdr(directory.path());
    let ours: String =
        written.split_inclusive('\n').filter(|line| !line.starts_with("{\"other")).collect();
    assert!(ours == lines(EVENTS), "the order was changed");
}

#[test]
fn an_event_with_a_reservation_gets_in_though_others_took_all_places_and_keeps_its_turn() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).queue_events_max(4).open().unwrap();
    let shared = appender.shared_producer();
    let (stopped, zeros) = Stopped::new(&appender);
    let task = Task::new();
    let rooms: Vec<_> = (0..3).map(|_| task.finish(pin!(shared.reserve(1000))).unwrap()).collect();
    let first_late = fill(&shared, 1);
    for (room, number) in rooms.into_iter().zip(first_late..) {
        room.send(event(number)).unwrap();
    }
    assert_eq!(appender.stats().events_queued, 4 + 3);
    assert!(shared.try_send(event(99)).unwrap_err().is_full(), "it would pass those before it");
    let after = shared.send_async(event(first_late + 3));
    let mut after = pin!(after);
    assert!(task.poll(after.as_mut()).is_pending());
    drop(stopped);
    task.finish(after).unwrap();
    appender.close().unwrap();
    let expected =
        line(0).repeat(zeros as usize) + lines(first_late + 4).split_once('\n').unwrap().1;
    assert_eq!(cdr(directory.path()), expected);
}

#[test]
fn a_send_that_is_dropped_while_it_waits_has_sent_nothing_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).queue_events_max(4).open().unwrap();
    let shared = appender.shared_producer();
    let (stopped, zeros) = Stopped::new(&appender);
    let next = fill(&shared, 1);
    let (dropped, kept) = (Task::new(), Task::new());
    let cancelled = event(1000);
    {
        let mut future = pin!(shared.send_async(cancelled.clone()));
        assert!(dropped.poll(future.as_mut()).is_pending());
        assert!(dropped.poll(future.as_mut()).is_pending());
    }
    assert!(cancelled.is_unique(), "the event is kept");
    assert_eq!(Arc::strong_count(&dropped.woken), 2, "the waker is kept");
    // It came after the one that was dropped, and does not depend on it.
    let mut future = pin!(shared.send_async(event(next)));
    assert!(kept.poll(future.as_mut()).is_pending());
    drop(stopped);
    kept.finish(future).unwrap();
    assert_eq!(dropped.count(), 0);
    assert_eq!(appender.close().unwrap().events_journaled, zeros + next);
    assert!(!cdr(directory.path()).contains("1000,"));
}

#[test]
fn a_reservation_is_room_that_nobody_else_gets() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).queue_bytes_max(64 << 10).open().unwrap();
    let shared = appender.shared_producer();
    let task = Task::new();
    let room = task.finish(pin!(shared.reserve(60_000))).unwrap();
    assert_eq!(room.event_bytes(), 60_000);
    let large =
        |bytes: usize| Bytes::from(format!(r#"{{"event":"e","a":"{}"}}"#, "x".repeat(bytes)));
    assert!(shared.try_send(large(6000)).unwrap_err().is_full());
    assert!(appender.producer().try_send(large(6000)).unwrap_err().is_full());
    room.send(large(59_000)).unwrap();
    // A longer one comes back where there is no room for the rest, and its reservation is given up.
    let other = task.finish(pin!(shared.reserve(10_000))).unwrap();
    let room = task.finish(pin!(shared.reserve(50_000))).unwrap();
    let refused = room.send(large(60_000)).unwrap_err();
    assert!(refused.is_full());
    assert_eq!(refused.into_event(), large(60_000));
    drop(other);
    task.finish(pin!(shared.send_async(large(6000)))).unwrap();
    let stats = appender.close().unwrap();
    assert_eq!((stats.events_journaled, stats.bytes_queued), (2, 0));
}

/// Without this, one such reservation closes the queue for ever: it counts bytes in 63 bits.
#[test]
fn a_reservation_for_more_than_can_exist_takes_the_whole_queue_and_gives_it_back() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).open().unwrap();
    let shared = appender.shared_producer();
    let task = Task::new();
    for bytes in [usize::MAX, 1 << 63, isize::MAX as usize] {
        let room = task.finish(pin!(shared.reserve(bytes))).unwrap();
        assert_eq!(room.event_bytes(), 1 << 30);
        assert!(shared.try_send(event(0)).unwrap_err().is_full());
        room.send(event(0)).unwrap();
        appender.flush().unwrap();
    }
    task.finish(pin!(shared.send_async(event(1)))).unwrap();
    let stats = appender.close().unwrap();
    assert_eq!((stats.events_journaled, stats.bytes_queued), (4, 0));
}

#[test]
fn a_reservation_that_is_dropped_gives_its_room_to_those_who_wait() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).queue_bytes_max(64 << 10).open().unwrap();
    let shared = appender.shared_producer();
    let task = Task::new();
    let room = task.finish(pin!(shared.reserve(65_000))).unwrap();
    let mut reserving = pin!(shared.reserve(40_000));
    assert!(task.poll(reserving.as_mut()).is_pending());
    assert_eq!(task.count(), 0);
    drop(room);
    assert_eq!(task.count(), 1, "the one who waits was not woken");
    task.finish(reserving).unwrap().send(event(0)).unwrap();
    appender.close().unwrap();
    assert_eq!(cdr(directory.path()), line(0));
}

#[test]
fn a_close_ends_every_wait_with_the_event_and_does_not_wait_for_reservations() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).queue_events_max(4).open().unwrap();
    let shared = appender.shared_producer();
    let task = Task::new();
    let room = task.finish(pin!(shared.reserve(100))).unwrap();
    let (stopped, zeros) = Stopped::new(&appender);
    let next = fill(&shared, 1);
    let mut sending = pin!(shared.send_async(event(77)));
    let mut reserving = pin!(shared.reserve(1));
    assert!(task.poll(sending.as_mut()).is_pending());
    assert!(task.poll(reserving.as_mut()).is_pending());
    let closing = std::thread::spawn(move || appender.close());
    // While the queue is full.
    assert_eq!(task.finish(sending).unwrap_err().into_event(), event(77));
    assert_eq!(task.finish(reserving).unwrap_err(), ReserveError::Closed);
    drop(stopped);
    assert_eq!(closing.join().unwrap().unwrap().events_journaled, zeros + next - 1);
    assert_eq!(room.send(event(78)).unwrap_err().into_event(), event(78));
    assert_eq!(shared.try_send(event(79)).unwrap_err().into_event(), event(79));
}

#[test]
fn tasks_and_threads_that_share_the_handle_lose_and_double_nothing() {
    const TASKS: u64 = 50;
    const EVENTS: u64 = 60;
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).queue_events_max(8).open().unwrap();
    let shared = appender.shared_producer();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let shared = shared.clone();
            runtime.spawn(async move {
                for number in task * EVENTS..(task + 1) * EVENTS {
                    match number % 3 {
                        0 => shared.send_async(event(number)).await.unwrap(),
                        1 => shared.reserve(400).await.unwrap().send(event(number)).unwrap(),
                        _ => {
                            let level = Durability::Journaled;
                            let ack = shared.send_acked_async(event(number), level).await;
                            ack.unwrap().await.unwrap();
                        }
                    }
                }
            })
        })
        .collect();
    let producer = shared.producer();
    for number in TASKS * EVENTS..(TASKS + 1) * EVENTS {
        producer.send(event(number)).unwrap();
    }
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    appender.close().unwrap();
    let written = cdr(directory.path());
    let mut found: Vec<&str> = written.split_inclusive('\n').collect();
    let expected = lines((TASKS + 1) * EVENTS);
    let mut expected: Vec<&str> = expected.split_inclusive('\n').collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert!(found == expected, "{} lines for {} events", found.len(), expected.len());
}

#[test]
fn a_waker_that_panics_ends_no_thread_of_ours_and_keeps_nobody_from_being_woken() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("injected");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).queue_events_max(4).open().unwrap();
    let shared = appender.shared_producer();
    let (stopped, _) = Stopped::new(&appender);
    let next = fill(&shared, 1);
    let waker = Waker::from(Arc::new(Panics));
    let task = Task::new();
    let mut first = pin!(shared.send_async(event(next)));
    let mut second = pin!(shared.send_async(event(next + 1)));
    assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(task.poll(second.as_mut()).is_pending());
    drop(stopped);
    task.finish(second).unwrap();
    task.finish(first).unwrap();
    appender.close().unwrap();
}

#[test]
fn the_owner_of_an_event_may_send_when_it_is_dropped() {
    struct Sends(SharedProducer, String);
    impl AsRef<[u8]> for Sends {
        fn as_ref(&self) -> &[u8] {
            self.1.as_bytes()
        }
    }
    impl Drop for Sends {
        fn drop(&mut self) {
            self.0.try_send(event(7)).unwrap();
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(&directory).open().unwrap();
    let shared = appender.shared_producer();
    for number in 0..100 {
        shared.try_send(Bytes::from_owner(Sends(shared.clone(), body(number)))).unwrap();
    }
    // The first barrier is after the events, the second one after what their owners sent.
    appender.flush().unwrap();
    appender.flush().unwrap();
    assert_eq!(appender.close().unwrap().events_journaled, 200);
}

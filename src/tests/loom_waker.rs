//! A thread that sleeps because there is nothing to do is woken by the next event, in every order
//! that the memory model allows. If it naps, it is woken by a sender that cannot wait, and by a
//! close.
//!
//! A sender does not wake it while events gather: that would be a system call for each event. If
//! the thread did not check for work after it announces its sleep, or the sender did not check for
//! a sleeper after its event is in, an event that arrives in between would stay in the queue until
//! the next one: for up to an hour.
//!
//! Waker (`waker.rs`), gate (`queue/gate.rs`) and ring (`journal/ring.rs`) are the real ones. The
//! channel after the gate is a counter, as in `loom_gate.rs`. No time passes: if a wake-up is
//! missed, loom finds that all threads sleep, and fails.
//!
//! Loom has a total order of SeqCst fences, but not of other SeqCst operations. Where the waker
//! needs one, it has a fence in the models.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::journal::{RingReader, Segment, ring};
use crate::queue::Gate;
use crate::waker::{Sleep, Waker};

const COST: u64 = 1;

/// Room for all events of a model, so that they never fill half of it.
const LOAD_MAX: u64 = 64;

/// No time passes.
const LONG: Duration = Duration::MAX;

struct Queue {
    gate: Gate,
    /// The number of events in the channel.
    events: AtomicU64,
    waker: Waker,
}

impl Queue {
    fn new() -> Arc<Self> {
        let (gate, events) = (Gate::new(LOAD_MAX), AtomicU64::new(0));
        Arc::new(Self { gate, events, waker: Waker::default() })
    }

    /// Like `Queue::push_or_refuse`.
    fn push(&self) -> bool {
        if self.gate.enter(COST).is_err() {
            return false;
        }
        self.events.fetch_add(1, Ordering::SeqCst);
        self.waker.wake_if_idle();
        true
    }

    /// Like `RewriterThread::take_batch`.
    fn take(&self) -> u64 {
        let taken = self.events.swap(0, Ordering::SeqCst);
        if taken > 0 {
            self.gate.leave(taken * COST);
        }
        taken
    }

    /// Like `RewriterThread::run`: sleeps as `depth` says, until the queue is closed and empty, or
    /// `events_max` were taken.
    fn take_until_finished(&self, depth: Sleep, events_max: u64) -> u64 {
        self.waker.attach();
        let mut taken = 0;
        while taken < events_max {
            let now = self.take();
            taken += now;
            if now > 0 {
                continue;
            }
            if self.gate.is_closed() && self.gate.load_of_events() == 0 {
                break;
            }
            let closed = self.gate.is_closed();
            if closed {
                // A sender is between the gate and the channel: the thread sleeps for a moment only.
                thread::yield_now();
                continue;
            }
            self.waker.sleep(depth, LONG, || {
                let has_work = depth == Sleep::Idle && self.gate.load_of_events() > 0;
                has_work || self.gate.is_closed() != closed
            });
            // It may have seen a sender that is between the gate and the channel, and checks again.
            thread::yield_now();
        }
        taken
    }
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = runs.clone();
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    println!("{runs:?} orders");
}

fn rewriter(queue: &Arc<Queue>, depth: Sleep, events_max: u64) -> thread::JoinHandle<u64> {
    let queue = queue.clone();
    thread::spawn(move || queue.take_until_finished(depth, events_max))
}

#[test]
fn loom_an_event_wakes_a_thread_that_has_no_work() {
    check(|| {
        let queue = Queue::new();
        let rewriter = rewriter(&queue, Sleep::Idle, 1);
        assert!(queue.push());
        assert_eq!(rewriter.join().unwrap(), 1);
    });
}

#[test]
fn loom_two_events_of_two_senders_are_both_taken_from_one_that_sleeps_again() {
    check(|| {
        let queue = Queue::new();
        let rewriter = rewriter(&queue, Sleep::Idle, 2);
        let sender = {
            let queue = queue.clone();
            thread::spawn(move || assert!(queue.push()))
        };
        assert!(queue.push());
        sender.join().unwrap();
        assert_eq!(rewriter.join().unwrap(), 2);
    });
}

/// An event that wants an acknowledgement, and the barrier of a flush: the sender wakes the thread
/// after its push.
#[test]
fn loom_one_who_waits_for_an_answer_ends_a_nap_that_has_begun_or_is_to_begin() {
    check(|| {
        let queue = Queue::new();
        let rewriter = rewriter(&queue, Sleep::Nap, 1);
        assert!(queue.push());
        queue.waker.wake();
        assert_eq!(rewriter.join().unwrap(), 1);
    });
}

#[test]
fn loom_two_who_wait_for_an_answer_are_both_seen_though_one_sleep_ends_for_both() {
    check(|| {
        let queue = Queue::new();
        let rewriter = rewriter(&queue, Sleep::Nap, 2);
        let send = |queue: &Queue| {
            assert!(queue.push());
            queue.waker.wake();
        };
        let sender = {
            let queue = queue.clone();
            thread::spawn(move || send(&queue))
        };
        send(&queue);
        sender.join().unwrap();
        assert_eq!(rewriter.join().unwrap(), 2);
    });
}

/// Like `Appender::end`: the gate is closed, then the threads are woken.
fn close_beside_a_send(depth: Sleep) {
    check(move || {
        let queue = Queue::new();
        let rewriter = rewriter(&queue, depth, u64::MAX);
        let sender = {
            let queue = queue.clone();
            thread::spawn(move || queue.push())
        };
        queue.gate.close();
        queue.waker.wake();
        let sent = u64::from(sender.join().unwrap());
        assert_eq!(rewriter.join().unwrap(), sent, "an event was let in and not taken");
    });
}

#[test]
fn loom_a_close_wakes_one_that_has_no_work_and_no_event_that_was_let_in_is_left() {
    close_beside_a_send(Sleep::Idle);
}

#[test]
fn loom_a_close_wakes_one_that_naps_and_no_event_that_was_let_in_is_left() {
    close_beside_a_send(Sleep::Nap);
}

/// Like `Flusher::rest`: sleeps deeply while nothing is pending, and then writes what there is.
fn flush(waker: &Waker, mut end: RingReader) {
    waker.attach();
    loop {
        let pending = end.pending().len();
        if pending > 0 {
            end.consume(pending);
            return;
        }
        waker.sleep(Sleep::Idle, LONG, || !end.pending().is_empty());
    }
}

/// The rewriter wakes the flusher only if it finds it idle (`RewriterThread::end_batch`): otherwise
/// the flusher checks once more before it is.
#[test]
fn loom_a_line_that_is_published_while_the_flusher_goes_to_sleep_is_seen() {
    check(|| {
        let segments = (0..2).map(|_| Segment::plain(2)).collect();
        let (mut write_end, read_end) = ring(segments, 2, 0, 0);
        let waker = Arc::new(Waker::default());
        let flusher = {
            let waker = waker.clone();
            thread::spawn(move || flush(&waker, read_end))
        };
        write_end.spare()[0] = 1;
        write_end.advance(1);
        write_end.publish();
        if waker.is_idle() {
            waker.wake();
        }
        flusher.join().unwrap();
    });
}

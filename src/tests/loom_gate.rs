//! No sender waits at the gate of the queue beside room that it could have, in every order that the
//! memory model allows.
//!
//! A sender that is refused is in the load for a moment. A waiter that looks in that moment sleeps;
//! the receiver that makes room in it wakes nobody. Without the look for waiters after a refusal, a
//! `send` slept for ever beside an empty queue, once in some ten thousand full ones.
//!
//! The gate is the real one (`queue/gate.rs`); the channel behind it is a count of what is in.
//! Where a sender is left asleep, loom finds that all threads wait and fails.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::queue::{Gate, Refusal};

/// The gate lets two of these in at one time.
const COST: u64 = 1;
const LOAD_MAX: u64 = 2;

struct Queue {
    gate: Gate,
    /// Events that are in the channel.
    events: AtomicU64,
    events_max: u64,
}

impl Queue {
    fn new(events_max: u64) -> Arc<Self> {
        Arc::new(Self { gate: Gate::new(LOAD_MAX), events: AtomicU64::new(0), events_max })
    }

    /// As `Queue::push_or_refuse`.
    fn try_push(&self, cost: u64) -> Result<u64, Refusal> {
        let ticket = self.gate.enter(cost)?.ticket;
        if self.events.fetch_add(1, Ordering::SeqCst) >= self.events_max {
            self.events.fetch_sub(1, Ordering::SeqCst);
            self.gate.refuse(cost);
            return Err(Refusal::Full);
        }
        Ok(ticket)
    }

    /// As `Queue::push`.
    fn push(&self, cost: u64) -> Result<u64, Refusal> {
        loop {
            match self.try_push(cost) {
                Err(Refusal::Full) => {}
                done => return done,
            }
            let has_place = || self.events.load(Ordering::SeqCst) < self.events_max;
            self.gate.wait(|| self.gate.has_room(cost) && has_place());
        }
    }

    /// As `QueueEnd::take` and `make_room`.
    fn take(&self, cost: u64) {
        let before = self.events.fetch_sub(1, Ordering::SeqCst);
        assert!(before > 0, "there was nothing to take");
        self.gate.leave(cost);
        if self.gate.is_half_free() && self.events.load(Ordering::SeqCst) <= self.events_max / 2 {
            self.gate.wake_waiting();
        }
    }
}

/// With three preemptions in a run it holds as well, and takes minutes.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// One event is in, of which the receiver makes room. One sender waits for all of the room, another
/// tries once.
fn a_waiter_and_one_that_is_refused(events_max: u64) {
    check(move || {
        let queue = Queue::new(events_max);
        queue.try_push(LOAD_MAX).unwrap();
        let waiter = thread::spawn({
            let queue = queue.clone();
            move || queue.push(LOAD_MAX).unwrap()
        });
        let refused = thread::spawn({
            let queue = queue.clone();
            move || queue.try_push(LOAD_MAX).is_ok()
        });
        queue.take(LOAD_MAX);
        if refused.join().unwrap() {
            queue.take(LOAD_MAX);
        }
        waiter.join().unwrap();
        queue.take(LOAD_MAX);
        assert_eq!(queue.gate.load(), 0, "a cost was counted twice or not at all");
    });
}

#[test]
fn loom_a_sender_that_is_refused_wakes_the_waiter() {
    a_waiter_and_one_that_is_refused(8);
}

#[test]
fn loom_a_sender_that_finds_no_place_behind_the_gate_wakes_the_waiter() {
    check(|| {
        let queue = Queue::new(1);
        queue.try_push(COST).unwrap();
        let waiter = thread::spawn({
            let queue = queue.clone();
            move || queue.push(LOAD_MAX).unwrap()
        });
        let refused = thread::spawn({
            let queue = queue.clone();
            move || queue.try_push(COST).is_ok()
        });
        queue.take(COST);
        if refused.join().unwrap() {
            queue.take(COST);
        }
        waiter.join().unwrap();
        queue.take(LOAD_MAX);
        assert_eq!(queue.gate.load(), 0, "a cost was counted twice or not at all");
    });
}

#[test]
fn loom_a_close_ends_the_wait_and_lets_nobody_in() {
    check(|| {
        let queue = Queue::new(8);
        queue.try_push(LOAD_MAX).unwrap();
        let waiter = thread::spawn({
            let queue = queue.clone();
            move || queue.push(COST).is_ok()
        });
        let closer = thread::spawn({
            let queue = queue.clone();
            move || queue.gate.close()
        });
        closer.join().unwrap();
        assert!(!waiter.join().unwrap(), "an event was let in after the close, beside a full one");
        assert_eq!(queue.try_push(COST), Err(Refusal::Closed));
        assert_eq!(queue.gate.load(), LOAD_MAX, "a closed gate never gets empty");
    });
}

#[test]
fn loom_never_more_is_let_in_than_there_is_room_for_and_no_ticket_twice() {
    check(|| {
        let queue = Queue::new(8);
        let senders = [(); 2].map(|()| {
            let queue = queue.clone();
            thread::spawn(move || queue.try_push(COST + 1).ok())
        });
        let mut tickets: Vec<u64> =
            senders.into_iter().filter_map(|sender| sender.join().unwrap()).collect();
        let events = queue.events.load(Ordering::SeqCst);
        assert_eq!(events, tickets.len() as u64);
        assert!(events * (COST + 1) <= LOAD_MAX, "more is in than there is room for");
        if tickets.is_empty() {
            // Each of the two saw the other one, which was refused.
            tickets.push(queue.try_push(COST + 1).unwrap());
        }
        for _ in 0..queue.events.load(Ordering::SeqCst) {
            queue.take(COST + 1);
        }
        assert!(queue.try_push(COST).unwrap() > tickets[0], "a later sender has a smaller ticket");
    });
}

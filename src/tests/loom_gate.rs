//! No sender waits at the gate of the queue beside room that it could have, in every order that the
//! memory model allows.
//!
//! A sender that is refused is in the load for a moment. A waiter that looks in that moment sleeps;
//! the receiver that makes room in it wakes nobody. Without the look for waiters after a refusal, a
//! `send` slept for ever beside an empty queue, once in some ten thousand full ones.
//!
//! The gate is the real one (`queue/gate.rs`); the channel behind it is a count of what is in.
//! Where a sender is left asleep, loom finds that all threads wait and fails. A task that waits is a
//! thread that sleeps until its waker is called.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`

use std::task::{Poll, Wake, Waker};

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
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
            let is_half_taken = || self.events.load(Ordering::SeqCst) > self.events_max / 2;
            self.gate.refuse_unless_seen(cost, is_half_taken);
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
            self.gate.wait(|| self.has_room(cost));
        }
    }

    fn has_room(&self, cost: u64) -> bool {
        self.gate.has_room(cost) && self.events.load(Ordering::SeqCst) < self.events_max
    }

    /// As `SharedProducer::send_async`, with the runtime of one task.
    fn push_as_task(&self, cost: u64) -> Result<u64, Refusal> {
        let task = std::sync::Arc::new(Task::default());
        let waker = Waker::from(task.clone());
        loop {
            match self.try_push(cost) {
                Err(Refusal::Full) => {}
                done => return done,
            }
            let mut place = None;
            while self.gate.poll_wait(&mut place, &waker, || self.has_room(cost)) == Poll::Pending {
                task.sleep();
            }
            self.gate.stop_waiting(&mut place);
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

    fn expect_empty(&self) {
        assert_eq!(self.gate.load(), 0, "a cost was counted twice or not at all");
    }
}

/// Whether a task was woken since it slept last.
#[derive(Default)]
struct Task {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Task {
    fn sleep(&self) {
        let mut is_woken = self.is_woken.lock().unwrap();
        while !*is_woken {
            is_woken = self.woken.wait(is_woken).unwrap();
        }
        *is_woken = false;
    }
}

impl Wake for Task {
    fn wake(self: std::sync::Arc<Self>) {
        *self.is_woken.lock().unwrap() = true;
        self.woken.notify_all();
    }
}

/// With three preemptions in a run it holds as well, and takes minutes.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// A thread that does this with the queue.
fn spawn<T: 'static>(
    queue: &Arc<Queue>,
    act: impl FnOnce(&Queue) -> T + 'static,
) -> thread::JoinHandle<T> {
    let queue = queue.clone();
    thread::spawn(move || act(&queue))
}

/// How a sender waits for room.
type Wait = fn(&Queue, u64) -> Result<u64, Refusal>;

/// One event of `cost` is in, of which the receiver makes room. One sender waits for all of the room,
/// another tries once with an event of `cost`.
fn a_waiter_and_one_that_is_refused(events_max: u64, cost: u64, wait: Wait) {
    check(move || {
        let queue = Queue::new(events_max);
        queue.try_push(cost).unwrap();
        let waiter = spawn(&queue, move |queue| wait(queue, LOAD_MAX).unwrap());
        let refused = spawn(&queue, move |queue| queue.try_push(cost).is_ok());
        queue.take(cost);
        if refused.join().unwrap() {
            queue.take(cost);
        }
        waiter.join().unwrap();
        queue.take(LOAD_MAX);
        queue.expect_empty();
    });
}

#[test]
fn loom_a_sender_that_is_refused_wakes_the_waiter() {
    a_waiter_and_one_that_is_refused(8, LOAD_MAX, Queue::push);
}

#[test]
fn loom_a_sender_that_finds_no_place_behind_the_gate_wakes_the_waiter() {
    a_waiter_and_one_that_is_refused(1, COST, Queue::push);
}

#[test]
fn loom_a_sender_that_is_refused_wakes_the_task_that_waits() {
    a_waiter_and_one_that_is_refused(8, LOAD_MAX, Queue::push_as_task);
}

#[test]
fn loom_a_close_ends_the_wait_and_lets_nobody_in() {
    check(|| {
        let queue = Queue::new(8);
        queue.try_push(LOAD_MAX).unwrap();
        let waiter = spawn(&queue, |queue| queue.push(COST).is_ok());
        let closer = spawn(&queue, |queue| queue.gate.close());
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
        let senders = [(); 2].map(|()| spawn(&queue, |queue| queue.try_push(COST + 1).ok()));
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

#[test]
fn loom_a_task_and_a_thread_that_wait_are_both_woken_by_the_receiver() {
    check(|| {
        let queue = Queue::new(8);
        queue.try_push(LOAD_MAX).unwrap();
        let task = spawn(&queue, |queue| queue.push_as_task(COST).unwrap());
        let waiter = spawn(&queue, |queue| queue.push(COST).unwrap());
        queue.take(LOAD_MAX);
        waiter.join().unwrap();
        task.join().unwrap();
        for _ in 0..2 {
            queue.take(COST);
        }
        queue.expect_empty();
    });
}

#[test]
fn loom_room_that_was_kept_and_is_given_up_wakes_the_task_that_waits() {
    check(|| {
        let queue = Queue::new(8);
        queue.gate.keep(LOAD_MAX).unwrap();
        let waiter = spawn(&queue, |queue| queue.push_as_task(LOAD_MAX).unwrap());
        queue.gate.give_up(LOAD_MAX, || false);
        waiter.join().unwrap();
        queue.take(LOAD_MAX);
        queue.expect_empty();
    });
}

#[test]
fn loom_a_close_ends_the_wait_of_a_task_and_does_not_wait_for_room_that_is_kept() {
    check(|| {
        let queue = Queue::new(8);
        queue.gate.keep(LOAD_MAX).unwrap();
        let waiter = spawn(&queue, |queue| queue.push_as_task(COST));
        let holder = spawn(&queue, |queue| {
            let entered = queue.gate.enter_kept(LOAD_MAX, LOAD_MAX);
            queue.gate.give_up(LOAD_MAX, || false);
            entered.is_ok()
        });
        queue.gate.close();
        let seen = queue.gate.load_of_events();
        let events = waiter.join().unwrap().is_ok() as u64 * COST;
        let late = holder.join().unwrap() as u64 * LOAD_MAX;
        assert!(seen >= events + late, "an event got in after the closed gate seemed empty");
        assert_eq!(queue.gate.load_of_events(), events + late);
    });
}

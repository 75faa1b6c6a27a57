//! Whenever a process dies, its inbox and its journal together hold what was accepted, once and in
//! order: models of loom show it for every order of the threads that the memory model allows.
//!
//! A kill stops all threads between any two stores. So each thread of a model dies before a step of
//! its own, all pairs of steps are played, and the recovery's walk (`left.rs`) reads what is left.
//! If the completion were not the last store of a sender, or the mark came before the commit, an
//! event would be lost; without the note before the commit it would come twice.
//!
//! Arena, chunks, records, gate and walk are the real ones, on words that loom watches
//! (`memory_loom.rs`). The channel and the journal are lists.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`

#![expect(unsafe_code, reason = "loom watches it")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64 as Count, Ordering::Relaxed};

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::layout::{HEADER_BYTES, OFFSET_SLOT, UNIT_BYTES, Units};
use super::left::{LeftEvent, events_in};
use super::memory::{Killed, Memory, die_at, take_step};
use super::{Arena, ChunkPool, Place, RecordRef, Released};
use crate::queue::Gate;

const KEY: u64 = 0x1234_5678_9abc_def1;

/// Two records fill a unit.
const BODY_BYTES: usize = UNIT_BYTES / 2 - super::layout::RECORD_HEADER_BYTES;

/// More than the events of a model cost together.
const LOAD_MAX: u64 = 1 << 20;

/// What the threads of an appender share.
struct Shared {
    pool: std::sync::Arc<ChunkPool>,
    gate: Gate,
    channel: Mutex<Vec<RecordRef>>,
    /// The numbers of the events that are committed.
    journal: Mutex<Vec<u8>>,
}

impl Shared {
    fn new(units: usize) -> Arc<Self> {
        let units = Units::in_file(HEADER_BYTES + UNIT_BYTES + units * UNIT_BYTES);
        let memory = Memory::of_process(units.end());
        Arc::new(Self {
            pool: std::sync::Arc::new(ChunkPool::new(memory, units, KEY, true)),
            gate: Gate::new(LOAD_MAX),
            channel: Mutex::default(),
            journal: Mutex::default(),
        })
    }

    /// Like `Producer::push_stored`; `false` if there was no room for a record.
    fn send(&self, arena: &Arena, number: u8) -> bool {
        let Some(stored) = arena.store(&[number; BODY_BYTES]) else { return false };
        let ticket = self.gate.enter(BODY_BYTES as u64).unwrap().ticket;
        arena.set_ticket(&stored, ticket);
        take_step();
        self.channel.lock().unwrap().push(arena.record(&stored));
        arena.complete(&stored, ticket);
        true
    }

    /// Like `RewriterThread::take_batch`; returns how many events there were.
    fn take(&self) -> usize {
        let records = std::mem::take(&mut *self.channel.lock().unwrap());
        let taken = records.len();
        let mut released = Released::default();
        for record in records {
            let record = self.pool.open(record);
            let number = record[0];
            assert!(record.iter().all(|&byte| byte == number), "a record was overwritten");
            let start = self.journal.lock().unwrap().len() as u64;
            self.pool.note_place(record.ticket(), Place { is_reject: false, start }, 0);
            take_step();
            self.journal.lock().unwrap().push(number);
            record.consume(&mut released);
        }
        released.tell(&self.pool);
        taken
    }

    /// Reads the inbox like a recovery.
    fn walk(&self) -> Vec<LeftEvent> {
        // The last word is read first because it is stored last.
        let read = |bytes: &mut [u8], offset: u64| {
            for (index, word) in bytes.chunks_exact_mut(8).enumerate().rev() {
                let value = self.pool.memory.load(offset as usize + index * 8);
                word.copy_from_slice(&value.to_le_bytes());
            }
            Ok(())
        };
        events_in(self.pool.units, KEY, read).unwrap()
    }

    fn number_of(&self, event: &LeftEvent) -> u8 {
        // SAFETY: loom watches it.
        let body = unsafe { self.pool.memory.slice(event.offset as usize, event.body_bytes) };
        assert!(body.iter().all(|&byte| byte == body[0]), "a body is not whole");
        body[0]
    }

    /// Like `journal::accepted::add`: what is in the CDR after the recovery.
    fn recovered(&self) -> Vec<u8> {
        let mut numbers = self.journal.lock().unwrap().clone();
        let committed = numbers.len() as u64;
        let noted = Place::of_word(self.pool.memory.load(OFFSET_SLOT + 16));
        let noted_ticket = self.pool.memory.load(OFFSET_SLOT);
        for event in self.walk() {
            let is_noted = noted.is_some_and(|place| committed > place.start);
            if !(is_noted && event.ticket == noted_ticket) {
                numbers.push(self.number_of(&event));
            }
        }
        numbers
    }
}

/// Runs a life that may end at a step; returns whether it reached its end.
fn live(step: Option<u32>, life: impl FnOnce()) -> bool {
    die_at(step);
    let lived = catch_unwind(AssertUnwindSafe(life));
    die_at(None);
    match lived {
        Ok(()) => true,
        Err(payload) if payload.is::<Killed>() => false,
        // A failure that loom or an assertion found.
        Err(payload) => resume_unwind(payload),
    }
}

/// A sender; returns how many of its sends returned, and the arena, which a dead process never
/// leaves.
fn sender(
    shared: &Arc<Shared>,
    step: Option<u32>,
    numbers: std::ops::Range<u8>,
) -> thread::JoinHandle<(u8, Arena)> {
    let shared = shared.clone();
    thread::spawn(move || {
        let arena = Arena::new(shared.pool.clone());
        let mut returned = 0;
        live(step, || {
            for number in numbers {
                if !shared.send(&arena, number) {
                    // Otherwise it would be an event without a record.
                    break;
                }
                returned += 1;
            }
        });
        (returned, arena)
    })
}

/// The rewriter, until it has looked `looks` times in a row and found nothing.
fn rewriter(shared: &Arc<Shared>, step: Option<u32>, events: usize) -> thread::JoinHandle<bool> {
    let shared = shared.clone();
    thread::spawn(move || {
        live(step, || {
            let mut taken = 0;
            while taken < events {
                let now = shared.take();
                taken += now;
                if now == 0 {
                    // The sender may be dead.
                    thread::yield_now();
                    taken += 1;
                }
            }
        })
    })
}

/// The events of one sender from `first` on are there once and in order: all whose send returned,
/// and at most one more.
/// event more.
fn check_sender(recovered: &[u8], first: u8, returned: u8, what: &str) {
    let found: Vec<u8> =
        recovered.iter().copied().filter(|&number| number / 16 == first / 16).collect();
    let expected: Vec<u8> = (first..).take(found.len()).collect();
    assert_eq!(found, expected, "{what}: lost, doubled or out of order");
    let count = found.len() as u8;
    assert!(
        count == returned || count == returned + 1,
        "{what}: {returned} returned, {count} are there"
    );
}

fn check_orders(what: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) -> u64 {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    let runs = std::sync::Arc::new(Count::new(0));
    let count = runs.clone();
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        model();
    });
    let runs = runs.load(Relaxed);
    if !what.is_empty() {
        println!("{what}: {runs} orders");
    }
    runs
}

/// A reader that reads while a sender stores sees only whole events, the first ones without a gap,
/// and all those whose send returned before.
#[test]
fn loom_a_record_that_is_complete_is_whole_for_whoever_reads_it() {
    check_orders("two events and one that reads them", 3, || {
        let shared = Shared::new(2);
        let returned = Arc::new(AtomicU64::new(0));
        let sender = {
            let (shared, returned) = (shared.clone(), returned.clone());
            thread::spawn(move || {
                let arena = Arena::new(shared.pool.clone());
                for number in 0..2 {
                    assert!(shared.send(&arena, number));
                    returned.store(u64::from(number) + 1, Ordering::Release);
                }
                arena
            })
        };
        let returned = returned.load(Ordering::Acquire);
        let events = shared.walk();
        let numbers: Vec<u8> = events.iter().map(|event| shared.number_of(event)).collect();
        assert_eq!(numbers, (0..events.len() as u8).collect::<Vec<_>>());
        assert!(events.len() as u64 >= returned, "an event whose send returned is not there");
        drop(sender.join().unwrap());
    });
}

/// The number of steps of a sender with two events, and of a rewriter that takes them: a thread
/// that is to die one step later lives.
const SENDER_STEPS: u32 = 1 + 2 * 5;
const REWRITER_STEPS: u32 = 2 * 6;

#[test]
fn loom_a_sender_and_a_rewriter_that_die_at_any_two_steps_lose_and_double_nothing() {
    let mut orders = 0;
    for sender_dies_at in 0..=SENDER_STEPS {
        for rewriter_dies_at in 0..=REWRITER_STEPS {
            orders += check_orders("", 3, move || {
                let shared = Shared::new(2);
                let sender = sender(&shared, Some(sender_dies_at), 0..2);
                let rewriter = rewriter(&shared, Some(rewriter_dies_at), 2);
                let (returned, arena) = sender.join().unwrap();
                rewriter.join().unwrap();
                let what =
                    format!("sender dead at {sender_dies_at}, rewriter at {rewriter_dies_at}");
                check_sender(&shared.recovered(), 0, returned, &what);
                drop(arena);
            });
        }
    }
    println!("one sender and the rewriter, each dead at any step: {orders} orders");
}

/// The second sender starts after the first one's send returned: its event comes after the other in
/// the CDR.
#[test]
fn loom_what_was_sent_after_another_send_returned_comes_after_it_whoever_dies() {
    let mut orders = 0;
    for rewriter_dies_at in 0..=REWRITER_STEPS {
        orders += check_orders("", 3, move || {
            let shared = Shared::new(3);
            let rewriter = rewriter(&shared, Some(rewriter_dies_at), 2);
            let (first, one) = sender(&shared, None, 0..1).join().unwrap();
            let (second, other) = sender(&shared, None, 16..17).join().unwrap();
            rewriter.join().unwrap();
            assert_eq!((first, second), (1, 1));
            assert_eq!(shared.recovered(), [0, 16], "rewriter dead at {rewriter_dies_at}");
            drop((one, other));
        });
    }
    println!("two sends in turn, the rewriter dead at any step: {orders} orders");
}

/// One sender dies and leaves a hole in the tickets; that loses nothing that the other one sent.
#[test]
fn loom_a_hole_that_one_sender_leaves_costs_the_other_one_nothing() {
    let mut orders = 0;
    for sender_dies_at in 0..=6 {
        for rewriter_dies_at in [0, 3, 5, 6, REWRITER_STEPS] {
            orders += check_orders("", 1, move || {
                let shared = Shared::new(3);
                let dying = sender(&shared, Some(sender_dies_at), 0..1);
                let other = sender(&shared, None, 16..17);
                let rewriter = rewriter(&shared, Some(rewriter_dies_at), 2);
                let (returned, arena) = dying.join().unwrap();
                let (returned_of_other, other) = other.join().unwrap();
                rewriter.join().unwrap();
                assert_eq!(returned_of_other, 1);
                let what =
                    format!("sender dead at {sender_dies_at}, rewriter at {rewriter_dies_at}");
                let recovered = shared.recovered();
                check_sender(&recovered, 0, returned, &what);
                check_sender(&recovered, 16, 1, &what);
                drop((arena, other));
            });
        }
    }
    println!("two senders, of which one dies, and the rewriter: {orders} orders");
}

/// There is one chunk left, which two events fill: the third one gets it again, once both are
/// consumed.
#[test]
fn loom_a_chunk_that_is_used_again_when_all_die_holds_nothing_of_its_last_use() {
    let mut orders = 0;
    let reuses = std::sync::Arc::new(Count::new(0));
    for sender_dies_at in SENDER_STEPS - 1..=SENDER_STEPS + 6 {
        for rewriter_dies_at in [REWRITER_STEPS - 2, REWRITER_STEPS - 1, REWRITER_STEPS, 99] {
            let reuses = reuses.clone();
            orders += check_orders("", 3, move || {
                let shared = Shared::new(2);
                // Another sender has the other chunk.
                let _other = shared.pool.take(1).unwrap();
                let sender = sender(&shared, Some(sender_dies_at), 0..3);
                let rewriter = rewriter(&shared, Some(rewriter_dies_at), 3);
                let (returned, arena) = sender.join().unwrap();
                rewriter.join().unwrap();
                reuses.fetch_add(u64::from(returned == 3), Relaxed);
                let what =
                    format!("sender dead at {sender_dies_at}, rewriter at {rewriter_dies_at}");
                check_sender(&shared.recovered(), 0, returned, &what);
                drop(arena);
            });
        }
    }
    let reuses = reuses.load(Relaxed);
    assert!(reuses > 0, "the chunk was never used again: the model shows nothing");
    println!("one chunk, used again in {reuses} of {orders} orders");
}

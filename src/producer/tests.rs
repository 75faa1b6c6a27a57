//! Tests of the module above.

use super::*;
use crate::inbox::{ChunkPool, Released};
use crate::queue::{Content, queue};
use std::sync::Arc;

const _: fn() = || {
    fn is_send<T: Send + Clone>() {}
    is_send::<Producer>();
};

/// Smaller than what some tests send: the rest has no records.
fn pool() -> Arc<ChunkPool> {
    Arc::new(ChunkPool::unprotected(1 << 20))
}

#[test]
fn slices_of_every_length_come_out_as_they_went_in() {
    let (queue, mut end) = queue(2000, 1 << 30, pool(), Arc::default());
    let producer = Producer::new(queue);
    let long = if cfg!(miri) { [8194, 9000] } else { [65_536, 200_000] };
    let lengths = [0, 1, 275, 8192, 8193, long[0], long[1]];
    let bodies: Vec<Vec<u8>> = (0..if cfg!(miri) { 14 } else { 2000 })
        .map(|number| vec![number as u8; lengths[number % 7]])
        .collect();
    for body in &bodies {
        producer.send_slice(body).unwrap();
    }
    for body in &bodies {
        match end.take() {
            Some(Content::Record(record)) => {
                assert!(*end.pool().open(record) == **body, "an event was changed");
            }
            Some(Content::Other(other)) => match *other {
                Other::Event(event) => assert!(event == body),
                other => panic!("{other:?}"),
            },
            None => panic!("an event is missing"),
        }
    }
}

#[test]
fn a_refused_event_comes_back_whole() {
    let (queue, end) = queue(1, 1 << 20, pool(), Arc::default());
    let producer = Producer::new(queue);
    producer.try_send_slice(b"first").unwrap();
    let refused = producer.try_send(Bytes::from_static(b"second")).unwrap_err();
    assert!(refused.is_full());
    assert_eq!(refused.into_event(), "second");
    drop(end);
    assert_eq!(producer.clone().send_slice(b"third").unwrap_err().into_event(), "third");
}

/// What a body is made of: who sent it, as which one, and so many bytes of it.
fn body(sender: usize, number: usize) -> Vec<u8> {
    let lengths = [16, 300, 2000, 3900, 9000];
    let mut body = vec![sender as u8; lengths[(sender + number) % lengths.len()]];
    body[..8].copy_from_slice(&(number as u64).to_le_bytes());
    body
}

/// Four senders and a receiver share chunks that are used again all the time. Miri and
/// ThreadSanitizer look at each access.
#[test]
fn records_of_four_senders_are_read_in_place_while_their_chunks_are_used_again() {
    let events = if cfg!(miri) { 12 } else { 5000 };
    let pool = Arc::new(ChunkPool::unprotected(64 << 10));
    let (queue, mut end) = queue(32, 32 << 10, pool, Arc::default());
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let producer = Producer::new(queue.clone());
            std::thread::spawn(move || {
                (0..events).for_each(|number| producer.send_slice(&body(sender, number)).unwrap());
            })
        })
        .collect();
    let (mut next, mut records) = ([0; 4], 0);
    let mut released = Released::default();
    let mut check = |event: &[u8]| {
        let sender = usize::from(event[8]);
        assert!(event == body(sender, next[sender]), "an event was changed, lost or doubled");
        next[sender] += 1;
        next == [events; 4]
    };
    let pool = end.pool().clone();
    let mut is_done = false;
    while !is_done {
        match end.take() {
            Some(Content::Record(record)) => {
                let record = pool.open(record);
                is_done = check(&record);
                record.consume(&mut released);
                records += 1;
                if records % 4 != 0 {
                    continue;
                }
            }
            // There was no chunk for it.
            Some(Content::Other(other)) => match *other {
                Other::Event(event) => is_done = check(&event),
                other => panic!("{other:?}"),
            },
            None => std::thread::yield_now(),
        }
        released.tell(&pool);
        end.make_room();
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    assert!(records >= events, "hardly anything went through the chunks");
}

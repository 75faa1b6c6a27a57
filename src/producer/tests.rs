//! Tests of the module above.

use super::*;
use crate::inbox::ChunkPool;
use crate::queue::queue;
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
    let bodies: Vec<Vec<u8>> = (0..if cfg!(miri) { 28 } else { 2000 })
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

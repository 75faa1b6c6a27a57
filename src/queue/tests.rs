//! Tests of the module above.

use super::*;

use bytes::Bytes;

fn event(bytes: usize) -> Message {
    Message::other(Other::Event(Bytes::from(vec![b'x'; bytes])))
}

fn small_queue(events_max: usize, bytes_max: u64) -> (Queue, QueueEnd) {
    let pool = Arc::new(ChunkPool::unprotected(1 << 20));
    queue(events_max, bytes_max, pool, Arc::default())
}

#[test]
fn the_bound_on_events_holds() {
    let (queue, mut end) = small_queue(2, 1 << 20);
    assert!(queue.try_push(event(1), |_| ()).is_ok());
    assert!(queue.try_push(event(1), |_| ()).is_ok());
    let Err(Refused::Full(refused)) = queue.try_push(event(1), |_| ()) else { panic!("no room") };
    assert_eq!(refused.event_bytes(), 1);
    assert!(end.take().is_some());
    end.make_room();
    assert!(queue.try_push(event(1), |_| ()).is_ok());
    assert_eq!((queue.events_queued(), queue.bytes_queued()), (2, 2));
}

#[test]
fn the_bound_on_bytes_holds_and_empty_events_count_too() {
    let (queue, mut end) = small_queue(1000, 1000);
    assert!(queue.try_push(event(900), |_| ()).is_ok());
    assert!(matches!(queue.try_push(event(0), |_| ()), Err(Refused::Full(_))));
    assert!(end.take().is_some());
    assert!(matches!(queue.try_push(event(900), |_| ()), Err(Refused::Full(_))));
    end.make_room();
    assert!(queue.try_push(event(900), |_| ()).is_ok());
}

#[test]
fn an_event_larger_than_the_queue_passes_alone() {
    let (queue, mut end) = small_queue(10, 100);
    assert!(queue.try_push(event(5000), |_| ()).is_ok());
    assert!(matches!(queue.try_push(event(5000), |_| ()), Err(Refused::Full(_))));
    assert!(end.take().is_some());
    end.make_room();
    assert!(queue.try_push(event(5000), |_| ()).is_ok());
}

#[test]
fn after_the_close_what_is_in_comes_out_and_nothing_gets_in() {
    let (queue, mut end) = small_queue(10, 1000);
    assert!(queue.try_push(event(1), |_| ()).is_ok());
    queue.close();
    assert!(matches!(queue.try_push(event(1), |_| ()), Err(Refused::Closed(_))));
    assert!(queue.push(event(1), |_| ()).is_err());
    assert!(!end.is_finished());
    assert!(end.take().is_some());
    end.make_room();
    assert!(end.is_finished());
}

#[test]
fn a_sender_that_waits_goes_on_when_there_is_room_and_ends_when_the_receiver_is_gone() {
    let (queue, mut end) = small_queue(1, 1000);
    assert!(queue.push(event(1), |_| ()).is_ok());
    let waiter = std::thread::spawn(move || {
        (queue.push(event(2), |_| ()).is_ok(), queue.push(event(3), |_| ()).is_err())
    });
    while !end.has_load() || end.take().is_none() {
        std::thread::yield_now();
    }
    end.make_room();
    while !end.has_load() {
        std::thread::yield_now();
    }
    drop(end);
    assert_eq!(waiter.join().unwrap(), (true, true));
}

#[test]
fn no_event_is_lost_or_doubled_under_a_close_in_the_middle() {
    let (queue, mut end) = small_queue(64, 1 << 20);
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            std::thread::spawn(move || {
                (0..u64::MAX).take_while(|_| queue.push(event(3), |_| ()).is_ok()).count()
            })
        })
        .collect();
    let mut received = 0;
    while !end.is_finished() {
        match end.take() {
            Some(_) => received += 1,
            None => std::thread::yield_now(),
        }
        end.make_room();
        if received == if cfg!(miri) { 30 } else { 5000 } {
            queue.close();
        }
    }
    let sent: usize = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
    assert_eq!(sent, received);
}

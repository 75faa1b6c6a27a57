//! A panic in code of the embedder that runs on a thread of the appender ends nothing.
//!
//! A waker is called by the thread that knows the outcome, and an owner of a buffer
//! (`Bytes::from_owner`) is dropped by the thread that is done with the event. Without a net below
//! them a panic of one ended the rewriter, and with it the appender; a second one, while the first
//! unwound, ended the process.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use crate::support::{body, cdr, lines};
use cdrlog::{Appender, Bytes, Durability};

struct PanickingOwner(String);

impl AsRef<[u8]> for PanickingOwner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Drop for PanickingOwner {
    fn drop(&mut self) {
        panic!("injected by the owner of a buffer");
    }
}

struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("injected by a waker");
    }
}

fn owned(number: u64) -> Bytes {
    Bytes::from_owner(PanickingOwner(body(number)))
}

/// Sends with an acknowledgement, and leaves a waker behind that panics.
fn send_with_waker(appender: &Appender, event: Bytes, durability: Durability) {
    let waker = Waker::from(Arc::new(PanickingWaker));
    let ack = appender.producer().send_acked(event, durability).unwrap();
    let mut ack = pin!(ack);
    let _ = ack.as_mut().poll(&mut Context::from_waker(&waker));
}

#[test]
fn wakers_and_owners_of_buffers_that_panic_end_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    let levels = [Durability::Journaled, Durability::Written, Durability::Synced];
    for number in 0..60 {
        match number % 4 {
            0 => appender.producer().send(body(number).into()).unwrap(),
            1 => send_with_waker(&appender, body(number).into(), levels[number as usize % 3]),
            2 => send_contained(&appender, number),
            _ => send_with_waker(&appender, body(number).into(), levels[number as usize % 3]),
        }
    }
    appender.sync().unwrap();
    let stats = appender.close().unwrap();
    assert_eq!(stats.events_journaled, 60);
    assert!(cdr(directory.path()) == lines(60), "lines are missing or not what they should be");
}

/// The event's buffer may be dropped on the thread that sends, which is the embedder's own matter.
fn send_contained(appender: &Appender, number: u64) {
    let producer = appender.producer();
    let sent = std::thread::Builder::new()
        .name("sender".to_owned())
        .spawn(move || producer.send(owned(number)).is_ok())
        .unwrap();
    let _ = sent.join();
}

#[test]
fn events_that_nobody_takes_any_more_may_panic_when_they_are_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    for number in 0..30 {
        let producer = appender.producer();
        let send = move || {
            let ack = producer.send_acked(owned(number), Durability::Written);
            drop(ack);
        };
        let _ = std::thread::Builder::new().name("sender".into()).spawn(send).unwrap().join();
    }
    appender.close().unwrap();
    assert!(cdr(directory.path()) == lines(30), "lines are missing or not what they should be");
}

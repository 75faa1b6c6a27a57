//! The threads of a media server: some send what happens in their rooms, one prints counters, and
//! the shutdown leaves nothing behind.
//!
//!     cargo run --example media_node -- ./cdr

use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use cdrlog::{Appender, Bytes, Producer, TrySendError};

const ROOMS: u64 = 3;
const EVENTS: u64 = 10_000;

/// Returns how many events it had to drop.
fn run_room(room: u64, producer: &Producer) -> Result<u64, TrySendError> {
    let mut dropped = 0;
    for number in 0..EVENTS {
        let event = Bytes::from(format!(
            r#"{{"event":"participantJoined","sessionId":"room-{room}","number":{number}}}"#
        ));
        // `send` would wait while the queue is full, because the disk is stalled. Media cannot
        // wait: this thread retries for a while and counts what it drops.
        let mut refused = producer.try_send(event);
        for _ in 0..1000 {
            let Err(TrySendError::Full(event)) = refused else { break };
            thread::sleep(Duration::from_millis(1));
            refused = producer.try_send(event);
        }
        match refused {
            Err(TrySendError::Full(_)) => dropped += 1,
            // The appender gave up, or one of its threads ended: nothing is accepted any more.
            other => other?,
        }
    }
    Ok(dropped)
}

/// To be called by the metrics collection: `Stats` names each number. With the crate `metrics` the
/// body of the loop is `gauge!(name).set(..)` or `counter!(name).absolute(value)`; see
/// `Stats::iter` for `prometheus-client`.
fn print_counters(appender: &Appender) {
    for (name, value) in appender.stats().iter().filter(|&(_, value)| value > 0) {
        println!("cdr_{name} {value}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("give me a directory")?;
    let appender = Arc::new(Appender::builder(directory).open()?);

    let rooms: Vec<_> = (0..ROOMS)
        .map(|room| {
            // One producer per thread: it shares nothing with the others.
            let producer = appender.producer();
            thread::spawn(move || run_room(room, &producer))
        })
        .collect();
    let (stop, stopped) = channel::<()>();
    let counters = thread::spawn({
        let appender = appender.clone();
        move || {
            while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                print_counters(&appender);
            }
        }
    });

    let mut dropped = 0;
    for room in rooms {
        dropped += room.join().map_err(|_| "a room has panicked")??;
    }
    drop(stop);
    counters.join().map_err(|_| "the thread of the counters has panicked")?;
    // The last owner closes it: everything is written and synced, and its threads have ended.
    let appender = Arc::into_inner(appender).ok_or("somebody still has the appender")?;
    let stats = appender.close()?;
    println!("{} lines, {dropped} events dropped", stats.events_journaled);
    Ok(())
}

//! An acknowledgement says what is so, and comes by itself.
//!
//! Without it a sender could only wait for everything (`flush`, `sync`), and would not learn which
//! of its events was rejected and why.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::support::{body, cdr, line};
use cdrlog::{AckError, Appender, Bytes, Durability, FlushError, Reason, SyncPolicy};

fn event(number: u64) -> Bytes {
    Bytes::from(body(number))
}

#[test]
fn an_acknowledgement_names_the_place_of_the_line_at_every_level() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).sync_policy(SyncPolicy::Never).open().unwrap();
    let producer = appender.producer();
    for (number, durability) in [Durability::Journaled, Durability::Written, Durability::Synced]
        .into_iter()
        .cycle()
        .take(30)
        .enumerate()
    {
        let number = number as u64;
        producer.send(event(1000 + number)).unwrap();
        let position = producer.send_acked(event(number), durability).unwrap().wait().unwrap();
        if durability == Durability::Journaled {
            appender.flush().unwrap();
        }
        let mut found = vec![0; position.line_bytes as usize];
        fs::File::open(&position.file).unwrap().read_exact_at(&mut found, position.offset).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), line(number));
    }
    assert_eq!(appender.stats().syncs, 10);
    appender.close().unwrap();
}

#[test]
fn a_rejected_event_is_told_its_reason_and_place() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    let ack = appender.producer().send_acked(Bytes::from_static(b"{\"a\":01}"), Durability::Synced);
    match ack.unwrap().wait() {
        Err(AckError::Rejected(rejection)) => {
            assert_eq!((rejection.reason, rejection.offset), (Reason::InvalidNumber, 6));
        }
        other => panic!("{other:?}"),
    }
    appender.close().unwrap();
}

#[test]
fn many_who_wait_share_a_sync() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).sync_policy(SyncPolicy::Never).open().unwrap();
    let producer = appender.producer();
    let acks: Vec<_> = (0..1000)
        .map(|number| producer.send_acked(event(number), Durability::Synced).unwrap())
        .collect();
    for ack in acks {
        ack.wait().unwrap();
    }
    let stats = appender.close().unwrap();
    // About 20 on a quiet machine. One that gives the processor to the flusher after each event
    // makes more of them.
    assert!(stats.syncs <= 500, "{} syncs for 1000 acknowledgements", stats.syncs);
}

/// The flusher may have written, or synced, a line before it hears that somebody waits for it. Such
/// an acknowledgement once waited for the next write, which may never come.
#[test]
fn an_acknowledgement_comes_though_its_line_was_written_before_the_flusher_heard_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).sync_policy(SyncPolicy::Always).open().unwrap();
    let producer = appender.producer();
    for round in 0..300 {
        // Others keep the flusher busy, so that it looks at what is new at any moment.
        for number in 0..20 {
            producer.send(event(number)).unwrap();
        }
        let durability = if round % 2 == 0 { Durability::Written } else { Durability::Synced };
        let acks: Vec<_> =
            (0..3).map(|number| producer.send_acked(event(number), durability).unwrap()).collect();
        for ack in acks {
            let answer = ack.wait_timeout(Duration::from_secs(60));
            assert!(answer.expect("an answer").is_ok());
        }
    }
    appender.close().unwrap();
}

#[test]
fn acknowledgements_of_a_close_come_too_and_those_after_it_give_the_event_back() {
    let directory = tempfile::tempdir().unwrap();
    let appender =
        Appender::builder(&directory).flush_interval(Duration::from_secs(60)).open().unwrap();
    let producer = appender.producer();
    let acks: Vec<_> = (0..100)
        .map(|number| producer.send_acked(event(number), Durability::Written).unwrap())
        .collect();
    appender.close().unwrap();
    assert!(acks.into_iter().all(|ack| ack.wait().is_ok()));
    let refused = producer.send_acked(event(7), Durability::Written).unwrap_err();
    assert_eq!(refused.into_event(), event(7));
}

#[test]
fn who_waits_for_a_disk_that_fails_for_good_is_told_so() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory)
        .write_retry_timeout(Duration::from_millis(50))
        .open()
        .unwrap();
    // A directory in the place of the file: it can neither be written nor made anew.
    fs::remove_file(appender.cdr_path()).unwrap();
    fs::create_dir(appender.cdr_path()).unwrap();
    let producer = appender.producer();
    let ack = producer.send_acked(event(0), Durability::Written).unwrap();
    assert!(matches!(ack.wait(), Err(AckError::Failed(FlushError::Write { .. }))));
    while producer.send(event(1)).is_ok() {
        std::thread::yield_now();
    }
    let cdr_path = appender.cdr_path().to_owned();
    assert!(appender.close().is_err());
    // Nothing is lost: the next opening finds the line in the journal.
    fs::remove_dir(cdr_path).unwrap();
    Appender::builder(&directory).open().unwrap().close().unwrap();
    assert!(cdr(directory.path()).starts_with(&line(0)));
}

#[test]
fn an_acknowledgement_is_a_future_of_any_runtime() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    let answered = block_on(async {
        let first = producer.send_acked(event(0), Durability::Written).unwrap();
        let second = producer.send_acked(event(1), Durability::Journaled).unwrap();
        (first.await.is_ok(), second.await.is_ok())
    });
    assert_eq!(answered, (true, true));
    appender.close().unwrap();
}

/// The smallest runtime there is.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// The flusher may write a line as soon as it is published. Acknowledgements that were handed over
/// after that were never looked at again when no other line followed: their senders waited for
/// ever.
#[test]
fn an_acknowledgement_comes_also_where_the_line_is_written_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory)
        .segment_bytes(4096)
        .event_bytes_max(4096)
        .sync_policy(SyncPolicy::Never)
        .open()
        .unwrap();
    let producer = appender.producer();
    for number in 0..20_000 {
        producer.send(event(number)).unwrap();
        let ack = producer.send_acked(event(number), Durability::Written).unwrap();
        let answer = ack.wait_timeout(Duration::from_secs(60));
        assert!(answer.expect("the acknowledgement never came").is_ok());
    }
    appender.close().unwrap();
}

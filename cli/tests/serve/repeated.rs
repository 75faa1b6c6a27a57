//! Events that come again: written once within the window, whatever happens between.

use std::thread;
use std::time::Duration;

use crate::client::{Client, post_head};
use crate::common::{body, cdr};
use crate::daemon::{Daemon, start};

fn lines(directory: &tempfile::TempDir) -> usize {
    cdr(directory.path()).lines().count()
}

#[test]
fn an_event_that_comes_again_is_answered_alike_counted_and_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let mut client = daemon.connect();
    // The same event in three orders, one other.
    for body in [
        r#"{"event":"a","x":1,"y":2}"#,
        r#"{"x":1,"event":"a","y":2}"#,
        r#"{"x":1,"y":2,"event":"a"}"#,
        r#"{"y":2,"x":1,"event":"a"}"#,
    ] {
        let answer = client.post(body);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{body}");
    }
    let metrics = client.get("/metrics");
    let counted = metrics.text().lines().find(|line| line.starts_with("cdrlog_events_repeated"));
    assert_eq!(counted, Some("cdrlog_events_repeated_total 2"), "{}", metrics.text());
    daemon.terminate();
    assert_eq!(lines(&directory), 2);
}

#[test]
fn with_a_window_of_zero_each_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--dedup-window", "0"]);
    let mut client = daemon.connect();
    assert_eq!([0; 3].map(|_| client.post(&body(0)).status), [200; 3]);
    daemon.terminate();
    assert_eq!(lines(&directory), 3);
}

#[test]
fn what_is_no_event_is_rejected_each_time() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let mut client = daemon.connect();
    assert_eq!([0; 2].map(|_| client.post(r#"{"no":"event"}"#).status), [400; 2]);
    daemon.terminate();
    assert_eq!(lines(&directory), 0);
}

#[test]
fn a_restart_forgets_nothing_of_the_window_be_it_in_order_or_a_kill() {
    let ends: [fn(Daemon); 2] = [Daemon::terminate, Daemon::kill];
    for end in ends {
        let directory = tempfile::tempdir().unwrap();
        let daemon = start(directory.path(), &[]);
        let mut client = daemon.connect();
        assert!((0..100).all(|n| client.post(&body(n)).status == 200));
        end(daemon);
        let daemon = start(directory.path(), &[]);
        let mut client = daemon.connect();
        assert!((0..101).all(|n| client.post(&body(n)).status == 200));
        daemon.terminate();
        assert_eq!(lines(&directory), 101);
    }
}

#[test]
fn the_same_event_many_times_at_once_is_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--ack", "synced"]);
    for round in 0..20 {
        let clients = [(); 8].map(|()| daemon.connect());
        let senders = clients.map(|mut client| {
            thread::spawn(move || assert_eq!(client.post(&body(round)).status, 200))
        });
        for sender in senders {
            sender.join().unwrap();
        }
    }
    daemon.terminate();
    assert_eq!(lines(&directory), 20);
}

#[test]
fn a_sender_that_hangs_up_and_tries_again_has_its_event_written_once() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--ack", "synced"]);
    for number in 0..200 {
        let event = body(number);
        let mut client = daemon.connect();
        client.send(post_head("/", event.len(), &event).as_bytes()).unwrap();
        if number % 2 == 1 {
            thread::sleep(Duration::from_micros(number * 5));
        }
        drop::<Client>(client);
        assert_eq!(daemon.connect().post(&event).status, 200);
    }
    daemon.terminate();
    assert_eq!(lines(&directory), 200);
}

/// Two clients of a session may send the same signal in the same millisecond, and nothing in the
/// events tells them apart.
#[test]
fn equal_signals_are_all_written_and_so_are_equal_events_of_a_filter() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let mut client = daemon.connect();
    for body in [
        r#"{"event":"signalSent","sessionId":"s","timestamp":1,"from":"c","type":"chat","data":"hi"}"#,
        r#"{"sessionId":"s","timestamp":1,"filterType":"f","data":"{}","event":"filterEventDispatched"}"#,
    ] {
        assert_eq!([0; 2].map(|_| client.post(body).status), [200; 2], "{body}");
    }
    assert!(client.get("/metrics").text().contains("\ncdrlog_events_repeated_total 0\n"));
    daemon.terminate();
    assert_eq!(lines(&directory), 4);
}

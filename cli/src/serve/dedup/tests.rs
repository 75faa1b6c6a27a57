//! The window: what is a duplicate, what is in flight, what a restart finds.

use std::fs;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use cdrlog::{Appender, Durability, Rewriter};
use tokio::sync::oneshot;

use super::tail::{ReadSoFar, TAIL_BYTES, tail_start};
use super::{Dedup, Entered, Guard, Key, Lookup};

const WINDOW: Duration = Duration::from_secs(60);

fn dedup() -> Dedup {
    Dedup::new(WINDOW).unwrap()
}

fn key_of(body: &str) -> Key {
    Key::of_body(&Rewriter::new(), body.as_bytes()).unwrap()
}

fn new_one(dedup: &Dedup, key: Key, now: Instant) -> Guard {
    match dedup.begin(key, now) {
        Lookup::New(guard) => guard,
        other => panic!("{other:?}"),
    }
}

fn is_duplicate(dedup: &Dedup, key: Key, now: Instant) -> bool {
    matches!(dedup.begin(key, now), Lookup::Duplicate)
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn an_event_is_a_duplicate_for_as_long_as_the_window() {
    let (dedup, key) = (dedup(), key_of(r#"{"event":"a","timestamp":1}"#));
    new_one(&dedup, key, Instant::now()).commit();
    let now = Instant::now();
    assert!(is_duplicate(&dedup, key, now + WINDOW - Duration::from_secs(1)));
    drop(new_one(&dedup, key, now + WINDOW + Duration::from_secs(1)));
    assert_eq!(dedup.len(), 0);
}

#[test]
fn an_event_that_was_not_acknowledged_is_written_when_it_comes_again() {
    let (dedup, key, now) = (dedup(), key_of(r#"{"event":"a"}"#), Instant::now());
    drop(new_one(&dedup, key, now));
    new_one(&dedup, key, now).commit();
    assert!(is_duplicate(&dedup, key, now));
}

#[test]
fn a_window_of_zero_is_none() {
    assert!(Dedup::new(Duration::ZERO).is_none());
}

#[test]
fn the_oldest_events_are_forgotten_first() {
    let dedup = Dedup::with_events_max(WINDOW, 3).unwrap();
    let keys = [1, 2, 3, 4, 5, 6, 7].map(|n| key_of(&format!(r#"{{"event":"a","n":{n}}}"#)));
    let now = Instant::now();
    for key in keys {
        new_one(&dedup, key, now).commit();
        assert!(dedup.len() <= 6);
    }
    let known = keys.map(|key| is_duplicate(&dedup, key, now));
    assert_eq!(known, [false, false, false, true, true, true, true]);
}

#[test]
fn what_is_in_flight_twice_waits_for_the_first_one() {
    let (dedup, key) = (dedup(), key_of(r#"{"event":"a"}"#));
    let first = new_one(&dedup, key, Instant::now());
    let mut second = pin!(dedup.enter(key));
    assert!(poll_once(second.as_mut()).is_pending());
    first.commit();
    assert!(matches!(poll_once(second), Poll::Ready(Entered::Duplicate)));
    assert_eq!(dedup.duplicates(), 1);
}

#[test]
fn one_of_those_who_wait_takes_over_where_the_first_one_fails() {
    let (dedup, key) = (dedup(), key_of(r#"{"event":"a"}"#));
    let first = new_one(&dedup, key, Instant::now());
    let (mut second, mut third) = (pin!(dedup.enter(key)), pin!(dedup.enter(key)));
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(third.as_mut()).is_pending());
    drop(first);
    let Poll::Ready(Entered::New(guard)) = poll_once(second) else { panic!("nobody took over") };
    assert!(poll_once(third.as_mut()).is_pending());
    guard.commit();
    assert!(matches!(poll_once(third), Poll::Ready(Entered::Duplicate)));
}

#[tokio::test]
async fn a_request_that_is_gone_leaves_its_event_in_flight_until_it_is_acknowledged() {
    let (dedup, key) = (dedup(), key_of(r#"{"event":"a"}"#));
    let (sender, acknowledgement) = oneshot::channel::<()>();
    let settling = new_one(&dedup, key, Instant::now()).settle(acknowledgement);
    drop(settling);
    let mut again = pin!(dedup.enter(key));
    assert!(poll_once(again.as_mut()).is_pending(), "the event could be written twice");
    sender.send(()).unwrap();
    assert!(matches!(again.await, Entered::Duplicate));
}

#[tokio::test]
async fn an_event_that_fails_after_its_request_is_gone_is_forgotten() {
    let (dedup, key) = (dedup(), key_of(r#"{"event":"a"}"#));
    let (sender, acknowledgement) = oneshot::channel::<()>();
    drop(new_one(&dedup, key, Instant::now()).settle(acknowledgement));
    drop(sender);
    assert!(matches!(dedup.enter(key).await, Entered::New(_)));
}

#[tokio::test]
async fn settling_gives_the_outcome_and_remembers_only_what_was_acknowledged() {
    let (dedup, now) = (dedup(), Instant::now());
    let keys = [key_of(r#"{"event":"a"}"#), key_of(r#"{"event":"b"}"#)];
    let good = std::future::ready(Ok::<_, ()>(7));
    assert_eq!(new_one(&dedup, keys[0], now).settle(good).await, Ok(7));
    let bad = std::future::ready(Err::<(), _>("no"));
    assert_eq!(new_one(&dedup, keys[1], now).settle(bad).await, Err("no"));
    assert_eq!(keys.map(|key| is_duplicate(&dedup, key, now)), [true, false]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_the_same_time_are_written_once() {
    let dedup = dedup();
    let written = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut requests = Vec::new();
    for number in 0..1000 {
        let (dedup, written) = (dedup.clone(), Arc::clone(&written));
        let key = key_of(&format!(r#"{{"event":"a","n":{}}}"#, number % 100));
        requests.push(tokio::spawn(async move {
            if let Entered::New(guard) = dedup.enter(key).await {
                tokio::task::yield_now().await;
                written.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                guard.commit();
            }
        }));
    }
    for request in requests {
        request.await.unwrap();
    }
    assert_eq!(written.load(std::sync::atomic::Ordering::Relaxed), 100);
    assert_eq!(dedup.duplicates(), 900);
}

#[test]
fn the_place_of_event_makes_no_other_event_and_any_other_byte_does() {
    let key = key_of(r#"{"event":"a","x":1,"y":2}"#);
    assert_eq!(key, key_of(r#"{"x":1,"event":"a","y":2}"#));
    assert_eq!(key, key_of(r#"{"x":1,"y":2,"event":"a"}"#));
    for other in
        [r#"{"event":"a","y":2,"x":1}"#, r#"{"event":"b","x":1,"y":2}"#, r#"{"event":"a","x":1}"#]
    {
        assert_ne!(key, key_of(other), "{other}");
    }
    assert!(Key::of_body(&Rewriter::new(), br#"{"x":1}"#).is_none());
}

#[test]
fn an_event_of_livekit_is_known_by_its_id_in_whatever_bytes_it_comes() {
    let one = r#"{"event":"room_started","room":{"sid":"RM_x"},"id":"EV_eugWmGhovZmm","createdAt":"1692985556"}"#;
    let missed = r#"{"event":"room_started","room":{"sid":"RM_x"},"id":"EV_eugWmGhovZmm","createdAt":"1692985556","numDropped":3}"#;
    assert_eq!(key_of(one), key_of(missed));
    for other in [
        one.replace("room_started", "room_finished"),
        one.replace("EV_eugWmGhovZmm", "EV_eugWmGhovZmn"),
        one.replace("1692985556", "1692985557"),
    ] {
        assert_ne!(key_of(one), key_of(&other), "{other}");
    }
}

#[test]
fn an_id_that_is_not_one_of_livekit_identifies_nothing() {
    // In OpenVidu 2 the id of a recording, which an application may choose, stays the same while
    // its status changes.
    let recording = |id: &str, status: &str| {
        format!(
            r#"{{"id":"{id}","createdAt":1600000000000,"status":"{status}","event":"recordingStatusChanged"}}"#
        )
    };
    for id in ["EV_eugWmGhovZmm", "EV_meeting", "ses_x"] {
        assert_ne!(key_of(&recording(id, "started")), key_of(&recording(id, "stopped")));
    }
    for shape in [
        r#"{"event":"room_started","x":N,"id":"EV_short","createdAt":"1"}"#,
        r#"{"event":"room_started","x":N,"id":"EV_eugWmGhovZmm","createdAt":1}"#,
        r#"{"event":"room_started","x":N,"id":"EV_eugWmGhovZmm"}"#,
        r#"{"event":"room_started","x":N,"room":{"id":"EV_eugWmGhovZmm","createdAt":"1"}}"#,
        r#"{"event":"room_started","x":N,"id":"EV_eugWmGhovZmm","id":"EV_eugWmGhovZmm","createdAt":"1"}"#,
        r#"{"event":"roomStarted","x":N,"id":"EV_eugWmGhovZmm","createdAt":"1"}"#,
    ] {
        let [one, two] = ["1", "2"].map(|x| key_of(&shape.replace('N', x)));
        assert_ne!(one, two, "{shape}");
    }
}

#[test]
fn a_restart_finds_in_the_cdr_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let bodies: Vec<_> =
        (0..50).map(|n| format!(r#"{{"n":{n},"event":"a","s":"{}"}}"#, "x".repeat(n))).collect();
    let appender = Appender::builder(directory.path()).open().unwrap();
    for body in &bodies {
        let event = body.clone().into_bytes().into();
        appender.producer().send_acked(event, Durability::Journaled).unwrap().wait().unwrap();
    }
    appender.close().unwrap();
    let appender = Appender::builder(directory.path()).open().unwrap();
    let dedup = dedup();
    assert_eq!(dedup.remember_cdr(directory.path(), true, &mut ReadSoFar::default()).unwrap(), 50);
    let now = Instant::now();
    assert!(bodies.iter().all(|body| is_duplicate(&dedup, key_of(body), now)));
    assert!(!is_duplicate(&dedup, key_of(r#"{"n":50,"event":"a"}"#), now));
    appender.close().unwrap();
}

#[test]
fn compressed_files_are_looked_at_and_old_or_foreign_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let line = |name: &str| format!("{{\"{name}\":{{}}}}\n");
    let packed = zstd::encode_all(line("zst").as_bytes(), 1).unwrap();
    fs::write(path("CDR.2026-11-23_13-07-28.log.zst"), packed).unwrap();
    let gz = fs::File::create(path("CDR.2026-11-23_13-07-29.log.gz")).unwrap();
    let mut gz = flate2::write::GzEncoder::new(gz, flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, line("gz").as_bytes()).unwrap();
    gz.finish().unwrap();
    fs::write(path("CDR.2026-11-23_13-07-30.log"), line("plain") + "{\"torn\":{").unwrap();
    fs::write(path("CDR.2026-11-23_13-07-30.log.torn"), line("foreign")).unwrap();
    fs::write(path("old.log"), line("foreign")).unwrap();
    fs::create_dir(path("CDR.x.log")).unwrap();
    let old = fs::File::create(path("CDR.2026-11-23_13-07-27.log")).unwrap();
    std::io::Write::write_all(&mut &old, line("old").as_bytes()).unwrap();
    old.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    let dedup = dedup();
    assert_eq!(dedup.remember_cdr(directory.path(), true, &mut ReadSoFar::default()).unwrap(), 3);
    let known = |name: &str| {
        is_duplicate(&dedup, Key::of_line(line(name).as_bytes()).unwrap(), Instant::now())
    };
    assert_eq!(["zst", "gz", "plain"].map(known), [true; 3]);
    assert_eq!(["foreign", "old"].map(known), [false; 2]);
}

#[test]
fn of_a_large_file_only_whole_lines_of_its_end_are_looked_at() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (text, start) in [("ab\n", Some(3)), ("abc\n", Some(4)), ("a\nb", None)] {
        fs::write(file.path(), text).unwrap();
        // The rest is a hole.
        file.as_file().set_len(TAIL_BYTES + 3).unwrap();
        assert_eq!(tail_start(file.path()).unwrap(), start, "{text:?}");
    }
    file.as_file().set_len(TAIL_BYTES).unwrap();
    assert_eq!(tail_start(file.path()).unwrap(), Some(0));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2026-11-23_13-07-28.log.zst"), b"no zstd").unwrap();
    let error =
        dedup().remember_cdr(directory.path(), true, &mut ReadSoFar::default()).unwrap_err();
    assert!(error.to_string().contains("CDR.2026-11-23_13-07-28.log.zst"), "{error}");
}

/// A process that takes over reads the CDR twice, and no process serves during the second time.
#[test]
fn lines_that_were_read_before_are_not_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let line = |number: u32| format!("{{\"e\":{{\"n\":{number}}}}}\n");
    let first = path("CDR.2026-11-23_13-07-28.log");
    fs::write(&first, line(0) + &line(1) + "{\"e\":{\"n\":2").unwrap();
    let packed = zstd::encode_all(line(3).as_bytes(), 1).unwrap();
    fs::write(path("CDR.2026-11-23_13-07-27.log.zst"), packed).unwrap();
    let (dedup, mut so_far) = (dedup(), ReadSoFar::default());
    let mut read = || dedup.remember_cdr(directory.path(), true, &mut so_far).unwrap();
    assert_eq!(read(), 3);
    assert_eq!(read(), 0);
    fs::write(&first, line(0) + &line(1) + &line(2) + &line(4)).unwrap();
    fs::write(path("CDR.2026-11-23_13-07-29.log"), line(5)).unwrap();
    assert_eq!(read(), 3);
    let now = Instant::now();
    let is_known =
        |number| is_duplicate(&dedup, Key::of_line(line(number).as_bytes()).unwrap(), now);
    assert!((0..6).all(is_known));
}

/// Without a second try, an acknowledged event that is repeated after a restart would be doubled,
/// or the start would fail.
#[test]
fn a_file_that_is_compressed_after_it_was_listed_is_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("CDR.2026-11-23_13-07-28.log");
    let line = "{\"compressed\":{}}\n";
    fs::write(&plain, line).unwrap();
    let listed = cdrlog::reader::cdr_files(directory.path()).unwrap().remove(0);
    let packed = zstd::encode_all(line.as_bytes(), 1).unwrap();
    fs::write(plain.with_extension("log.zst"), packed).unwrap();
    fs::remove_file(&plain).unwrap();
    let dedup = dedup();
    assert_eq!(
        dedup.remember_listed(directory.path(), &listed, true, &mut ReadSoFar::default()).unwrap(),
        1
    );
    fs::remove_file(plain.with_extension("log.zst")).unwrap();
    assert_eq!(
        dedup.remember_listed(directory.path(), &listed, true, &mut ReadSoFar::default()).unwrap(),
        0
    );
}

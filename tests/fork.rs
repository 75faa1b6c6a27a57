//! A forked child that drops its copy of the appender touches nothing.
//!
//! After a fork the child has the memory, the mapping and the lock of its parent, but none of its
//! threads. Without a look at the process id its `Drop` would wait for ever for threads that it
//! does not have, or tell the journal that all is written.
//!
//! A program of its own: a fork copies the whole process, whatever other tests are doing in it.

#![expect(unsafe_code, reason = "fork has no safe name")]

mod support;

use std::time::{Duration, Instant};

use cdrlog::{Appender, Durability};
use support::{body, cdr, lines};

/// Forks; the child calls `run` and ends. Gives its exit code, 128 and its signal, or `None` where
/// it hangs.
fn in_a_forked_child(run: impl FnOnce()) -> Option<i32> {
    // SAFETY: the child calls only `run` and `_exit`. `run` takes no lock that another thread may
    // hold; it frees memory, which glibc keeps possible in the child.
    let child = unsafe { libc::fork() };
    if child == 0 {
        run();
        // SAFETY: ends the process; nothing of the test harness runs in it.
        unsafe { libc::_exit(0) };
    }
    assert!(child > 0, "no fork");
    let end = Instant::now() + Duration::from_secs(60);
    let mut status = 0;
    loop {
        // SAFETY: `status` is a place for the status of a child of this process.
        let ended = unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) };
        if ended == child {
            let by_signal = libc::WIFSIGNALED(status);
            return Some(if by_signal {
                128 + libc::WTERMSIG(status)
            } else {
                libc::WEXITSTATUS(status)
            });
        }
        if Instant::now() >= end {
            // SAFETY: a signal to our own child, which was not waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_child_that_drops_the_appender_touches_nothing_and_the_parent_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    let send = |number| {
        let ack = producer.send_acked(body(number).into(), Durability::Written).unwrap();
        ack.wait().unwrap();
    };
    (0..100).for_each(send);
    let mut appender = Some(appender);
    let journal = || std::fs::read(directory.path().join(".cdrlog/control")).unwrap();
    appender.as_ref().unwrap().sync().unwrap();
    let before = journal();
    let inbox = appender.as_ref().unwrap().inbox_path().unwrap().to_owned();
    // Only the child takes the appender out of its copy of the memory.
    let code = in_a_forked_child(|| drop(appender.take()));
    assert_eq!(code, Some(0), "the child died or hangs");
    assert!(journal() == before, "the child wrote to the control file");
    assert!(Appender::builder(&directory).open().is_err(), "the child gave the lock back");
    let held = std::fs::File::open(&inbox).unwrap().try_lock();
    assert!(held.is_err(), "the child gave the lock of the inbox back");
    (100..200).for_each(send);
    let stats = appender.take().unwrap().close().unwrap();
    assert_eq!(stats.events_journaled, 200);
    assert!(cdr(directory.path()) == lines(200));
    Appender::builder(&directory).open().unwrap().close().unwrap();
}

#[test]
fn a_child_that_closes_the_appender_is_told_that_it_is_closed_and_waits_for_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    let mut appender = Some(appender);
    for closes in [Appender::close, Appender::close_keeping] {
        producer.send_slice(body(0).as_bytes()).unwrap();
        // Only the child takes the appender out of its copy of the memory.
        let code = in_a_forked_child(|| {
            let appender = appender.take().unwrap();
            let is_refused = appender.wait_for_maintenance().is_err();
            if !is_refused || closes(appender).is_ok() {
                // SAFETY: ends the process; nothing of the test harness runs in it.
                unsafe { libc::_exit(3) };
            }
        });
        assert_eq!(code, Some(0), "the child was told nothing, died or hangs");
    }
    assert_eq!(appender.unwrap().close().unwrap().events_journaled, 2);
}

#[test]
fn a_child_sends_nothing_and_stores_nothing_among_the_events_of_its_parent() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    let send = |number| producer.send_slice(body(number).as_bytes()).unwrap();
    (0..100).for_each(send);
    for round in 0..5 {
        // In the middle of what the rewriter has not seen yet.
        let begin = 100 + round * 100;
        (begin..begin + 50).for_each(send);
        let code = in_a_forked_child(|| {
            let clone = producer.clone();
            let refused = producer.send_slice(b"of the child").is_err()
                && producer.try_send_slice(b"of the child").is_err_and(|error| !error.is_full())
                && producer.send(b"of the child".as_slice().into()).is_err()
                && clone.try_send(b"of the child".as_slice().into()).is_err()
                && clone.send_acked(body(1).into(), Durability::Written).is_err()
                && appender.flush().is_err();
            drop(clone);
            if !refused {
                // SAFETY: ends the process; nothing of the test harness runs in it.
                unsafe { libc::_exit(3) };
            }
        });
        assert_eq!(code, Some(0), "the child sent something, died or hangs");
        (begin + 50..begin + 100).for_each(send);
    }
    let stats = appender.close().unwrap();
    assert_eq!((stats.events_journaled, stats.events_unprotected), (600, 0));
    assert!(cdr(directory.path()) == lines(600));
}

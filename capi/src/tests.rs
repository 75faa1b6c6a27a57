//! Attacks: what a program does that keeps none of the rules of the header but one, that a pointer
//! comes from this library.

#![expect(
    unsafe_code,
    clippy::multiple_unsafe_ops_per_block,
    reason = "functions of C, each with the same promise"
)]

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::acks::*;
use crate::appender::*;
use crate::close_report::*;
use crate::handle::Handle;
use crate::options::*;
use crate::producer::*;
use crate::recovery::*;
use crate::result::cdrlog_result::{self, *};
use crate::stats::*;

const EVENT: &[u8] = br#"{"event":"e","n":1}"#;

/// The same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

/// What the attackers share.
struct Target {
    directories: Vec<CString>,
    inboxes: CString,
    /// Every handle that was ever returned, freed or not, with the number of its type; and NULL.
    handles: Mutex<Vec<(u64, usize)>>,
    /// Calls of a callback that were promised, and that came.
    promised: AtomicU64,
    told: AtomicU64,
    /// Events of which a send said that they are accepted.
    accepted: AtomicU64,
    codes: Mutex<BTreeMap<u32, u64>>,
}

unsafe extern "C" fn tell(
    context: *mut c_void,
    result: cdrlog_result,
    file: *const std::ffi::c_char,
    _offset: u64,
    _line_bytes: u64,
) {
    assert_eq!(result == CDRLOG_OK, !file.is_null());
    // SAFETY: the counter of the test, which waits for all calls.
    unsafe { &*context.cast::<AtomicU64>() }.fetch_add(1, Ordering::SeqCst);
}

impl Target {
    /// A handle, mostly of the right type and not much older than the newest one.
    fn any<H: Handle>(&self, random: &mut Random) -> *mut H {
        let handles = self.handles.lock().unwrap();
        let is_wild = random.below(8) == 0;
        let fit = |&&(kind, _): &&(u64, usize)| is_wild || kind == H::KIND;
        let among = if is_wild { handles.len() } else { 4 };
        let found = handles.iter().rev().filter(fit).nth(random.below(among));
        std::ptr::with_exposed_provenance_mut(found.map_or(0, |&(_, address)| address))
    }

    fn keep<H: Handle>(&self, handle: *mut H) {
        if !handle.is_null() {
            self.handles.lock().unwrap().push((H::KIND, handle.expose_provenance()));
        }
    }

    fn note(&self, code: cdrlog_result) {
        *self.codes.lock().unwrap().entry(code as u32).or_default() += 1;
        assert!(code != CDRLOG_PANIC, "{:?}", last_message());
    }

    fn accept(&self, code: cdrlog_result) {
        self.note(code);
        self.accepted.fetch_add(u64::from(code == CDRLOG_OK), Ordering::SeqCst);
    }

    fn new_options(&self, random: &mut Random) {
        let directory = &self.directories[random.below(self.directories.len())];
        // SAFETY: strings, and handles of this library.
        unsafe {
            let options = cdrlog_options_new(directory.as_ptr());
            self.note(cdrlog_options_set_inbox_directory(options, self.inboxes.as_ptr()));
            self.note(cdrlog_options_set_queue_bytes_max(options, 64 << 10));
            self.note(cdrlog_options_set_event_bytes_max(options, 1000));
            self.note(cdrlog_options_set_segment_bytes(options, 4096));
            self.keep(options);
        }
    }

    /// One call, with handles of whatever type and state.
    fn attack(&self, random: &mut Random) {
        let (event, length) = (EVENT.as_ptr(), EVENT.len());
        let level = random.below(4) as u32;
        // SAFETY: handles of this library, and places and memory of this test.
        unsafe {
            match random.below(32) {
                0 => self.new_options(random),
                1 | 2 => {
                    let mut appender = null_mut();
                    self.note(cdrlog_open(self.any(random), &raw mut appender));
                    self.keep(appender);
                }
                3..6 => {
                    let mut producer = null_mut();
                    self.note(cdrlog_producer_new(self.any(random), &raw mut producer));
                    self.keep(producer);
                }
                24..28 => self.accept(cdrlog_send(self.any(random), event, length)),
                6..10 => self.accept(cdrlog_send(self.any(random), event, length)),
                10..13 => self.accept(cdrlog_try_send(self.any(random), event, length)),
                13 => {
                    let parts =
                        [EVENT.split_at(7).0, EVENT.split_at(7).1].map(|part| libc::iovec {
                            iov_base: part.as_ptr().cast_mut().cast(),
                            iov_len: part.len(),
                        });
                    self.accept(cdrlog_send_iovec(self.any(random), parts.as_ptr(), 2));
                }
                14 => {
                    let (producer, acks) = (self.any(random), self.any(random));
                    self.accept(cdrlog_send_acked(
                        producer,
                        event,
                        length,
                        level,
                        acks,
                        null_mut(),
                    ));
                }
                15 => {
                    let context = (&raw const self.told).cast_mut().cast();
                    let producer = self.any(random);
                    let send = cdrlog_send_with_callback;
                    let code = send(producer, event, length, level, Some(tell), context);
                    self.accept(code);
                    self.promised.fetch_add(u64::from(code == CDRLOG_OK), Ordering::SeqCst);
                }
                16 => self.note(cdrlog_flush(self.any(random))),
                17 => self.note(cdrlog_sync(self.any(random))),
                18 => {
                    let mut acks = null_mut();
                    self.note(cdrlog_acks_new(&raw mut acks));
                    self.keep(acks);
                }
                19 => self.note(cdrlog_acks_wait(self.any(random), level, 1, 1)),
                20 => {
                    let mut recovery = null_mut();
                    self.note(cdrlog_recovery_of(self.any(random), &raw mut recovery));
                    self.keep(recovery);
                }
                21 => {
                    let mut count = 0;
                    self.note(cdrlog_stats(self.any(random), null_mut(), 0, &raw mut count));
                }
                22 => self.free(random),
                23 if random.below(4) > 0 => {
                    self.note(cdrlog_wake(self.any(random)));
                }
                23 => {
                    let mut report = null_mut();
                    let keep = random.below(2) == 0;
                    let close = cdrlog_close_with_report;
                    self.note(close(self.any(random), keep, &raw mut report));
                    self.keep(report);
                }
                _ => {
                    self.note(cdrlog_acks_failure(self.any(random), level));
                }
            }
        }
    }

    fn free(&self, random: &mut Random) {
        // SAFETY: handles of this library.
        self.note(unsafe {
            match random.below(6) {
                0 => cdrlog_options_free(self.any(random)),
                1 => cdrlog_producer_free(self.any(random)),
                2 => cdrlog_acks_free(self.any(random)),
                3 => cdrlog_recovery_free(self.any(random)),
                4 => cdrlog_close_report_free(self.any(random)),
                _ => cdrlog_close(self.any(random)),
            }
        });
    }
}

fn last_message() -> String {
    // SAFETY: never NULL, and a string until the next failure on this thread.
    unsafe { std::ffi::CStr::from_ptr(crate::failure::cdrlog_last_error_message()) }
        .to_string_lossy()
        .into_owned()
}

fn lines_in(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.map(|path| std::fs::read_to_string(path).unwrap().lines().count() as u64).sum()
}

#[test]
fn calls_in_any_order_with_any_handles_lose_no_event_that_a_send_accepted() {
    const THREADS: u64 = 4;
    const CALLS: usize = 1000;
    let inboxes = tempfile::Builder::new().prefix("cdrlog-test-").tempdir_in("/dev/shm").unwrap();
    let parent = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..3).map(|number| parent.path().join(format!("cdr{number}"))).collect();
    let string = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap();
    let target = Target {
        directories: paths.iter().map(|path| string(path)).collect(),
        inboxes: string(inboxes.path()),
        handles: Mutex::new(vec![(0, 0)]),
        promised: AtomicU64::new(0),
        told: AtomicU64::new(0),
        accepted: AtomicU64::new(0),
        codes: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let target = &target;
            scope.spawn(move || {
                let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (thread + 1));
                (0..CALLS).for_each(|_| target.attack(&mut random));
            });
        }
    });
    for &(_, handle) in &*target.handles.lock().unwrap() {
        // SAFETY: handles of this library.
        let code = unsafe { cdrlog_close(std::ptr::with_exposed_provenance_mut(handle)) };
        assert!(matches!(code, CDRLOG_OK | CDRLOG_INVALID_HANDLE), "{code:?}: {}", last_message());
    }
    let lines: u64 = paths.iter().filter(|path| path.exists()).map(|path| lines_in(path)).sum();
    let codes = target.codes.into_inner().unwrap();
    println!("{lines} lines; codes {codes:?}");
    assert_eq!(lines, target.accepted.into_inner(), "codes {codes:?}");
    assert_eq!(target.told.into_inner(), target.promised.into_inner());
    // What was to happen has happened.
    assert!(lines > 100, "hardly anything was accepted: {codes:?}");
    for code in [CDRLOG_OK, CDRLOG_INVALID_HANDLE, CDRLOG_INVALID_ARGUMENT, CDRLOG_LOCKED] {
        assert!(codes.contains_key(&(code as u32)), "never {code:?}: {codes:?}");
    }
}

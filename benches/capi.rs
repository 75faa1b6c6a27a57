//! What a send from C costs beside one from Rust, in the same run.
//!
//! ```sh
//! cargo bench --bench capi                      # a minute
//! cargo bench --bench capi -- --json            # the same as one JSON object a line
//! ```
//!
//! The send from C is a loop that `cc -O2` compiles, and that calls `cdrlog_send` of `libcdrlog.so`
//! as any program does, through the linkage table. The send from Rust is the same loop around
//! `Producer::send_slice`. Each has an appender, with the same options, and one thread does both, a
//! burst of one and a burst of the other, so that both see the same machine. After each burst, what
//! was sent is flushed and not timed: the queue is never full. What is printed is the median over
//! all bursts of the nanoseconds of a send, and the median of the differences of the pairs.
//!
//! Without a compiler of C it measures nothing, and says so.

#![expect(unsafe_code, reason = "a function of a shared library")]

#[path = "../capi/tests/support/library.rs"]
mod library;

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use cdrlog::{Appender, Producer, SyncPolicy};

/// The sends of a burst: fewer than the queue holds.
const BURST: usize = 20_000;
const BURSTS: usize = 300;
const BURSTS_TEST: usize = 3;

/// A body as a media server sends it.
const EVENT: &str = concat!(
    r#"{"event":"participantJoined","timestamp":1538481330577,"sessionId":"ses_Jd8tUyvhXO","#,
    r#""participantId":"con_EIeO06zgMz","connectionId":"con_EIeO06zgMz","location":"Berlin, Germany","#,
    r#""ip":"37.223.203.22","platform":"Chrome 85.0.4183.121 on Linux 64-bit","#,
    r#""clientData":"TestClient","serverData":""}"#
);

/// The loop in C, and the functions that it needs around it.
const LOOP: &str = r#"
#include <cdrlog.h>

cdrlog_appender *bench_open(const char *directory, cdrlog_producer **producer) {
    cdrlog_appender *appender = NULL;
    cdrlog_options *options = cdrlog_options_new(directory);
    cdrlog_options_set_sync_policy(options, CDRLOG_SYNC_NEVER, 0);
    if (cdrlog_open(options, &appender) == CDRLOG_OK) cdrlog_producer_new(appender, producer);
    cdrlog_options_free(options);
    return appender;
}

size_t bench_burst(cdrlog_producer *producer, const uint8_t *event, size_t bytes, size_t sends) {
    size_t refused = 0;
    for (size_t i = 0; i < sends; i++) refused += cdrlog_send(producer, event, bytes) != CDRLOG_OK;
    return refused;
}

size_t bench_flush(cdrlog_appender *appender) { return cdrlog_flush(appender); }

size_t bench_close(cdrlog_appender *appender, cdrlog_producer *producer) {
    return cdrlog_producer_free(producer) + cdrlog_close(appender);
}
"#;

/// The functions of the loop.
struct Program {
    open: unsafe extern "C" fn(*const c_char, *mut *mut c_void) -> *mut c_void,
    burst: unsafe extern "C" fn(*mut c_void, *const u8, usize, usize) -> usize,
    flush: unsafe extern "C" fn(*mut c_void) -> usize,
    close: unsafe extern "C" fn(*mut c_void, *mut c_void) -> usize,
}

impl Program {
    /// `None` without a compiler.
    fn compile(directory: &Path) -> Option<Self> {
        if Command::new("cc").arg("--version").output().is_err() {
            return None;
        }
        let library = library::library_directory();
        let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../capi/include");
        let (source, object) = (directory.join("loop.c"), directory.join("loop.so"));
        std::fs::write(&source, LOOP).expect("a file");
        let mut compiler = Command::new("cc");
        compiler.args(["-std=c11", "-O2", "-fPIC", "-shared", "-o"]).arg(&object);
        compiler.arg("-I").arg(include).arg(source).arg("-L").arg(library).arg("-lcdrlog");
        compiler.arg(format!("-Wl,-rpath,{}", library.display()));
        let status = compiler.status().expect("cc");
        assert!(status.success(), "the loop in C does not compile");
        Some(Self::load(&object))
    }

    fn load(object: &Path) -> Self {
        let path = CString::new(object.as_os_str().as_bytes()).expect("a path");
        // SAFETY: a path; what it loads has no constructors but those of libcdrlog.
        let loaded = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!loaded.is_null(), "the loop in C cannot be loaded");
        // SAFETY: the functions have these types: they are in `LOOP`.
        let open = unsafe { function(loaded, c"bench_open") };
        // SAFETY: as above.
        let burst = unsafe { function(loaded, c"bench_burst") };
        // SAFETY: as above.
        let flush = unsafe { function(loaded, c"bench_flush") };
        // SAFETY: as above.
        let close = unsafe { function(loaded, c"bench_close") };
        Self { open, burst, flush, close }
    }
}

/// # Safety
///
/// `F` is the type of the function, and what was loaded is never unloaded.
unsafe fn function<F: Copy>(loaded: *mut c_void, name: &CStr) -> F {
    assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
    // SAFETY: what was loaded, and a string.
    let found = unsafe { libc::dlsym(loaded, name.as_ptr()) };
    assert!(!found.is_null(), "the loop in C has no {name:?}");
    // SAFETY: the promise of the caller; the address of a function.
    unsafe { std::mem::transmute_copy(&found) }
}

/// An appender behind the interface of C.
struct FromC {
    program: Program,
    appender: *mut c_void,
    producer: *mut c_void,
}

impl FromC {
    fn open(program: Program, directory: &Path) -> Self {
        let directory = CString::new(directory.as_os_str().as_bytes()).expect("a path");
        let mut producer = std::ptr::null_mut();
        // SAFETY: a path, and a place for a handle.
        let appender = unsafe { (program.open)(directory.as_ptr(), &raw mut producer) };
        assert!(!appender.is_null() && !producer.is_null(), "the directory cannot be opened");
        Self { program, appender, producer }
    }

    fn burst(&self) -> f64 {
        let (event, bytes) = (EVENT.as_ptr(), EVENT.len());
        let begin = Instant::now();
        // SAFETY: a handle that is open, and an event.
        let refused = unsafe { (self.program.burst)(self.producer, event, bytes, BURST) };
        let elapsed = begin.elapsed();
        assert_eq!(refused, 0, "an event was refused");
        // SAFETY: a handle that is open.
        assert_eq!(unsafe { (self.program.flush)(self.appender) }, 0, "a flush failed");
        elapsed.as_nanos() as f64 / BURST as f64
    }

    fn close(self) {
        // SAFETY: handles that are open, and not used again.
        let code = unsafe { (self.program.close)(self.appender, self.producer) };
        assert_eq!(code, 0, "the close failed");
    }
}

fn burst_from_rust(appender: &Appender, producer: &Producer) -> f64 {
    let event = std::hint::black_box(EVENT.as_bytes());
    let begin = Instant::now();
    let refused = (0..BURST).filter(|_| producer.send_slice(event).is_err()).count();
    let elapsed = begin.elapsed();
    assert_eq!(refused, 0, "an event was refused");
    appender.flush().expect("a flush");
    elapsed.as_nanos() as f64 / BURST as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn print(id: &str, value: f64) {
    if std::env::args().any(|argument| argument == "--json") {
        println!(r#"{{"id":"{id}","value":{value:.1},"unit":"ns"}}"#);
    } else {
        println!("{id:48} {value:12.1} ns");
    }
}

fn main() {
    let parent = tempfile::tempdir().expect("a directory");
    let Some(program) = Program::compile(parent.path()) else {
        println!("not measured: there is no cc (apt-get install gcc libc6-dev)");
        return;
    };
    let from_c = FromC::open(program, &parent.path().join("c"));
    let builder = Appender::builder(parent.path().join("rust")).sync_policy(SyncPolicy::Never);
    let appender = builder.open().expect("an appender");
    let producer = appender.producer();
    let is_test = std::env::args().any(|argument| argument == "--test");
    let bursts = if is_test { BURSTS_TEST } else { BURSTS };
    let (mut rust, mut c, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for burst in 0..bursts {
        // Neither is always first.
        let pair = if burst % 2 == 0 {
            let rust = burst_from_rust(&appender, &producer);
            (rust, from_c.burst())
        } else {
            let c = from_c.burst();
            (burst_from_rust(&appender, &producer), c)
        };
        rust.push(pair.0);
        c.push(pair.1);
        differences.push(pair.1 - pair.0);
    }
    print("capi.send.rust", median(rust));
    print("capi.send.c", median(c));
    print("capi.send.difference", median(differences));
    from_c.close();
    appender.close().expect("a close");
}

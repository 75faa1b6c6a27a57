//! A panic prints nothing: its message goes to the caller.
//!
//! A panic is a fault of cdrlog. On a thread of the caller it ends at the boundary. On a thread of
//! cdrlog it ends that thread, and the caller learns of it when its next call is refused.

use std::cell::RefCell;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::Once;

use crate::failure::Failure;
use crate::result::cdrlog_result::*;

thread_local! {
    /// What the last panic on this thread said.
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Has panics of this library print nothing. The hook is that of the library's own copy of the
/// standard library: one of a program that is written in Rust too is another one.
pub(crate) fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Unit tests of this package share the hook with the test harness, which prints.
        let other = take_hook();
        set_hook(Box::new(move |info| {
            note(info);
            if cfg!(test) {
                other(info);
            }
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    // `payload_as_str` needs Rust 1.91.
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text =
        text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic");
    let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let _ = MESSAGE.try_with(|message| message.replace(format!("{text}{place}")));
}

/// The last panic on this thread, as a failure.
#[cold]
pub(crate) fn failure() -> Failure {
    let message = MESSAGE.try_with(|message| message.take()).unwrap_or_default();
    Failure::new(CDRLOG_PANIC, format_args!("a fault in cdrlog: {message}"))
}

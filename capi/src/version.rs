//! Which version this is.

use std::ffi::{CStr, c_char};

/// The version, with the NUL that C wants.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// The version of the library that is loaded, such as "0.1.0". The string is never freed.
#[expect(unsafe_code, reason = "a function of C")]
#[unsafe(no_mangle)]
pub extern "C" fn cdrlog_version() -> *const c_char {
    CStr::from_bytes_with_nul(VERSION.as_bytes()).unwrap_or_default().as_ptr()
}

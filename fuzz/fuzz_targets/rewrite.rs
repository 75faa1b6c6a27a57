//! Any bytes: each implementation accepts or rejects exactly as the reference says, with the
//! reference's line.

#![no_main]

#[path = "../../tests/reference/mod.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    for made in cdrlog::each::rewrite(body) {
        reference::check(body, made.line.as_deref().ok());
    }
});

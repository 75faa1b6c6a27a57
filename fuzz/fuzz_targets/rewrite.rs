//! Any bytes: each implementation accepts or rejects exactly as the reference says, with the
//! reference's line.

#![no_main]

#[path = "../../tests/support/reference/mod.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    for made in cdrlog::each::rewrite(body) {
        let line = made.line.as_deref().ok();
        reference::check(body, line);
        // A recovery refuses what is not.
        assert!(line.is_none_or(cdrlog::fuzzing::is_whole_line), "{} makes no whole line", made.by);
    }
});

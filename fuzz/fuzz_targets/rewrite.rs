//! Any bytes: accepted or rejected exactly as the reference says, with the reference's line.

#![no_main]

#[path = "../../tests/reference/mod.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let mut line = Vec::new();
    let result = cdrlog::Rewriter::new().rewrite(body, &mut line);
    reference::check(body, result.is_ok().then_some(&line[..]));
});

//! Trees of JSON, printed with any blanks, escapes and place of `event`: what random bytes rarely
//! are.
//!
//! All are events unless the input says to break one byte, so that the depths of acceptance are
//! reached from the start.

#![no_main]

#[path = "../../tests/support/reference/mod.rs"]
mod reference;

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};

const BLANKS: [&str; 8] =
    ["", "", "", " ", "\n", "\r\n", "\t \t", "                                   "];

const PIECES: [&str; 16] = [
    "a",
    "event",
    "0123456789abcdef0123456789abcdef",
    "{",
    "}",
    "[1]",
    ":",
    ",",
    "\\\"",
    "\\\\",
    "\\/\\b\\f\\n\\r\\t",
    "\\u0065",
    "\\ud83d\\ude00",
    "\u{e9}",
    "\u{1f600}",
    "",
];

const SCALARS: [&str; 12] = [
    "true",
    "false",
    "null",
    "0",
    "-0",
    "7",
    "1700000000123",
    "-12.5e+3",
    "0.0",
    "1E400",
    "0e-1",
    "98765432109876543210.5",
];

const EVENT_KEYS: [&str; 4] = ["event", "event", "event", "\\u0065vent"];

/// A body, and whether it is as it was printed.
#[derive(Debug)]
struct Body {
    text: Vec<u8>,
    is_whole: bool,
}

impl<'a> Arbitrary<'a> for Body {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let mut text = String::new();
        blanks(input, &mut text)?;
        let members = input.int_in_range(0..=6)?;
        let event = input.int_in_range(0..=members)?;
        text.push('{');
        for member in 0..=members {
            if member > 0 {
                text.push(',');
            }
            blanks(input, &mut text)?;
            if member == event {
                text.push_str(&format!("\"{}\"", input.choose(&EVENT_KEYS)?));
            } else {
                // Not `event`, whatever the pieces.
                string(input, &mut text, "k")?;
            }
            blanks(input, &mut text)?;
            text.push(':');
            blanks(input, &mut text)?;
            if member == event {
                string(input, &mut text, "n")?
            } else {
                value(input, &mut text, 0)?
            }
            blanks(input, &mut text)?;
        }
        text.push('}');
        blanks(input, &mut text)?;
        let mut text = text.into_bytes();
        let is_whole = input.ratio(2, 3)?;
        if !is_whole {
            let at = input.choose_index(text.len())?;
            text[at] = input.arbitrary()?;
        }
        Ok(Self { text, is_whole })
    }
}

fn blanks(input: &mut Unstructured<'_>, text: &mut String) -> Result<()> {
    text.push_str(input.choose(&BLANKS)?);
    Ok(())
}

fn string(input: &mut Unstructured<'_>, text: &mut String, first: &str) -> Result<()> {
    text.push('"');
    text.push_str(first);
    for _ in 0..input.int_in_range(0..=5)? {
        text.push_str(input.choose(&PIECES)?);
    }
    text.push('"');
    Ok(())
}

fn value(input: &mut Unstructured<'_>, text: &mut String, depth: usize) -> Result<()> {
    let kind = if depth > 5 { input.int_in_range(0..=1)? } else { input.int_in_range(0..=3)? };
    let (open, close) = match kind {
        0 => return string(input, text, ""),
        1 => {
            text.push_str(input.choose(&SCALARS)?);
            return Ok(());
        }
        2 => ('[', ']'),
        _ => ('{', '}'),
    };
    text.push(open);
    blanks(input, text)?;
    for item in 0..input.int_in_range(0..=4)? {
        if item > 0 {
            text.push(',');
            blanks(input, text)?;
        }
        if open == '{' {
            string(input, text, "")?;
            blanks(input, text)?;
            text.push(':');
            blanks(input, text)?;
        }
        value(input, text, depth + 1)?;
        blanks(input, text)?;
    }
    text.push(close);
    Ok(())
}

libfuzzer_sys::fuzz_target!(|body: Body| {
    for made in cdrlog::each::rewrite(&body.text) {
        assert!(made.line.is_ok() || !body.is_whole, "{} rejects an event", made.by);
        let line = made.line.as_deref().ok();
        reference::check(&body.text, line);
        // A recovery refuses what is not.
        assert!(line.is_none_or(cdrlog::fuzzing::is_whole_line), "{} makes no whole line", made.by);
    }
});

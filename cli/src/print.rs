//! Writes to standard output, once, at the end of a command.

use std::error::Error;
use std::io::{self, Write};

/// What others wrote is cut to this many characters: a damaged file may contain anything.
const CHARS_SHOWN_MAX: usize = 300;

/// Prints all of it. It is not a failure if the reader goes away.
pub(super) fn print(bytes: impl AsRef<[u8]>) -> Result<(), Box<dyn Error>> {
    or_nobody_reads(io::stdout().write_all(bytes.as_ref()))
}

/// The error of a write to standard output, unless the reader went away.
pub(super) fn or_nobody_reads(written: io::Result<()>) -> Result<(), Box<dyn Error>> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}").into())
        }
        _ => Ok(()),
    }
}

/// `text` on one line of bounded length, without control characters, which a terminal would obey.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (index, char) in text.chars().enumerate() {
        if index == CHARS_SHOWN_MAX {
            shown.push_str("...");
            break;
        }
        if char.is_control() { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    shown
}

/// The beginning of `text`, at most so many bytes, up to the end of a character.
#[cfg(feature = "serve")]
pub(super) fn beginning(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    (0..=bytes_max).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

//! One remark about a file.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::json_output::{self, ObjectType};
use crate::print::shown;

/// The severity of a remark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Something is wrong.
    Finding,
    /// Something could not be checked.
    Unchecked,
    /// For information only.
    Note,
}

/// A finding or a note.
#[derive(Clone, Debug)]
pub(super) struct Remark {
    pub(super) kind: Kind,
    pub(super) file: PathBuf,
    /// From 1.
    pub(super) line: Option<u64>,
    /// From 0, in the uncompressed file.
    pub(super) byte: Option<u64>,
    /// One word, for programs.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Remark {
    pub(super) fn new(
        kind: Kind,
        file: &Path,
        reason: &'static str,
        message: impl ToString,
    ) -> Self {
        let (file, message) = (file.to_owned(), message.to_string());
        Self { kind, file, line: None, byte: None, reason, message }
    }

    pub(super) fn finding(file: &Path, reason: &'static str, message: impl ToString) -> Self {
        Self::new(Kind::Finding, file, reason, message)
    }

    pub(super) fn note(file: &Path, reason: &'static str, message: impl ToString) -> Self {
        Self::new(Kind::Note, file, reason, message)
    }

    pub(super) fn at(self, line: u64, byte: u64) -> Self {
        Self { line: Some(line), byte: Some(byte), ..self }
    }

    pub(super) fn is_finding(&self) -> bool {
        self.kind == Kind::Finding
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let of_type = if self.is_finding() { ObjectType::Finding } else { ObjectType::Note };
        let members = serde_json::json!({
            "file": self.file.to_string_lossy(),
            "line": self.line,
            "byte": self.byte,
            "reason": self.reason,
            "message": shown(&self.message),
        });
        json_output::object("verify", of_type, members)
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", shown(&self.file.to_string_lossy()))?;
        if let Some(line) = self.line {
            write!(f, "line {line}")?;
            if let Some(byte) = self.byte {
                write!(f, ", byte {byte}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&shown(&self.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_one_line_of_bounded_length_whatever_it_is_about() {
        let file = PathBuf::from(format!("a\n{}", "f".repeat(10_000)));
        let remark = Remark::finding(&file, "reason", format!("\u{1b}[2J\r{}", "m".repeat(10_000)));
        let text = remark.to_string();
        assert!(text.starts_with("a\\nfff") && text.contains("...: \\u{1b}[2J\\rmmm"), "{text}");
        assert!(!text.contains(char::is_control) && text.len() < 700, "{text}");
        assert!(remark.json()["message"].as_str().unwrap().len() < 350);
    }
}

//! One thing to say about a file.

use std::fmt;
use std::path::{Path, PathBuf};

/// A finding or a note.
#[derive(Clone, Debug)]
pub(super) struct Remark {
    /// Something is wrong; otherwise it is only worth knowing.
    pub(super) is_finding: bool,
    pub(super) file: PathBuf,
    /// Counted from 1.
    pub(super) line: Option<u64>,
    /// Counted from 0, in the uncompressed file.
    pub(super) byte: Option<u64>,
    /// One word.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Remark {
    pub(super) fn finding(file: &Path, reason: &'static str, message: impl ToString) -> Self {
        let (file, message) = (file.to_owned(), message.to_string());
        Self { is_finding: true, file, line: None, byte: None, reason, message }
    }

    pub(super) fn note(file: &Path, reason: &'static str, message: impl ToString) -> Self {
        Self { is_finding: false, ..Self::finding(file, reason, message) }
    }

    pub(super) fn at(self, line: u64, byte: u64) -> Self {
        Self { line: Some(line), byte: Some(byte), ..self }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "type": if self.is_finding { "finding" } else { "note" },
            "file": self.file.to_string_lossy(),
            "line": self.line,
            "byte": self.byte,
            "reason": self.reason,
            "message": self.message,
        })
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "line {line}")?;
            if let Some(byte) = self.byte {
                write!(f, ", byte {byte}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

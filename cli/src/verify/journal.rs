//! What the last process left in the journal of a directory.

use std::io;
use std::path::{Path, PathBuf};

use cdrlog::{Appender, OpenError, Recovery};
use indicatif::HumanCount;

use super::remark::{Kind, Remark};

/// A finding if the journal is damaged, or holds something that is not in the files yet.
/// An appender that starts at this very moment is refused, because the journal is locked for the
/// milliseconds in which it is read. While an appender runs there is nothing to find: what its
/// journal holds is on its way to the file.
pub(super) fn check(directory: &Path) -> Option<Remark> {
    match Appender::builder(directory).plan_recovery() {
        Ok(recovery) if recovery.is_nothing() => None,
        Ok(recovery) => {
            Some(Remark::finding(directory, "not_recovered", describe(directory, &recovery)))
        }
        Err(OpenError::Locked { .. }) => None,
        Err(OpenError::Damaged { path, fault }) => {
            let message = format!("it is damaged: {fault}; `cdrlog recover` says what to do");
            Some(Remark::finding(&path, "journal_damaged", message))
        }
        // Whoever may read the lines need not be the user who writes them.
        Err(OpenError::Io { path, source, .. })
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            let message = format!("the journal was not checked: {source}");
            Some(Remark::new(Kind::Unchecked, &path, "journal_not_checked", message))
        }
        Err(OpenError::Io { action, path, source }) => {
            let message = format!("cannot {action}: {source}");
            Some(Remark::finding(&path, "unreadable", message))
        }
        Err(error) => Some(Remark::finding(directory, "unreadable", error)),
    }
}

fn describe(directory: &Path, recovery: &Recovery) -> String {
    let Recovery {
        lines_bytes, rejects_bytes, torn_bytes, changed_by_others, unusable_inbox, ..
    } = recovery;
    let mut parts = Vec::new();
    if lines_bytes + rejects_bytes > 0 {
        parts.push(format!(
            "{} bytes of lines and {} bytes of rejects are in the journal and not in a file yet",
            HumanCount(*lines_bytes),
            HumanCount(*rejects_bytes)
        ));
    }
    if *torn_bytes > 0 {
        parts.push(format!("{} bytes at the end of a file are torn", HumanCount(*torn_bytes)));
    }
    if let Some((path, why)) = unusable_inbox {
        parts.push(format!("accepted events in {} cannot be used: {why}", path.display()));
    }
    if !changed_by_others.is_empty() {
        let name = |path: &PathBuf| path.display().to_string();
        let names: Vec<_> = changed_by_others.iter().map(name).collect();
        parts.push(format!("another program changed {}", names.join(", ")));
    }
    format!(
        "the last process did not close: {}; `cdrlog recover --apply {}` or the next open \
         repairs this",
        parts.join("; "),
        directory.display()
    )
}

//! Opens the directory of the CDR, and reports what happens to it.

use cdrlog::{Appender, Builder, Notice, OpenError};

use crate::opening;

/// Opens the directory, and finishes what was left in it.
pub(super) fn open(builder: Builder) -> Result<Appender, OpenError> {
    let appender = opening::open(&builder.on_notice(tell_notice))?;
    if !appender.recovery().is_nothing() {
        tracing::warn!("{}", appender.recovery());
    }
    Ok(appender)
}

fn tell_notice(notice: &Notice) {
    match notice {
        Notice::WritesGoOn { .. } => tracing::info!("{notice}"),
        Notice::SyncFailed(_) | Notice::GaveUp(_) => tracing::error!("{notice}"),
        _ => tracing::warn!("{notice}"),
    }
}

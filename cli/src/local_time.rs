//! The local time zone, and what is wrong with it.

use std::sync::Once;

use jiff::tz::TimeZone;

use crate::outcome::say;

/// The local time zone. UTC if there is none, with a warning if `TZ` names one.
pub(crate) fn zone() -> TimeZone {
    static SAID: Once = Once::new();
    if let Some(fault) = fault() {
        SAID.call_once(|| say(fault));
    }
    TimeZone::system()
}

/// What is wrong with `TZ`. Nothing if it is not set: a container without a time zone means UTC.
pub(crate) fn fault() -> Option<String> {
    let variable = std::env::var_os("TZ")?;
    TimeZone::try_system().err()?;
    let name = variable.to_string_lossy();
    Some(format!("this machine does not know the time zone TZ={name}: local time is UTC"))
}

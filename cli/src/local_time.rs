//! The local time zone, what is wrong with it, and the option that chooses UTC instead.

use std::sync::Once;

use clap::Args;
use clap::builder::BoolishValueParser;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::outcome::say;

/// The option `--utc`. Each command says in its help for what it uses UTC.
#[derive(Clone, Copy, Debug, Default, Args, Deserialize)]
#[serde(default)]
pub(crate) struct UtcOption {
    /// Use UTC instead of local time
    #[arg(
        long,
        value_name = "true|false",
        env = "CDRLOG_UTC",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    utc: Option<bool>,
}

impl UtcOption {
    pub(crate) fn is_utc(self) -> bool {
        self.utc.unwrap_or_default()
    }

    /// UTC, or the local time zone.
    pub(crate) fn zone(self) -> TimeZone {
        if self.is_utc() { TimeZone::UTC } else { zone() }
    }

    /// What is wrong with the local time, where it is used.
    pub(crate) fn fault(self) -> Option<String> {
        if self.is_utc() { None } else { fault() }
    }

    /// This option, or that of `file` if it is not given.
    #[cfg(feature = "serve")]
    pub(crate) fn or(self, file: Self) -> Self {
        Self { utc: self.utc.or(file.utc) }
    }
}

/// The options `--utc` and `--tz`: the zone of days and times that are printed.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ZoneOptions {
    #[command(flatten)]
    utc: UtcOption,

    /// Use this time zone instead, such as Europe/Madrid
    #[arg(long, value_name = "ZONE", value_parser = zone_of_name)]
    tz: Option<TimeZone>,
}

impl ZoneOptions {
    pub(crate) fn zone(&self) -> TimeZone {
        self.tz.clone().unwrap_or_else(|| self.utc.zone())
    }
}

/// The local time zone. UTC if there is none, with a warning if `TZ` names one.
pub(crate) fn zone() -> TimeZone {
    static SAID: Once = Once::new();
    if let Some(fault) = fault() {
        SAID.call_once(|| say(fault));
    }
    TimeZone::system()
}

/// The time zone with this name, for `--tz`.
pub(crate) fn zone_of_name(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        format!("{name:?} is not a time zone that this machine knows; write one like Europe/Madrid")
    })
}

/// What is wrong with `TZ`. Nothing if it is not set: a container without a time zone means UTC.
fn fault() -> Option<String> {
    let variable = std::env::var_os("TZ")?;
    TimeZone::try_system().err()?;
    let name = variable.to_string_lossy();
    Some(format!("this machine does not know the time zone TZ={name}: local time is UTC"))
}

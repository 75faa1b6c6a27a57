//! The log: on standard error, for a reader on a terminal, as JSON otherwise.
//!
//! Only this program's own messages: the libraries that it uses log heads and frames if they are
//! asked for details, and those contain secrets.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use super::options::{LogForm, LogLevel};

/// Starts the log of the process.
pub(super) fn begin(level: LogLevel, form: Option<LogForm>) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let is_terminal = stderr().is_terminal();
    let human = if is_terminal { LogForm::Human } else { LogForm::Json };
    let filter = Targets::new().with_target("cdrlog", level);
    let layer = match form.unwrap_or(human) {
        LogForm::Human => {
            fmt::layer().with_writer(stderr).with_ansi(is_terminal).with_target(false).boxed()
        }
        LogForm::Json => {
            fmt::layer().json().flatten_event(true).with_writer(stderr).with_target(false).boxed()
        }
    };
    // Fails only if there is a log already, which is as good.
    let _ = registry().with(layer.with_filter(filter)).try_init();
}

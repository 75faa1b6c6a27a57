//! SIGHUP starts new files, as operators and logrotate's `postrotate` expect it of servers.

use std::io;
use std::thread;

use cdrlog::Appender;
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;

use super::outcome::say;

/// Runs `work` while each SIGHUP rotates the files of `appender`.
pub(super) fn rotating_on_sighup<T>(
    appender: &Appender,
    work: impl FnOnce() -> T,
) -> Result<T, io::Error> {
    let mut signals = Signals::new([SIGHUP])?;
    let handle = signals.handle();
    thread::scope(|scope| {
        let rotate = move || {
            for _ in signals.forever() {
                if let Err(error) = appender.rotate() {
                    say(format_args!("no new file was created: {error}"));
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn_scoped(scope, rotate)?;
        let outcome = work();
        handle.close();
        Ok(outcome)
    })
}

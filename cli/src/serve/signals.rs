//! SIGTERM and SIGINT end the server, the second one at once; SIGHUP begins new files.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    End,
    Reload,
}

#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    is_ending: Arc<AtomicBool>,
}

impl Signals {
    /// Called in the runtime.
    pub(super) fn new() -> io::Result<Self> {
        let is_ending = Arc::new(AtomicBool::new(false));
        for number in [SIGTERM, SIGINT] {
            // In the handler itself, so that it ends whatever keeps the rest from ending.
            signal_hook::flag::register_conditional_shutdown(number, 1, is_ending.clone())?;
        }
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            is_ending,
        })
    }

    /// The next request. After an [`Request::End`] the next such signal ends the process with 1.
    pub(super) async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => return Request::Reload,
        }
        self.is_ending.store(true, Ordering::SeqCst);
        Request::End
    }
}

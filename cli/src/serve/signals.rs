//! SIGTERM and SIGINT end the server, the second one immediately; SIGHUP begins new files; SIGUSR2
//! starts the program again and hands over to it.

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
    HandOver,
}

#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_defined: Signal,
    is_ending: Arc<AtomicBool>,
    /// A [`Request::Reload`] came while nobody could do it.
    is_reload_due: bool,
}

impl Signals {
    /// Called in the runtime.
    pub(super) fn new() -> io::Result<Self> {
        let is_ending = Arc::new(AtomicBool::new(false));
        for number in [SIGTERM, SIGINT] {
            // In the handler itself, so that it works whatever keeps the rest from ending.
            signal_hook::flag::register_conditional_shutdown(number, 1, is_ending.clone())?;
        }
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user_defined: signal(SignalKind::user_defined2())?,
            is_ending,
            is_reload_due: false,
        })
    }

    /// The next request. May be cancelled before it is ready. After a [`Request::End`], the next
    /// such signal ends the process with 1.
    pub(super) async fn next(&mut self) -> Request {
        if std::mem::take(&mut self.is_reload_due) {
            return Request::Reload;
        }
        self.receive().await
    }

    /// The next request, without what was postponed. May be cancelled before it is ready.
    pub(super) async fn receive(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hang_up.recv() => return Request::Reload,
            _ = self.user_defined.recv() => return Request::HandOver,
        }
        self.is_ending.store(true, Ordering::SeqCst);
        Request::End
    }

    /// [`Self::next`] will be a [`Request::Reload`].
    pub(super) fn postpone_reload(&mut self) {
        self.is_reload_due = true;
    }

    /// Waits for a [`Request::End`], while another process takes over. A [`Request::Reload`] is
    /// postponed: if the hand-over fails, it is still to be done.
    pub(super) async fn end(&mut self) {
        loop {
            match self.receive().await {
                Request::End => return,
                Request::Reload => self.postpone_reload(),
                Request::HandOver => {}
            }
        }
    }
}

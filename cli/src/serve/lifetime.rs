//! A server from its first connection to its end: it serves, and if another process wants to take
//! over, it closes the directory, and opens it again if the hand-over fails.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cdrlog::{Producer, Stats};
use tokio::runtime::Runtime;

use super::handover::{Successor, Verdict};
use super::main_loop::{self, Arrival, Process};
use super::server_context::ServerContext;
use super::waiting;
use crate::outcome::Outcome;

/// How long tasks may take to release what they hold, after their connections have ended.
const TASKS_END: Duration = Duration::from_secs(2);

/// How often the server checks whether they have.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// How often the log says that a process that takes over has not opened the directory yet.
const PATIENCE_INTERVAL: Duration = Duration::from_secs(5);

/// Wakes the rewriter thread, as long as there is one.
pub(super) type Bell = Arc<Mutex<Option<Producer>>>;

/// What the server has, whichever directory is open.
pub(super) struct Lifetime {
    pub(super) runtime: Runtime,
    pub(super) bell: Bell,
    pub(super) process: Process,
}

/// What follows a hand-over.
enum Next {
    /// It failed, for this reason: the server goes on.
    Serve(Arc<ServerContext>, String),
    End,
}

impl Lifetime {
    /// Serves to the end.
    pub(super) fn run(
        mut self,
        context: ServerContext,
        mut arrival: Arrival,
    ) -> Result<Outcome, Box<dyn Error>> {
        let mut shared = Arc::new(context);
        loop {
            *lock(&self.bell) = Some(shared.appender.producer());
            let served = main_loop::run(self.process, shared.clone(), arrival);
            let (process, successor) = self.runtime.block_on(self.runtime.spawn(served))?;
            self.process = process;
            let Some(successor) = successor else { break };
            match self.hand_over(shared, &successor)? {
                Next::Serve(again, reason) => {
                    shared = again;
                    arrival = Arrival::NotHandedOver(reason);
                }
                Next::End => {
                    self.runtime.shutdown_background();
                    return Ok(Outcome::Done);
                }
            }
        }
        self.runtime.shutdown_timeout(TASKS_END);
        end(shared)
    }

    /// Gives the directory to another process. Nothing is in flight and nothing is accepted.
    fn hand_over(
        &mut self,
        shared: Arc<ServerContext>,
        successor: &Successor,
    ) -> Result<Next, Box<dyn Error>> {
        let begin = Instant::now();
        let handle = self.runtime.handle().clone();
        let context = match handle.block_on(alone(shared)) {
            Ok(context) => context,
            Err(shared) => {
                let reason = "a task of the running server did not end".to_owned();
                // The other process receives it, or sees the end of the conversation.
                let _ = handle.block_on(successor.refuse(reason.clone()));
                shared.connections.resume();
                return Ok(Next::Serve(shared, reason));
            }
        };
        let (appender, closed) = context.take_appender();
        *lock(&self.bell) = None;
        let ended = appender.close_keeping();
        if let Err(error) = &ended {
            tracing::error!(%error, "what is in the journal is left to the next opening");
        }
        let reason = match handle.block_on(self.verdict(successor)) {
            Some(Verdict::Failed(reason)) => reason,
            verdict => {
                self.process.listeners.own_files(false);
                if let Some(Verdict::Serving) = verdict {
                    let milliseconds = begin.elapsed().as_millis();
                    tracing::info!(pid = successor.pid(), milliseconds, "handed over");
                }
                tell_end(&ended?);
                return Ok(Next::End);
            }
        };
        let (settings, tls) = (&closed.settings, closed.tls.as_deref());
        let opened = handle.block_on(waiting::open_or_wait(settings, &mut self.process, tls))?;
        let Some(appender) = opened else { return Ok(Next::End) };
        Ok(Next::Serve(Arc::new(closed.reopen(appender)), reason))
    }

    /// The result of the hand-over. `None` if a signal says to end before there is one: the other
    /// process has the directory, or the next one will.
    async fn verdict(&mut self, successor: &Successor) -> Option<Verdict> {
        if let Err(error) = successor.give().await {
            return Some(Verdict::Failed(error.to_string()));
        }
        let mut patience = tokio::time::interval(PATIENCE_INTERVAL);
        patience.tick().await;
        loop {
            tokio::select! {
                verdict = successor.verdict() => return Some(verdict),
                () = self.process.signals.end() => return None,
                _ = patience.tick() => {
                    let pid = successor.pid();
                    tracing::warn!(pid, "the process that takes over has not opened the directory yet");
                }
            }
        }
    }
}

/// What all connections shared, once nobody shares it any more. An error if a task keeps it.
async fn alone(mut shared: Arc<ServerContext>) -> Result<ServerContext, Arc<ServerContext>> {
    let begin = Instant::now();
    loop {
        shared = match Arc::try_unwrap(shared) {
            Ok(context) => return Ok(context),
            Err(shared) if begin.elapsed() >= TASKS_END => return Err(shared),
            Err(shared) => shared,
        };
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn end(shared: Arc<ServerContext>) -> Result<Outcome, Box<dyn Error>> {
    let Some(shared) = Arc::into_inner(shared) else {
        return Err("a task did not end; the next start finishes what is in the journal".into());
    };
    tell_end(&shared.appender.close_keeping()?);
    Ok(Outcome::Done)
}

fn tell_end(stats: &Stats) {
    tracing::info!(lines = stats.events_journaled, rejected = stats.events_rejected, "ended");
}

fn lock(bell: &Bell) -> MutexGuard<'_, Option<Producer>> {
    bell.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The start of a server: sockets, credentials and directory, either its own or those of the server
//! that is already running there.

use std::error::Error;
use std::sync::{Arc, PoisonError};

use cdrlog::Appender;
use tokio::runtime::{self, Runtime};

use super::dedup::{Dedup, FilledDedup};
use super::directory;
use super::gate::Gate;
use super::handover::{Launcher, Predecessor};
use super::lifetime::Bell;
use super::listen::{Listeners, Passed, Plan};
use super::main_loop::{Arrival, Process};
use super::options::Options;
use super::page::{PageServer, PageSettings};
use super::server_context::ServerContext;
use super::settings::Settings;
use super::signals::Signals;
use super::tls::Tls;
use super::waiting::open_or_wait;

/// A server that has read everything it needs, and has opened nothing yet.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) options: Options,
    pub(super) settings: Settings,
    pub(super) tls: Option<Tls>,
    pub(super) page: Option<PageSettings>,
    pub(super) passed: Vec<Passed>,
    pub(super) launcher: Launcher,
    /// From the server that runs in the directory, if there is one.
    pub(super) take_over: bool,
}

/// A server that is ready to serve.
pub(super) struct Started {
    pub(super) context: ServerContext,
    pub(super) process: Process,
    pub(super) arrival: Arrival,
}

impl Prepared {
    /// Checks what a start would check before it changes anything: here the credentials.
    pub(super) fn check(&self) -> Result<(), Box<dyn Error>> {
        let exposed = self.settings.listen.iter().find(|address| address.is_exposed());
        Gate::new(&self.options, exposed).map(drop)
    }

    /// Listens and opens the directory. `None` if a signal says to end before that. Called in the
    /// runtime, but not on one of its threads: it blocks.
    pub(super) async fn start(mut self) -> Result<Option<Started>, Box<dyn Error>> {
        let mut predecessor = match self.take_over {
            true => Predecessor::find(&self.settings.directory).await?,
            false => None,
        };
        // Before the directory is opened: an address in use must not begin a file.
        let listeners = Arc::new(self.listeners(predecessor.as_mut())?);
        let gate = Gate::new(&self.options, listeners.exposed())?;
        // Before anybody hears that the server is there, and may want it to end.
        let signals = Signals::new().map_err(|error| format!("cannot handle signals: {error}"))?;
        let launcher = self.launcher;
        let mut process = Process { listeners, signals, launcher, page: None };
        let is_handed_over = predecessor.is_some();
        let (settings, tls) = (self.settings, self.tls);
        let mut dedup = FilledDedup::new(Dedup::new(settings.dedup_window));
        let (appender, arrival) = match predecessor {
            None => {
                let opened = open_or_wait(&settings, &mut process, tls.as_ref()).await?;
                let Some(appender) = opened else { return Ok(None) };
                (appender, Arrival::Started)
            }
            Some(predecessor) => {
                dedup.read_before(&settings);
                let (appender, predecessor) = take_over(&settings, predecessor).await?;
                (appender, Arrival::TookOver(predecessor))
            }
        };
        let dedup = dedup.finish(&settings);
        let context =
            ServerContext::new(appender, settings, Arc::new(gate), tls.map(Arc::new), dedup);
        // Once there is a directory to show.
        if let Some(page) = self.page {
            process.page = Some(PageServer::start(page, is_handed_over)?);
        }
        Ok(Some(Started { context, process, arrival }))
    }
}

impl Prepared {
    /// The sockets of the options and of the parent, or those of the running server for the same
    /// addresses.
    fn listeners(&mut self, predecessor: Option<&mut Predecessor>) -> Result<Listeners, String> {
        let mut passed = std::mem::take(&mut self.passed);
        let mut handed = Vec::new();
        if let Some(predecessor) = predecessor {
            handed = predecessor.take_asked();
            // A parent that passes sockets to this process passes all that there are.
            if passed.is_empty() {
                passed = predecessor.take_passed();
            }
        }
        Listeners::new(Plan {
            asked: &self.settings.listen,
            mode: self.settings.listen_mode,
            has_tls: self.tls.is_some(),
            passed,
            handed,
        })
    }
}

/// Opens the directory of the running server, as soon as that server has closed it. If it cannot be
/// opened, the running server goes on.
async fn take_over(
    settings: &Settings,
    predecessor: Predecessor,
) -> Result<(Appender, Predecessor), Box<dyn Error>> {
    tracing::info!(from = predecessor.pid(), "taking over");
    predecessor.release().await?;
    match directory::open(settings.builder()) {
        Ok(appender) => Ok((appender, predecessor)),
        Err(error) => {
            predecessor.give_back(error.to_string()).await;
            Err(error.into())
        }
    }
}

/// Once a thread has served every connection that was ready, and before it waits, it wakes the
/// rewriter once for all events of that round. When each event woke it, the rewriter took the
/// processor from the very thread that had more events for it.
pub(super) fn runtime(workers: usize, bell: Bell) -> Result<Runtime, Box<dyn Error>> {
    let mut builder = runtime::Builder::new_multi_thread();
    builder.worker_threads(workers).thread_name("cdrlog-serve").enable_all();
    builder.on_thread_park(move || {
        if let Some(producer) = &*bell.lock().unwrap_or_else(PoisonError::into_inner) {
            producer.wake();
        }
    });
    Ok(builder.build().map_err(|error| format!("cannot start threads: {error}"))?)
}

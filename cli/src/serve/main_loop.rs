//! A server from the moment its directory is open to the end of its connections: what signals and
//! other processes ask of it.

use std::sync::Arc;

use super::drain::Acceptor;
use super::handover::{Control, Launcher, Predecessor, Successor, Verdict};
use super::listen::Listeners;
use super::page::PageServer;
use super::server_context::ServerContext;
use super::shutdown_phase::ShutdownPhase;
use super::signals::{Request, Signals};
use super::{notify, reload, server};

/// What a server has from its start to its end, whichever directory is open.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) listeners: Arc<Listeners>,
    pub(super) signals: Signals,
    pub(super) launcher: Launcher,
    /// The page of `--ui`.
    pub(super) page: Option<PageServer>,
}

/// Why a server begins to serve.
#[derive(Debug)]
pub(super) enum Arrival {
    Started,
    /// It took over from this process, which waits to hear of it.
    TookOver(Predecessor),
    /// It served before, and gave its directory to a process that could not open it.
    NotHandedOver(String),
}

impl Arrival {
    async fn tell(self, listeners: &Listeners) {
        match self {
            Self::Started => notify::ready(),
            Self::TookOver(predecessor) => {
                listeners.own_files(true);
                notify::taken_over().await;
                predecessor.dismiss().await;
            }
            Self::NotHandedOver(reason) => tell_not_handed_over(reason),
        }
    }
}

/// Serves until a signal says to end and what was in flight is finished, or until another process
/// takes over: then returns that process, which waits for the directory. Afterwards nothing is in
/// flight, and nothing is accepted.
pub(super) async fn run(
    mut process: Process,
    shared: Arc<ServerContext>,
    arrival: Arrival,
) -> (Process, Option<Successor>) {
    let settings = &shared.settings;
    let mut control = Control::open(&settings.directory, &process.listeners, settings.end_timeout);
    let mut acceptor = Acceptor::start(process.listeners.clone(), shared.clone());
    let sweeper = tokio::spawn(server::sweep(shared.clone()));
    let watcher = tokio::spawn(reload::reload_changed(&shared));
    let board = process.page.as_ref().map(PageServer::board);
    let teller = board.map(|board| tokio::spawn(server::tell_page(shared.clone(), board)));
    tell_serving(&process, &shared);
    arrival.tell(&process.listeners).await;
    let successor = serve_until_end(&mut process, &mut control, &mut acceptor, &shared).await;
    control.close().await;
    if successor.is_none() {
        tracing::info!("ending");
        // Whoever connects from now on is refused, unless a parent holds the sockets too.
        process.listeners = Arc::default();
        acceptor.end().await;
        shared.connections.advance(ShutdownPhase::Stop);
        notify::stopping().await;
        finish(&shared, &acceptor).await;
    }
    for task in [sweeper, watcher].into_iter().chain(teller) {
        task.abort();
        // It ends by the abort. What it holds of the server is gone with it.
        let _ = task.await;
    }
    shared.refusals.tell_rest();
    shared.gaps.tell_rest();
    (process, successor)
}

fn tell_serving(process: &Process, shared: &ServerContext) {
    tracing::info!(
        listen = %process.listeners,
        pid = std::process::id(),
        cdr = %shared.appender.cdr_path().display(),
        auth = shared.gate.methods(),
        tls = shared.tls.is_some(),
        page = process.page.as_ref().map(|page| page.address().to_string()),
        "serving"
    );
}

/// Waits for the requests in flight, for as long as they may take.
async fn finish(shared: &ServerContext, acceptor: &Acceptor) {
    if !acceptor.wait_for_connections(shared.settings.end_timeout).await {
        let connections = shared.connections.count();
        tracing::warn!(connections, "ended before all requests in flight were finished");
        shared.connections.advance(ShutdownPhase::End);
    }
}

/// Does what signals and other processes ask for, until the server has to end. Returns the process
/// that takes over, if there is one.
async fn serve_until_end(
    process: &mut Process,
    control: &mut Control,
    acceptor: &mut Acceptor,
    shared: &Arc<ServerContext>,
) -> Option<Successor> {
    let Process { signals, launcher, .. } = process;
    loop {
        tokio::select! {
            request = signals.next() => match request {
                Request::End => return None,
                Request::Reload => drop(tokio::spawn(reload::reload(shared))),
                Request::HandOver => launch(launcher).await,
            },
            failure = launcher.failure() => tell_not_handed_over(failure),
            successor = control.next() => {
                tracing::info!(pid = successor.pid(), "handing over");
                let reason = if let Some(failure) = shared.failure() {
                    format!("events cannot be written now: {failure}")
                } else {
                    tokio::select! {
                        () = acceptor.drain() => return Some(successor),
                        verdict = successor.verdict() => match verdict {
                            Verdict::Failed(reason) => reason,
                            Verdict::Serving => "it says that it serves already".to_owned(),
                        },
                        () = signals.end() => {
                            refuse(&successor, "it was told to end").await;
                            return None;
                        }
                    }
                };
                refuse(&successor, &reason).await;
                acceptor.go_on();
                tell_not_handed_over(reason);
            }
        }
    }
}

/// Starts the program again, which then asks for the hand-over by itself.
async fn launch(launcher: &Launcher) {
    notify::reloading().await;
    match launcher.launch() {
        Ok(pid) => tracing::info!(pid, "started a process that takes over"),
        Err(failure) => tell_not_handed_over(failure),
    }
}

fn tell_not_handed_over(failure: String) {
    tracing::error!(failure, "not handed over; this process goes on");
    notify::not_handed_over(failure);
}

async fn refuse(successor: &Successor, reason: &str) {
    if let Err(error) = successor.refuse(reason.to_owned()).await {
        tracing::debug!(%error, "the process that wanted to take over is gone");
    }
}

//! `cdrlog serve`: the endpoint that media servers post their events to.
//!
//! ```text
//! server ──> connections ──> routes ──> gate ──> body ──> intake ──> dedup ──> appender
//! accepts    who may stay    a path     site,    a limited           once
//!                            and a host auth     memory
//! ```
//!
//! Where to look:
//! - a check of the headers of every request: `respond` in `routes.rs`, before anything is read;
//!   of credentials: `auth`; of what browsers send: `site.rs`;
//! - a refusal: a `Reason` in `refusals.rs`, for the log and the metrics, and its row in the table of
//!   `docs/operations.md`, which a test demands; the response itself in `response.rs`;
//! - an option: `options.rs` (command line, environment and file), its default in `settings.rs`;
//! - a limit for peers: `conn_state.rs` (one connection), `connections.rs` (all of them), `memory.rs`
//!   (HTTP/2), `body_budget.rs` and `unverified.rs` (bodies), `peer_limits.rs` (one address, in a
//!   time), `networks.rs` (who may connect);
//! - the end of a connection or of the server: `shutdown_phase.rs`;
//! - what all requests share: `server_context.rs`, those of one connection: `conn_context.rs`.

mod allocator;
mod auth;
mod body;
mod body_budget;
mod config;
mod conn_context;
mod conn_state;
mod connections;
mod dedup;
mod descriptors;
mod downloads;
mod file_watch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gaps;
mod gate;
mod health;
mod intake;
mod log;
mod memory;
mod metrics;
mod networks;
mod notify;
mod options;
mod peer_limits;
mod peer_table;
mod permissions;
mod plain;
mod refusals;
mod response;
mod routes;
mod server;
mod server_context;
mod settings;
mod shutdown_phase;
mod signals;
mod site;
mod tls;
mod token_bucket;
mod tracked_stream;
mod unverified;
mod waiting;

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use cdrlog::{Appender, Builder, Notice, OpenError, Producer};
use clap::Args;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};

use self::config::{Config, ConfigError};
use self::dedup::Dedup;
use self::gate::Gate;
use self::options::{AckLevel, Options};
use self::server_context::ServerContext;
use self::settings::Settings;
use self::signals::Signals;
use self::tls::Tls;
use super::cdr_path;
use super::opening;
use super::outcome::Outcome;
use super::units::units_help;

/// How long tasks get to let go of what they hold, after their connections have ended.
const TASKS_END: Duration = Duration::from_secs(2);

/// Take events over HTTP and append them to the CDR of a directory
#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  cdrlog serve --listen 127.0.0.1:8787 --dir ./cdr
  curl -d '{\"event\":\"sessionCreated\",\"timestamp\":1}' http://127.0.0.1:8787/
  cdrlog serve --config /etc/cdrlog.toml

GET /healthz and GET /metrics need no credentials, because they hold counts and no events; with
--metrics-auth, GET /metrics needs them too. GET /openvidu/cdr needs the same credentials as posting.
If no credentials are configured, only requests to a name of this machine are answered, and none that
a web page sends.

Refused requests are logged, at most once a minute for each reason and address.

The command line overrides the environment, and the environment overrides the file.
SIGHUP begins new files and reads certificates and secrets again. SIGTERM and SIGINT finish the
requests in flight and end the server; a second one ends it at once.

", units_help!(), "

Exit codes: 0 success; 1 failed, or the value of an option cannot be used; 2 wrong usage"))]
pub(super) struct Serve {
    /// A TOML file of options
    #[arg(long, value_name = "FILE", env = "CDRLOG_CONFIG")]
    config: Option<PathBuf>,

    /// The directory of the CDR; the same as --dir
    #[arg(id = "cdr_path", value_name = "DIR")]
    path: Option<PathBuf>,

    #[command(flatten)]
    options: Options,
}

impl Serve {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let is_named = self.path.is_some() || self.options.dir.is_some();
        let (options, exposed) = self.options()?;
        let mut settings = Settings::new(&options)?;
        log::begin(settings.log, settings.log_form);
        exposed.iter().for_each(|path| permissions::warn(path));
        let note = cdr_path::empty_variable_note(&settings.directory);
        if let Some(note) = note.filter(|_| !is_named) {
            tracing::warn!("{note}");
        }
        if let Some(fault) = settings.local_time_fault() {
            tracing::warn!("{fault}");
        }
        let limits = &mut settings.limits;
        limits.connections_max = descriptors::allow(limits.connections_max);
        let gate = Gate::new(&options, settings.listen)?;
        let tls = tls(&options)?;
        if let Some(key) = tls.as_ref().and_then(Tls::exposed_key) {
            permissions::warn(key);
        }
        let bell = Bell::default();
        let runtime = runtime(settings.workers, bell.clone())?;
        // Before the directory is opened: an address in use must not begin a file.
        let listener = runtime
            .block_on(TcpListener::bind(settings.listen))
            .map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
        // Before anybody hears that the server is there, and may want it to end.
        let mut signals = {
            let _context = runtime.enter();
            Signals::new().map_err(|error| format!("cannot handle signals: {error}"))?
        };
        let opened =
            runtime.block_on(open_or_wait(&settings, &listener, &mut signals, tls.as_ref()));
        let Some(appender) = opened? else { return Ok(Outcome::Done) };
        let dedup = remember(&settings);
        let _ = bell.set(Mutex::new(appender.producer()));
        let shared = Arc::new(ServerContext::new(appender, settings, gate, tls, dedup));
        tracing::info!(
            listen = %listener.local_addr()?,
            cdr = %shared.appender.cdr_path().display(),
            auth = shared.gate.methods(),
            tls = shared.tls.is_some(),
            "serving"
        );
        let served =
            runtime.block_on(runtime.spawn(server::run(listener, signals, shared.clone())));
        runtime.shutdown_timeout(TASKS_END);
        served?;
        close(shared)
    }

    /// The options of the command line and the environment, and after them those of the file.
    /// With the path of the file if others should not be able to read it.
    fn options(mut self) -> Result<(Options, Option<PathBuf>), ConfigError> {
        self.options.dir = self.path.or(self.options.dir);
        let Some(path) = self.config else { return Ok((self.options, None)) };
        let config = Config::read(&path)?;
        Ok((self.options.or(config.options), config.is_exposed.then_some(path)))
    }
}

fn tls(options: &Options) -> Result<Option<Tls>, Box<dyn Error>> {
    match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => Ok(Some(Tls::open(certificate, key)?)),
        (None, None) => Ok(None),
        _ => Err("--tls-cert and --tls-key go together".into()),
    }
}

/// What was acknowledged before a restart is not written again.
fn remember(settings: &Settings) -> Option<Dedup> {
    let dedup = Dedup::new(settings.dedup_window)?;
    let is_synced = settings.ack == AckLevel::Synced;
    if let Err(error) = dedup.remember_cdr(&settings.directory, is_synced) {
        tracing::warn!(%error, "an event from before the start may be written again");
    }
    Some(dedup)
}

/// Who wakes the rewriter thread, as soon as there is one.
type Bell = Arc<OnceLock<Mutex<Producer>>>;

/// A thread that has served every connection that had something to say wakes the rewriter, once for
/// all events of that round, before it waits itself. Woken by each event, the rewriter took the
/// processor from the very thread that had more for it.
fn runtime(workers: usize, bell: Bell) -> Result<Runtime, Box<dyn Error>> {
    let mut builder = runtime::Builder::new_multi_thread();
    builder.worker_threads(workers).thread_name("cdrlog-serve").enable_all();
    builder.on_thread_park(move || {
        if let Some(producer) = bell.get() {
            producer.lock().unwrap_or_else(PoisonError::into_inner).wake();
        }
    });
    Ok(builder.build().map_err(|error| format!("cannot start threads: {error}"))?)
}

/// Opens the directory; on a full disk as soon as there is room. `None` where a signal says to end
/// before.
async fn open_or_wait(
    settings: &Settings,
    listener: &TcpListener,
    signals: &mut Signals,
    tls: Option<&Tls>,
) -> Result<Option<Appender>, Box<dyn Error>> {
    match open(settings.builder()) {
        Ok(appender) => Ok(Some(appender)),
        Err(error) if waiting::is_for_room(&error) => {
            let listen = listener.local_addr()?;
            tracing::error!(%listen, %error, "waiting for room on the disk");
            Ok(waiting::open(error, listener, signals, tls, settings).await?)
        }
        Err(error) => Err(error.into()),
    }
}

fn open(builder: Builder) -> Result<Appender, OpenError> {
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

fn close(shared: Arc<ServerContext>) -> Result<Outcome, Box<dyn Error>> {
    let Some(shared) = Arc::into_inner(shared) else {
        return Err("a task did not end; the next start finishes what is in the journal".into());
    };
    let stats = shared.appender.close()?;
    tracing::info!(lines = stats.events_journaled, rejected = stats.events_rejected, "ended");
    Ok(Outcome::Done)
}

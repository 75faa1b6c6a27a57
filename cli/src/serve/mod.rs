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
//! - a refusal: a `Reason` in `refusals.rs`, for the log and the metrics, and its row in the table
//!   of `docs/operations.md`, which a test demands; the response itself in `response.rs`;
//! - an option: `options.rs` (command line, environment and file), its default in `settings.rs`;
//! - a limit for peers: `conn_state.rs` (one connection), `connections.rs` (all of them),
//!   `memory.rs` (HTTP/2), `body_budget.rs` and `unverified.rs` (bodies), `peer_limits.rs` (one
//!   address over time), `networks.rs` (who may connect);
//! - the page of `--ui`: `page`;
//! - a socket that connections come from: `listen`; its hand-over to another process: `handover`,
//!   and before it `drain.rs`;
//! - what signals ask for: `main_loop.rs`; what is read again: `reload.rs`;
//! - the end of a connection or of the server: `shutdown_phase.rs`, `lifetime.rs`;
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
mod directory;
mod downloads;
mod drain;
mod file_watch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gaps;
mod gate;
mod handover;
mod health;
mod health_check;
mod intake;
mod lifetime;
mod listen;
mod log;
mod main_loop;
mod memory;
mod metrics;
mod networks;
mod notify;
mod options;
mod page;
mod page_address;
mod peer_limits;
mod peer_table;
mod permissions;
mod plain;
mod refusals;
mod reload;
mod response;
mod routes;
mod server;
mod server_context;
mod settings;
mod shutdown_phase;
mod signals;
mod site;
mod start;
mod tls;
mod token_bucket;
mod tracked_stream;
mod unverified;
mod waiting;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clap::builder::BoolishValueParser;

pub(crate) use self::auth::livekit_key;
use self::config::{Config, ConfigError};
use self::handover::{Launcher, TAKE_OVER};
pub(crate) use self::health_check::HealthCheck;
use self::lifetime::{Bell, Lifetime};
use self::listen::Passed;
use self::options::Options;
use self::page::PageSettings;
pub(crate) use self::page::Ui;
use self::settings::Settings;
use self::start::{Prepared, Started};
use self::tls::Tls;
use super::cdr_path;
use super::outcome::{Outcome, say};
use super::units::units_help;

/// Take events over HTTP and append them to the CDR of a directory
#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  cdrlog serve --listen 127.0.0.1:8787 --dir ./cdr
  curl -d '{\"event\":\"sessionCreated\",\"timestamp\":1}' http://127.0.0.1:8787/
  cdrlog serve --config /etc/cdrlog/cdrlog.toml
  cdrlog serve --config /etc/cdrlog/cdrlog.toml --check

GET /healthz and GET /metrics need no credentials, because they hold counts and no events; with \
--metrics-auth, GET /metrics needs them too. GET /openvidu/cdr needs the same credentials as posting. \
If no credentials are configured, only requests to a name of this machine are answered, and none that \
a web page sends.

Refused requests are logged, at most once a minute for each reason and address.

The command line overrides the environment, and the environment overrides the file. The file may \
have tables [[ship]] too, each for a destination that `cdrlog ship --help` describes. --ui shows what is going on on a page for a browser, at an address of its own, from which nobody can \
post. What it needs is said by --ui-password-file and --ui-proxy-header; without either it listens on \
a loopback address only.

SIGHUP begins new files and reads certificates and secrets again. SIGUSR2 starts the program again, which \
may be another version by then, and hands over to it: no connection is refused meanwhile. SIGTERM and \
SIGINT finish the requests in flight and end the server; a second one ends it at once.

Sockets that are passed by $LISTEN_FDS, as systemd does it, are accepted from without --listen. Their \
names ($LISTEN_FDNAMES) say what they speak: http, https; by any other name the same as --listen.

", units_help!(), "

Exit codes: 0 success; 1 failed, or the value of an option cannot be used; 2 usage error"))]
pub(super) struct Serve {
    /// A TOML file of options
    #[arg(long, value_name = "FILE", env = "CDRLOG_CONFIG")]
    config: Option<PathBuf>,

    /// The directory of the CDR; the same as --dir
    #[arg(id = "cdr_path", value_name = "DIR")]
    path: Option<PathBuf>,

    /// Take the sockets and the directory from the server that runs there, which then ends. If none
    /// runs, this is a start like any other
    #[arg(long, env = TAKE_OVER, value_parser = BoolishValueParser::new())]
    take_over: bool,

    /// Check the options, certificates and secrets, and end: nothing is listened on, opened or
    /// written
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    options: Options,
}

impl Serve {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        #[expect(unsafe_code, reason = "descriptors are numbers in the environment")]
        // SAFETY: `main` has started no thread, and comes here once.
        let passed = unsafe { listen::take() }?;
        let launcher =
            Launcher::new().map_err(|error| format!("cannot name the program: {error}"))?;
        let only_checks = self.check;
        let prepared = self.prepare(passed, launcher)?;
        if only_checks {
            prepared.check()?;
            say("the options can be used");
            return Ok(Outcome::Done);
        }
        #[cfg(feature = "ship")]
        let (directory, tables) =
            (prepared.settings.directory.clone(), prepared.options.ship.clone());
        let bell = Bell::default();
        let runtime = start::runtime(prepared.settings.workers, bell.clone())?;
        let started = runtime.block_on(prepared.start())?;
        let Some(Started { context, process, arrival }) = started else {
            return Ok(Outcome::Done);
        };
        #[cfg(feature = "ship")]
        let _shipping = shipping(&directory, tables)?;
        Lifetime { runtime, bell, process }.run(context, arrival)
    }

    /// Checks everything that can be wrong before it changes anything.
    fn prepare(self, passed: Vec<Passed>, launcher: Launcher) -> Result<Prepared, Box<dyn Error>> {
        let is_named = self.path.is_some() || self.options.dir.is_some();
        let take_over = self.take_over;
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
        let tls = tls(&options)?;
        if let Some(key) = tls.as_ref().and_then(Tls::exposed_key) {
            permissions::warn(key);
        }
        let page = page(&options, &settings)?;
        Ok(Prepared { options, settings, tls, page, passed, launcher, take_over })
    }

    /// The options of the command line and the environment, then those of the file. Also returns
    /// the path of the file if other users can read it but should not.
    fn options(mut self) -> Result<(Options, Option<PathBuf>), ConfigError> {
        self.options.dir = self.path.or(self.options.dir);
        let Some(path) = self.config else { return Ok((self.options, None)) };
        let config = Config::read(&path)?;
        Ok((self.options.or(config.options), config.is_exposed.then_some(path)))
    }
}

/// Ships to the destinations of the options file until the server ends.
#[cfg(feature = "ship")]
fn shipping(
    directory: &std::path::Path,
    tables: Vec<crate::ship::Table>,
) -> Result<Option<crate::ship::Service>, Box<dyn Error>> {
    if tables.is_empty() {
        return Ok(None);
    }
    let tell = |sentence| tracing::warn!("{sentence}");
    let service = crate::ship::Service::start(directory, tables, tell);
    Ok(Some(service.map_err(|error| format!("cannot start a thread: {error}"))?))
}

fn tls(options: &Options) -> Result<Option<Tls>, Box<dyn Error>> {
    match (&options.tls_cert, &options.tls_key) {
        (Some(certificate), Some(key)) => Ok(Some(Tls::open(certificate, key)?)),
        (None, None) => Ok(None),
        _ => Err("--tls-cert and --tls-key go together".into()),
    }
}

/// What the page runs with, if there is one.
fn page(options: &Options, settings: &Settings) -> Result<Option<PageSettings>, Box<dyn Error>> {
    let Some(address) = options.ui else {
        if options.ui_password_file.is_some() || options.ui_proxy_header.is_some() {
            return Err(
                "--ui-password-file and --ui-proxy-header are for the page: give --ui".into()
            );
        }
        return Ok(None);
    };
    let exposed = options.ui_password_file.as_deref();
    let is_exposed =
        |path: &&Path| path.metadata().is_ok_and(|file| permissions::is_readable_by_others(&file));
    exposed.filter(is_exposed).into_iter().for_each(permissions::warn);
    let page = PageSettings {
        address: address.0,
        directory: settings.directory.clone(),
        password_file: options.ui_password_file.clone(),
        proxy_header: options.ui_proxy_header.clone(),
        password_option: "--ui-password-file",
        header_option: "--ui-proxy-header",
        tls: tls(options)?.map(Arc::new),
        allowed: settings.allowed.clone(),
        limits: settings.limits,
        has_endpoint: true,
    };
    Ok(Some(page.check()?))
}

//! The options of a run, with defaults, checked.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use cdrlog::{Builder, EVENT_BYTES_MAX_DEFAULT};

use super::listen::ListenAddress;
use super::networks::Network;
use super::options::{AckLevel, LogForm, LogLevel, Options};
use crate::append::Sync;
use crate::cdr_path;
use crate::file_options::FileOptions;
use crate::units::{Seconds, Size};

/// Unix sockets are for the owner and the group, which the proxy may be in.
const LISTEN_MODE: u32 = 0o660;
const SEGMENT_BYTES_MIN: usize = 1 << 20;

/// An event must fit into a segment of the journal, which has at most 1 GiB.
const EVENT_BYTES_LIMIT: u64 = 1 << 30;

/// The HTTP library wants at least this much for the headers of a request.
const HEADER_BYTES_MIN: u64 = 8192;
const HEADER_BYTES_LIMIT: u64 = 1 << 20;

/// The senders of one address have fewer connections than this.
const PEER_CONNECTIONS_MIN: u32 = 64;

/// Ten per second: nobody guesses a secret at that rate.
const PEER_AUTH_FAILURES_PER_MINUTE: u32 = 600;

/// What the server runs with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) listen: Vec<ListenAddress>,
    /// The permissions of unix sockets.
    pub(super) listen_mode: u32,
    pub(super) directory: PathBuf,
    pub(super) paths: Vec<String>,
    pub(super) ack: AckLevel,
    pub(super) write_retry_timeout: Duration,
    pub(super) dedup_window: Duration,
    pub(super) event_bytes_max: usize,
    pub(super) workers: usize,
    pub(super) log: LogLevel,
    pub(super) log_form: Option<LogForm>,
    pub(super) end_timeout: Duration,
    /// `GET /metrics` needs credentials.
    pub(super) metrics_auth: bool,
    /// HTTP/2 without TLS.
    pub(super) h2c: bool,
    pub(super) limits: Limits,
    /// Who may connect; everybody if it is empty.
    pub(super) allowed: Vec<Network>,
    sync: Sync,
    files: FileOptions,
    /// Shipped lines say up to which time they are complete.
    time_marks: bool,
}

/// What a peer may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connections_max: usize,
    /// Of one address. No limit of its own if it is not less than `connections_max`.
    pub(super) peer_connections_max: usize,
    /// Requests per second of one address, 0 for no limit.
    pub(super) peer_requests_per_second: u64,
    /// Bytes of bodies per second of one address, 0 for no limit.
    pub(super) peer_bytes_per_second: u64,
    /// Wrong credentials per minute of one address, 0 for no limit.
    pub(super) peer_auth_failures_per_minute: u64,
    pub(super) header_bytes_max: u32,
    pub(super) bodies_bytes_max: usize,
    pub(super) header_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

impl Settings {
    pub(super) fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let event_bytes_max = size(options.event_bytes_max, EVENT_BYTES_MAX_DEFAULT as u64);
        check("event-bytes-max", event_bytes_max, 1, EVENT_BYTES_LIMIT)?;
        let workers = options.workers.unwrap_or_else(workers_default);
        check("workers", workers.into(), 1, 256)?;
        Ok(Self {
            listen: options.listen.clone(),
            listen_mode: options.listen_mode.map_or(LISTEN_MODE, |mode| mode.0),
            directory: directory(options.dir.clone())?,
            paths: paths(&options.path)?,
            ack: options.ack.unwrap_or_default(),
            write_retry_timeout: seconds(options.write_retry_timeout, 5),
            dedup_window: seconds(options.dedup_window, 60),
            event_bytes_max: usize::try_from(event_bytes_max)?,
            workers: workers.into(),
            log: options.log.unwrap_or_default(),
            log_form: options.log_form,
            end_timeout: seconds(options.end_timeout, 10),
            metrics_auth: options.metrics_auth.unwrap_or_default(),
            h2c: options.h2c.unwrap_or_default(),
            limits: Limits::new(options)?,
            allowed: options.allow.clone(),
            sync: options.sync.unwrap_or(Sync::Interval),
            files: options.files.clone(),
            #[cfg(feature = "ship")]
            time_marks: !options.ship.is_empty(),
            #[cfg(not(feature = "ship"))]
            time_marks: false,
        })
    }

    /// What is wrong with the local time, if files are named by it.
    pub(super) fn local_time_fault(&self) -> Option<String> {
        self.files.local_time_fault()
    }

    /// The memory for bodies that nobody vouches for yet: an eighth of the memory for all of them,
    /// but enough for one of the largest size.
    pub(super) fn unverified_bytes_max(&self) -> usize {
        let bodies_bytes_max = self.limits.bodies_bytes_max;
        (bodies_bytes_max / 8).max(self.event_bytes_max).min(bodies_bytes_max)
    }

    /// The appender of these settings.
    pub(super) fn builder(&self) -> Builder {
        let builder = cdrlog::Appender::builder(&self.directory)
            .event_bytes_max(self.event_bytes_max)
            .segment_bytes(self.event_bytes_max.max(SEGMENT_BYTES_MIN))
            .sync_policy(self.sync.policy())
            .time_marks(self.time_marks);
        self.files.apply(builder)
    }
}

impl Limits {
    pub(super) fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let connections_max = options.connections_max.unwrap_or(4096);
        check("connections-max", connections_max.into(), 1, 1_000_000)?;
        let share = (connections_max / 4).max(PEER_CONNECTIONS_MIN);
        let peer_connections_max = options.peer_connections_max.unwrap_or(share);
        check("peer-connections-max", peer_connections_max.into(), 1, 1_000_000)?;
        let header_bytes_max = size(options.header_bytes_max, 16 << 10);
        check("header-bytes-max", header_bytes_max, HEADER_BYTES_MIN, HEADER_BYTES_LIMIT)?;
        Ok(Self {
            connections_max: connections_max as usize,
            peer_connections_max: peer_connections_max as usize,
            peer_requests_per_second: options.peer_requests_per_second.unwrap_or_default().into(),
            peer_bytes_per_second: size(options.peer_bytes_per_second, 0),
            peer_auth_failures_per_minute: options
                .peer_auth_failures_per_minute
                .unwrap_or(PEER_AUTH_FAILURES_PER_MINUTE)
                .into(),
            header_bytes_max: u32::try_from(header_bytes_max)?,
            bodies_bytes_max: usize::try_from(size(options.bodies_bytes_max, 64 << 20))?,
            header_timeout: seconds(options.header_timeout, 10),
            body_timeout: seconds(options.body_timeout, 10),
            idle_timeout: seconds(options.idle_timeout, 75),
        })
    }
}

fn check(option: &str, value: u64, least: u64, most: u64) -> Result<(), String> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("--{option} must be from {least} to {most}, not {value}"))
}

fn seconds(option: Option<Seconds>, default: u64) -> Duration {
    option.map_or(Duration::from_secs(default), |seconds| seconds.0)
}

/// The command line refuses an empty name; an options file may contain one.
fn directory(given: Option<PathBuf>) -> Result<PathBuf, String> {
    let path = given.unwrap_or_else(|| cdr_path::DEFAULT.into());
    match path.as_os_str().is_empty() {
        true => Err("dir: it is empty; leave it out, or name a directory".to_owned()),
        false => Ok(path),
    }
}

fn size(option: Option<Size>, default: u64) -> u64 {
    option.map_or(default, |size| size.0)
}

fn paths(given: &[String]) -> Result<Vec<String>, String> {
    if given.is_empty() {
        return Ok(vec!["/".to_owned()]);
    }
    match given.iter().find(|path| !path.starts_with('/') || path.contains(['?', '#'])) {
        Some(path) => Err(format!("--path {path:?} must begin with / and have no ? or #")),
        None => Ok(given.to_vec()),
    }
}

/// Half of the cores: the other half is for the rewriter, the flusher, and the senders. On two
/// cores a second thread made the server slower.
fn workers_default() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(cores / 2).unwrap_or(16).clamp(1, 16)
}

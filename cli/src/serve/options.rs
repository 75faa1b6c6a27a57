//! The options of `cdrlog serve`: on the command line, in the environment, and in a file.
//!
//! One struct for all three, so that none of them has an option that another lacks. Nothing has a
//! default here: `settings.rs` sets them, after command line, environment and file have been
//! combined.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::networks::Network;
use crate::append::Sync;
use crate::file_options::FileOptions;
use crate::units::{Seconds, Size};

use super::listen::{ListenAddress, one_or_several};
use super::page_address::{ADDRESS_DEFAULT, PageAddress};

/// Options, all of them optional. In the file the names have `_` where the command line has `-`.
/// `config.rs` refuses unknown ones.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    /// Address and port to listen on, or unix: and a path; may be given several times
    /// [default: 127.0.0.1:8787, unless sockets are passed by $LISTEN_FDS]
    #[arg(long, value_name = "ADDRESS", env = "CDRLOG_LISTEN", value_delimiter = ',')]
    #[serde(deserialize_with = "one_or_several")]
    pub(super) listen: Vec<ListenAddress>,

    /// The mode of unix sockets that are listened on, in octal [default: 0660]
    #[arg(long, value_name = "MODE", env = "CDRLOG_LISTEN_MODE")]
    pub(super) listen_mode: Option<Mode>,

    /// The directory of the CDR; created if it does not exist [default: /opt/openvidu/cdr]
    #[arg(long, value_name = "DIR", env = "OPENVIDU_CDR_PATH")]
    pub(super) dir: Option<PathBuf>,

    /// A path that takes events; may be given several times [default: /]
    #[arg(long, value_name = "PATH", env = "CDRLOG_PATH", value_delimiter = ',')]
    pub(super) path: Vec<String>,

    /// How safe an event must be before it is answered with 200 [default: journaled]
    #[arg(long, value_enum, value_name = "LEVEL", env = "CDRLOG_ACK")]
    pub(super) ack: Option<AckLevel>,

    /// How long a request waits for the queue and the disk before it is answered with 503; a number
    /// without a unit is seconds [default: 5s]
    #[arg(
        long,
        value_name = "DURATION",
        alias = "patience",
        allow_negative_numbers = true,
        env = "CDRLOG_WRITE_RETRY_TIMEOUT"
    )]
    #[serde(alias = "patience")]
    pub(super) write_retry_timeout: Option<Seconds>,

    /// Within this time the same event is written only once; a number without a unit is seconds; 0
    /// writes every event [default: 60s]
    #[arg(
        long,
        value_name = "DURATION",
        allow_negative_numbers = true,
        env = "CDRLOG_DEDUP_WINDOW"
    )]
    pub(super) dedup_window: Option<Seconds>,

    /// The largest body that is an event [default: 1MiB]
    #[arg(long, value_name = "SIZE", env = "CDRLOG_EVENT_BYTES_MAX")]
    pub(super) event_bytes_max: Option<Size>,

    /// When to sync lines to the disk, so that they survive a power loss [default: interval]
    #[arg(long, value_enum, value_name = "WHEN", env = "CDRLOG_SYNC")]
    pub(super) sync: Option<Sync>,

    /// A header that a request must have, such as "Authorization: Basic …"; may be given several times.
    /// Prefer the environment or a file: the list of processes shows the command line
    #[arg(long, value_name = "HEADER", env = "OPENVIDU_WEBHOOK_HEADERS", hide_env_values = true)]
    pub(super) header: Vec<String>,

    /// A file of such headers, one on each line
    #[arg(long, value_name = "FILE", env = "CDRLOG_HEADER_FILE")]
    pub(super) header_file: Option<PathBuf>,

    /// A file of LiveKit's API keys, one "key: secret" on each line; requests must have LiveKit's
    /// token. Without this option $LIVEKIT_API_KEY and $LIVEKIT_API_SECRET are used
    #[arg(long, value_name = "FILE", env = "CDRLOG_LIVEKIT_KEY_FILE")]
    pub(super) livekit_key_file: Option<PathBuf>,

    /// A file with OpenVidu Meet's API key; requests must have Meet's signature
    #[arg(long, value_name = "FILE", env = "CDRLOG_MEET_KEY_FILE")]
    pub(super) meet_key_file: Option<PathBuf>,

    /// Let everybody who can reach the address post and read
    #[arg(
        long,
        value_name = "true|false",
        env = "CDRLOG_NO_AUTH",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub(super) no_auth: Option<bool>,

    /// Require the header of --header or --header-file for GET /metrics too
    #[arg(
        long,
        value_name = "true|false",
        env = "CDRLOG_METRICS_AUTH",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub(super) metrics_auth: Option<bool>,

    /// The certificate chain, PEM; with it the server speaks TLS only
    #[arg(long, value_name = "FILE", env = "CDRLOG_TLS_CERT")]
    pub(super) tls_cert: Option<PathBuf>,

    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", env = "CDRLOG_TLS_KEY")]
    pub(super) tls_key: Option<PathBuf>,

    /// Also speak HTTP/2 without TLS
    #[arg(
        long,
        value_name = "true|false",
        env = "CDRLOG_H2C",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub(super) h2c: Option<bool>,

    /// Also show a page of what is going on, at an address of its own [default without an address:
    /// 127.0.0.1:8788]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CDRLOG_UI",
        num_args = 0..=1,
        default_missing_value = ADDRESS_DEFAULT
    )]
    pub(super) ui: Option<PageAddress>,

    /// A file with a password on each line; who looks at the page must type one of them
    #[arg(long, value_name = "FILE", env = "CDRLOG_UI_PASSWORD_FILE")]
    pub(super) ui_password_file: Option<PathBuf>,

    /// A secret header that a proxy adds once it has let somebody look at the page, such as
    /// "X-Page: secret". Prefer the environment or a file: the list of processes shows the command
    /// line
    #[arg(long, value_name = "HEADER", env = "CDRLOG_UI_PROXY_HEADER", hide_env_values = true)]
    pub(super) ui_proxy_header: Option<String>,

    /// Connections at the same time; more wait to be accepted [default: 4096]
    #[arg(long, value_name = "COUNT", env = "CDRLOG_CONNECTIONS_MAX")]
    pub(super) connections_max: Option<u32>,

    /// Connections of one address at the same time; more are refused. Behind a proxy, all come from
    /// its address [default: a quarter of --connections-max, at least 64]
    #[arg(long, value_name = "COUNT", env = "CDRLOG_PEER_CONNECTIONS_MAX")]
    pub(super) peer_connections_max: Option<u32>,

    /// Requests a second of one address; more are answered with 429; 0 is no limit [default: 0]
    #[arg(long, value_name = "COUNT", env = "CDRLOG_PEER_REQUESTS_PER_SECOND")]
    pub(super) peer_requests_per_second: Option<u32>,

    /// Bytes of bodies a second of one address; after more, its requests are answered with 429 for a
    /// while; 0 is no limit [default: 0]
    #[arg(long, value_name = "SIZE", env = "CDRLOG_PEER_BYTES_PER_SECOND")]
    pub(super) peer_bytes_per_second: Option<Size>,

    /// Requests a minute of one address with wrong credentials; after more, its requests are answered
    /// with 429 for a while; 0 is no limit [default: 600]
    #[arg(long, value_name = "COUNT", env = "CDRLOG_PEER_AUTH_FAILURES_PER_MINUTE")]
    pub(super) peer_auth_failures_per_minute: Option<u32>,

    /// A network whose addresses may connect, such as 10.0.0.0/8 or an address; may be given several
    /// times; connections from elsewhere are closed [default: all]
    #[arg(long, value_name = "NETWORK", env = "CDRLOG_ALLOW", value_delimiter = ',')]
    pub(super) allow: Vec<Network>,

    /// The largest header section of a request [default: 16KiB]
    #[arg(long, value_name = "SIZE", env = "CDRLOG_HEADER_BYTES_MAX")]
    pub(super) header_bytes_max: Option<Size>,

    /// The memory for the bodies of all requests that are not in the queue yet [default: 64MiB]
    #[arg(long, value_name = "SIZE", env = "CDRLOG_BODIES_BYTES_MAX")]
    pub(super) bodies_bytes_max: Option<Size>,

    /// How long the headers of a request, or a TLS handshake, may take; a number without a unit is
    /// seconds [default: 10s]
    #[arg(
        long,
        value_name = "DURATION",
        allow_negative_numbers = true,
        env = "CDRLOG_HEADER_TIMEOUT"
    )]
    pub(super) header_timeout: Option<Seconds>,

    /// How long the body of a request may take; a number without a unit is seconds [default: 10s]
    #[arg(
        long,
        value_name = "DURATION",
        allow_negative_numbers = true,
        env = "CDRLOG_BODY_TIMEOUT"
    )]
    pub(super) body_timeout: Option<Seconds>,

    /// How long a connection may stay open without a request; a number without a unit is seconds [default: 75s]
    #[arg(
        long,
        value_name = "DURATION",
        allow_negative_numbers = true,
        env = "CDRLOG_IDLE_TIMEOUT"
    )]
    pub(super) idle_timeout: Option<Seconds>,

    /// How long requests in flight may take when the server ends; a number without a unit is seconds
    /// [default: 10s]
    #[arg(
        long,
        value_name = "DURATION",
        allow_negative_numbers = true,
        env = "CDRLOG_END_TIMEOUT"
    )]
    pub(super) end_timeout: Option<Seconds>,

    /// Threads that serve connections [default: half of the cores]
    #[arg(long, value_name = "COUNT", env = "CDRLOG_WORKERS")]
    pub(super) workers: Option<u16>,

    /// What is logged [default: info]
    #[arg(long, value_enum, value_name = "LEVEL", env = "CDRLOG_LOG")]
    pub(super) log: Option<LogLevel>,

    /// The form of the log [default: human on a terminal, json otherwise]
    #[arg(long, value_enum, value_name = "FORM", env = "CDRLOG_LOG_FORM")]
    pub(super) log_form: Option<LogForm>,

    /// Read from the same table of the file, but by itself: flattened, its errors would have no
    /// line.
    #[command(flatten)]
    #[serde(skip)]
    pub(super) files: FileOptions,

    /// The tables `[[ship]]`, which only the file has.
    #[cfg(feature = "ship")]
    #[arg(skip)]
    pub(super) ship: Vec<crate::ship::Table>,
}

impl Options {
    /// These options, and those of `file` for each one that is not given.
    pub(super) fn or(self, file: Self) -> Self {
        // Every field by name: if a new one is forgotten here, this does not compile.
        let Self {
            listen,
            listen_mode,
            dir,
            path,
            ack,
            write_retry_timeout,
            dedup_window,
            event_bytes_max,
            sync,
            header,
            header_file,
            livekit_key_file,
            meet_key_file,
            no_auth,
            metrics_auth,
            tls_cert,
            tls_key,
            ui,
            ui_password_file,
            ui_proxy_header,
            h2c,
            connections_max,
            peer_connections_max,
            peer_requests_per_second,
            peer_bytes_per_second,
            peer_auth_failures_per_minute,
            allow,
            header_bytes_max,
            bodies_bytes_max,
            header_timeout,
            body_timeout,
            idle_timeout,
            end_timeout,
            workers,
            log,
            log_form,
            files,
            #[cfg(feature = "ship")]
                ship: _,
        } = self;
        Self {
            listen: if listen.is_empty() { file.listen } else { listen },
            listen_mode: listen_mode.or(file.listen_mode),
            dir: dir.or(file.dir),
            path: if path.is_empty() { file.path } else { path },
            ack: ack.or(file.ack),
            write_retry_timeout: write_retry_timeout.or(file.write_retry_timeout),
            dedup_window: dedup_window.or(file.dedup_window),
            event_bytes_max: event_bytes_max.or(file.event_bytes_max),
            sync: sync.or(file.sync),
            header: if header.is_empty() { file.header } else { header },
            header_file: header_file.or(file.header_file),
            livekit_key_file: livekit_key_file.or(file.livekit_key_file),
            meet_key_file: meet_key_file.or(file.meet_key_file),
            no_auth: no_auth.or(file.no_auth),
            metrics_auth: metrics_auth.or(file.metrics_auth),
            tls_cert: tls_cert.or(file.tls_cert),
            tls_key: tls_key.or(file.tls_key),
            ui: ui.or(file.ui),
            ui_password_file: ui_password_file.or(file.ui_password_file),
            ui_proxy_header: ui_proxy_header.or(file.ui_proxy_header),
            h2c: h2c.or(file.h2c),
            connections_max: connections_max.or(file.connections_max),
            peer_connections_max: peer_connections_max.or(file.peer_connections_max),
            peer_requests_per_second: peer_requests_per_second.or(file.peer_requests_per_second),
            peer_bytes_per_second: peer_bytes_per_second.or(file.peer_bytes_per_second),
            peer_auth_failures_per_minute: peer_auth_failures_per_minute
                .or(file.peer_auth_failures_per_minute),
            allow: if allow.is_empty() { file.allow } else { allow },
            header_bytes_max: header_bytes_max.or(file.header_bytes_max),
            bodies_bytes_max: bodies_bytes_max.or(file.bodies_bytes_max),
            header_timeout: header_timeout.or(file.header_timeout),
            body_timeout: body_timeout.or(file.body_timeout),
            idle_timeout: idle_timeout.or(file.idle_timeout),
            end_timeout: end_timeout.or(file.end_timeout),
            workers: workers.or(file.workers),
            log: log.or(file.log),
            log_form: log_form.or(file.log_form),
            files: files.or(file.files),
            #[cfg(feature = "ship")]
            ship: file.ship,
        }
    }
}

/// What an event must have reached before it is answered with 200.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AckLevel {
    /// It is in the queue: it survives kill -9 if there is an inbox (a file on /dev/shm)
    Accepted,
    /// Its line is in the journal: it survives kill -9, but not a power loss
    #[default]
    Journaled,
    /// It is in the CDR file: readers see it
    Written,
    /// It is on the disk: it survives a power loss
    Synced,
}

/// What is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogLevel {
    /// What ends the server
    Error,
    /// What an operator should look at
    Warn,
    /// Start and end, new files
    #[default]
    Info,
    /// Every request, by its status
    Debug,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogForm {
    /// Lines for people, coloured on a terminal
    Human,
    /// A JSON object on each line
    Json,
}

/// The permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Mode(pub(super) u32);

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or_else(|| "it must be from 0 to 777 in octal, such as 0660".to_owned())
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

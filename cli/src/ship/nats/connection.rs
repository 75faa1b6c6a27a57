//! A connection to a server of NATS, and what is asked on it.

use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{
    Client, ConnectError, ConnectErrorKind, Event, HeaderMap, Message, Request, RequestErrorKind,
    ServerError,
};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::rustls;

use super::address::StreamAddress;
use crate::ship::certificate::is_of_another_time;
use crate::ship::destination::Failure;
use crate::trusted_roots::tls_config;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How soon a connection is noticed to be dead: three of these without an answer.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Why something did not work.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// JetStream refused, for the reason of this number.
    Refused { code: u64, text: String },
    /// Nobody listens to the subject.
    NoResponders,
    /// Somebody has to do something first: the sentence says what.
    Setup(String),
    /// The connection was lost, or there was no answer.
    Lost(String),
}

impl Fault {
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Refused { text, .. } => format!("the server refused: {text}"),
            Self::NoResponders => "the server has no JetStream, or it has no leader now: enable \
                                   JetStream for this account"
                .to_owned(),
            Self::Setup(text) | Self::Lost(text) => text.clone(),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self(fault.sentence())
    }
}

/// What the server said between answers.
#[derive(Default)]
struct Told {
    fault: Mutex<Option<Fault>>,
    news: Notify,
}

impl Told {
    fn tell(&self, fault: Fault) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
        self.news.notify_one();
    }

    fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A connection. What is on its way when it is closed is sent no more: the client would send it on the
/// next one, so the threads of the client end with the connection.
pub(super) struct Connection {
    client: Client,
    told: Arc<Told>,
    runtime: Runtime,
}

impl Connection {
    pub(super) fn open(address: &StreamAddress) -> Result<Self, Fault> {
        // A thread of its own answers the pings of the server between blocks.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Fault::Lost(format!("cannot start: {error}")))?;
        let told = Arc::new(Told::default());
        let options = address.options().map_err(|Failure(text)| Fault::Setup(text))?;
        let tls = tls_config();
        let mut options = options
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .max_reconnects(1)
            .event_callback({
                let (told, address) = (Arc::clone(&told), address.clone());
                move |event| {
                    if let Some(fault) = fault_of(event, &address) {
                        told.tell(fault);
                    }
                    std::future::ready(())
                }
            });
        match tls {
            Ok(config) => options = options.tls_client_config(config),
            Err(error) if address.is_tls => return Err(Fault::Setup(error.to_string())),
            // The server may do without.
            Err(_) => {}
        }
        let server = format!("nats://{}", address.server);
        let connected = runtime.block_on(options.connect(server));
        let client = connected.map_err(|error| refusal(&error, address))?;
        Ok(Self { client, told, runtime })
    }

    /// Whether it can still be used.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.told.fault(), Some(Fault::Lost(_)))
    }

    /// Ends it at once, with everything that is on its way.
    pub(super) fn close(self) {
        let Self { client, runtime, .. } = self;
        runtime.shutdown_background();
        drop(client);
    }

    /// The version of the server, as it says it.
    pub(super) fn version(&self) -> String {
        self.client.server_info().version
    }

    pub(super) fn is_at_least(&self, major: i64, minor: i64) -> bool {
        self.client.is_server_compatible(major, minor, 0)
    }

    /// The most bytes of a message with its headers.
    pub(super) fn message_bytes_max(&self) -> usize {
        self.client.server_info().max_payload
    }

    /// Sends a message, and waits for the answer to it.
    pub(super) fn ask(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
        limit: Duration,
    ) -> Result<Message, Fault> {
        // The client's own time-out does not cover all that it waits for.
        let request = Request::new().payload(payload).headers(headers).timeout(None);
        let asking = async {
            tokio::select! {
                answer = timeout(limit, self.client.send_request(subject.to_owned(), request)) => {
                    answer.map_err(|_| self.no_answer(limit))?.map_err(|error| match error.kind() {
                        RequestErrorKind::NoResponders => Fault::NoResponders,
                        _ => Fault::Lost(format!("the connection failed: {error}")),
                    })
                }
                fault = self.fault() => Err(fault),
            }
        };
        self.runtime.block_on(asking)
    }

    fn no_answer(&self, limit: Duration) -> Fault {
        let fault = Fault::Lost(format!("no answer within {} seconds", limit.as_secs()));
        self.told.tell(fault.clone());
        fault
    }

    /// Waits until the server says something that is no answer.
    async fn fault(&self) -> Fault {
        loop {
            if let Some(fault) = self.told.fault() {
                return fault;
            }
            self.told.news.notified().await;
        }
    }
}

fn fault_of(event: Event, address: &StreamAddress) -> Option<Fault> {
    match event {
        Event::ServerError(ServerError::Other(text)) if text.contains("ermissions Violation") => {
            Some(Fault::Setup(not_permitted(&text, address)))
        }
        Event::ServerError(error) => Some(Fault::Lost(format!("the server said: {error}"))),
        Event::Disconnected | Event::Closed => {
            Some(Fault::Lost("the connection was lost".to_owned()))
        }
        _ => None,
    }
}

fn not_permitted(text: &str, address: &StreamAddress) -> String {
    let (stream, marks) = (&address.stream, address.marks_stream());
    let (subjects, marks_subjects) = (address.subjects(), address.marks_subjects());
    format!(
        "the server said: {text}; let this user publish to {subjects}, {marks_subjects}, and \
         STREAM.INFO and STREAM.MSG.GET of {stream} and {marks} below $JS.API, and subscribe to \
         _INBOX.>"
    )
}

/// What a failed connection means.
fn refusal(error: &ConnectError, address: &StreamAddress) -> Fault {
    let server = &address.server;
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            Fault::Setup(format!(
                "{server} refused the credentials: set NATS_CREDS or NATS_NKEY to a file that it \
                 knows, or NATS_USER and NATS_PASSWORD, or NATS_TOKEN"
            ))
        }
        _ => match tls_error(error) {
            Some(error) => tls_refusal(error, address),
            None => Fault::Lost(format!("cannot connect to {server}: {error}")),
        },
    }
}

/// What went wrong in TLS, which the client takes for an error of the connection.
fn tls_error(error: &ConnectError) -> Option<&rustls::Error> {
    let source = error.source()?.downcast_ref::<io::Error>()?;
    source.get_ref()?.downcast_ref()
}

fn tls_refusal(error: &rustls::Error, address: &StreamAddress) -> Fault {
    let server = &address.server;
    match error {
        rustls::Error::InvalidCertificate(fault) if is_of_another_time(fault) => {
            Fault::Lost(format!(
                "{server} has a certificate of another time: {error}; renew it, or set the clock"
            ))
        }
        rustls::Error::InvalidCertificate(_) => Fault::Setup(format!(
            "{server} has a certificate that is not trusted: {error}; name its authority with \
             SSL_CERT_FILE, and the server as its certificate does"
        )),
        rustls::Error::InvalidMessage(_) => Fault::Setup(format!(
            "{server} does not speak TLS: configure `tls` there, or write nats:// in place of tls://"
        )),
        rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired) => {
            Fault::Setup(format!(
                "{server} asks for a certificate of its clients: use NATS_CREDS, NATS_NKEY or \
                 NATS_USER there in place of `verify`"
            ))
        }
        error => Fault::Lost(format!("cannot connect to {server}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_another_time_is_tried_again_and_one_of_somebody_else_is_not() {
        let address = StreamAddress::parse("nats:4222/CDR", true).unwrap();
        let refusal = |fault| tls_refusal(&rustls::Error::InvalidCertificate(fault), &address);
        for fault in [rustls::CertificateError::Expired, rustls::CertificateError::NotValidYet] {
            let Fault::Lost(told) = refusal(fault) else { panic!("it is given up") };
            assert!(told.contains("renew it, or set the clock"), "{told}");
        }
        let Fault::Setup(told) = refusal(rustls::CertificateError::UnknownIssuer) else {
            panic!("it is tried again")
        };
        assert!(told.contains("name its authority with SSL_CERT_FILE"), "{told}");
    }
}

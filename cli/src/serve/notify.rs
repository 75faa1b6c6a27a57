//! Tells systemd the state of the server. Does nothing if systemd did not start it.
//!
//! The socket may be full if nobody reads it: nothing here blocks a thread for that.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

/// How long an ordered message waits until systemd has read the earlier ones.
const TELL_TIMEOUT: Duration = Duration::from_secs(1);

/// The server accepts requests. Sent as soon as systemd reads, however long that takes.
pub(super) fn ready() {
    tokio::spawn(async { report(tell(&[NotifyState::Ready, NotifyState::Status("")]).await) });
}

/// The server answers, but cannot write events until there is space on the disk.
pub(super) fn waiting(failure: String) {
    let told = async move {
        let status = format!("waiting for the disk: {failure}");
        report(tell(&[NotifyState::Ready, NotifyState::Status(&status)]).await);
    };
    tokio::spawn(told);
}

/// This process is the server now, and the one that systemd knew ends. Ordered: systemd must hear
/// this before the other one ends.
pub(super) async fn taken_over() {
    let pid = NotifyState::MainPid(std::process::id());
    tell_soon(&[pid, NotifyState::Ready, NotifyState::Status("")]).await;
}

/// The server accepts requests as before: why it does not hand over.
pub(super) fn not_handed_over(failure: String) {
    let told = async move {
        let status = format!("not handed over: {failure}");
        report(tell(&[NotifyState::Ready, NotifyState::Status(&status)]).await);
    };
    tokio::spawn(told);
}

/// The server ends.
pub(super) async fn stopping() {
    tell_soon(&[NotifyState::Stopping]).await;
}

/// The server reads its files again; [`ready`] says that it has.
pub(super) async fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell_soon(&[NotifyState::Reloading, now]).await,
        Err(error) => report(Err(error)),
    }
}

/// The writer makes progress. Not sent if systemd does not read.
pub(super) fn alive() {
    let told = connect().and_then(|socket| {
        let Some(socket) = socket else { return Ok(()) };
        socket.send(message(&[NotifyState::Watchdog]).as_bytes()).map(|_| ())
    });
    report(told);
}

/// How often systemd wants to hear that, at least.
pub(super) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|timeout| timeout / 3)
}

async fn tell_soon(states: &[NotifyState<'_>]) {
    let told = tokio::time::timeout(TELL_TIMEOUT, tell(states)).await;
    report(told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
}

async fn tell(states: &[NotifyState<'_>]) -> io::Result<()> {
    let Some(socket) = connect()? else { return Ok(()) };
    let socket = tokio::net::UnixDatagram::from_std(socket)?;
    socket.send(message(states).as_bytes()).await.map(|_| ())
}

/// A non-blocking socket; `None` if there is nobody to tell. The crate's own `notify` blocks.
fn connect() -> io::Result<Option<UnixDatagram>> {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return Ok(None) };
    let address = match path.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(AsRef::<OsStr>::as_ref(&path))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(Some(socket))
}

fn message(states: &[NotifyState<'_>]) -> String {
    states.iter().map(|state| format!("{state}\n")).collect()
}

fn report(told: io::Result<()>) {
    if let Err(error) = told {
        tracing::warn!(%error, "cannot tell systemd");
    }
}

//! Sockets that the parent of the process passes: socket activation, as systemd does it.
//!
//! The environment says how many there are (`LISTEN_FDS`), for which process (`LISTEN_PID`) and
//! what they are called (`LISTEN_FDNAMES`); the descriptors start at 3. A parent that holds them
//! keeps connections waiting in the kernel while no server runs.

use std::fmt;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketType, sockopt};

/// A socket that a parent passed, or a running server that got it from its parent.
#[derive(Debug)]
pub(in super::super) struct Passed {
    pub(super) socket: OwnedFd,
    pub(super) family: AddressFamily,
    /// Its name in `LISTEN_FDNAMES`; `unknown` if it has none.
    pub(super) name: String,
}

/// The sockets of the environment cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub(in super::super) enum PassedError {
    /// The variables contradict each other, or name a descriptor that is not open.
    Environment(io::Error),
    /// A descriptor is not a socket that connections can be accepted from.
    Socket { name: String, fault: &'static str },
}

impl fmt::Display for PassedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(error) => write!(
                f,
                "cannot use the sockets that LISTEN_FDS and LISTEN_FDNAMES describe, from descriptor \
                 3 on: {error}"
            ),
            Self::Socket { name, fault } => {
                write!(f, "cannot accept connections from the passed socket {name:?}: {fault}")
            }
        }
    }
}

impl std::error::Error for PassedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Environment(source) => Some(source),
            Self::Socket { .. } => None,
        }
    }
}

/// Takes the sockets of the environment, and removes the variables, so that no child uses them as
/// its own. Returns none if the variables are not set, or are for another process.
///
/// # Safety
///
/// No other thread may exist, and this may be called only once: the descriptors become the
/// caller's.
#[expect(unsafe_code, reason = "the environment is changed, descriptors are numbers in it")]
pub(in super::super) unsafe fn take() -> Result<Vec<Passed>, PassedError> {
    // SAFETY: the caller guarantees that there is no other thread.
    let described = unsafe { sd_notify::listen_fds_with_names_and_unset_env() };
    let mut sockets = Vec::new();
    for (number, name) in described.map_err(PassedError::Environment)? {
        // SAFETY: it is open, because it was just set to close on exec, and it was passed to this
        // process, in which the caller guarantees that nobody else takes it.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        sockets.push(Passed::new(socket, name)?);
    }
    Ok(sockets)
}

impl Passed {
    pub(in super::super) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Checks a descriptor: whether TCP or unix connections can be accepted from it.
    pub(in super::super) fn new(socket: OwnedFd, name: String) -> Result<Self, PassedError> {
        match family(&socket) {
            Ok(family) => Ok(Self { socket, family, name }),
            Err(fault) => Err(PassedError::Socket { name, fault }),
        }
    }
}

fn family(socket: &OwnedFd) -> Result<AddressFamily, &'static str> {
    if sockopt::socket_type(socket).map_err(|_| "it is not a socket")? != SocketType::STREAM {
        return Err("it is not a stream socket (ListenStream= of systemd)");
    }
    if !sockopt::socket_acceptconn(socket).unwrap_or_default() {
        return Err("it does not listen (Accept=yes of systemd passes connections instead)");
    }
    match sockopt::socket_domain(socket) {
        Ok(family @ (AddressFamily::INET | AddressFamily::INET6 | AddressFamily::UNIX)) => {
            Ok(family)
        }
        _ => Err("it is neither of TCP nor a unix socket"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn fault(socket: impl Into<OwnedFd>) -> String {
        Passed::new(socket.into(), "x".to_owned()).unwrap_err().to_string()
    }

    #[test]
    fn only_listening_stream_sockets_are_taken() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let passed = Passed::new(listener.into(), "x".to_owned()).unwrap();
        assert_eq!(passed.family, AddressFamily::INET6);
        assert!(fault(File::open("/dev/null").unwrap()).ends_with("\"x\": it is not a socket"));
        assert!(fault(UdpSocket::bind("127.0.0.1:0").unwrap()).contains("not a stream socket"));
        assert!(fault(UnixStream::pair().unwrap().0).contains("it does not listen"));
    }
}

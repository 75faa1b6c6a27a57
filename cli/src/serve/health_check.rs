//! `cdrlog health`: asks a running server whether it can write events. For the health check of a
//! container, in which there may be no other program.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use clap::Args;

use super::listen::ListenAddress;
use crate::outcome::Outcome;
use crate::units::Seconds;

/// The answer of a healthy server has less than 200 bytes; a failure may have a long path.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Ask a running `serve` whether it can write events
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cdrlog health
  cdrlog health --listen unix:/run/cdrlog/http.sock || echo 'events are lost'

It asks for GET /healthz. Of several addresses it asks a unix socket, or else the first one; the address \
of all interfaces is asked at loopback. It speaks no TLS: a server with a certificate can listen on a unix \
socket too, which never has TLS.

Exit codes: 0 the server can write events; 1 it cannot, or did not answer; 2 usage error")]
pub(crate) struct HealthCheck {
    /// Where the server listens: an address and a port, or unix: and a path
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CDRLOG_LISTEN",
        value_delimiter = ',',
        default_value = "127.0.0.1:8787"
    )]
    listen: Vec<ListenAddress>,

    /// How long to wait for the server; a number without a unit is seconds
    #[arg(long, value_name = "DURATION", default_value = "3s")]
    timeout: Seconds,
}

impl HealthCheck {
    pub(crate) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let Seconds(timeout) = self.timeout;
        // No limit at all is what a socket takes zero for.
        let timeout = timeout.max(Duration::from_millis(1));
        let Some(address) = address_to_ask(&self.listen) else {
            return Err("no address is left to ask".into());
        };
        let answer = ask(&address, timeout)
            .map_err(|error| format!("cannot ask the server at {address}: {error}"))?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        match head.split(' ').nth(1) {
            Some("200") => Ok(Outcome::Done),
            Some(status) if head.starts_with("HTTP/") => {
                Err(format!("the server at {address} answers {status}: {}", body.trim()).into())
            }
            _ => Err(format!("the server at {address} does not speak HTTP").into()),
        }
    }
}

/// A unix socket never speaks TLS, so it is asked before an address that may.
fn address_to_ask(listen: &[ListenAddress]) -> Option<ListenAddress> {
    let is_unix = |address: &&ListenAddress| matches!(address, ListenAddress::Unix(_));
    match listen.iter().find(is_unix).or(listen.first())? {
        ListenAddress::Tcp(address) => Some(ListenAddress::Tcp(reachable(*address))),
        unix => Some(unix.clone()),
    }
}

/// An address of this machine for one that stands for all of them.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn ask(address: &ListenAddress, timeout: Duration) -> io::Result<Vec<u8>> {
    match address {
        ListenAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, timeout)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            exchange(stream, &address.to_string())
        }
        ListenAddress::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            exchange(stream, "localhost")
        }
    }
}

fn exchange(mut stream: impl Read + Write, host: &str) -> io::Result<Vec<u8>> {
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(|error| match error.kind() {
        // What a socket says after its timeout means nothing to a person.
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    })?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_all_interfaces_is_asked_at_loopback_and_a_unix_socket_first() {
        for (listen, asked) in [
            ("0.0.0.0:8787", "127.0.0.1:8787"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:8787,127.0.0.1:1", "192.0.2.1:8787"),
            ("0.0.0.0:443,unix:/run/http.sock", "unix:/run/http.sock"),
        ] {
            let listen: Vec<_> = listen.split(',').map(|text| text.parse().unwrap()).collect();
            assert_eq!(address_to_ask(&listen).unwrap().to_string(), asked);
        }
    }
}

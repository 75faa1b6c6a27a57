//! A proxy before a server, which loses answers, cuts requests, and hangs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The server gets it, and does it; the answer is lost, and the connection with it.
    AnswerLost,
    /// The server gets the first half of what is sent, and the connection is lost.
    Cut,
    /// The server never gets it, and in its place 409 is answered, which a busy S3 does too.
    Busy,
    /// Nothing passes any more, in either direction, and nobody is told.
    Hangs,
    /// Every answer takes so long.
    Slow(Duration),
}

const BUSY: &[u8] = b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Ends with the program: its threads wait for connections.
pub struct Proxy {
    pub port: u16,
    rule: Arc<Rule>,
}

struct Rule {
    server: u16,
    mishap: Mishap,
    /// The requests that it happens to: what is sent holds this.
    marker: &'static str,
    /// How often it still happens.
    left: AtomicUsize,
}

impl Proxy {
    /// The mishap happens to the first `times` requests that hold `marker`.
    pub fn before(server: u16, mishap: Mishap, marker: &'static str, times: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let rule = Arc::new(Rule { server, mishap, marker, left: AtomicUsize::new(times) });
        let shared = Arc::clone(&rule);
        thread::spawn(move || {
            for client in listener.incoming() {
                let rule = Arc::clone(&shared);
                // The server may be away.
                if let (Ok(client), Ok(server)) =
                    (client, TcpStream::connect(("127.0.0.1", rule.server)))
                {
                    relay(client, server, &rule);
                }
            }
        });
        Self { port, rule }
    }

    /// How often the mishap still has to happen.
    pub fn left(&self) -> usize {
        self.rule.left.load(Ordering::SeqCst)
    }
}

impl Rule {
    /// Whether it happens now.
    fn strikes(&self, sent: &[u8]) -> bool {
        let is_marked = memchr::memmem::find(sent, self.marker.as_bytes()).is_some();
        let less = |left: usize| left.checked_sub(1);
        is_marked && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }
}

fn relay(client: TcpStream, server: TcpStream, rule: &Arc<Rule>) {
    let is_struck = Arc::new(AtomicBool::new(false));
    let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn({
        let (rule, is_struck) = (Arc::clone(rule), Arc::clone(&is_struck));
        move || requests(client, to_server, &rule, &is_struck)
    });
    let rule = Arc::clone(rule);
    thread::spawn(move || answers(server, to_client, &rule, &is_struck));
}

fn requests(mut client: TcpStream, mut server: TcpStream, rule: &Rule, is_struck: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    // What was sent last: a marker may lie in two pieces.
    let mut seen = Vec::new();
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let mut sent = &buffer[..count];
        seen.extend_from_slice(sent);
        let strikes = rule.strikes(&seen);
        seen.drain(..seen.len().saturating_sub(if strikes { 0 } else { rule.marker.len() - 1 }));
        if strikes {
            is_struck.store(true, Ordering::SeqCst);
            match rule.mishap {
                Mishap::Cut => sent = &sent[..count / 2],
                Mishap::Hangs => hang(),
                Mishap::Busy => {
                    // The rest of the request is read, or the answer could be lost.
                    let answered = client.write_all(BUSY);
                    while answered.is_ok() && client.read(&mut buffer).is_ok_and(|it| it > 0) {}
                    break;
                }
                Mishap::AnswerLost | Mishap::Slow(_) => {}
            }
        }
        if server.write_all(sent).is_err() || (strikes && rule.mishap == Mishap::Cut) {
            break;
        }
    }
    let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
}

fn answers(mut server: TcpStream, mut client: TcpStream, rule: &Rule, is_struck: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        let is_struck = is_struck.load(Ordering::SeqCst);
        match rule.mishap {
            Mishap::Slow(time) => thread::sleep(time),
            Mishap::AnswerLost if is_struck => break,
            Mishap::Hangs if is_struck => hang(),
            _ => {}
        }
        if client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
}

/// Both connections stay open.
fn hang() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

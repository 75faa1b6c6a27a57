//! Posts events to `cdrlog serve` at a steady rate and prints how long their acknowledgements took.
//!
//! An open loop: each event has a time at which it is due, and its latency is counted from then on,
//! so that a server that stands still is charged for all who would have come meanwhile. A closed
//! loop, as wrk's, would only send less. What a sleep of the sender is too long is counted too.
//!
//!     cargo run --release --example serve_load -- [ADDRESS] [EVENTS_A_SECOND] [CONNECTIONS] [SECONDS]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// As long as OpenVidu's events often are.
const EVENT_BYTES: usize = 350;

/// Connections are made before the first event is due.
const HEAD_START: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Plan {
    address: String,
    begin: Instant,
    /// Between two events of one connection.
    interval: Duration,
    events: u64,
    /// Of this run, so that no event is one of another run.
    run: u128,
}

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let address = argument("127.0.0.1:8787");
    let rate: f64 = argument("10000").parse()?;
    let connections: u32 = argument("20").parse()?;
    let seconds: f64 = argument("10").parse()?;
    let plan = Plan {
        address,
        begin: Instant::now() + HEAD_START,
        interval: Duration::from_secs_f64(f64::from(connections) / rate),
        events: (rate * seconds / f64::from(connections)) as u64,
        run: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis(),
    };
    let senders: Vec<_> = (0..connections)
        .map(|number| {
            let mut plan = plan.clone();
            plan.begin += plan.interval * number / connections;
            thread::Builder::new().stack_size(128 << 10).spawn(move || send(&plan, number))
        })
        .collect::<Result<_, _>>()?;
    let mut latencies = Histogram::<u64>::new(3)?;
    for sender in senders {
        latencies.add(sender.join().map_err(|_| "a sender panicked")??)?;
    }
    let elapsed = plan.begin.elapsed().as_secs_f64();
    println!(
        "{} events, each answered with 200, {:.0} a second over {connections} connections",
        latencies.len(),
        latencies.len() as f64 / elapsed
    );
    let milliseconds = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e6;
    println!(
        "ms: p50 {:.3}, p99 {:.3}, p99.9 {:.3}, max {:.3}; under 2 ms: {:.3} %",
        milliseconds(0.5),
        milliseconds(0.99),
        milliseconds(0.999),
        milliseconds(1.0),
        100.0 * latencies.count_between(0, 2_000_000) as f64 / latencies.len() as f64
    );
    Ok(())
}

/// Sends the events of one connection; gives their latencies in nanoseconds.
fn send(plan: &Plan, number: u32) -> Result<Histogram<u64>, Error> {
    let mut stream = BufReader::new(TcpStream::connect(&plan.address)?);
    stream.get_ref().set_nodelay(true)?;
    let mut latencies = Histogram::<u64>::new(3)?;
    let mut due = plan.begin;
    for event in 0..plan.events {
        let request = request(plan, number, event);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.get_mut().write_all(request.as_bytes())?;
        read_answer(&mut stream)?;
        latencies.record(u64::try_from(due.elapsed().as_nanos())?)?;
        due += plan.interval;
    }
    Ok(latencies)
}

fn request(plan: &Plan, connection: u32, event: u64) -> String {
    let head = format!(
        r#"{{"sessionId":"ses_{connection}","timestamp":{},"number":{event},"padding":""#,
        plan.run
    );
    let tail = r#"","event":"participantJoined"}"#;
    let padding = "x".repeat(EVENT_BYTES.saturating_sub(head.len() + tail.len()));
    format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {EVENT_BYTES}\r\n\r\n{head}{padding}{tail}",
        plan.address
    )
}

/// A 200 has no body.
fn read_answer(stream: &mut impl BufRead) -> Result<(), Error> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 200 ") {
        return Err(format!("the answer is {:?}", line.trim_end()).into());
    }
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err("the connection has ended".into());
        }
    }
    Ok(())
}

//! How fast the page is, and what it costs senders. Figures are printed; `docs/ui.md` has them.
//!
//! `cargo test --release -p cdrlog-cli --test serve -- --ignored --nocapture --test-threads 1 page_browser::speed`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::common::body;
use crate::page::Alone;

/// How long each measurement takes.
const SPAN: Duration = Duration::from_secs(5);

fn say_load() {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let load: Vec<_> = load.split(' ').take(2).collect();
    eprintln!("load average of 1 and 5 minutes: {}", load.join(" "));
}

/// The value at a share of sorted numbers.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

#[test]
#[ignore = "measures, on a machine that does nothing else"]
fn the_first_paint_and_the_first_numbers() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_day(directory.path());
    browser.look(1280, 900, "light");
    let (mut paints, mut drawn) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        browser.open("about:blank");
        open(&mut browser, page(&daemon), "now");
        let paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime";
        paints.push(browser.evaluate(paint).as_f64().unwrap());
        let script = "performance.getEntriesByName('drawn')[0].startTime";
        drawn.push(browser.evaluate(script).as_f64().unwrap());
    }
    daemon.terminate();
    say_load();
    for (name, times) in [("first paint", &mut paints), ("first numbers", &mut drawn)] {
        times.sort_by(f64::total_cmp);
        let [median, most] = [0.5, 1.0].map(|share| percentile(times, share));
        eprintln!("{name}: {median:.0} ms in the median of {}, {most:.0} ms at most", times.len());
    }
}

/// Appends events of now to a file, so many a second.
fn append(path: &Path, per_second: u64, is_over: &AtomicBool) -> u64 {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    let (begin, mut count) = (Instant::now(), 0);
    while !is_over.load(Ordering::Relaxed) {
        let due = (begin.elapsed().as_secs_f64() * per_second as f64) as u64;
        let mut text = String::new();
        for number in count..due {
            let (room, who) = (number / 2 % 300, number / 2);
            let name = if number % 2 == 0 { "participantJoined" } else { "participantLeft" };
            let event = json!({ name: { "sessionId": format!("room-{room}"), "participantId": format!("p{who}"), "timestamp": now(), "reason": "disconnect" } });
            text.push_str(&format!("{event}\n"));
        }
        file.write_all(text.as_bytes()).unwrap();
        count = due;
        thread::sleep(Duration::from_millis(10));
    }
    count
}

/// Counts frames, and the longest time between two of them.
const FRAMES: &str = "new Promise((resolve) => {
    const times = [], begin = performance.now();
    const next = (now) => {
        times.push(now);
        if (now - begin < 5000) requestAnimationFrame(next);
        else {
            const between = times.slice(1).map((time, index) => time - times[index]);
            resolve([between.length / (times.at(-1) - times[0]) * 1000, Math.max(...between), between.filter((ms) => ms > 34).length]);
        }
    };
    requestAnimationFrame(next);
})";

#[test]
#[ignore = "measures, on a machine that does nothing else"]
fn frames_a_second_while_events_come_in() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    write_day(directory.path());
    let alone = Alone::start(directory.path());
    browser.look(1280, 900, "light");
    for view in ["now", "day"] {
        open(&mut browser, alone.1, view);
        for per_second in [0, 5000] {
            let is_over = Arc::new(AtomicBool::new(false));
            let path = directory.path().join(today());
            let appending = {
                let is_over = is_over.clone();
                thread::spawn(move || append(&path, per_second, &is_over))
            };
            let told = browser.evaluate(FRAMES);
            is_over.store(true, Ordering::Relaxed);
            let count = appending.join().unwrap();
            let [rate, longest, late] = [0, 1, 2].map(|index| told[index].as_f64().unwrap());
            eprintln!(
                "{view}, {per_second} events a second ({count} came): {rate:.1} frames a second, \
                 {late} later than 34 ms, the longest after {longest:.0} ms"
            );
        }
    }
    say_load();
}

/// Milliseconds from a post to its answer, 200 posts a second over one connection.
fn latencies(daemon: &Daemon) -> Vec<f64> {
    let (mut client, begin, mut times) = (daemon.connect(), Instant::now(), Vec::new());
    while begin.elapsed() < SPAN {
        let sent = Instant::now();
        let event = json!({ "event": "participantJoined", "timestamp": now(), "sessionId": format!("s{}", times.len() % 50), "participantId": format!("p{}", times.len()) });
        assert_eq!(client.post(&event.to_string()).status, 200);
        times.push(sent.elapsed().as_secs_f64() * 1000.0);
        thread::sleep(Duration::from_millis(5).saturating_sub(sent.elapsed()));
    }
    times.sort_by(f64::total_cmp);
    times
}

/// A viewer whose messages are read and thrown away.
fn view(page: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(page).unwrap();
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

/// Reads what has come for each; panics where a stream has ended.
fn read_all(viewers: &mut [TcpStream], buffer: &mut [u8]) -> u64 {
    let mut bytes = 0;
    for viewer in viewers {
        loop {
            match viewer.read(buffer) {
                Ok(0) => panic!("a viewer was dropped"),
                Ok(count) => bytes += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    bytes
}

#[test]
#[ignore = "measures, on a machine that does nothing else"]
fn a_thousand_viewers_beside_a_sender() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_page(directory.path(), &[]);
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    for viewers_count in [0, 1000, 0, 1000] {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut viewers: Vec<_> = (0..viewers_count).map(|_| view(page(&daemon))).collect();
        let reading = {
            let is_over = is_over.clone();
            thread::spawn(move || {
                let (mut bytes, mut buffer) = (0, vec![0; 1 << 16]);
                while !is_over.load(Ordering::Relaxed) {
                    bytes += read_all(&mut viewers, &mut buffer);
                    thread::sleep(Duration::from_millis(100));
                }
                bytes
            })
        };
        let times = latencies(&daemon);
        is_over.store(true, Ordering::Relaxed);
        let bytes = reading.join().unwrap();
        let [median, p99, most] = [0.5, 0.99, 1.0].map(|share| percentile(&times, share));
        eprintln!(
            "{viewers_count} viewers, who got {bytes} bytes: {} posts, p50 {median:.2} ms, p99 \
             {p99:.2} ms, at most {most:.2} ms",
            times.len()
        );
    }
    say_load();
    daemon.terminate();
}

//! The page that shows what is going on: `serve --ui`, and `ui` for a directory alone.
//!
//! ```text
//! CDR files ──> record ──> view: series, rooms ──> hub ──> viewers
//!               reads                              one message for all
//! ```
//!
//! The page only reads the record, as any other reader does, in threads of its own that have a low
//! priority; it has an address of its own, and takes no place, memory or time from the senders of
//! events. What the endpoint itself knows, it writes on the [`Board`] about once a second.

mod access;
mod assets;
mod board;
mod body;
mod command;
mod hub;
mod listener;
mod past;
mod person;
mod record;
mod room;
mod rooms;
mod routes;
mod series;
mod settings;
mod timeline;
mod view;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::Notify;

use self::access::Access;
pub(super) use self::board::{Board, Status};
pub(crate) use self::command::Ui;
use self::hub::Hub;
use self::past::Past;
use self::record::{live_span, now_ms};
use self::routes::Page;
pub(super) use self::settings::PageSettings;
use self::view::View;
use super::refusals::Refusals;

/// How much the threads of the page give way to all others, as `nice` counts.
const NICENESS: i32 = 10;

/// How often viewers are told what is new.
const TICK_INTERVAL: Duration = Duration::from_millis(500);

/// How often it tries to listen at an address that another process has: the one that hands over.
const LISTEN_INTERVAL: Duration = Duration::from_millis(250);

/// Threads that read files for viewers, and look at passwords and certificates.
const BLOCKING_THREADS_MAX: usize = 8;

/// How often it looks whether the reading has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// How long files that are being read at the end may take.
const TASKS_END: Duration = Duration::from_secs(1);

/// A page that is served until this is dropped.
#[derive(Debug)]
pub(super) struct PageServer {
    board: Arc<Board>,
    address: SocketAddr,
    ending: Arc<Ending>,
    thread: Option<JoinHandle<()>>,
}

/// Tells the threads of the page to end.
#[derive(Debug, Default)]
struct Ending {
    is_ending: AtomicBool,
    serving: Notify,
}

/// What the thread of the page begins with.
struct Parts {
    listener: Option<std::net::TcpListener>,
    page: Arc<Page>,
    settings: Arc<PageSettings>,
    ending: Arc<Ending>,
}

impl PageServer {
    /// Listens, and starts the threads. `may_wait`: if another process has the address, it will
    /// soon give it up.
    pub(super) fn start(settings: PageSettings, may_wait: bool) -> Result<Self, Box<dyn Error>> {
        let access = Access::new(&settings)?;
        let address = settings.address;
        let listener = match listen(address) {
            Ok(listener) => Some(listener),
            Err(error) if may_wait && error.kind() == io::ErrorKind::AddrInUse => None,
            Err(error) => {
                return Err(format!("the page cannot listen on {address}: {error}").into());
            }
        };
        let address = match &listener {
            Some(listener) => listener.local_addr()?,
            None => address,
        };
        let board = Arc::new(Board::default());
        let view = View::new(live_span(now_ms()));
        let hub = Arc::new(Hub::new(view, board.clone(), &settings));
        let past = Past::new(settings.directory.clone(), hub.clone());
        let page = Arc::new(Page { access, hub, past, refusals: Refusals::default() });
        let (ending, settings) = (Arc::<Ending>::default(), Arc::new(settings));
        let parts = Parts { listener, page, settings, ending: ending.clone() };
        let thread = thread::Builder::new().name("cdrlog-page".to_owned());
        let thread = thread.spawn(move || {
            if let Err(error) = run(parts) {
                tracing::error!(%error, "there is no page: cannot start threads");
            }
        })?;
        Ok(Self { board, address, ending, thread: Some(thread) })
    }

    pub(super) fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        self.ending.is_ending.store(true, Ordering::Relaxed);
        self.ending.serving.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the page has panicked");
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The thread of the page. The threads that it starts have its priority.
fn run(parts: Parts) -> io::Result<()> {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        // Only less polite to the others.
        tracing::debug!(%error, "the page keeps its priority");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name("cdrlog-page")
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()?;
    let Parts { listener, page, settings, ending } = parts;
    let reading = {
        let (settings, page, ending) = (settings.clone(), page.clone(), ending.clone());
        thread::Builder::new().name("cdrlog-page-rd".to_owned()).spawn(move || {
            record::follow(&settings.directory, &page.hub, &ending.is_ending);
        })?
    };
    runtime.block_on(serve(listener, &page, &settings, &ending));
    page.refusals.tell_rest();
    page.hub.close();
    // It may be in a read of a disk that stands still, and holds nothing of the server.
    let begin = Instant::now();
    while !reading.is_finished() && begin.elapsed() < TASKS_END {
        thread::sleep(LOOK_INTERVAL);
    }
    if reading.is_finished() && reading.join().is_err() {
        tracing::error!("the thread that reads the record for the page has panicked");
    }
    runtime.shutdown_timeout(TASKS_END);
    Ok(())
}

async fn serve(
    listener: Option<std::net::TcpListener>,
    page: &Arc<Page>,
    settings: &Arc<PageSettings>,
    ending: &Ending,
) {
    let serving = async {
        let listener = match listener {
            Some(listener) => listener,
            None => listen_soon(settings.address).await,
        };
        match TcpListener::from_std(listener) {
            Ok(listener) => listener::serve(listener, page.clone(), settings.clone()).await,
            Err(error) => tracing::error!(%error, "there is no page: cannot listen"),
        }
    };
    tokio::select! {
        () = serving => {}
        () = tell(&page.hub) => {}
        () = ending.serving.notified() => {}
    }
}

/// Tells all viewers what is new.
async fn tell(hub: &Hub) {
    let mut ticks = tokio::time::interval(TICK_INTERVAL);
    loop {
        ticks.tick().await;
        hub.tick(now_ms());
    }
}

/// Listens as soon as the process that hands over has ended.
async fn listen_soon(address: SocketAddr) -> std::net::TcpListener {
    loop {
        match listen(address) {
            Ok(listener) => return listener,
            Err(error) => tracing::debug!(%error, "the page waits for its address"),
        }
        tokio::time::sleep(LISTEN_INTERVAL).await;
    }
}

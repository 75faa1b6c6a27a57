//! Checks files at the same time, and reports them in their order.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::file::{self, Checked, Listener, NobodyListens};
use super::plan::{Plan, Task};
use super::remark::Remark;
use super::report::Report;
#[cfg(feature = "ship")]
use super::shipped;

/// The maximum number of remarks of a file that wait for their turn. A file that has more waits
/// itself, so that memory stays bounded.
const REMARKS_WAITING: usize = 16;

/// How often the progress is checked.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

enum Message {
    Remark(Remark),
    Done(Checked),
}

/// What the threads share.
struct Shared<I> {
    tasks: Mutex<I>,
    bytes: AtomicU64,
    is_over: AtomicBool,
}

/// Checks everything. An error is one of standard output.
pub(super) fn check(plan: Plan, threads: usize, report: &mut Report) -> io::Result<()> {
    for remark in &plan.remarks {
        report.remark(remark)?;
    }
    let count = plan.tasks.len();
    let (tasks, receivers): (Vec<_>, Vec<_>) = plan
        .tasks
        .into_iter()
        .map(|task| {
            let (sender, receiver) = sync_channel(REMARKS_WAITING);
            ((task, sender), receiver)
        })
        .unzip();
    let shared = Shared {
        tasks: Mutex::new(tasks.into_iter()),
        bytes: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            scope.spawn(|| work(&shared));
        }
        let result =
            receivers.into_iter().try_for_each(|receiver| listen(&receiver, &shared.bytes, report));
        // The receivers are dropped by now, so that no thread waits for room.
        shared.is_over.store(true, Ordering::Relaxed);
        result
    })
}

/// Takes files in order until there are no more: so the first of those that are being checked is
/// always the one that is reported.
fn work(shared: &Shared<impl Iterator<Item = (Task, SyncSender<Message>)>>) {
    loop {
        let next = shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some((task, sender)) = next else { return };
        let mut listener = Sender { sender, bytes: &shared.bytes, is_over: &shared.is_over };
        let checked = match task {
            Task::File(task) => file::check(task, &mut listener),
            #[cfg(feature = "ship")]
            Task::Chain(task) => shipped::check(&task, &mut listener),
        };
        let Ok(checked) = checked else { return };
        if listener.sender.send(Message::Done(checked)).is_err() {
            return;
        }
    }
}

struct Sender<'a> {
    sender: SyncSender<Message>,
    bytes: &'a AtomicU64,
    is_over: &'a AtomicBool,
}

impl Listener for Sender<'_> {
    fn tell(&mut self, remark: Remark) -> Result<(), NobodyListens> {
        self.sender.send(Message::Remark(remark)).map_err(|_| NobodyListens)
    }

    fn read(&mut self, bytes: u64) -> Result<(), NobodyListens> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.is_over.load(Ordering::Relaxed) { Err(NobodyListens) } else { Ok(()) }
    }
}

/// Reports one file.
fn listen(receiver: &Receiver<Message>, bytes: &AtomicU64, report: &mut Report) -> io::Result<()> {
    loop {
        match receiver.recv_timeout(PROGRESS_INTERVAL) {
            Ok(Message::Remark(remark)) => report.remark(&remark)?,
            Ok(Message::Done(checked)) => {
                report.checked(checked);
                return Ok(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("a thread that checks files has ended"));
            }
        }
        report.progress(bytes.load(Ordering::Relaxed));
    }
}

//! cdrlog in the configurations that the benches compare.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use cdrlog::{Appender, Producer, SyncPolicy};

use super::{CORPUS, Logger, Sender};

/// `send_slice`, with the defaults but for syncs.
pub struct CdrlogSlice(Appender);

pub struct SliceSender(Producer);

fn open(directory: &Path, sync_policy: SyncPolicy) -> Appender {
    Appender::builder(directory).sync_policy(sync_policy).open().expect("an appender")
}

fn close(appender: Appender) -> usize {
    let stats = appender.close().expect("a clean end");
    assert_eq!(stats.events_rejected, 0);
    0
}

impl Logger for CdrlogSlice {
    type Sender = SliceSender;

    fn open(directory: &Path) -> Self {
        Self(open(directory, SyncPolicy::Never))
    }

    fn sender(&self, _events: usize) -> SliceSender {
        SliceSender(self.0.producer())
    }

    fn close(self) -> usize {
        close(self.0)
    }
}

impl Sender for SliceSender {
    #[inline]
    fn send(&mut self, number: usize) -> bool {
        self.0.send_slice(CORPUS.body(number)).is_ok()
    }
}

/// `send` of a `Bytes`. The bodies are parts of buffers of 64 KiB, as a server reads them from its
/// connections; each buffer is freed by the rewriter thread.
pub struct CdrlogBytes(Appender);

pub struct BytesSender(Producer, std::vec::IntoIter<Bytes>);

impl Logger for CdrlogBytes {
    type Sender = BytesSender;

    fn open(directory: &Path) -> Self {
        Self(open(directory, SyncPolicy::Never))
    }

    fn sender(&self, events: usize) -> BytesSender {
        let mut buffer = BytesMut::new();
        let body = |number| {
            let body = CORPUS.body(number);
            if buffer.capacity() < body.len() {
                buffer = BytesMut::with_capacity(64 << 10);
            }
            buffer.extend_from_slice(body);
            buffer.split().freeze()
        };
        let bodies: Vec<Bytes> = (0..events).map(body).collect();
        BytesSender(self.0.producer(), bodies.into_iter())
    }

    fn close(self) -> usize {
        close(self.0)
    }
}

impl Sender for BytesSender {
    #[inline]
    fn send(&mut self, _number: usize) -> bool {
        self.1.next().is_some_and(|body| self.0.send(body).is_ok())
    }
}

/// `send_slice` with all defaults: a sync every second.
pub struct CdrlogSynced(Appender);

impl Logger for CdrlogSynced {
    type Sender = SliceSender;

    fn open(directory: &Path) -> Self {
        Self(open(directory, SyncPolicy::default()))
    }

    fn sender(&self, _events: usize) -> SliceSender {
        SliceSender(self.0.producer())
    }

    fn close(self) -> usize {
        close(self.0)
    }
}

/// `send_slice` while the flusher does nothing but write and sync.
pub struct CdrlogSyncing(Appender);

impl Logger for CdrlogSyncing {
    type Sender = SliceSender;

    fn open(directory: &Path) -> Self {
        Self(open(directory, SyncPolicy::Always))
    }

    fn sender(&self, _events: usize) -> SliceSender {
        SliceSender(self.0.producer())
    }

    fn close(self) -> usize {
        close(self.0)
    }
}

/// `send_slice` with all defaults while somebody asks for a new file five times a second.
pub struct CdrlogRotating {
    appender: Arc<Appender>,
    is_ending: Arc<AtomicBool>,
    rotating: JoinHandle<()>,
}

const ROTATE_INTERVAL: Duration = Duration::from_millis(200);

impl Logger for CdrlogRotating {
    type Sender = SliceSender;

    fn open(directory: &Path) -> Self {
        let appender = Arc::new(open(directory, SyncPolicy::default()));
        let is_ending = Arc::new(AtomicBool::new(false));
        let (rotated, ending) = (appender.clone(), is_ending.clone());
        let rotating = std::thread::spawn(move || {
            while !ending.load(Ordering::Relaxed) {
                std::thread::sleep(ROTATE_INTERVAL);
                rotated.rotate().expect("a new file");
            }
        });
        Self { appender, is_ending, rotating }
    }

    fn sender(&self, _events: usize) -> SliceSender {
        SliceSender(self.appender.producer())
    }

    fn close(self) -> usize {
        self.is_ending.store(true, Ordering::Relaxed);
        self.rotating.join().expect("the rotating thread");
        close(Arc::into_inner(self.appender).expect("nobody else has it"))
    }
}

/// `try_send_slice` with all defaults.
pub struct CdrlogTry(Appender);

pub struct TrySender(Producer);

impl Logger for CdrlogTry {
    type Sender = TrySender;

    fn open(directory: &Path) -> Self {
        Self(open(directory, SyncPolicy::default()))
    }

    fn sender(&self, _events: usize) -> TrySender {
        TrySender(self.0.producer())
    }

    fn close(self) -> usize {
        close(self.0)
    }
}

impl Sender for TrySender {
    #[inline]
    fn send(&mut self, number: usize) -> bool {
        self.0.try_send_slice(CORPUS.body(number)).is_ok()
    }
}

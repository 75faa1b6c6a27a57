//! The appender, and the sends.

use std::cell::{Ref, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

use cdrlog::{Ack, AckError, Appender, Bytes, Durability, SharedProducer, TrySendError};
use napi::bindgen_prelude::{AsyncTask, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Result, Status, Task};
use napi_derive::napi;

use crate::failure;
use crate::options::NativeOptions;

/// A function of JavaScript that other threads have called, which does not keep the program alive.
type Listener<T> = ThreadsafeFunction<T, (), T, Status, false, true>;

/// `None` once it is closed. Calls that wait have it for reading, so a close waits for them.
type Open = Arc<RwLock<Option<Appender>>>;

#[napi]
pub struct NativeAppender {
    /// `None` once it is released.
    producer: RefCell<Option<SharedProducer>>,
    open: Open,
    outcomes: Arc<Listener<Outcome>>,
}

/// Where the line of an event is.
#[napi(object)]
pub struct NativePosition {
    pub file: String,
    pub offset: i64,
    pub line_bytes: i64,
}

/// What became of the event of this number.
#[napi(object)]
pub struct Outcome {
    pub number: f64,
    pub error: Option<String>,
    pub position: Option<NativePosition>,
}

#[napi]
impl NativeAppender {
    #[napi(constructor)]
    pub fn new(
        directory: String,
        options: NativeOptions,
        on_outcome: Function<Outcome, ()>,
        on_notice: Function<String, ()>,
    ) -> Result<Self> {
        let outcomes = on_outcome.build_threadsafe_function().weak::<true>().build()?;
        let notices: Listener<String> =
            on_notice.build_threadsafe_function().weak::<true>().build()?;
        let listener = move |notice: &cdrlog::Notice| {
            // Nobody is told while the program ends.
            let _status = notices.call(notice.to_string(), ThreadsafeFunctionCallMode::NonBlocking);
        };
        let appender = options.builder(&directory, listener)?.open();
        let appender = appender.map_err(|error| failure::open(&error))?;
        Ok(Self {
            producer: RefCell::new(Some(appender.shared_producer())),
            open: Arc::new(RwLock::new(Some(appender))),
            outcomes: Arc::new(outcomes),
        })
    }

    /// Whether there was room. The bytes are copied once, into the inbox.
    #[napi]
    pub fn try_send(&self, event: &[u8]) -> Result<bool> {
        match self.producer()?.try_send_slice(event) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(_) => Err(failure::closed()),
        }
    }

    #[napi]
    pub fn try_send_text(&self, event: String) -> Result<bool> {
        self.try_send(event.as_bytes())
    }

    /// Whether there was room. The function that the constructor got is called with the outcome then,
    /// once.
    #[napi]
    pub fn try_send_acked(&self, event: &[u8], durability: String, number: f64) -> Result<bool> {
        let durability = match durability.as_str() {
            "journaled" => Durability::Journaled,
            "written" => Durability::Written,
            "synced" => Durability::Synced,
            _ => return Err(failure::argument("durability is journaled, written or synced")),
        };
        let ack = match self.producer()?.try_send_acked(Bytes::copy_from_slice(event), durability) {
            Ok(ack) => ack,
            Err(TrySendError::Full(_)) => return Ok(false),
            Err(_) => return Err(failure::closed()),
        };
        let pending = PendingAck { ack, number, outcomes: self.outcomes.clone() };
        Arc::new(Pending(Mutex::new(Some(pending)))).poll();
        Ok(true)
    }

    /// Gives back what a closed appender does not need: the memory of the inbox, and the function that
    /// is told notices, which may know the appender.
    #[napi]
    pub fn release(&self) {
        self.producer.take();
    }

    #[napi]
    pub fn wait(&self, kind: String) -> Result<AsyncTask<Wait>> {
        let run = match kind.as_str() {
            "flush" => {
                |open: &Open| with(open, |open| open.flush().map_err(|e| failure::flush(&e)))
            }
            "sync" => |open: &Open| with(open, |open| open.sync().map_err(|e| failure::flush(&e))),
            "rotate" => {
                |open: &Open| with(open, |open| open.rotate().map_err(|e| failure::flush(&e)))
            }
            "maintenance" => |open: &Open| {
                with(open, |open| open.wait_for_maintenance().map_err(|e| failure::maintenance(&e)))
            },
            _ => close,
        };
        Ok(AsyncTask::new(Wait { open: self.open.clone(), run }))
    }

    #[napi]
    pub fn stats(&self) -> Result<HashMap<&'static str, i64>> {
        let stats = look(&self.open, |open| Ok(open.stats()))?;
        Ok(stats.iter().map(|(name, value)| (name, value.cast_signed())).collect())
    }

    #[napi]
    pub fn cdr_path(&self) -> Result<String> {
        look(&self.open, |open| Ok(text(&open.cdr_path())))
    }

    #[napi]
    pub fn rejects_path(&self) -> Result<String> {
        look(&self.open, |open| Ok(text(&open.rejects_path())))
    }

    #[napi]
    pub fn inbox_path(&self) -> Result<Option<String>> {
        look(&self.open, |open| Ok(open.inbox_path().map(text)))
    }

    #[napi]
    pub fn recovered(&self) -> Result<Option<String>> {
        look(&self.open, |open| {
            let recovery = open.recovery();
            Ok((!recovery.is_nothing()).then(|| recovery.to_string()))
        })
    }
}

impl NativeAppender {
    fn producer(&self) -> Result<Ref<'_, SharedProducer>> {
        Ref::filter_map(self.producer.borrow(), Option::as_ref).map_err(|_| failure::closed())
    }
}

fn with<R>(open: &Open, run: impl FnOnce(&Appender) -> Result<R>) -> Result<R> {
    let open = open.read().unwrap_or_else(PoisonError::into_inner);
    run(open.as_ref().ok_or_else(failure::closed)?)
}

/// For the event loop, which never waits: while the appender is being closed, it counts as closed.
fn look<R>(open: &Open, look: impl FnOnce(&Appender) -> Result<R>) -> Result<R> {
    let open = match open.try_read() {
        Ok(open) => open,
        Err(TryLockError::Poisoned(open)) => open.into_inner(),
        Err(TryLockError::WouldBlock) => return Err(failure::closed()),
    };
    look(open.as_ref().ok_or_else(failure::closed)?)
}

/// What cannot be written stays in the journal and the inbox.
fn close(open: &Open) -> Result<()> {
    let appender = open.write().unwrap_or_else(PoisonError::into_inner).take();
    let Some(appender) = appender else { return Ok(()) };
    match appender.close_keeping() {
        Ok(_) => Ok(()),
        Err(error) => Err(failure::flush_because(error.cause(), &error)),
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Something that a thread of libuv waits for.
pub struct Wait {
    open: Open,
    run: fn(&Open) -> Result<()>,
}

impl Task for Wait {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> Result<()> {
        (self.run)(&self.open)
    }

    fn resolve(&mut self, _: Env, (): ()) -> Result<()> {
        Ok(())
    }
}

/// An acknowledgement that is not there yet. It is told on the thread of the library that brings it.
struct Pending(Mutex<Option<PendingAck>>);

struct PendingAck {
    ack: Ack,
    number: f64,
    outcomes: Arc<Listener<Outcome>>,
}

impl Pending {
    fn poll(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ack) = pending.as_mut().map(|pending| Pin::new(&mut pending.ack)) else { return };
        let Poll::Ready(outcome) = ack.poll(&mut Context::from_waker(&waker)) else { return };
        if let Some(PendingAck { number, outcomes, .. }) = pending.take() {
            let outcome = outcome_of(number, outcome);
            // Nobody is told while the program ends.
            let _status = outcomes.call(outcome, ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

impl Wake for Pending {
    fn wake(self: Arc<Self>) {
        self.poll();
    }
}

fn outcome_of(number: f64, outcome: std::result::Result<cdrlog::Position, AckError>) -> Outcome {
    match outcome {
        Ok(position) => {
            let file = text(&position.file);
            let (offset, line_bytes) =
                (position.offset.cast_signed(), position.line_bytes.cast_signed());
            let position = NativePosition { file, offset, line_bytes };
            Outcome { number, error: None, position: Some(position) }
        }
        Err(error) => {
            Outcome { number, error: Some(failure::ack(&error).reason.clone()), position: None }
        }
    }
}

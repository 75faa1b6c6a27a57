//! The reader, and the rewriter.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cdrlog::reader::{FileKind, ReaderPosition};
use cdrlog::{Reader, Rewriter};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi::{Env, Result, Task};
use napi_derive::napi;

use crate::failure;
use crate::options::whole;

/// A position between two lines.
#[napi(object)]
pub struct NativeReaderPosition {
    pub file: String,
    pub offset: f64,
}

/// What `index.d.ts` says.
#[napi(object)]
pub struct NativeReaderOptions {
    pub rejects: Option<bool>,
    pub follow: Option<bool>,
    pub begin: Option<NativeReaderPosition>,
}

#[napi]
pub struct NativeReader {
    shared: Arc<Shared>,
    /// Where the reader is while a thread waits with it.
    position: Mutex<Option<ReaderPosition>>,
}

/// What threads of libuv have of a reader.
struct Shared {
    reader: Mutex<Reader>,
    /// How many of them wait with it, or are about to.
    waits: AtomicUsize,
}

#[napi]
impl NativeReader {
    #[napi(constructor)]
    pub fn new(directory: String, options: NativeReaderOptions) -> Result<Self> {
        let mut builder = Reader::builder(directory).follow(options.follow.unwrap_or(false));
        if options.rejects == Some(true) {
            builder = builder.kind(FileKind::Rejects);
        }
        if let Some(NativeReaderPosition { file, offset }) = options.begin {
            let offset = whole(offset)? as u64;
            builder = builder.begin_at(ReaderPosition { file: file.into(), offset });
        }
        let reader = Mutex::new(builder.open().map_err(|error| failure::read(&error))?);
        let shared = Arc::new(Shared { reader, waits: AtomicUsize::new(0) });
        Ok(Self { shared, position: Mutex::new(None) })
    }

    /// None yet, while a thread waits for one.
    #[napi]
    pub fn next(&self) -> Result<Option<Buffer>> {
        let Some(mut reader) = self.idle() else { return Ok(None) };
        let line = reader.next_line().map_err(|error| failure::read(&error))?;
        Ok(line.map(|line| line.bytes().to_vec().into()))
    }

    #[napi]
    pub fn position(&self) -> Option<NativeReaderPosition> {
        let position = match self.idle() {
            Some(reader) => reader.position(),
            None => lock(&self.position).clone(),
        }?;
        Some(NativeReaderPosition {
            file: position.file.display().to_string(),
            offset: position.offset as f64,
        })
    }

    /// Waits for a line, for at most this time.
    #[napi]
    pub fn wait(&self, milliseconds: u32) -> AsyncTask<WaitForLine> {
        if let Some(reader) = self.idle() {
            *lock(&self.position) = reader.position();
        }
        self.shared.waits.fetch_add(1, Ordering::Relaxed);
        let timeout = Duration::from_millis(milliseconds.into());
        AsyncTask::new(WaitForLine { shared: self.shared.clone(), timeout })
    }
}

impl NativeReader {
    /// The reader, for the event loop, which waits for no thread: `None` while one has it.
    fn idle(&self) -> Option<MutexGuard<'_, Reader>> {
        // Changed by the event loop alone.
        (self.shared.waits.load(Ordering::Relaxed) == 0).then(|| lock(&self.shared.reader))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A wait for a line on a thread of libuv.
pub struct WaitForLine {
    shared: Arc<Shared>,
    timeout: Duration,
}

impl Task for WaitForLine {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> Result<()> {
        lock(&self.shared.reader).wait(self.timeout);
        Ok(())
    }

    fn resolve(&mut self, _: Env, (): ()) -> Result<()> {
        Ok(())
    }

    fn finally(self, _: Env) -> Result<()> {
        self.shared.waits.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The CDR line of an event with its line feed.
#[napi]
pub fn rewrite(event: Buffer, event_bytes_max: f64) -> Result<Buffer> {
    let mut line = Vec::new();
    let rewriter = Rewriter::with_event_bytes_max(whole(event_bytes_max)?);
    rewriter.rewrite(&event, &mut line).map_err(failure::rejected)?;
    Ok(line.into())
}

//! The reader, and the rewriter.

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
pub struct NativeReader(Arc<Mutex<Reader>>);

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
        Ok(Self(Arc::new(Mutex::new(builder.open().map_err(|error| failure::read(&error))?))))
    }

    #[napi]
    pub fn next(&self) -> Result<Option<Buffer>> {
        let mut reader = lock(&self.0);
        let line = reader.next_line().map_err(|error| failure::read(&error))?;
        Ok(line.map(|line| line.bytes().to_vec().into()))
    }

    #[napi]
    pub fn position(&self) -> Option<NativeReaderPosition> {
        let position = lock(&self.0).position()?;
        Some(NativeReaderPosition {
            file: position.file.display().to_string(),
            offset: position.offset as f64,
        })
    }

    /// Waits for a line, for at most this time.
    #[napi]
    pub fn wait(&self, milliseconds: u32) -> AsyncTask<WaitForLine> {
        let timeout = Duration::from_millis(milliseconds.into());
        AsyncTask::new(WaitForLine { reader: self.0.clone(), timeout })
    }
}

fn lock(reader: &Mutex<Reader>) -> MutexGuard<'_, Reader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A wait for a line on a thread of libuv.
pub struct WaitForLine {
    reader: Arc<Mutex<Reader>>,
    timeout: Duration,
}

impl Task for WaitForLine {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> Result<()> {
        lock(&self.reader).wait(self.timeout);
        Ok(())
    }

    fn resolve(&mut self, _: Env, (): ()) -> Result<()> {
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

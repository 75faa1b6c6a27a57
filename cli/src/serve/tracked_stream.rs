//! The stream of a connection, which reports what it reads and writes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conn_state::ConnState;

/// A stream that reports to its watch what it does.
#[derive(Debug)]
pub(super) struct TrackedStream<S> {
    stream: S,
    state: Arc<ConnState>,
    /// What remains of the first bytes of HTTP/2; `None` if others came.
    preface: Option<&'static [u8]>,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl<S> TrackedStream<S> {
    pub(super) fn new(stream: S, state: Arc<ConnState>) -> Self {
        Self { stream, state, preface: Some(PREFACE) }
    }

    fn note_beginning(&mut self, bytes: &[u8]) {
        let Some(left) = self.preface else { return };
        let count = left.len().min(bytes.len());
        let (expected, rest) = left.split_at(count);
        self.preface = bytes.starts_with(expected).then_some(rest).filter(|rest| !rest.is_empty());
        if bytes.starts_with(expected) && rest.is_empty() {
            self.state.note_http2();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(bytes) = buffer.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.state.note_read();
            self.note_beginning(bytes);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.state.note_write(written.is_pending());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.state.note_write(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

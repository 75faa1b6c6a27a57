//! The threads of an appender.

mod event_writer;
mod flusher;
mod maintenance;
mod rewriter;
mod rhythm;

pub(crate) use flusher::FlusherThread;
pub(crate) use maintenance::MaintenanceThread;
pub(crate) use rewriter::{Pace, RewriterThread, Undelivered};

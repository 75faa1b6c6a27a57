//! The threads of an appender.

mod event_writer;
mod flusher;
mod maintenance;
mod rewriter;
mod rhythm;
mod time_marks;

pub(crate) use flusher::FlusherThread;
pub(crate) use maintenance::MaintenanceThread;
pub(crate) use rewriter::{Pace, RewriterThread, Undelivered};
pub(crate) use time_marks::TimeMarks;

//! From the journal to the files: what the flusher thread (`engine/flusher.rs`) works with.
//!
//! A sink moves one stream to its file. Everything else decides when: when a new file is created,
//! when lines are synced, which requests a sync waits for, and when a failed write is retried.

mod failing_writes;
mod group_commit;
mod policy;
mod rotation;
mod schedule;
mod sink;
mod sinks;

pub(crate) use failing_writes::FailingWrites;
pub(crate) use group_commit::GroupCommit;
pub use policy::SyncPolicy;
pub(crate) use rotation::Rotation;
pub(crate) use schedule::Schedule;
pub(crate) use sink::Sink;
pub(crate) use sinks::Sinks;

//! What a CDR says about sessions: the only code that counts, for every command.
//!
//! ```text
//! files ──> merge ──> line, event_reader ──> tracker: seen ──> event_order ──> presence ──> Listener
//! ```
//!
//! Files are merged in the order of their events' times, repeated events are dropped, the others
//! are sorted, and presence is followed from one to the next. Memory grows with the open sessions
//! and the events of the last minutes, not with the files.

mod counts;
pub(crate) mod event;
mod event_order;
pub(crate) mod event_reader;
pub(crate) mod files;
pub(crate) mod line;
pub(crate) mod merge;
mod presence;
mod seen;
mod sessions;
pub(crate) mod tracker;

pub(crate) use counts::Count;
pub(crate) use sessions::Source;
pub(crate) use tracker::{Level, Listener, SessionTracker};

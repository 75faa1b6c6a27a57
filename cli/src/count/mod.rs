//! What a CDR says about sessions: the one code that counts, for every command that does.
//!
//! ```text
//! files ──> merge ──> line, event_reader ──> tracker: seen ──> event_order ──> presence ──> Listener
//! ```
//!
//! Files are read side by side in the order of their events' times, events that are there twice
//! are dropped, the others are put in order, and who is there is followed from one to the next.
//! Memory is held by the sessions that are open and by the last minutes, not by the files.

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

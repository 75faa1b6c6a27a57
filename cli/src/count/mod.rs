//! What a CDR says about sessions: the only code that counts, for every command.
//!
//! ```text
//! inputs ─> ahead ──> merge ──> tracker: seen ──> event_order ──> presence ──> Listener
//!           └ line_reader: line, event_reader                     ├ activities
//!                                                                 └ records, usage
//! ```
//!
//! What each line says is read in several threads. The rest is done in one: files are merged in the
//! order of their events' times, repeated events are dropped, the others are sorted, and presence is
//! followed from one to the next. Memory grows with the open sessions and the events of the last
//! minutes, not with the files.
//!
//! `records` hands over a record of each session and each participant, if a command wants them. A
//! record has what was counted for it, and `usage` has what else its events tell, which changes no
//! count.

mod activities;
pub(crate) mod ahead;
#[cfg(feature = "ship")]
mod chain;
mod counts;
pub(crate) mod detail;
pub(crate) mod event;
mod event_order;
pub(crate) mod event_reader;
mod expiry;
mod hash;
pub(crate) mod input;
pub(crate) mod inputs;
pub(crate) mod line;
pub(crate) mod line_reader;
mod losses;
pub(crate) mod merge;
mod missing;
mod piece;
mod presence;
pub(crate) mod reading;
mod record;
mod records;
mod seen;
mod sessions;
pub(crate) mod tracker;
mod tracks;
mod unsettled;
mod usage;

pub(crate) use activities::AFTER_SESSION_MS;
pub(crate) use counts::Count;
pub(crate) use event::Source;
pub(crate) use event_order::LATENESS_MS;
pub(crate) use missing::{Missing, MissingEvent, Sign};
pub(crate) use presence::GIVEN_UP_MS;
pub(crate) use record::{End, SessionRecord, StayRecord};
#[cfg(feature = "serve")]
pub(crate) use sessions::KnownSession;
pub(crate) use tracker::{Level, Listener, SessionTracker};
pub(crate) use usage::{Sum, Usage};

//! Sessions whose records wait for something that is under way: see `records.rs`.

use super::record::End;
use super::sessions::Session;

/// A session that ended, of which a recording or an egress is still expected.
#[derive(Debug)]
pub(super) struct Unsettled {
    /// Nothing is waited for after this time.
    pub(super) until: i64,
    pub(super) end: End,
    pub(super) session: Session,
}

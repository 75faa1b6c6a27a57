//! The columns of the tables. `docs/sql.md` documents them, and a test compares the two.
//!
//! [`FORMAT`] increases when a column is removed or changes its type or meaning. Columns may be added
//! without that.

/// The version of the columns and of the names of files.
pub(super) const FORMAT: u64 = 1;

/// A line of the CDR.
pub(super) const EVENTS: &str = "message events {
    optional int64 time (TIMESTAMP(MILLIS,true));
    required binary event (STRING);
    optional binary session (STRING);
    optional binary session_id (STRING);
    optional binary participant (STRING);
    optional binary activity (STRING);
    optional binary reason (STRING);
    optional int64 recording_bytes;
    required binary directory (STRING);
    optional binary node (STRING);
    required binary file (STRING);
    required int64 offset;
    required binary line (STRING);
}";

/// A participant of a session, as `cdrlog sessions` prints it.
pub(super) const PARTICIPANTS: &str = "message participants {
    optional binary session (STRING);
    optional binary session_id (STRING);
    optional binary participant (STRING);
    optional binary identity (STRING);
    optional binary kind (STRING);
    optional binary connection (STRING);
    optional binary platform (STRING);
    optional binary location (STRING);
    optional binary client_data (STRING);
    optional int64 joined (TIMESTAMP(MILLIS,true));
    optional int64 left (TIMESTAMP(MILLIS,true));
    required int64 last (TIMESTAMP(MILLIS,true));
    required double seconds;
    required binary ended_by (STRING);
    optional binary reason (STRING);
    required int64 participants;
    required int64 tracks;
    required double track_seconds;
    required int64 tracks_received;
    required double track_received_seconds;
    required int64 egresses;
    required double egress_seconds;
    required int64 recordings;
    required double recording_seconds;
    required int64 recording_bytes;
}";

/// A session, as `cdrlog sessions --by session` prints it.
pub(super) const SESSIONS: &str = "message sessions {
    optional binary session (STRING);
    optional binary session_id (STRING);
    optional int64 began (TIMESTAMP(MILLIS,true));
    optional int64 ended (TIMESTAMP(MILLIS,true));
    required int64 last (TIMESTAMP(MILLIS,true));
    required int64 participants;
    required double participant_seconds;
    required binary ended_by (STRING);
    optional binary reason (STRING);
    required int64 tracks;
    required double track_seconds;
    required int64 tracks_received;
    required double track_received_seconds;
    required int64 egresses;
    required double egress_seconds;
    required int64 recordings;
    required double recording_seconds;
    required int64 recording_bytes;
}";

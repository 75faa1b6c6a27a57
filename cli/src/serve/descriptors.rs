//! As many file descriptors as there may be connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for other things than connections: the journal, the CDR, downloads, the runtime.
const OTHERS: u64 = 64;

/// Raises the limit of this process, and returns how many connections it has room for: as many as
/// are wanted, or fewer, which is logged.
pub(super) fn allow(connections_max: usize) -> usize {
    let wanted = connections_max as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else {
        return connections_max;
    };
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let limits = Rlimit { current: Some(raised), maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, limits) {
        Ok(()) => raised,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit of descriptors");
            current
        }
    };
    if allowed >= wanted {
        return connections_max;
    }
    let room = allowed.saturating_sub(OTHERS).max(1);
    tracing::warn!(
        connections_max = room,
        wanted = connections_max,
        "there are descriptors for fewer connections: raise LimitNOFILE (ulimit -n), or lower --connections-max"
    );
    usize::try_from(room).unwrap_or(connections_max)
}

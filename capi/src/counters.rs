//! Counters, stored into an array of C.

use cdrlog_core::Stats;

use crate::boundary::{Arguments, buffer_too_small};
use crate::failure::Failure;

/// Stores them in the order of `cdrlog_stats_name`.
pub(crate) fn store(
    arguments: Arguments<'_>,
    stats: &Stats,
    values: *mut u64,
    values_capacity: usize,
    values_count: *mut usize,
) -> Result<(), Failure> {
    let mut places = arguments.places(values, values_capacity, c"values")?;
    if let Some(mut count) = arguments.place_if_any(values_count) {
        count.set(stats.iter().len());
    }
    for (_, number) in stats.iter() {
        places.next().ok_or(buffer_too_small())?.set(number);
    }
    Ok(())
}

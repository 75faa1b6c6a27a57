//! Maps whose keys are texts that callers choose: seeded, and several times as fast as those of std.

use std::collections::HashMap;

pub(super) type Map<K, V> = HashMap<K, V, foldhash::quality::RandomState>;

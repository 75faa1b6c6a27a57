//! `cdrlog serve` as its clients see it: over sockets, by signals, and in the files it leaves.

#![cfg(feature = "serve")]

#[path = "../../../tests/common/mod.rs"]
#[expect(dead_code, reason = "shared by several test files")]
mod common;
#[path = "../../../tests/mount/mod.rs"]
#[expect(dead_code, reason = "shared by several test files")]
mod mount;
#[path = "../../../tests/skip/mod.rs"]
mod skip;
#[path = "../../../tests/wait/mod.rs"]
mod wait;

mod client;
mod daemon;

mod acknowledged;
mod browsers;
mod configured;
mod credentials;
mod downloads;
mod ending;
mod failed_sync;
mod full_disk;
mod guide;
mod kills;
mod limits;
mod notify;
mod observed;
mod refused;
mod repeated;
mod secured;
mod stalled_disk;
mod statuses;
mod strangers;

//! `cdrlog serve` as its clients see it: over sockets, by signals, and in the files it leaves.

#![cfg(feature = "serve")]

#[path = "../../../tests/support/mod.rs"]
mod support;
use support::{common, mount, skip, wait};

mod activation;
mod browser;
mod client;
mod daemon;
mod flood;

mod acknowledged;
mod browsers;
mod configured;
mod credentials;
mod dashboards;
mod demo;
mod downloads;
mod ending;
mod failed_sync;
mod full_disk;
mod gaps;
mod guide;
mod handover;
mod health_check;
mod idle;
mod inbox;
mod kills;
mod limits;
mod notify;
mod observed;
mod overload;
mod page;
mod page_access;
mod page_browser;
mod proxies;
mod refused;
mod repeated;
mod secured;
#[path = "../senders/mod.rs"]
mod senders;
#[cfg(feature = "ship")]
mod shipped;
mod sockets;
mod stalled_disk;
mod statuses;
mod strangers;

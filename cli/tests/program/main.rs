//! The program as a user drives it: by its command line, its files, its messages and its exit
//! codes.

#[path = "../../../tests/support/mod.rs"]
mod support;
use support::{common, skip, wait};

mod audit;
#[cfg(feature = "serve")]
mod audit_livekit;
#[cfg(feature = "export")]
mod export;
mod faults;
mod finished;
mod inbox;
mod input;
mod json;
mod man;
mod messages;
mod options;
mod outputs;
mod recover;
mod run;
mod sessions;
mod shell;
#[cfg(feature = "ship")]
mod ship;
mod skipped;
mod stats;
mod tail;
mod verify;
mod verify_journal;
mod verify_manifest;

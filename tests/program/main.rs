//! The program as a user drives it: by its command line, its files, its messages and its exit
//! codes.

#![cfg(feature = "cli")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../wait/mod.rs"]
mod wait;

mod faults;
mod finished;
mod input;
mod man;
mod messages;
mod recover;
mod run;
mod stats;
mod tail;
mod verify;

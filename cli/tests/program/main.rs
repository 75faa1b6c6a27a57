//! The program as a user drives it: by its command line, its files, its messages and its exit
//! codes.

#[path = "../../../tests/common/mod.rs"]
mod common;
#[path = "../../../tests/wait/mod.rs"]
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

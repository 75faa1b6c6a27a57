//! What the library promises, a module for each promise.
//!
//! One program, so that it is linked once. Tests for which the process counts have programs of their
//! own beside: each says why in its header.

#[path = "../support/mod.rs"]
mod support;

mod acks;
mod appender;
mod byte_rule;
#[cfg(feature = "compress")]
mod compression;
mod cut_record;
mod damaged_journal;
mod disk_full;
mod foreign_code;
mod format;
mod half_line;
mod inbox_place;
mod interference;
mod json_test_suite;
mod logrotate;
#[cfg(feature = "manifest")]
mod manifest;
mod one_writer;
mod pairs;
mod properties;
#[cfg(feature = "reader")]
mod reader;
mod reasons;
mod recovery;
mod recovery_plan;
mod retention;
mod rotation;
mod shared_producer;
mod storage;
#[cfg(feature = "synced")]
mod synced;
mod write_back;

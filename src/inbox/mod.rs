//! The inbox: where accepted events are until they are journaled, in memory that outlives the
//! process.
//!
//! It is a mapped file on a *tmpfs*. A store to a page of a file on a disk waits while the page is
//! written back, for ever on a frozen file system, and a send must not.
//!
//! A sender copies the body of an event into its chunk (`arena.rs`, `pool.rs`); the rewriter reads
//! it there and notes when it is journaled (`record.rs`). A kill may come between any two stores.
//! The next open reads what was accepted and not journaled (`left.rs`).
//!
//! If there is no tmpfs, or no room, the same chunks are in the memory of the process alone.

mod arena;
mod file;
mod layout;
mod left;
#[cfg_attr(loom, path = "memory_loom.rs")]
mod memory;
#[cfg(all(test, loom))]
mod models;
mod pool;
mod record;
#[cfg(all(test, target_os = "linux", not(loom)))]
mod sample;
mod unclaimed;

pub(crate) use arena::{Arena, Stored};
pub(crate) use file::{
    DIRECTORY_BYTES_MAX, DIRECTORY_DEFAULT, Inbox, InboxName, Owner, bytes_for_queue,
};
pub(crate) use layout::{FolderIdentity, Place};
pub(crate) use left::{Found, LeftInbox, find, remove_unread};
pub(crate) use pool::ChunkPool;
pub(crate) use record::{RecordGuard, RecordRef, Released};
pub(crate) use unclaimed::unclaimed;

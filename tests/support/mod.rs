//! What several test programs share: the integration tests here and those of the program.
//!
//! Each program needs a part of it; `tests/it` uses all.

#![allow(
    dead_code,
    unused_imports,
    clippy::allow_attributes,
    reason = "each test program needs a part of it"
)]

pub mod boot;
pub mod common;
pub mod copy;
pub mod generate;
pub mod inboxes;
pub mod json_suite;
pub mod killed;
pub mod mount;
pub mod reference;
pub mod skip;
pub mod wait;

pub use boot::{change_boot_id, rewrite_boot_id};
pub use common::{CDR, WEBHOOKS, body, cdr, files, line, lines, rejects};
pub use copy::copy_tree;
pub use inboxes::{give_inboxes, inbox_directory};
pub use killed::reopen;
pub use mount::Mount;
pub use skip::skip;
pub use wait::wait_for;

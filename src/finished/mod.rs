//! Files that nothing is written to any more.

#[cfg(feature = "manifest")]
mod hash;
#[cfg(feature = "manifest")]
mod ledger;
#[cfg(feature = "manifest")]
pub mod manifest;
#[cfg(feature = "manifest")]
mod manifest_lines;
#[cfg(feature = "manifest")]
mod measure;

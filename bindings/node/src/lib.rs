//! The part of cdrlog for Node.js that is in Rust; `index.js` makes of it what `index.d.ts` says.
//!
//! On the Rust library and not on the C interface: there is one file to load, and nothing here is
//! `unsafe`. A send that finds no room is tried again by a timer of `index.js`; whatever else may wait
//! does so on a thread of libuv, never on that of the event loop.

mod appender;
mod failure;
mod options;
mod reader;

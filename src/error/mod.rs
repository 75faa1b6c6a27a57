//! Errors, by what the caller can do about them.

mod close;
mod flush;
mod maintenance;
mod open;
mod send;

pub use close::CloseError;
pub(crate) use close::Undone;
pub use flush::FlushError;
pub use maintenance::MaintenanceError;
pub use open::OpenError;
pub use send::{ReserveError, SendError, TrySendError};

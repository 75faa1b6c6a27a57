//! Why a call failed: a code, a message and a number of the system, kept for the thread that
//! called.

use std::borrow::Cow;
use std::cell::RefCell;
use std::error::Error;
use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt::Display;
use std::io;

use cdrlog_core::reader::ReadError;
use cdrlog_core::{
    AckError, CloseError, FlushError, MaintenanceError, OpenError, Rejection, SendError,
    TrySendError,
};

use crate::result::cdrlog_result::{self, *};

/// Why a call failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: cdrlog_result,
    message: Cow<'static, CStr>,
    /// The number of the system's error; 0 if it is not one of those.
    errno: c_int,
}

thread_local! {
    /// The last failure of a call on this thread.
    static LAST: RefCell<Failure> =
        const { RefCell::new(Failure { code: CDRLOG_OK, message: Cow::Borrowed(c""), errno: 0 }) };
}

impl Failure {
    /// A failure with a message that is known in advance, which costs no allocation.
    pub(crate) const fn fixed(code: cdrlog_result, message: &'static CStr) -> Self {
        Self { code, message: Cow::Borrowed(message), errno: 0 }
    }

    pub(crate) fn new(code: cdrlog_result, message: impl Display) -> Self {
        Self { code, message: Cow::Owned(c_string(message)), errno: 0 }
    }

    fn of_error(code: cdrlog_result, error: &(dyn Error + 'static)) -> Self {
        Self { errno: errno_of(error), ..Self::new(code, error) }
    }

    pub(crate) fn system(error: &io::Error) -> Self {
        Self::of_error(CDRLOG_IO, error)
    }

    pub(crate) const fn closed() -> Self {
        Self::fixed(CDRLOG_CLOSED, c"the appender is closed")
    }

    /// Makes it the last failure of this thread, and gives its code.
    #[cold]
    pub(crate) fn record(self) -> cdrlog_result {
        let code = self.code;
        // While the thread ends there is no place for it any more.
        let _ = LAST.try_with(|last| last.replace(self));
        code
    }
}

/// A text for C: a NUL in it is left out.
pub(crate) fn c_string(text: impl Display) -> CString {
    let mut bytes = text.to_string().into_bytes();
    bytes.retain(|&byte| byte != 0);
    CString::new(bytes).unwrap_or_default()
}

/// The first number of the system among an error and its causes.
fn errno_of(error: &(dyn Error + 'static)) -> c_int {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let number = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if let Some(number) = number {
            return number;
        }
        cause = error.source();
    }
    0
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let code = match &error {
            OpenError::InvalidOption { .. } => CDRLOG_INVALID_ARGUMENT,
            OpenError::Locked { .. } => CDRLOG_LOCKED,
            OpenError::Damaged { .. } => CDRLOG_DAMAGED,
            // Any later kind is at least something that the system or a person must look at.
            OpenError::Io { .. } | _ => CDRLOG_IO,
        };
        Self::of_error(code, &error)
    }
}

const fn flush_code(error: &FlushError) -> cdrlog_result {
    match error {
        FlushError::Sync { .. } => CDRLOG_SYNC_FAILED,
        FlushError::Closed => CDRLOG_CLOSED,
        FlushError::Write { .. } | _ => CDRLOG_IO,
    }
}

impl From<FlushError> for Failure {
    fn from(error: FlushError) -> Self {
        Self::of_error(flush_code(&error), &error)
    }
}

impl From<&CloseError> for Failure {
    fn from(error: &CloseError) -> Self {
        Self::of_error(flush_code(error.cause()), error)
    }
}

impl From<MaintenanceError> for Failure {
    fn from(error: MaintenanceError) -> Self {
        let code = match &error {
            MaintenanceError::Sync { .. } => CDRLOG_SYNC_FAILED,
            MaintenanceError::Differs { .. } | MaintenanceError::Changed { .. } => {
                CDRLOG_SEALED_FILE
            }
            MaintenanceError::Closed => CDRLOG_CLOSED,
            MaintenanceError::Io { .. } | _ => CDRLOG_IO,
        };
        Self::of_error(code, &error)
    }
}

impl From<SendError> for Failure {
    #[cold]
    fn from(_: SendError) -> Self {
        Self::closed()
    }
}

impl From<TrySendError> for Failure {
    #[cold]
    fn from(error: TrySendError) -> Self {
        if error.is_full() {
            Self::fixed(CDRLOG_FULL, c"the queue is full")
        } else {
            Self::closed()
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        Self::new(CDRLOG_REJECTED, rejection)
    }
}

impl From<AckError> for Failure {
    fn from(error: AckError) -> Self {
        match error {
            AckError::Rejected(rejection) => rejection.into(),
            AckError::Failed(failure) => failure.into(),
            other => Self::of_error(CDRLOG_IO, &other),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let code = match &error {
            ReadError::LineTooLong { .. } => CDRLOG_LINE_TOO_LONG,
            ReadError::NoSuchPosition { .. } => CDRLOG_NO_SUCH_POSITION,
            ReadError::PositionGone { .. } => CDRLOG_POSITION_GONE,
            ReadError::NotAnEvent { .. } => CDRLOG_REJECTED,
            ReadError::NoDirectory { .. } => {
                return Self { errno: libc::ENOENT, ..Self::new(CDRLOG_IO, &error) };
            }
            ReadError::Io { .. } | _ => CDRLOG_IO,
        };
        Self::of_error(code, &error)
    }
}

/// Why the last call on this thread that failed has failed, as one sentence in UTF-8 that names the
/// file, argument or option concerned. It is never NULL, and empty if no call has failed. It stays
/// valid until the next call on this thread fails, or the thread ends: in a destructor of data of
/// the thread (pthread_key_create) it is empty. In a callback it explains the result that the
/// callback was given.
#[expect(unsafe_code, reason = "a function of C")]
#[unsafe(no_mangle)]
pub extern "C" fn cdrlog_last_error_message() -> *const c_char {
    LAST.try_with(|last| last.borrow().message.as_ptr()).unwrap_or(c"".as_ptr())
}

/// The errno of the last call on this thread that failed, such as ENOSPC; 0 if the system was not
/// the cause.
#[expect(unsafe_code, reason = "a function of C")]
#[unsafe(no_mangle)]
pub extern "C" fn cdrlog_last_error_errno() -> c_int {
    LAST.try_with(|last| last.borrow().errno).unwrap_or(0)
}

//! The boundary to C: a panic ends here, and pointers become references.

#![expect(unsafe_code, reason = "pointers that come from C")]

use std::ffi::{CStr, OsStr, c_char};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr::NonNull;

use crate::failure::Failure;
use crate::handle::{self, Handle, Slot};
use crate::panics;
use crate::result::cdrlog_result::{self, *};

/// The right to use the pointers among the arguments of the call that is running. Whoever makes one
/// promises that they are what the header demands:
///
/// - A handle is NULL or was returned by this library.
/// - Any other pointer is NULL or, until the call returns, valid for its use: memory to read has
///   its length, a string ends with NUL, a place for a result can be written and is not used
///   otherwise.
/// - No thread writes to memory that the call reads.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'call>(PhantomData<&'call ()>);

/// Runs a function of the interface: its failure becomes the last one of the thread, and a panic is
/// a failure.
///
/// # Safety
///
/// The promise of [`Arguments`].
#[inline]
pub(crate) unsafe fn boundary<'call>(
    run: impl FnOnce(Arguments<'call>) -> Result<(), Failure>,
) -> cdrlog_result {
    match catch_unwind(AssertUnwindSafe(|| run(Arguments(PhantomData)))) {
        Ok(Ok(())) => CDRLOG_OK,
        Ok(Err(failure)) => failure.record(),
        Err(_) => panics::failure().record(),
    }
}

/// Like [`boundary`], for a function that returns a value of its own.
///
/// # Safety
///
/// The promise of [`Arguments`].
pub(crate) unsafe fn boundary_or<'call, T>(
    otherwise: T,
    run: impl FnOnce(Arguments<'call>) -> Result<T, Failure>,
) -> T {
    let mut value = otherwise;
    let store = |arguments| {
        value = run(arguments)?;
        Ok(())
    };
    // SAFETY: the promise of the caller. The code is recorded, and there is no place to return it.
    let _ = unsafe { boundary(store) };
    value
}

impl<'call> Arguments<'call> {
    #[inline]
    pub(crate) fn slot<H: Handle>(
        self,
        handle: *const H,
    ) -> Result<&'static Slot<H::Value>, Failure> {
        // SAFETY: a handle is NULL or was returned by this library.
        unsafe { handle::slot_of(handle) }
    }

    /// Ends a handle, and gives what it stood for. NULL stands for nothing.
    pub(crate) fn end<H: Handle>(self, handle: *mut H) -> Result<Option<H::Value>, Failure> {
        if handle.is_null() {
            return Ok(None);
        }
        handle::end_handle::<H>(self.slot(handle.cast_const())?).map(Some)
    }

    /// Memory to read; NULL if it has no length.
    #[inline]
    pub(crate) fn slice<T>(
        self,
        first: *const T,
        count: usize,
        name: &'static CStr,
    ) -> Result<&'call [T], Failure> {
        let first = start(first.cast_mut(), count, name)?;
        if !first.is_aligned() {
            return Err(not_aligned(name));
        }
        // SAFETY: not NULL, aligned, no longer than memory can be, and readable until the call
        // returns.
        Ok(unsafe { std::slice::from_raw_parts(first.as_ptr(), count) })
    }

    /// Memory to write to; NULL if it has no length.
    pub(crate) fn buffer(
        self,
        first: *mut u8,
        count: usize,
        name: &'static CStr,
    ) -> Result<&'call mut [u8], Failure> {
        let first = start(first, count, name)?;
        // SAFETY: as in `slice`, and for this call alone. What C did not initialise has some value:
        // the compiler sees nothing of that side.
        Ok(unsafe { std::slice::from_raw_parts_mut(first.as_ptr(), count) })
    }

    /// A place for a result.
    pub(crate) fn place<T>(
        self,
        place: *mut T,
        name: &'static CStr,
    ) -> Result<Place<'call, T>, Failure> {
        self.place_if_any(place).ok_or_else(|| null(name))
    }

    /// A place for a result that the caller may not want.
    pub(crate) fn place_if_any<T>(self, place: *mut T) -> Option<Place<'call, T>> {
        NonNull::new(place).map(|place| Place(place, PhantomData))
    }

    /// Places for a list of results; NULL if there is none.
    pub(crate) fn places<T: 'call>(
        self,
        first: *mut T,
        count: usize,
        name: &'static CStr,
    ) -> Result<impl Iterator<Item = Place<'call, T>>, Failure> {
        let first = start(first, count, name)?;
        // The address of each is in the memory that the caller has for them.
        Ok((0..count).map(move |index| {
            let place = first.as_ptr().wrapping_add(index);
            Place(NonNull::new(place).unwrap_or(first), PhantomData)
        }))
    }

    pub(crate) fn string(
        self,
        string: *const c_char,
        name: &'static CStr,
    ) -> Result<&'call CStr, Failure> {
        if string.is_null() {
            return Err(null(name));
        }
        // SAFETY: not NULL, and a string that ends with NUL until the call returns.
        Ok(unsafe { CStr::from_ptr(string) })
    }

    pub(crate) fn path(
        self,
        path: *const c_char,
        name: &'static CStr,
    ) -> Result<&'call Path, Failure> {
        let path = self.string(path, name)?.to_bytes();
        if path.is_empty() {
            return Err(Failure::new(
                CDRLOG_INVALID_ARGUMENT,
                format_args!("{} is empty", name.to_string_lossy()),
            ));
        }
        Ok(Path::new(OsStr::from_bytes(path)))
    }
}

/// The start of memory that has a length; anything if the length is zero.
#[inline]
fn start<T>(first: *mut T, count: usize, name: &'static CStr) -> Result<NonNull<T>, Failure> {
    match NonNull::new(first) {
        None if count == 0 => Ok(NonNull::dangling()),
        None => Err(null(name)),
        Some(_) if count > isize::MAX as usize / size_of::<T>().max(1) => Err(Failure::new(
            CDRLOG_INVALID_ARGUMENT,
            format_args!("the length of {} is more than memory can have", name.to_string_lossy()),
        )),
        Some(first) => Ok(first),
    }
}

#[cold]
fn null(name: &'static CStr) -> Failure {
    Failure::new(CDRLOG_INVALID_ARGUMENT, format_args!("{} is NULL", name.to_string_lossy()))
}

#[cold]
fn not_aligned(name: &'static CStr) -> Failure {
    let name = name.to_string_lossy();
    Failure::new(CDRLOG_INVALID_ARGUMENT, format_args!("{name} is not aligned for its type"))
}

/// A place for a result of type `T`.
pub(crate) struct Place<'call, T>(NonNull<T>, PhantomData<&'call mut T>);

impl<T: Copy> Place<'_, T> {
    pub(crate) fn set(&mut self, value: T) {
        // SAFETY: it can be written until the call returns. C may have aligned it as it liked.
        unsafe { self.0.write_unaligned(value) };
    }
}

/// Stores a text with a NUL after it, and its length without. If it does not fit, only the length.
pub(crate) fn store_text(
    text: &[u8],
    buffer: &mut [u8],
    length: Option<Place<'_, usize>>,
) -> Result<(), Failure> {
    if let Some(mut length) = length {
        length.set(text.len());
    }
    let Some((content, rest)) = buffer.split_at_mut_checked(text.len()) else {
        return Err(buffer_too_small());
    };
    let Some(end) = rest.first_mut() else { return Err(buffer_too_small()) };
    content.copy_from_slice(text);
    *end = 0;
    Ok(())
}

pub(crate) const fn buffer_too_small() -> Failure {
    Failure::fixed(CDRLOG_BUFFER_TOO_SMALL, c"the buffer is too small for the result")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{cdrlog_last_error_errno, cdrlog_last_error_message};

    #[test]
    fn a_panic_is_an_error_with_its_message_and_place() {
        panics::silence();
        let run = |_: Arguments<'_>| panic!("the disk is made of {}", "cheese");
        // SAFETY: no pointers.
        let code = unsafe { boundary(run) };
        assert_eq!(code, CDRLOG_PANIC);
        // SAFETY: never NULL, and a string until the next failure.
        let message = unsafe { CStr::from_ptr(cdrlog_last_error_message()) };
        let message = message.to_str().unwrap();
        assert!(message.starts_with("a fault in cdrlog: the disk is made of cheese at "));
        assert!(message.contains("boundary.rs:"), "{message}");
        assert_eq!(cdrlog_last_error_errno(), 0);
    }

    #[test]
    fn a_panic_in_a_function_that_returns_a_value_gives_the_other_value() {
        panics::silence();
        let run = |_: Arguments<'_>| -> Result<u64, Failure> { panic!("no") };
        // SAFETY: no pointers.
        assert_eq!(unsafe { boundary_or(7, run) }, 7);
    }
}

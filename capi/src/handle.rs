//! What the pointers of C point to.
//!
//! A handle is the address of a slot. The memory of a slot is never given back: a slot that was
//! freed is kept for a later handle of its type. So the library can look at any pointer that it has
//! ever returned, and a handle that was freed, or has another type, is an error and not undefined
//! behaviour. Once its slot is used again, a freed handle is the new one: so the slot that was freed
//! first is used again first, and only after many others were freed. A pointer that this library has
//! never returned is undefined behaviour, as everywhere in C.
//!
//! The lock of a slot costs one atomic swap: a send has no more to spare.

#![expect(unsafe_code, reason = "pointers that come from C")]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::failure::Failure;
use crate::free_slots::FreeSlots;
use crate::result::cdrlog_result::*;

/// A type of the header that stands for a slot.
pub(crate) trait Handle: Sized + 'static {
    /// What the slot holds.
    type Value: Send + 'static;

    /// Tells its slots from those of other types, and from memory of other origin.
    const KIND: u64;

    fn free_slots() -> &'static FreeSlots<Slot<Self::Value>>;
}

/// Implements [`Handle`] for a type of the header. Each has a number of its own.
macro_rules! handle {
    ($name:ident, $number:literal, $value:ty) => {
        impl $crate::handle::Handle for $name {
            type Value = $value;
            const KIND: u64 = u64::from_be_bytes(*b"cdrlog\0\0") | $number;

            fn free_slots() -> &'static $crate::free_slots::FreeSlots<$crate::handle::Slot<$value>>
            {
                static FREE: $crate::free_slots::FreeSlots<$crate::handle::Slot<$value>> =
                    $crate::free_slots::FreeSlots::new();
                &FREE
            }
        }
    };
}
pub(crate) use handle;

/// The place of a value that C has a handle of.
#[repr(C)]
pub(crate) struct Slot<T> {
    /// First in every slot, whatever it holds; never changed.
    kind: u64,
    /// The process that uses it. A lock that another thread held at a fork is never released in the
    /// child.
    process_id: AtomicU32,
    is_locked: AtomicBool,
    /// `None` if the slot is free.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is reached only by the holder of the lock, one thread at a time.
unsafe impl<T: Send> Sync for Slot<T> {}

/// How often a lock is tried before the thread sleeps.
const SPINS: u32 = 100;

/// How long a thread sleeps between two tries. Threads should not share a handle that has a lock,
/// and its holder may wait for room in the queue for long.
const LOCK_POLL: Duration = Duration::from_micros(100);

/// Unlocks a slot when it is dropped.
struct Locked<'slot>(&'slot AtomicBool);

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<T> Slot<T> {
    /// Waits until no other thread has the value. `None` in a forked child, if that would be for
    /// ever.
    #[inline]
    fn lock(&self) -> Option<Locked<'_>> {
        if self.is_locked.swap(true, Ordering::Acquire) {
            self.wait_for_lock()?;
        }
        Some(Locked(&self.is_locked))
    }

    #[cold]
    fn wait_for_lock(&self) -> Option<()> {
        while !self.spin_for_lock() {
            if self.process_id.load(Ordering::Relaxed) != std::process::id() {
                return None;
            }
            std::thread::sleep(LOCK_POLL);
        }
        Some(())
    }

    /// Uses the value while no other thread does.
    #[inline]
    pub(crate) fn with<R>(&self, run: impl FnOnce(&mut T) -> R) -> Result<R, Failure> {
        let _locked = self.lock().ok_or_else(Failure::closed)?;
        // SAFETY: the lock is held until the end of this function.
        match unsafe { &mut *self.value.get() } {
            Some(value) => Ok(run(value)),
            None => Err(freed()),
        }
    }

    /// Like [`with`](Self::with), but does not wait until another thread has ended a call that may
    /// wait itself. `None` if one has the value.
    #[inline]
    pub(crate) fn try_with<R>(&self, run: impl FnOnce(&mut T) -> R) -> Result<Option<R>, Failure> {
        if self.is_locked.swap(true, Ordering::Acquire) && !self.spin_for_lock() {
            return Ok(None);
        }
        let _locked = Locked(&self.is_locked);
        // SAFETY: the lock is held until the end of this function.
        match unsafe { &mut *self.value.get() } {
            Some(value) => Ok(Some(run(value))),
            None => Err(freed()),
        }
    }

    /// Waits for as long as a call takes that does not wait.
    #[cold]
    fn spin_for_lock(&self) -> bool {
        (0..SPINS).any(|_| {
            std::hint::spin_loop();
            !self.is_locked.swap(true, Ordering::Acquire)
        })
    }

    /// Takes the value out; the slot is free then.
    fn take(&self) -> Result<T, Failure> {
        let _locked = self.lock().ok_or_else(Failure::closed)?;
        // SAFETY: the lock is held until the end of this function.
        unsafe { &mut *self.value.get() }.take().ok_or_else(freed)
    }

    /// Like [`take`](Self::take), but does not wait, as [`try_with`](Self::try_with).
    fn try_take(&self) -> Result<Option<T>, Failure> {
        if self.is_locked.swap(true, Ordering::Acquire) && !self.spin_for_lock() {
            return Ok(None);
        }
        let _locked = Locked(&self.is_locked);
        // SAFETY: the lock is held until the end of this function.
        unsafe { &mut *self.value.get() }.take().ok_or_else(freed).map(Some)
    }

    /// Puts a value into a free slot. Gives it back in a forked child in which the lock is lost.
    fn put(&self, value: T) -> Result<(), T> {
        let Some(_locked) = self.lock() else { return Err(value) };
        self.process_id.store(std::process::id(), Ordering::Relaxed);
        // SAFETY: the lock is held until the end of this function.
        let place = unsafe { &mut *self.value.get() };
        assert!(place.is_none(), "a slot that was free is in use");
        *place = Some(value);
        Ok(())
    }
}

#[cold]
fn freed() -> Failure {
    Failure::fixed(CDRLOG_INVALID_HANDLE, c"the handle was freed")
}

/// A handle of the value for C.
pub(crate) fn handle_of<H: Handle>(value: H::Value) -> *mut H {
    let mut value = value;
    while let Some(slot) = H::free_slots().pop() {
        match slot.put(value) {
            Ok(()) => return std::ptr::from_ref(slot).cast_mut().cast(),
            Err(given_back) => value = given_back,
        }
    }
    let slot = Box::leak(Box::new(Slot {
        kind: H::KIND,
        process_id: AtomicU32::new(std::process::id()),
        is_locked: AtomicBool::new(false),
        value: UnsafeCell::new(Some(value)),
    }));
    std::ptr::from_mut(slot).cast()
}

/// Ends a handle, and gives what it stood for.
pub(crate) fn end_handle<H: Handle>(slot: &'static Slot<H::Value>) -> Result<H::Value, Failure> {
    let value = slot.take()?;
    H::free_slots().push(slot);
    Ok(value)
}

/// Like [`end_handle`], but does not wait until another thread has ended a call that may wait
/// itself. `None` if one uses the handle.
pub(crate) fn try_end_handle<H: Handle>(
    slot: &'static Slot<H::Value>,
) -> Result<Option<H::Value>, Failure> {
    let value = slot.try_take()?;
    if value.is_some() {
        H::free_slots().push(slot);
    }
    Ok(value)
}

/// The slot of a handle.
///
/// # Safety
///
/// `handle` is NULL or was returned by [`handle_of`], for this type or another one.
#[inline]
pub(crate) unsafe fn slot_of<H: Handle>(
    handle: *const H,
) -> Result<&'static Slot<H::Value>, Failure> {
    let slot = handle.cast::<Slot<H::Value>>();
    if slot.is_null() || !slot.is_aligned() {
        return Err(no_handle(slot.is_null()));
    }
    // SAFETY: every slot starts with its kind, and lives for ever.
    if unsafe { slot.cast::<u64>().read() } != H::KIND {
        return Err(no_handle(false));
    }
    // SAFETY: the kind says that it is a slot for this type; slots live for ever.
    Ok(unsafe { &*slot })
}

#[cold]
fn no_handle(is_null: bool) -> Failure {
    if is_null {
        Failure::fixed(CDRLOG_INVALID_ARGUMENT, c"the handle is NULL")
    } else {
        Failure::fixed(CDRLOG_INVALID_HANDLE, c"the handle is of another type")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::free_slots::FREE_SLOTS_MIN;
    use crate::result::cdrlog_result;
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    struct Number;
    handle!(Number, 100, usize);
    struct Text;
    handle!(Text, 101, String);

    fn slot<H: Handle>(handle: *const H) -> Result<&'static Slot<H::Value>, cdrlog_result> {
        // SAFETY: NULL, from `handle_of`, or not aligned.
        unsafe { slot_of(handle) }.map_err(|failure| failure.code)
    }

    #[test]
    fn a_handle_of_another_type_or_of_none_is_refused() {
        let number: *mut Number = handle_of(7);
        assert_eq!(slot(number.cast_const()).unwrap().with(|number| *number).unwrap(), 7);
        let as_text: *const Text = number.cast_const().cast();
        assert_eq!(slot(as_text).err(), Some(CDRLOG_INVALID_HANDLE));
        assert_eq!(slot(std::ptr::null::<Text>()).err(), Some(CDRLOG_INVALID_ARGUMENT));
        let between: *const Number = number.cast_const().wrapping_byte_add(1);
        assert_eq!(slot(between).err(), Some(CDRLOG_INVALID_HANDLE));
    }

    #[test]
    fn a_freed_handle_is_refused_until_its_slot_is_used_again_which_is_late() {
        struct Own;
        handle!(Own, 102, usize);
        let handles: Vec<*mut Own> = (0..=FREE_SLOTS_MIN).map(handle_of).collect();
        for &handle in &handles {
            let slot = slot(handle.cast_const()).unwrap();
            end_handle::<Own>(slot).unwrap();
            assert_eq!(end_handle::<Own>(slot).err().unwrap().code, CDRLOG_INVALID_HANDLE);
            assert_eq!(slot.with(|_| ()).err().unwrap().code, CDRLOG_INVALID_HANDLE);
        }
        let again: *mut Own = handle_of(9);
        assert_eq!(again, handles[0], "not the slot that was freed first");
        let new: *mut Own = handle_of(10);
        assert!(!handles.contains(&new), "a handle that was freed just now is valid again");
    }

    #[test]
    fn threads_that_make_and_free_handles_use_the_slots_again() {
        const THREADS: usize = 4;
        struct Own;
        handle!(Own, 103, usize);
        let made = Mutex::new(HashSet::new());
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut own = HashSet::new();
                    for number in 0..5000 {
                        let handle: *mut Own = handle_of(number);
                        own.insert(handle.addr());
                        end_handle::<Own>(slot(handle.cast_const()).unwrap()).unwrap();
                    }
                    made.lock().unwrap().extend(own);
                });
            }
        });
        let slots = made.into_inner().unwrap().len();
        assert!(slots <= FREE_SLOTS_MIN + THREADS, "{slots} slots for {THREADS} handles");
    }

    #[test]
    fn an_end_that_does_not_wait_leaves_a_handle_that_is_in_use() {
        let handle: *mut Number = handle_of(5);
        let slot = slot(handle.cast_const()).unwrap();
        let held = slot.lock();
        assert_eq!(try_end_handle::<Number>(slot).unwrap(), None);
        drop(held);
        assert_eq!(try_end_handle::<Number>(slot).unwrap(), Some(5));
        assert_eq!(try_end_handle::<Number>(slot).err().unwrap().code, CDRLOG_INVALID_HANDLE);
    }

    #[test]
    fn threads_that_share_a_handle_use_it_one_after_the_other() {
        static INSIDE: AtomicUsize = AtomicUsize::new(0);
        let handle: *mut Number = handle_of(0);
        let slot = slot(handle.cast_const()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let used = slot.with(|number| {
                            assert_eq!(INSIDE.fetch_add(1, Ordering::Relaxed), 0);
                            *number += 1;
                            INSIDE.fetch_sub(1, Ordering::Relaxed);
                        });
                        assert!(used.is_ok());
                    }
                });
            }
        });
        assert_eq!(slot.with(|number| *number).unwrap(), 4000);
    }

    #[test]
    fn a_try_does_not_wait_for_a_thread_that_waits() {
        let handle: *mut Number = handle_of(0);
        let slot = slot(handle.cast_const()).unwrap();
        let held = slot.lock();
        assert_eq!(slot.try_with(|_| ()).unwrap(), None);
        drop(held);
        assert_eq!(slot.try_with(|number| *number).unwrap(), Some(0));
        end_handle::<Number>(slot).unwrap();
        assert_eq!(slot.try_with(|_| ()).err().unwrap().code, CDRLOG_INVALID_HANDLE);
    }

    #[test]
    fn a_panic_in_the_middle_unlocks_the_handle() {
        let handle: *mut Number = handle_of(0);
        let slot = slot(handle.cast_const()).unwrap();
        let run = std::panic::AssertUnwindSafe(|| slot.with(|_| panic!("on purpose")));
        assert!(std::panic::catch_unwind(run).is_err());
        assert!(slot.with(|_| ()).is_ok());
    }

    #[test]
    fn a_lock_that_was_held_at_a_fork_is_not_waited_for_in_the_child() {
        let handle: *mut Number = handle_of(0);
        let slot = slot(handle.cast_const()).unwrap();
        let held = slot.lock();
        // What a child sees: another process locked it, and is not here to unlock it.
        slot.process_id.store(std::process::id() ^ 1, Ordering::Relaxed);
        assert_eq!(slot.with(|_| ()).err().unwrap().code, CDRLOG_CLOSED);
        drop(held);
        assert!(slot.with(|_| ()).is_ok());
    }
}

//! `cdrlog_producer`: sends events.

#![expect(unsafe_code, reason = "functions of C")]

use std::ffi::c_void;
use std::sync::Arc;

use cdrlog_core::{Ack, Bytes, Durability, Producer};
use libc::iovec;

use crate::ack_counts::Counts;
use crate::acks::{cdrlog_ack_callback, cdrlog_acks, cdrlog_durability, durability, tell_callback};
use crate::appender::cdrlog_appender;
use crate::boundary::{Arguments, boundary};
use crate::callback::{self, Context, WOULD_DEADLOCK};
use crate::failure::Failure;
use crate::handle::{handle, handle_of, try_end_handle};
use crate::result::cdrlog_result::{self, *};

/// Sends events to an appender.
///
/// Lifetime: from cdrlog_producer_new to cdrlog_producer_free. It may outlive the appender: every
/// send then returns CDRLOG_CLOSED.
/// Threads: any thread may use it, but calls at the same time wait for each other, so each thread
/// should have its own. From its first send on, each has 4 to 64 KiB of the inbox: a server with
/// thousands of connections should share a few.
/// Order: if a send returns before another one is called, on any threads and producers, its event
/// comes first in the file.
/// Fork: in a child every send returns CDRLOG_CLOSED.
pub struct cdrlog_producer;

/// A producer, and what `cdrlog_send_iovec` gathers parts in.
pub(crate) struct Sender {
    producer: Producer,
    gathered: Vec<u8>,
}

handle!(cdrlog_producer, 3, Sender);

/// More memory than this is not kept between two calls.
const GATHERED_BYTES_KEPT: usize = 64 << 10;

/// A new producer for this appender, stored in *producer; after an error, NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_producer_new(
    appender: *const cdrlog_appender,
    producer: *mut *mut cdrlog_producer,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let mut place = arguments.place(producer, c"producer")?;
            place.set(std::ptr::null_mut());
            let producer = arguments.opened(appender)?.appender().producer();
            place.set(handle_of(Sender { producer, gathered: Vec::new() }));
            Ok(())
        })
    }
}

/// Frees the producer; what it has sent is not affected. NULL is allowed.
///
/// CDRLOG_WOULD_DEADLOCK, only in a callback: another thread sends with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_producer_free(producer: *mut cdrlog_producer) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            if callback::is_running() && !producer.is_null() {
                let slot = arguments.slot(producer.cast_const())?;
                return try_end_handle::<cdrlog_producer>(slot)?.map(drop).ok_or(WOULD_DEADLOCK);
            }
            arguments.end(producer).map(drop)
        })
    }
}

/// Sends an event, the body of a webhook; waits while the queue is full. The bytes are copied.
///
/// CDRLOG_OK: the event is accepted, and outlives the process if there is an inbox. A body that is
/// not an event is accepted too, and goes to the rejects file. CDRLOG_CLOSED: it was not accepted.
///
/// CDRLOG_WOULD_DEADLOCK, only in a callback: the queue is full, or another thread sends with this
/// producer. The event was not accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_send(
    producer: *mut cdrlog_producer,
    event: *const u8,
    event_bytes: usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let event = arguments.slice(event, event_bytes, c"event")?;
            if callback::is_running() {
                return arguments.try_send(producer, event).map_err(in_callback);
            }
            let slot = arguments.slot(producer.cast_const())?;
            slot.with(|sender| sender.producer.send_slice(event))?.map_err(Failure::from)
        })
    }
}

/// Like cdrlog_send, but never waits. CDRLOG_FULL: the queue is full, or another thread is waiting
/// in a send with this producer; the event was not accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_try_send(
    producer: *mut cdrlog_producer,
    event: *const u8,
    event_bytes: usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let event = arguments.slice(event, event_bytes, c"event")?;
            arguments.try_send(producer, event)
        })
    }
}

/// Like cdrlog_send, for an event in parts, which are joined in this order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_send_iovec(
    producer: *mut cdrlog_producer,
    parts: *const iovec,
    part_count: usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let parts = arguments.slice(parts, part_count, c"parts")?;
            if callback::is_running() {
                return arguments.try_send_parts(producer, parts).map_err(in_callback);
            }
            let slot = arguments.slot(producer.cast_const())?;
            slot.with(|Sender { producer, gathered }| {
                let sent = producer.send_slice(gather(arguments, parts, gathered)?);
                gathered.shrink_to(GATHERED_BYTES_KEPT);
                sent.map_err(Failure::from)
            })?
        })
    }
}

/// Like cdrlog_try_send, for an event in parts, which are joined in this order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_try_send_iovec(
    producer: *mut cdrlog_producer,
    parts: *const iovec,
    part_count: usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let parts = arguments.slice(parts, part_count, c"parts")?;
            arguments.try_send_parts(producer, parts)
        })
    }
}

/// Joins the parts of an event.
fn gather<'gathered>(
    arguments: Arguments<'_>,
    parts: &[iovec],
    gathered: &'gathered mut Vec<u8>,
) -> Result<&'gathered [u8], Failure> {
    gathered.clear();
    for part in parts {
        let part = arguments.slice(part.iov_base.cast_const().cast(), part.iov_len, c"a part")?;
        if gathered.try_reserve(part.len()).is_err() {
            return Err(Failure::fixed(
                CDRLOG_INVALID_ARGUMENT,
                c"the parts together are longer than memory can be",
            ));
        }
        gathered.extend_from_slice(part);
    }
    Ok(gathered)
}

/// Like cdrlog_send, and counts the event among those of its level that acks knows: stores the
/// number of the event in *number, if that is not NULL. When cdrlog_acked(acks, level) is not less
/// than this number, the event has reached the level. Each level counts its own events, from 1.
///
/// An acknowledgement costs a few allocations, and a system call if the rewriter thread must be
/// woken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_send_acked(
    producer: *mut cdrlog_producer,
    event: *const u8,
    event_bytes: usize,
    level: cdrlog_durability,
    acks: *mut cdrlog_acks,
    number: *mut u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let (event, durability) = arguments.event(event, event_bytes, level)?;
            let acks = arguments.acks(acks.cast_const())?;
            let ack = arguments.send_acked(producer, event, durability)?;
            arguments.count(&acks, ack, durability, number);
            Ok(())
        })
    }
}

/// Like cdrlog_send_acked, but never waits, as cdrlog_try_send. With wake, it wakes the rewriter
/// thread as cdrlog_send_acked does; without, events gather for up to 20 ms: an event loop sends
/// many, and calls cdrlog_wake once before it blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_try_send_acked(
    producer: *mut cdrlog_producer,
    event: *const u8,
    event_bytes: usize,
    level: cdrlog_durability,
    acks: *mut cdrlog_acks,
    wake: bool,
    number: *mut u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let (event, durability) = arguments.event(event, event_bytes, level)?;
            let acks = arguments.acks(acks.cast_const())?;
            let ack = arguments.try_send_acked(producer, event, durability, wake)?;
            arguments.count(&acks, ack, durability, number);
            Ok(())
        })
    }
}

/// Like cdrlog_send, and calls the callback once the event has reached the level, or never will:
/// once for each call that returned CDRLOG_OK, for no other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_send_with_callback(
    producer: *mut cdrlog_producer,
    event: *const u8,
    event_bytes: usize,
    level: cdrlog_durability,
    callback: cdrlog_ack_callback,
    context: *mut c_void,
) -> cdrlog_result {
    let context = Context(context);
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let (event, durability) = arguments.event(event, event_bytes, level)?;
            let callback = callback.ok_or_else(no_callback)?;
            let ack = arguments.send_acked(producer, event, durability)?;
            tell_callback(ack, callback, context);
            Ok(())
        })
    }
}

/// Like cdrlog_send_with_callback, but never waits, as cdrlog_try_send.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_try_send_with_callback(
    producer: *mut cdrlog_producer,
    event: *const u8,
    event_bytes: usize,
    level: cdrlog_durability,
    callback: cdrlog_ack_callback,
    context: *mut c_void,
) -> cdrlog_result {
    let context = Context(context);
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let (event, durability) = arguments.event(event, event_bytes, level)?;
            let callback = callback.ok_or_else(no_callback)?;
            let ack = arguments.try_send_acked(producer, event, durability, true)?;
            tell_callback(ack, callback, context);
            Ok(())
        })
    }
}

/// Wakes the rewriter thread, if it sleeps, to process now what was sent.
///
/// CDRLOG_WOULD_DEADLOCK, only in a callback: another thread sends with this producer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_wake(producer: *mut cdrlog_producer) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let slot = arguments.slot(producer.cast_const())?;
            let wake = |sender: &mut Sender| sender.producer.wake();
            if callback::is_running() {
                return slot.try_with(wake)?.ok_or(WOULD_DEADLOCK);
            }
            slot.with(wake)
        })
    }
}

/// For a send that must not wait, when the thread that has the producer may.
const IN_USE: Failure =
    Failure::fixed(CDRLOG_FULL, c"another thread sends with this producer, and may wait for room");

/// The failure of a send that would have waited, if a callback had not made it: what it would have
/// waited for may wait for the callback.
#[cold]
fn in_callback(failure: Failure) -> Failure {
    if failure.code == CDRLOG_FULL { WOULD_DEADLOCK } else { failure }
}

#[cold]
const fn no_callback() -> Failure {
    Failure::fixed(CDRLOG_INVALID_ARGUMENT, c"callback is NULL")
}

impl Arguments<'_> {
    /// An event to be acknowledged, as the library takes it.
    fn event(
        self,
        event: *const u8,
        event_bytes: usize,
        level: cdrlog_durability,
    ) -> Result<(Bytes, Durability), Failure> {
        let event = self.slice(event, event_bytes, c"event")?;
        Ok((Bytes::copy_from_slice(event), durability(level)?))
    }

    #[inline]
    fn try_send(self, producer: *mut cdrlog_producer, event: &[u8]) -> Result<(), Failure> {
        let slot = self.slot(producer.cast_const())?;
        let sent = slot.try_with(|sender| sender.producer.try_send_slice(event))?;
        sent.ok_or(IN_USE)?.map_err(Failure::from)
    }

    fn try_send_parts(
        self,
        producer: *mut cdrlog_producer,
        parts: &[iovec],
    ) -> Result<(), Failure> {
        let slot = self.slot(producer.cast_const())?;
        let sent = slot.try_with(|Sender { producer, gathered }| {
            let sent = producer.try_send_slice(gather(self, parts, gathered)?);
            gathered.shrink_to(GATHERED_BYTES_KEPT);
            sent.map_err(Failure::from)
        })?;
        sent.ok_or(IN_USE)?
    }

    fn send_acked(
        self,
        producer: *mut cdrlog_producer,
        event: Bytes,
        durability: Durability,
    ) -> Result<Ack, Failure> {
        if callback::is_running() {
            let sent = self.try_send_acked(producer, event, durability, true);
            return sent.map_err(in_callback);
        }
        let slot = self.slot(producer.cast_const())?;
        Ok(slot.with(|sender| sender.producer.send_acked(event, durability))??)
    }

    fn try_send_acked(
        self,
        producer: *mut cdrlog_producer,
        event: Bytes,
        durability: Durability,
        wake: bool,
    ) -> Result<Ack, Failure> {
        let slot = self.slot(producer.cast_const())?;
        let sent = slot.try_with(|Sender { producer, .. }| match wake {
            true => producer.try_send_acked(event, durability),
            false => producer.try_send_acked_no_wake(event, durability),
        })?;
        Ok(sent.ok_or(IN_USE)??)
    }

    /// Counts an event that was sent, and stores its number.
    fn count(self, acks: &Arc<Counts>, ack: Ack, durability: Durability, number: *mut u64) {
        let counted = acks.count(ack, durability);
        if let Some(mut number) = self.place_if_any(number) {
            number.set(counted);
        }
    }
}

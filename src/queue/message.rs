//! What goes through the channel, in 8 bytes: a place in the channel is then 16 bytes, so that only
//! one in four sends needs another cache line.

#![expect(unsafe_code, reason = "a box and a number share a word")]

use bytes::Bytes;
use crossbeam_channel::Sender;

use crate::ack::Acked;
use crate::error::FlushError;
use crate::inbox::RecordRef;
use crate::pipeline::FlushTarget;

/// What a place in the queue costs besides the bytes of the event, so that empty events are bounded
/// too.
pub(super) const PLACE_BYTES: u64 = 64;

/// What an event of that length counts against the bound of the queue.
pub(super) const fn cost_of(event_bytes: usize) -> u64 {
    event_bytes as u64 + PLACE_BYTES
}

/// The content of a message.
#[derive(Debug)]
pub(crate) enum Content {
    Record(RecordRef),
    Other(Box<Other>),
}

/// Everything except a plain record.
#[derive(Debug)]
pub(crate) enum Other {
    /// An event that has no record, because there was no room for one: it does not survive the
    /// process.
    Event(Bytes),
    /// An event whose sender waits for its outcome.
    Acked(Acked, Body),
    /// A request to report everything sent before to the flusher.
    Barrier(Barrier),
    /// A time, in milliseconds since 1970: everything accepted before it was sent before this.
    TimeMark(u64),
}

/// The body of an event.
#[derive(Debug)]
pub(crate) enum Body {
    Record(RecordRef),
    Bytes(Bytes),
}

/// Requests that the flusher handles everything sent before.
#[derive(Debug)]
pub(crate) struct Barrier {
    pub(crate) target: FlushTarget,
    pub(crate) reply: Sender<Result<(), FlushError>>,
}

impl Other {
    fn event_bytes(&self) -> usize {
        match self {
            Self::Event(event) | Self::Acked(_, Body::Bytes(event)) => event.len(),
            Self::Acked(_, Body::Record(record)) => record.body_bytes(),
            Self::Barrier(_) | Self::TimeMark(_) => 0,
        }
    }
}

/// An odd number, or the address of a box, which is even.
#[derive(Debug)]
pub(crate) struct Message(*mut Other);

// SAFETY: a message owns what it refers to, which may be sent.
unsafe impl Send for Message {}

const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<Content>();
};
const _: () = assert!(align_of::<Other>() > 1);

impl Message {
    #[inline]
    pub(crate) fn record(record: RecordRef) -> Self {
        let number = record.into_number() << 1 | 1;
        Self(std::ptr::without_provenance_mut(number as usize))
    }

    pub(crate) fn other(other: Other) -> Self {
        Self(Box::into_raw(Box::new(other)))
    }

    #[inline]
    fn record_number(&self) -> Option<u64> {
        let number = self.0.addr();
        (number & 1 == 1).then_some(number as u64 >> 1)
    }

    /// The length of the event.
    #[inline]
    pub(crate) fn event_bytes(&self) -> usize {
        match self.record_number() {
            Some(number) => RecordRef::from_number(number).body_bytes(),
            // SAFETY: an even message is the address of a box that it owns.
            None => unsafe { &*self.0 }.event_bytes(),
        }
    }

    /// What it counts against the bound of the queue.
    #[inline]
    pub(super) fn cost(&self) -> u64 {
        cost_of(self.event_bytes())
    }

    #[inline]
    pub(crate) fn into_content(self) -> Content {
        let content = match self.record_number() {
            Some(number) => Content::Record(RecordRef::from_number(number)),
            // SAFETY: an even message is the address of a box, which is taken out once: the message
            // is forgotten below.
            None => Content::Other(unsafe { Box::from_raw(self.0) }),
        };
        std::mem::forget(self);
        content
    }
}

impl Message {
    /// The event of a message that was not accepted and has no record.
    #[cold]
    pub(crate) fn into_event(self) -> Bytes {
        match self.into_content() {
            Content::Other(other) => match *other {
                Other::Event(event) | Other::Acked(_, Body::Bytes(event)) => event,
                Other::Acked(_, Body::Record(_)) | Other::Barrier(_) | Other::TimeMark(_) => {
                    Bytes::new()
                }
            },
            Content::Record(_) => Bytes::new(),
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        drop(Self(self.0).into_content());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ack::{Durability, acked};

    #[test]
    fn a_message_takes_eight_bytes() {
        assert_eq!(size_of::<Message>(), 8);
    }

    #[test]
    fn what_goes_in_comes_out_and_is_dropped_once() {
        let record = || RecordRef::from_number(u64::MAX >> 2);
        assert_eq!(Message::record(record()).event_bytes(), record().body_bytes());
        match Message::record(record()).into_content() {
            Content::Record(found) => assert_eq!(found, record()),
            other => panic!("{other:?}"),
        }
        let event = Bytes::from(vec![b'x'; 100]);
        let message = Message::other(Other::Event(event.clone()));
        assert_eq!(message.event_bytes(), 100);
        drop(message);
        let (acked, ack) = acked(Durability::Written);
        let message = Message::other(Other::Acked(acked, Body::Bytes(event.clone())));
        match message.into_content() {
            Content::Other(other) => assert_eq!(other.event_bytes(), 100),
            other => panic!("{other:?}"),
        }
        assert!(ack.wait().is_err(), "the acknowledgement was not dropped");
        assert!(event.is_unique(), "a copy of the event was forgotten");
    }
}

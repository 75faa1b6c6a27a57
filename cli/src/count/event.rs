//! What an event says about sessions, participants and recordings, from any server.

use std::borrow::Cow;

/// A name, without quotes.
pub(crate) type Id<'a> = Cow<'a, [u8]>;

/// An event: its time, in milliseconds since 1970, and what it says.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    /// `None` if the event does not say.
    pub(crate) at: Option<i64>,
    pub(crate) says: Says<'a>,
}

/// Which session an event is about.
#[derive(Debug, Default)]
pub(crate) struct SessionRef<'a> {
    /// The name that its creator gave it. At any time, one session has this name.
    pub(crate) name: Id<'a>,
    /// An id that no other session ever has.
    pub(crate) unique: Option<Id<'a>>,
}

/// Who was present, since when and for how many milliseconds, as far as an event says.
#[derive(Debug, Default)]
pub(crate) struct Stay<'a> {
    pub(crate) participant: Option<Id<'a>>,
    pub(crate) joined: Option<i64>,
    pub(crate) duration: Option<i64>,
    /// Why the participant left, in the words of the event.
    pub(crate) reason: Option<Id<'a>>,
}

#[derive(Debug)]
pub(crate) enum Says<'a> {
    /// Nothing to count but the event itself.
    Nothing,
    SessionBegan(SessionRef<'a>),
    SessionEnded {
        session: SessionRef<'a>,
        began: Option<i64>,
        /// Why, in the words of the event.
        reason: Option<Id<'a>>,
    },
    Joined {
        session: SessionRef<'a>,
        participant: Id<'a>,
    },
    Left(SessionRef<'a>, Stay<'a>),
    /// A recording is complete.
    Recorded {
        /// `None` if the event does not say.
        id: Option<Id<'a>>,
        bytes: u64,
    },
}

impl SessionRef<'_> {
    fn into_owned(self) -> SessionRef<'static> {
        SessionRef { name: owned(self.name), unique: self.unique.map(owned) }
    }
}

impl Says<'_> {
    /// The same without the line that it was read from.
    pub(crate) fn into_owned(self) -> Says<'static> {
        match self {
            Says::Nothing => Says::Nothing,
            Says::SessionBegan(session) => Says::SessionBegan(session.into_owned()),
            Says::SessionEnded { session, began, reason } => Says::SessionEnded {
                session: session.into_owned(),
                began,
                reason: reason.map(owned),
            },
            Says::Joined { session, participant } => {
                Says::Joined { session: session.into_owned(), participant: owned(participant) }
            }
            Says::Left(session, stay) => {
                let Stay { participant, joined, duration, reason } = stay;
                let (participant, reason) = (participant.map(owned), reason.map(owned));
                let stay = Stay { participant, joined, duration, reason };
                Says::Left(session.into_owned(), stay)
            }
            Says::Recorded { id, bytes } => Says::Recorded { id: id.map(owned), bytes },
        }
    }
}

fn owned(id: Id<'_>) -> Id<'static> {
    Cow::Owned(id.into_owned())
}

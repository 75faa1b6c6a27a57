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

/// The number of the directory that an event was read from. The server that writes it has one
/// session of a name at a time; another server may have another one.
pub(crate) type Source = usize;

/// What starts and ends within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ActivityKind {
    /// What a participant publishes; in OpenVidu 2 also what a participant receives.
    Track,
    Egress,
    Ingress,
    Recording,
    Broadcast,
}

/// The key of an activity: its kind and its id.
pub(super) type ActivityKey = (ActivityKind, Box<[u8]>);

/// Which activity an event is about.
#[derive(Debug)]
pub(crate) struct ActivityRef<'a> {
    pub(crate) kind: ActivityKind,
    pub(crate) session: SessionRef<'a>,
    /// The participant, for a track.
    pub(crate) participant: Option<Id<'a>>,
    /// For a track, an id that no other one of the participant has; for the others, one that no
    /// other of its kind has.
    pub(crate) id: Id<'a>,
}

#[derive(Debug)]
pub(crate) enum Says<'a> {
    /// Nothing to count except the event itself.
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
    /// A participant who was never in the session gave up. This one and those below are read for
    /// audits only.
    JoinFailed {
        session: SessionRef<'a>,
        participant: Id<'a>,
    },
    ActivityBegan(ActivityRef<'a>),
    /// It is under way.
    ActivityGoesOn(ActivityRef<'a>),
    ActivityEnded {
        activity: ActivityRef<'a>,
        /// When it started, if the event tells.
        began: Option<i64>,
    },
}

impl ActivityRef<'_> {
    fn into_owned(self) -> ActivityRef<'static> {
        let Self { kind, session, participant, id } = self;
        let session = session.into_owned();
        ActivityRef { kind, session, participant: participant.map(owned), id: owned(id) }
    }
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
            Says::JoinFailed { session, participant } => {
                Says::JoinFailed { session: session.into_owned(), participant: owned(participant) }
            }
            Says::ActivityBegan(activity) => Says::ActivityBegan(activity.into_owned()),
            Says::ActivityGoesOn(activity) => Says::ActivityGoesOn(activity.into_owned()),
            Says::ActivityEnded { activity, began } => {
                Says::ActivityEnded { activity: activity.into_owned(), began }
            }
        }
    }
}

fn owned(id: Id<'_>) -> Id<'static> {
    Cow::Owned(id.into_owned())
}

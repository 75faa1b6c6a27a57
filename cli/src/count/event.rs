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
    /// What it is made of, for an egress.
    pub(crate) made_of: Option<MadeOf<'a>>,
    /// A track that the participant receives and does not publish.
    pub(crate) is_received: bool,
    /// For a track, an id that no other one of the participant has; for the others, one that no
    /// other of its kind has.
    pub(crate) id: Id<'a>,
}

/// What an egress is made of, unless it is the whole session.
#[derive(Debug)]
pub(crate) enum MadeOf<'a> {
    /// Everything that the participant with this identity publishes.
    Participant(Id<'a>),
    Track(Id<'a>),
}

/// A recording that is complete.
#[derive(Debug, Default)]
pub(crate) struct Recorded<'a> {
    /// `None` if the event does not say.
    pub(crate) id: Option<Id<'a>>,
    pub(crate) session: SessionRef<'a>,
    pub(crate) made_of: Option<MadeOf<'a>>,
    pub(crate) bytes: u64,
    /// How long it is, in milliseconds.
    pub(crate) duration: Option<i64>,
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
    Recorded(Recorded<'a>),
    /// A participant who was never in the session gave up. This is read for audits only, and the
    /// rest for audits and records.
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
        /// How long it was, in milliseconds, if the event tells.
        duration: Option<i64>,
    },
}

impl ActivityRef<'_> {
    fn into_owned(self) -> ActivityRef<'static> {
        let Self { kind, session, participant, made_of, is_received, id } = self;
        ActivityRef {
            kind,
            session: session.into_owned(),
            participant: participant.map(owned),
            made_of: made_of.map(MadeOf::into_owned),
            is_received,
            id: owned(id),
        }
    }
}

impl MadeOf<'_> {
    fn into_owned(self) -> MadeOf<'static> {
        match self {
            MadeOf::Participant(identity) => MadeOf::Participant(owned(identity)),
            MadeOf::Track(id) => MadeOf::Track(owned(id)),
        }
    }
}

impl Recorded<'_> {
    fn into_owned(self) -> Recorded<'static> {
        let Self { id, session, made_of, bytes, duration } = self;
        let (id, session) = (id.map(owned), session.into_owned());
        Recorded { id, session, made_of: made_of.map(MadeOf::into_owned), bytes, duration }
    }
}

impl SessionRef<'_> {
    pub(super) fn into_owned(self) -> SessionRef<'static> {
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
            Says::Recorded(recorded) => Says::Recorded(recorded.into_owned()),
            Says::JoinFailed { session, participant } => {
                Says::JoinFailed { session: session.into_owned(), participant: owned(participant) }
            }
            Says::ActivityBegan(activity) => Says::ActivityBegan(activity.into_owned()),
            Says::ActivityGoesOn(activity) => Says::ActivityGoesOn(activity.into_owned()),
            Says::ActivityEnded { activity, began, duration } => {
                Says::ActivityEnded { activity: activity.into_owned(), began, duration }
            }
        }
    }
}

pub(super) fn owned(id: Id<'_>) -> Id<'static> {
    Cow::Owned(id.into_owned())
}

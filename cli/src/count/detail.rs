//! What an event says beyond presence: who a participant is, and what was used. It changes no
//! count, so it travels beside the events that do (`tracker.rs`).

use super::event::{Id, Says, SessionRef, owned};

#[derive(Debug)]
pub(crate) enum Detail<'a> {
    Participant {
        session: SessionRef<'a>,
        participant: Id<'a>,
        about: Box<About<'a>>,
    },
    /// An activity began or ended.
    Activity(Says<'a>),
}

/// Who a participant is, and from where, as far as its events tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct About<'a> {
    /// `connectionId` of OpenVidu 2, `sid` of LiveKit.
    pub(crate) connection: Option<Id<'a>>,
    /// `identity` of LiveKit.
    pub(crate) identity: Option<Id<'a>>,
    /// `kind` of LiveKit, such as `SIP`.
    pub(crate) kind: Option<Id<'a>>,
    /// `platform` of OpenVidu 2.
    pub(crate) platform: Option<Id<'a>>,
    /// `location` of OpenVidu 2, `region` of LiveKit.
    pub(crate) location: Option<Id<'a>>,
    /// `clientData` of OpenVidu 2.
    pub(crate) client_data: Option<Id<'a>>,
}

impl Detail<'_> {
    /// The same without the line that it was read from.
    pub(crate) fn into_owned(self) -> Detail<'static> {
        match self {
            Detail::Participant { session, participant, about } => Detail::Participant {
                session: session.into_owned(),
                participant: owned(participant),
                about: Box::new(about.into_owned()),
            },
            Detail::Activity(says) => Detail::Activity(says.into_owned()),
        }
    }
}

impl About<'_> {
    fn into_owned(self) -> About<'static> {
        let Self { connection, identity, kind, platform, location, client_data } = self;
        About {
            connection: connection.map(owned),
            identity: identity.map(owned),
            kind: kind.map(owned),
            platform: platform.map(owned),
            location: location.map(owned),
            client_data: client_data.map(owned),
        }
    }
}

impl About<'static> {
    /// Adds what only a later event tells.
    pub(super) fn add(&mut self, later: &Self) {
        let members = [
            (&mut self.connection, &later.connection),
            (&mut self.identity, &later.identity),
            (&mut self.kind, &later.kind),
            (&mut self.platform, &later.platform),
            (&mut self.location, &later.location),
            (&mut self.client_data, &later.client_data),
        ];
        for (ours, theirs) in members {
            if ours.is_none() {
                ours.clone_from(theirs);
            }
        }
    }
}

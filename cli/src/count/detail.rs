//! What an event says beyond presence: who a participant is, and what was used. It changes no
//! count (`tracker.rs`).

use super::event::{Event, Id, Says, owned};

#[derive(Debug)]
pub(crate) enum Detail<'a> {
    /// Who the participant is that comes or goes.
    About(About<'a>),
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

impl<'a> Detail<'a> {
    /// `None` if the event says neither that an activity began nor that one ended.
    pub(super) fn of_activity(event: Event<'a>) -> Option<Self> {
        let says = event.says;
        matches!(says, Says::ActivityBegan(_) | Says::ActivityEnded { .. })
            .then_some(Self::Activity(says))
    }

    /// The same without the line that it was read from.
    pub(crate) fn into_owned(self) -> Detail<'static> {
        match self {
            Detail::About(about) => Detail::About(about.into_owned()),
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
    pub(super) fn add(&mut self, later: Self) {
        let members = [
            (&mut self.connection, later.connection),
            (&mut self.identity, later.identity),
            (&mut self.kind, later.kind),
            (&mut self.platform, later.platform),
            (&mut self.location, later.location),
            (&mut self.client_data, later.client_data),
        ];
        for (ours, theirs) in members {
            if ours.is_none() {
                *ours = theirs;
            }
        }
    }
}

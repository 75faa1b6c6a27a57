//! What starts and ends within sessions: tracks are kept with their participants, everything else
//! with the session.

use std::collections::BTreeMap;

use super::activities::{key_of, missing_start};
use super::counts::{Count, Counted};
use super::event::{ActivityKind, ActivityRef, Id, SessionRef, Source};
use super::missing::Missing;
use super::presence::Presence;
use super::sessions::Participant;

impl Presence {
    /// Whether an activity has been under way since before `at`.
    pub(super) fn is_activity_before(&self, activity: &ActivityRef<'_>, at: i64) -> bool {
        if activity.kind != ActivityKind::Track {
            return self.activities.is_open_before(activity, at);
        }
        let participant = self.participant(activity);
        let began = participant.and_then(|one| one.tracks.get(activity.id.as_ref()));
        began.is_some_and(|&began| began < at)
    }

    fn participant(&self, activity: &ActivityRef<'_>) -> Option<&Participant> {
        let session = self.sessions.get(&self.sessions.find(&activity.session)?)?;
        session.participants.get(activity.participant.as_deref()?)
    }

    pub(super) fn activity_began(
        &mut self,
        at: i64,
        source: Source,
        activity: &ActivityRef<'_>,
        counted: &mut Counted<'_>,
    ) {
        let session = self.sessions.find(&activity.session);
        let session = session.and_then(|key| self.sessions.get_mut(&key));
        if activity.kind != ActivityKind::Track {
            self.activities.began(at, source, activity, counted);
            if let Some(session) = session {
                session.hear(at, &activity.session);
                session.activities.insert(key_of(activity));
            }
            return;
        }
        // A track of a session or participant that is over, or that no other event tells of.
        let (Some(session), Some(id)) = (session, activity.participant.as_deref()) else { return };
        session.hear(at, &activity.session);
        let has_ended = session.ended.is_some();
        let participant = session.participants.entry(id.into()).or_insert_with(|| Participant {
            joined: at,
            is_from_before: false,
            has_join: false,
            began_told: None,
            left: None,
            stay_ms: 0,
            tracks: BTreeMap::new(),
            // Its join counts it, if that comes.
            is_uncounted: true,
        });
        if participant.left.is_none() && !has_ended {
            participant.tracks.insert(activity.id.as_ref().into(), at);
        }
    }

    pub(super) fn activity_goes_on(&mut self, at: i64, activity: &ActivityRef<'_>) {
        self.activities.goes_on(at, activity);
    }

    pub(super) fn activity_ended(
        &mut self,
        at: i64,
        source: Source,
        activity: &ActivityRef<'_>,
        began: Option<i64>,
        counted: &mut Counted<'_>,
    ) {
        let session = self.sessions.find(&activity.session);
        let session = session.and_then(|key| self.sessions.get_mut(&key));
        if activity.kind != ActivityKind::Track {
            self.activities.ended(at, source, activity, began, counted);
            if let Some(session) = session {
                session.hear(at, &activity.session);
                session.activities.remove(&key_of(activity));
            }
            return;
        }
        let (Some(session), Some(id)) = (session, activity.participant.as_deref()) else { return };
        session.hear(at, &activity.session);
        let Some(participant) = session.participants.get_mut(id) else { return };
        let has_begun = participant.tracks.remove(activity.id.as_ref()).is_some();
        // If the participant's join was not read either, the join is what is missing, or was before
        // the first line.
        if !has_begun && participant.has_join && participant.left.is_none() {
            let begin = missing_start(at, source, activity, began);
            counted(Count::Missing(Missing { after: Some(participant.joined), ..begin }));
        }
    }

    /// A participant gave up joining who was never in the session.
    pub(super) fn join_failed(&mut self, session: &SessionRef<'_>, participant: &Id<'_>) {
        let Some(key) = self.sessions.find(session) else { return };
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.participants.get(participant.as_ref()).is_some_and(|one| !one.has_join) {
            session.participants.remove(participant.as_ref());
        }
    }
}

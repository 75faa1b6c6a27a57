//! What sessions and participants used: tracks, egress, recordings. Kept for records only, and
//! without any influence on what is counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::detail::About;
use super::event::{ActivityKey, ActivityKind, ActivityRef, MadeOf, Recorded};
use super::hash::Map;

/// How many tracks of a participant are told apart; of further ones, those that ended are only
/// added up.
const TRACKS_MAX: usize = 10_000;

/// How many there were, and for how many milliseconds together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) count: u64,
    pub(crate) ms: i64,
}

impl Sum {
    fn add(&mut self, ms: i64) {
        self.count += 1;
        self.ms = self.ms.saturating_add(ms.max(0));
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.ms = self.ms.saturating_add(other.ms);
    }
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Tracks that participants published.
    pub(crate) tracks: Sum,
    /// Tracks that participants received, which only OpenVidu 2 tells.
    pub(crate) received: Sum,
    /// Egress of LiveKit and broadcasts of OpenVidu 2.
    pub(crate) egress: Sum,
    pub(crate) recordings: Sum,
    pub(crate) recording_bytes: u64,
}

impl Usage {
    pub(super) fn merge(&mut self, other: &Self) {
        self.tracks.merge(other.tracks);
        self.received.merge(other.received);
        self.egress.merge(other.egress);
        self.recordings.merge(other.recordings);
        self.recording_bytes = self.recording_bytes.saturating_add(other.recording_bytes);
    }

    pub(super) fn add_recording(&mut self, recorded: &Recorded<'_>) {
        self.recordings.add(recorded.duration.unwrap_or_default());
        self.recording_bytes = self.recording_bytes.saturating_add(recorded.bytes);
    }

    fn add_track(&mut self, is_received: bool, ms: i64) {
        if is_received { self.received.add(ms) } else { self.tracks.add(ms) }
    }
}

/// A track: when it began last, and when it ended after that.
#[derive(Clone, Copy, Debug)]
struct Track {
    is_received: bool,
    began: Option<i64>,
    ended: Option<i64>,
}

/// A participant in a session, until the record of the stay is complete.
#[derive(Debug, Default)]
pub(super) struct ParticipantUsage {
    pub(super) about: Option<Box<About<'static>>>,
    /// Why the participant left.
    pub(super) reason: Option<Box<[u8]>>,
    tracks: BTreeMap<Box<[u8]>, Track>,
    usage: Usage,
}

impl ParticipantUsage {
    pub(super) fn learn(&mut self, about: About<'static>) {
        match &mut self.about {
            Some(known) => known.add(about),
            None => self.about = Some(Box::new(about)),
        }
    }

    fn has_identity(&self, identity: &[u8]) -> bool {
        let about = self.about.as_ref();
        about.is_some_and(|about| about.identity.as_deref() == Some(identity))
    }

    fn track_began(&mut self, at: i64, track: &ActivityRef<'_>) {
        let new = Track { is_received: track.is_received, began: Some(at), ended: None };
        match self.tracks.get_mut(track.id.as_ref()) {
            // A participant may receive a track, and later the same one again.
            Some(known) if known.ended.is_some_and(|ended| ended <= at) => *known = new,
            Some(_) => {}
            None => {
                self.forget_ended_tracks();
                self.tracks.insert(track.id.as_ref().into(), new);
            }
        }
    }

    fn track_ended(
        &mut self,
        at: i64,
        track: &ActivityRef<'_>,
        began: Option<i64>,
        duration: Option<i64>,
    ) {
        let known = self.tracks.get(track.id.as_ref()).copied();
        let is_again = known.and_then(|known| known.ended).is_some_and(|ended| {
            // Unless it tells that it began after the end that is known.
            began.is_none_or(|began| began < ended)
        });
        if is_again {
            return;
        }
        let open = known.filter(|known| known.ended.is_none());
        let began = began.or(open.and_then(|known| known.began));
        let ms = duration.or_else(|| Some(at - began?)).unwrap_or_default();
        self.usage.add_track(track.is_received, ms);
        self.forget_ended_tracks();
        let ended = Track { is_received: track.is_received, began, ended: Some(at) };
        self.tracks.insert(track.id.as_ref().into(), ended);
    }

    fn forget_ended_tracks(&mut self) {
        if self.tracks.len() >= TRACKS_MAX {
            self.tracks.retain(|_, track| track.ended.is_none());
        }
    }

    /// Everything; what has no end of its own ended at `end`, or nobody knows when.
    pub(super) fn close(&mut self, end: Option<i64>) -> Usage {
        let mut usage = self.usage;
        for track in self.tracks.values().filter(|track| track.ended.is_none()) {
            let ms = end.and_then(|end| Some(end - track.began?)).unwrap_or_default();
            usage.add_track(track.is_received, ms);
        }
        usage
    }
}

/// A session, until its record is complete.
#[derive(Debug, Default)]
pub(super) struct SessionUsage {
    /// Why it ended.
    pub(super) reason: Option<Box<[u8]>>,
    pub(super) participants: Map<Box<[u8]>, ParticipantUsage>,
    /// What belongs to no participant.
    own: Usage,
    /// What the complete records of stays add up to: those that count as participants, and the
    /// milliseconds of all.
    pub(super) stays: Sum,
    pub(super) of_stays: Usage,
    /// Egress, broadcasts and recordings that have not ended, and when each began.
    open: BTreeMap<ActivityKey, i64>,
}

impl SessionUsage {
    #[expect(clippy::expect_used, reason = "it was just inserted")]
    pub(super) fn participant(&mut self, id: &[u8]) -> &mut ParticipantUsage {
        // Without an allocation for one that is known.
        if !self.participants.contains_key(id) {
            self.participants.insert(id.into(), ParticipantUsage::default());
        }
        self.participants.get_mut(id).expect("a participant that was just inserted")
    }

    /// Whether a recording or an egress of it may still come.
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether it waits for the end of the egress, broadcast or recording with this id.
    pub(super) fn has_open(&self, id: &[u8]) -> bool {
        self.open.keys().any(|(_, open)| **open == *id)
    }

    pub(super) fn began(&mut self, at: i64, activity: &ActivityRef<'_>) {
        match (activity.kind, activity.participant.as_deref()) {
            (ActivityKind::Track, Some(id)) => self.participant(id).track_began(at, activity),
            (ActivityKind::Egress | ActivityKind::Recording | ActivityKind::Broadcast, _) => {
                let key = (activity.kind, activity.id.as_ref().into());
                self.open.entry(key).or_insert(at);
            }
            (ActivityKind::Track | ActivityKind::Ingress, _) => {}
        }
    }

    pub(super) fn ended(
        &mut self,
        at: i64,
        activity: &ActivityRef<'_>,
        began: Option<i64>,
        duration: Option<i64>,
    ) {
        match (activity.kind, activity.participant.as_deref()) {
            (ActivityKind::Track, Some(id)) => {
                self.participant(id).track_ended(at, activity, began, duration);
            }
            (ActivityKind::Egress | ActivityKind::Broadcast, _) => {
                let key = (activity.kind, activity.id.as_ref().into());
                let began = began.or(self.open.remove(&key));
                let ms = duration.or_else(|| Some(at - began?)).unwrap_or_default();
                self.usage_of(activity.made_of.as_ref()).egress.add(ms);
                self.open.remove(&key);
            }
            (ActivityKind::Recording, _) => self.recording_ended(&activity.id),
            (ActivityKind::Track | ActivityKind::Ingress, _) => {}
        }
    }

    pub(super) fn recorded(&mut self, recorded: &Recorded<'_>) {
        if let Some(id) = &recorded.id {
            self.recording_ended(id);
        }
        self.usage_of(recorded.made_of.as_ref()).add_recording(recorded);
    }

    fn recording_ended(&mut self, id: &[u8]) {
        self.open.remove(&(ActivityKind::Recording, id.into()));
    }

    /// The usage of the participant that an egress is made of, or of the session.
    fn usage_of(&mut self, made_of: Option<&MadeOf<'_>>) -> &mut Usage {
        let participant = made_of.and_then(|made_of| {
            let mut participants = self.participants.iter_mut();
            participants.find(|(id, one)| match made_of {
                MadeOf::Participant(identity) => ***id == **identity || one.has_identity(identity),
                MadeOf::Track(track) => one.tracks.contains_key(track.as_ref()),
            })
        });
        participant.map_or(&mut self.own, |(_, one)| &mut one.usage)
    }

    /// What belongs to no stay. What has no end of its own ended at `end`, or nobody knows when.
    pub(super) fn close(&mut self, end: Option<i64>) -> Usage {
        let mut own = self.own;
        for ((kind, _), began) in std::mem::take(&mut self.open) {
            if kind != ActivityKind::Recording {
                own.egress.add(end.map_or(0, |end| end - began));
            }
        }
        // Participants of which no join and no leave was read.
        for (_, mut one) in self.participants.drain() {
            own.merge(&one.close(end));
        }
        own
    }
}

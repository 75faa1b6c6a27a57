//! What sessions and participants have lost: events that never came, reported once nothing more is
//! expected for them.

use super::counts::{Count, Counted};
use super::event::ActivityKind;
use super::missing::{Missing, MissingEvent, Sign};
use super::sessions::{Participant, Session};

impl Session {
    fn missing(&self, event: MissingEvent, sign: Sign, before: i64) -> Missing<'_> {
        Missing {
            event,
            sign,
            source: self.source,
            session: &self.name,
            unique: self.unique.as_deref(),
            participant: None,
            activity: None,
            told: None,
            after: None,
            before,
            inside: 0,
        }
    }

    /// Reports what is missing for a session for which nothing more is expected.
    pub(super) fn tell_missing(&self, counted: &mut Counted<'_>) {
        if !self.has_start {
            let begin = self.missing(MissingEvent::SessionStart, Sign::LaterEvents, self.first);
            counted(Count::Missing(Missing { told: self.began_told, ..begin }));
        }
        for (id, participant) in &self.participants {
            self.tell_missing_of(id, participant, counted);
        }
    }

    /// The same for one of its participants, who has left or is not to be followed any more.
    pub(super) fn tell_missing_of(
        &self,
        id: &[u8],
        participant: &Participant,
        counted: &mut Counted<'_>,
    ) {
        let left = participant.left;
        if !participant.has_join && (left.is_some() || self.ended.is_some()) {
            let before = left.unwrap_or(participant.joined);
            let join = self.missing(MissingEvent::Join, Sign::LaterEvents, before);
            let after = self.has_start.then_some(self.first);
            let (participant, told) = (Some(id), participant.began_told);
            counted(Count::Missing(Missing { participant, told, after, ..join }));
        }
        match (left, self.ended) {
            (Some(left), _) => {
                let end = MissingEvent::ActivityEnd(ActivityKind::Track);
                for (track, began) in &participant.tracks {
                    let (activity, after) = (Some(&**track), Some(*began));
                    let end = self.missing(end, Sign::ParticipantLeft, left.max(*began));
                    let participant = Some(id);
                    counted(Count::Missing(Missing { participant, activity, after, ..end }));
                }
            }
            (None, Some(ended)) => {
                let leave = self.missing(MissingEvent::Leave, Sign::SessionEnded, ended);
                let after = Some(participant.joined);
                counted(Count::Missing(Missing { participant: Some(id), after, ..leave }));
            }
            (None, None) => {}
        }
    }

    /// Reports that the end of the session is missing: it has none up to `before`.
    pub(super) fn tell_missing_end(&self, sign: Sign, before: i64, counted: &mut Counted<'_>) {
        let inside = self.participants.values().filter(|one| one.left.is_none()).count() as u64;
        let end = self.missing(MissingEvent::SessionEnd, sign, before);
        counted(Count::Missing(Missing { after: Some(self.last), inside, ..end }));
    }
}

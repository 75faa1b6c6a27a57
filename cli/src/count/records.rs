//! The records of stays and sessions: one of each, handed over once nothing more is expected for
//! it.
//!
//! A record has what was counted for it, so records add up to the counts. They are complete at the
//! same moments at which losses are reported (`losses.rs`): some minutes after the end, or when a
//! session is given up.

use super::activities::AFTER_SESSION_MS;
use super::counts::{Count, Counted};
use super::detail::Detail;
use super::event::{ActivityKind, ActivityRef, Recorded, Says, SessionRef, Stay};
use super::presence::Presence;
use super::record::{End, SessionRecord, StayRecord};
use super::sessions::{Participant, Session};
use super::unsettled::Unsettled;
use super::usage::{ParticipantUsage, SessionUsage, Usage};

impl Participant {
    /// When it joined, as far as events tell.
    fn told_join(&self) -> Option<i64> {
        if !self.is_from_before {
            return Some(self.joined);
        }
        let by_duration = || Some(self.left? - self.stay_ms).filter(|_| self.stay_ms > 0);
        self.began_told.or_else(by_duration)
    }
}

impl Session {
    /// What is counted for a participant, now that nothing more is expected.
    pub(super) fn stay_ms(&self, one: &Participant) -> i64 {
        match (one.left, self.ended) {
            (Some(_), _) => one.stay_ms,
            (None, Some(ended)) => (ended - one.joined).max(0),
            (None, None) => 0,
        }
    }

    /// Hands over the record of a stay that is over; `unended` is what a missing end means.
    pub(super) fn tell_stay(
        &mut self,
        id: &[u8],
        one: &Participant,
        unended: End,
        counted: &mut Counted<'_>,
    ) {
        let ms = self.stay_ms(one);
        let (ended, last) = (self.ended, self.last);
        let Some(usage) = &mut self.usage else { return };
        let end = match (one.left, ended) {
            (Some(left), _) => End::Event(left),
            (None, Some(ended)) => End::OfSession(ended),
            (None, None) => unended,
        };
        let mut used = usage.participants.remove(id).unwrap_or_default();
        let total = used.close(end.at());
        usage.stays.count += u64::from(!one.is_from_before);
        usage.stays.ms = usage.stays.ms.saturating_add(ms);
        usage.of_stays.merge(&total);
        let ParticipantUsage { about, reason, .. } = &used;
        counted(Count::StayRecord(&StayRecord {
            session: &self.name,
            unique: self.unique.as_deref(),
            participant: Some(id),
            joined: one.told_join(),
            end,
            last,
            ms,
            reason: reason.as_deref(),
            about: about.as_deref(),
            usage: total,
            is_counted: !one.is_from_before,
            is_lone: false,
        }));
    }

    /// The same for everybody of whom no record was handed over yet.
    fn tell_stays(&mut self, unended: End, counted: &mut Counted<'_>) {
        let mut stays: Vec<_> = std::mem::take(&mut self.participants).into_iter().collect();
        // Always in the same order.
        stays.sort_by(|(id, one), (other_id, other)| {
            (one.joined, id).cmp(&(other.joined, other_id))
        });
        for (id, one) in &stays {
            self.tell_stay(id, one, unended, counted);
        }
        self.participants = stays.into_iter().collect();
    }

    fn end(&self, unended: End) -> End {
        self.ended.map_or(unended, End::Event)
    }

    fn tell(&mut self, end: End, counted: &mut Counted<'_>) {
        let Some(mut usage) = self.usage.take() else { return };
        let own = usage.close(end.at());
        let mut total = own;
        total.merge(&usage.of_stays);
        let SessionUsage { reason, stays, .. } = &*usage;
        counted(Count::SessionRecord(&SessionRecord {
            session: &self.name,
            unique: self.unique.as_deref(),
            began: if self.is_from_before { self.began_told } else { Some(self.first) },
            end,
            last: self.last,
            reason: reason.as_deref(),
            stays: stays.count,
            stay_ms: stays.ms,
            own,
            usage: total,
        }));
    }
}

impl Presence {
    /// Hands over the records of a session that is over, unless no records are kept. If an egress
    /// or a recording of it is under way, its own record waits for that.
    pub(super) fn tell_records(
        &mut self,
        mut session: Session,
        unended: End,
        counted: &mut Counted<'_>,
    ) {
        let Some(usage) = &session.usage else { return };
        let is_open = usage.is_open();
        session.tell_stays(unended, counted);
        let end = session.end(unended);
        if is_open {
            let until = end.at().unwrap_or(session.last).saturating_add(AFTER_SESSION_MS);
            self.unsettled.push(Unsettled { until, end, session });
        } else {
            session.tell(end, counted);
        }
    }

    /// The input is over: hands over all records that were not handed over yet.
    pub(super) fn tell_open_records(&mut self, counted: &mut Counted<'_>) {
        if !self.sessions.keeps_usage {
            return;
        }
        self.open_since = self.earliest_open();
        self.settle(i64::MAX, counted);
        for key in self.sessions.sorted_keys() {
            let Some(session) = self.sessions.get_mut(&key) else { continue };
            session.tell_stays(End::Open, counted);
            session.tell(session.end(End::Open), counted);
        }
    }

    /// Hands over sessions of which nothing more is under way, or nothing came for too long.
    pub(super) fn settle(&mut self, now: i64, counted: &mut Counted<'_>) {
        for mut settled in self.unsettled.take_settled(now) {
            settled.session.tell(settled.end, counted);
        }
    }

    /// The earliest time to which the record of something that is open may belong.
    fn earliest_open(&self) -> i64 {
        let open = self.sessions.iter().map(|(_, session)| session);
        // If nothing more comes, the session will count as over since its last event.
        let open = open.filter(|session| session.ended.is_none()).map(|session| session.last);
        let unsettled = self.unsettled.iter().map(|one| one.end.at().unwrap_or(one.session.last));
        open.chain(unsettled).min().unwrap_or(i64::MAX)
    }

    /// A leave that belongs to no known session, or to no participant.
    pub(super) fn tell_lone_stay(
        &self,
        at: i64,
        session: &SessionRef<'_>,
        stay: &Stay<'_>,
        ms: i64,
        counted: &mut Counted<'_>,
    ) {
        if !self.sessions.keeps_usage {
            return;
        }
        counted(Count::StayRecord(&StayRecord {
            session: &session.name,
            unique: session.unique.as_deref(),
            participant: stay.participant.as_deref(),
            joined: stay.joined.or_else(|| Some(at - stay.duration?)),
            end: End::Event(at),
            last: at,
            ms,
            reason: stay.reason.as_deref(),
            about: None,
            usage: Usage::default(),
            is_counted: false,
            is_lone: true,
        }));
    }

    /// A recording that is counted. If its session is not known, it gets a record of its own.
    pub(super) fn recorded(&mut self, at: i64, recorded: &Recorded<'_>, counted: &mut Counted<'_>) {
        if !self.sessions.keeps_usage {
            return;
        }
        if let Some(usage) = self.usage_of(&recorded.session, recorded.id.as_deref()) {
            usage.recorded(recorded);
            return;
        }
        let mut usage = Usage::default();
        usage.add_recording(recorded);
        counted(Count::SessionRecord(&SessionRecord {
            session: &recorded.session.name,
            unique: recorded.session.unique.as_deref(),
            began: None,
            end: End::Event(at),
            last: at,
            reason: None,
            stays: 0,
            stay_ms: 0,
            own: usage,
            usage,
        }));
    }

    /// Why a participant left.
    pub(super) fn note_reason(&mut self, session: &[u8], participant: &[u8], stay: &Stay<'_>) {
        let Some(reason) = stay.reason.as_deref().filter(|_| self.sessions.keeps_usage) else {
            return;
        };
        let session = self.sessions.get_mut(session);
        if let Some(usage) = session.and_then(|session| session.usage.as_mut()) {
            usage.participant(participant).reason = Some(reason.into());
        }
    }

    /// Who it is that came or went.
    pub(super) fn note_participant(&mut self, says: &Says<'_>, detail: Detail<'static>) {
        let (Says::Joined { session, participant }
        | Says::Left(session, Stay { participant: Some(participant), .. })) = says
        else {
            return;
        };
        if let Detail::About(about) = detail
            && let Some(usage) = self.usage_of(session, None)
        {
            usage.participant(participant).learn(about);
        }
    }

    pub(super) fn note_activity(&mut self, at: i64, detail: &Detail<'static>) {
        match detail {
            Detail::Activity(Says::ActivityBegan(activity)) => {
                if let Some(usage) = self.usage_of_activity(activity) {
                    usage.began(at, activity);
                }
            }
            Detail::Activity(Says::ActivityEnded { activity, began, duration }) => {
                if let Some(usage) = self.usage_of_activity(activity) {
                    usage.ended(at, activity, *began, *duration);
                }
            }
            Detail::Activity(_) | Detail::About(_) => {}
        }
    }

    fn usage_of_activity(&mut self, activity: &ActivityRef<'_>) -> Option<&mut SessionUsage> {
        // No session waits for a track.
        let id = (activity.kind != ActivityKind::Track).then_some(&*activity.id);
        self.usage_of(&activity.session, id)
    }

    /// The usage of a session that is known, or that waits for this activity.
    fn usage_of(
        &mut self,
        session: &SessionRef<'_>,
        activity: Option<&[u8]>,
    ) -> Option<&mut SessionUsage> {
        let waiting = activity.and_then(|id| self.unsettled.usage_of(id));
        if waiting.is_some() {
            return waiting;
        }
        let key = self.sessions.find(session)?;
        self.sessions.get_mut(&key)?.usage.as_deref_mut()
    }
}

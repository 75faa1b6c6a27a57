//! Sessions for which nothing more is expected: those that ended some minutes ago, and silent ones.

use super::counts::Counted;
use super::missing::Sign;
use super::presence::Presence;
use super::record::End;
use super::sessions::{Gone, Session};

/// How long an end is remembered, in milliseconds of event time.
const GRACE_MS: i64 = 5 * 60_000;

/// How often such sessions are searched for, in milliseconds of event time.
const SWEEP_MS: i64 = 3_600_000;

impl Presence {
    /// The current event time is `now`.
    pub(crate) fn pass_time(&mut self, now: i64, counted: &mut Counted<'_>) {
        while self.gone.front().is_some_and(|gone| gone.at.saturating_add(GRACE_MS) < now) {
            if let Some(gone) = self.gone.pop_front() {
                self.forget(&gone, counted);
            }
        }
        if now >= self.next_sweep {
            self.next_sweep = now.saturating_add(SWEEP_MS);
            self.give_up(now, counted);
        }
        self.activities.forget(now);
        self.settle(now, counted);
    }

    /// The input is over, at `now`.
    pub(crate) fn end(&mut self, now: i64, counted: &mut Counted<'_>) {
        self.gone.clear();
        for (_, session) in self.sessions.iter() {
            session.count_stays(counted);
            session.tell_missing(counted);
            if session.ended.is_none() {
                session.tell_missing_end(Sign::StillOpen, now.max(session.last), counted);
            }
        }
        let silent = now.saturating_sub(self.silence_max_ms);
        self.activities.give_up(now, silent, counted);
        self.activities.end(now, counted);
        self.tell_open_records(counted);
    }

    /// A session is over without an end: another one with its name started, or there were no more
    /// events.
    pub(super) fn lose(&mut self, key: &[u8], sign: Sign, before: i64, counted: &mut Counted<'_>) {
        let Some(mut lost) = self.sessions.remove(key) else { return };
        lost.tell_missing(counted);
        lost.tell_missing_end(sign, before, counted);
        self.activities.session_ended(before, std::mem::take(&mut lost.activities));
        let inside = lost.participants.values().filter(|one| one.left.is_none()).count();
        self.session_gauge.now -= 1;
        self.participant_gauge.now -= inside as i64;
        self.sessions_given_up += 1;
        self.tell_records(lost, End::Inferred, counted);
    }

    fn give_up(&mut self, now: i64, counted: &mut Counted<'_>) {
        let last = now.saturating_sub(self.silence_max_ms);
        let silent = |session: &Session| session.ended.is_none() && session.last < last;
        let lost: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| silent(session))
            .map(|(key, _)| key.clone())
            .collect();
        lost.iter().for_each(|key| self.lose(key, Sign::Silence, now, counted));
        self.activities.give_up(now, last, counted);
    }

    /// Forgets an end for which nothing more is expected.
    fn forget(&mut self, gone: &Gone, counted: &mut Counted<'_>) {
        let Some(session) = self.sessions.get_mut(&gone.session) else { return };
        match &gone.participant {
            Some(participant) => {
                let left = session.participants.get(participant).and_then(|one| one.left);
                if left == Some(gone.at)
                    && let Some(one) = session.participants.remove(participant)
                {
                    session.tell_missing_of(participant, &one, counted);
                    session.tell_stay(participant, &one, End::Inferred, counted);
                }
            }
            None if session.ended == Some(gone.at) => {
                session.count_stays(counted);
                session.tell_missing(counted);
                if let Some(over) = self.sessions.remove(&gone.session) {
                    self.tell_records(over, End::Inferred, counted);
                }
            }
            None => {}
        }
    }
}

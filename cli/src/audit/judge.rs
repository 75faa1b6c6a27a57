//! Which missing events are findings, and why they are likely to be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::tz::TimeZone;

use super::cause::{Cause, Causes, FileSpan, local};
use super::drops::Drop;
use super::finding::{Finding, Reason, Subject};
use super::record::{Absence, Record};
use super::sequence::SequenceGap;
use crate::count::LATENESS_MS;
use crate::count::event::ActivityKind;
use crate::count::merge::Cut;
use crate::count::{AFTER_SESSION_MS, GIVEN_UP_MS, MissingEvent, Sign, Source};

/// If so many events of a kind are missing and not one of them came, the sender leaves them out.
const NEVER_SENT_MIN: u64 = 20;

/// What the findings are based on.
pub(super) struct Judge<'a> {
    pub(super) record: &'a Record,
    pub(super) causes: Causes<'a>,
    /// What is open at the end of the record, but has had an event within this time, is not a
    /// finding. In milliseconds.
    pub(super) grace_ms: i64,
    pub(super) zone: &'a TimeZone,
}

impl Judge<'_> {
    /// The findings of all absences, and notes on the events that are left out because they are
    /// never sent.
    pub(super) fn absences(&self) -> Vec<Finding> {
        let never_sent = self.never_sent();
        let is_sent = |absence: &&Absence| !never_sent.contains_key(&key_of(absence));
        let kept = self.record.absences.kept.iter().filter(is_sent);
        let mut findings: Vec<_> = kept.filter_map(|absence| self.absence(absence)).collect();
        let last = self.record.last.unwrap_or_default();
        findings.extend(never_sent.iter().map(|((source, event), count)| {
            let message = format!(
                "{count} times there is no event that {}, and never one: does the sender leave it \
                 out?",
                what_it_says(*event)
            );
            let note = Finding::new(Reason::NeverSent, last, message);
            Finding { is_note: true, source: Some(*source), ..note }
        }));
        findings
    }

    fn never_sent(&self) -> BTreeMap<(Source, MissingEvent), u64> {
        let counts = self.record.absences.counts.iter();
        let never = counts.filter(|((source, event), count)| {
            **count >= NEVER_SENT_MIN && self.record.is_unheard(*source, *event)
        });
        never.map(|(key, count)| (*key, *count)).collect()
    }

    /// `None` if it is open, and may well be.
    fn absence(&self, absence: &Absence) -> Option<Finding> {
        let Absence { event, sign, source, told, after, before, .. } = *absence;
        let now = self.record.tracker.now();
        let last = after.unwrap_or(before);
        if sign == Sign::StillOpen && last >= now.saturating_sub(self.grace_ms) {
            return None;
        }
        let (from, until) = (told.or(after), told.unwrap_or(before));
        let finding = Finding {
            from,
            until: Some(until),
            source: Some(source),
            subject: absence.subject.clone(),
            ..Finding::new(Reason::Missing(event), until, sentence(absence))
        };
        let note = self.note_cause(absence);
        let is_note = note.is_some();
        let cause =
            note.or_else(|| self.causes.of(source, from.unwrap_or(until).min(until)..=until));
        Some(Finding { is_note, cause, ..finding })
    }

    /// Why a missing start is not a finding; `None` if it is one.
    fn note_cause(&self, absence: &Absence) -> Option<Cause> {
        let is_begin = matches!(
            absence.event,
            MissingEvent::SessionStart | MissingEvent::Join | MissingEvent::ActivityStart(_)
        );
        let begin = self.record.begin(absence.source)?;
        let Some(from) = absence.told.or(absence.after).filter(|_| is_begin) else {
            // Nothing says when it began: perhaps before the first line.
            let is_near = absence.before.saturating_sub(begin) < self.grace_ms;
            return (is_begin && is_near).then_some(Cause::BeforeRecord);
        };
        if from < begin {
            return Some(Cause::BeforeRecord);
        }
        let is_given_up = absence.event == MissingEvent::SessionStart
            && absence.before.saturating_sub(from) >= GIVEN_UP_MS.max(self.grace_ms);
        is_given_up.then_some(Cause::GivenUp)
    }

    /// A finding for each time a sender says that it dropped events.
    pub(super) fn drops(&self, drops: &[Drop]) -> Vec<Finding> {
        let finding = |drop: &Drop| {
            let events =
                if drop.count == 1 { "1 event" } else { &format!("{} events", drop.count) };
            let message = format!("the sender says that it dropped {events}");
            let subject = Subject { session: drop.session.clone(), ..Subject::default() };
            let finding = Finding::new(Reason::EventsDropped, drop.at, message);
            let until = Some(drop.at);
            Finding { source: Some(drop.source), subject, until, ..finding }
        };
        drops.iter().map(finding).collect()
    }

    /// A finding for each range of numbers that no event has.
    pub(super) fn gaps(&self, gaps: &[SequenceGap]) -> Vec<Finding> {
        let finding = |gap: &SequenceGap| {
            let SequenceGap { source, at, first, last } = *gap;
            let message = match last - first {
                0 => format!("no event has the number {first}"),
                more => format!("no event has the numbers {first} to {last}, {} events", more + 1),
            };
            let cause = self.causes.of(source, at..=at);
            let finding = Finding::new(Reason::SequenceGap, at, message);
            Finding { source: Some(source), until: Some(at), cause, ..finding }
        };
        gaps.iter().map(finding).collect()
    }

    /// A finding for each place where time goes back: within files, and from one listed file to the
    /// next.
    pub(super) fn clock_steps(&self, cuts: &[Cut], listed: &[(&Path, FileSpan)]) -> Vec<Finding> {
        let step = |path: &Path, source, from, to, place: String| {
            let message = format!(
                "time goes back from {} to {} in {}{place}: a clock was set back, or an archive \
                 was appended",
                local(from, self.zone),
                local(to, self.zone),
                path.display()
            );
            let finding = Finding::new(Reason::ClockStep, to, message);
            Finding { from: Some(to), until: Some(from), source: Some(source), ..finding }
        };
        let within = cuts.iter().filter_map(|cut| {
            let Cut { path, from, begin, offset, .. } = cut;
            let source = self.record.span(path)?.source;
            let place = if *offset == 0 { String::new() } else { format!(" at byte {offset}") };
            Some(step(path, source, *from, *begin, place))
        });
        // A file with a cut ends at some other time.
        let cut: BTreeSet<_> = cuts.iter().map(|cut| cut.path.as_path()).collect();
        // What a node shipped is one input, which is cut between its files too.
        let is_cut_before =
            |path: &Path| cuts.iter().any(|cut| cut.path == path && cut.offset == 0);
        let between = listed.iter().zip(listed.iter().skip(1)).filter_map(|(one, next)| {
            let is_back = one.1.source == next.1.source
                && !cut.contains(one.0)
                && !is_cut_before(next.0)
                && next.1.first < one.1.last.saturating_sub(LATENESS_MS);
            is_back.then(|| step(next.0, next.1.source, one.1.last, next.1.first, String::new()))
        });
        within.chain(between).collect()
    }
}

fn key_of(absence: &Absence) -> (Source, MissingEvent) {
    (absence.source, absence.event)
}

fn name_of(kind: ActivityKind) -> &'static str {
    match kind {
        ActivityKind::Track => "track",
        ActivityKind::Egress => "egress",
        ActivityKind::Ingress => "ingress",
        ActivityKind::Recording => "recording",
        ActivityKind::Broadcast => "broadcast",
    }
}

/// What an event says, as in "an event that says so".
fn what_it_says(event: MissingEvent) -> String {
    match event {
        MissingEvent::SessionStart => "starts a session".to_owned(),
        MissingEvent::SessionEnd => "ends a session".to_owned(),
        MissingEvent::Join => "says that a participant joined".to_owned(),
        MissingEvent::Leave => "says that a participant left".to_owned(),
        MissingEvent::ActivityStart(kind) => format!("starts a {}", name_of(kind)),
        MissingEvent::ActivityEnd(kind) => format!("ends a {}", name_of(kind)),
    }
}

/// What is missing, and what shows it.
fn sentence(absence: &Absence) -> String {
    let hours = AFTER_SESSION_MS / 3_600_000;
    match (absence.event, absence.sign) {
        (MissingEvent::SessionStart, _) => "the session has events, and never started".to_owned(),
        (MissingEvent::SessionEnd, sign) => {
            let why = match sign {
                Sign::NameBeganAgain => "another one of its name started",
                _ => "it has had no event since",
            };
            let inside = match absence.inside {
                0 => String::new(),
                1 => ", with 1 participant in it".to_owned(),
                inside => format!(", with {inside} participants in it"),
            };
            format!("the session did not end{inside}: {why}")
        }
        (MissingEvent::Join, _) => "the participant left, and never joined".to_owned(),
        (MissingEvent::Leave, _) => "the participant did not leave: the session ended".to_owned(),
        (MissingEvent::ActivityStart(kind), _) => {
            format!("the {} ended, and never started", name_of(kind))
        }
        (MissingEvent::ActivityEnd(kind), sign) => {
            let why = match sign {
                Sign::ParticipantLeft => "the participant left".to_owned(),
                Sign::SessionEnded => {
                    format!("the session ended more than {hours} hour before")
                }
                Sign::NameBeganAgain => "it started again".to_owned(),
                _ => "it has had no event since".to_owned(),
            };
            format!("the {} did not end: {why}", name_of(kind))
        }
    }
}

//! What the server says, compared with the record.

use std::collections::{HashMap, HashSet};

use super::messages::{Participant, Room};
use crate::audit::cause::Cause;
use crate::audit::finding::{Finding, Reason, Subject};
use crate::count::{KnownSession, SessionTracker};

/// An event may be on its way for this long, in milliseconds: LiveKit tries for half a minute.
const ON_ITS_WAY_MS: i64 = 60_000;

/// The prefix of the ids of LiveKit's sessions, which no other server uses.
const ROOM_ID_PREFIX: &[u8] = b"RM_";

/// `at` is when the server was asked, and `begin` when the record begins, in milliseconds since
/// 1970.
pub(super) fn compare(
    at: i64,
    rooms: &[(Room, Vec<Participant>)],
    tracker: &SessionTracker,
    begin: i64,
) -> Vec<Finding> {
    let known: Vec<_> = tracker.known_sessions().collect();
    let sessions = Sessions::new(&known);
    let comparison = Comparison { at, begin };
    let mut findings = Vec::new();
    for (room, inside) in rooms {
        comparison.compare_room(room, inside, sessions.find(room), &mut findings);
    }
    let on_server: HashSet<_> = rooms.iter().map(|(room, _)| room.sid.as_bytes()).collect();
    let is_gone = |session: &&KnownSession<'_>| {
        session.ended.is_none()
            && session.first < comparison.recent()
            && session.unique.is_some_and(|unique| {
                unique.starts_with(ROOM_ID_PREFIX) && !on_server.contains(unique)
            })
    };
    findings.extend(known.iter().filter(is_gone).map(|session| {
        let message = "the session is open in the record, and the server does not have it";
        Finding {
            subject: subject_of(session, None),
            ..Finding::new(Reason::RoomGone, at, message)
        }
    }));
    findings
}

/// The sessions of the record, by their ids and names.
struct Sessions<'a> {
    by_id: HashMap<&'a [u8], &'a KnownSession<'a>>,
    /// Those whose id no event told.
    by_name: HashMap<&'a [u8], &'a KnownSession<'a>>,
}

impl<'a> Sessions<'a> {
    fn new(known: &'a [KnownSession<'a>]) -> Self {
        let with_id = known.iter().filter_map(|session| Some((session.unique?, session)));
        let without = known.iter().filter(|session| session.unique.is_none());
        let by_name = without.map(|session| (session.name, session)).collect();
        Self { by_id: with_id.collect(), by_name }
    }

    fn find(&self, room: &Room) -> Option<&'a KnownSession<'a>> {
        let by_id = self.by_id.get(room.sid.as_bytes());
        by_id.or_else(|| self.by_name.get(room.name.as_bytes())).copied()
    }
}

struct Comparison {
    /// When the server was asked.
    at: i64,
    begin: i64,
}

impl Comparison {
    /// What happened after this may still be on its way.
    fn recent(&self) -> i64 {
        self.at.saturating_sub(ON_ITS_WAY_MS)
    }

    /// Why it is not a finding that the record does not have what began at `began`.
    fn excuse(&self, began: i64) -> Option<Cause> {
        if began >= self.recent() {
            return Some(Cause::OnItsWay);
        }
        (began < self.begin).then_some(Cause::BeforeRecord)
    }

    fn unheard(&self, reason: Reason, began: i64, message: String, subject: Subject) -> Finding {
        let cause = self.excuse(began);
        let finding = Finding::new(reason, began, message);
        Finding { is_note: cause.is_some(), from: Some(began), subject, cause, ..finding }
    }

    fn compare_room(
        &self,
        room: &Room,
        inside: &[Participant],
        session: Option<&KnownSession<'_>>,
        findings: &mut Vec<Finding>,
    ) {
        let active = || inside.iter().filter(|one| one.is_active());
        if session.is_none() {
            let message = format!(
                "the server has the room, with {} in it, and the record does not know it",
                match active().count() {
                    1 => "1 participant".to_owned(),
                    count => format!("{count} participants"),
                }
            );
            let subject = Subject {
                session: Some(room.name.clone()),
                session_id: Some(room.sid.clone()),
                ..Subject::default()
            };
            let finding = self.unheard(Reason::RoomUnheard, room.began(), message, subject);
            let is_note = finding.is_note;
            findings.push(finding);
            if !is_note {
                return;
            }
        }
        let is_known = |one: &Participant| {
            session.is_some_and(|session| {
                session.participants.iter().any(|known| known.is(&one.sid, &one.identity))
            })
        };
        for participant in active().filter(|one| !is_known(one)) {
            let message = "the server has the participant, and the record does not know it";
            let subject = Subject {
                session: Some(room.name.clone()),
                session_id: Some(room.sid.clone()),
                participant: Some(name_of(participant)),
                activity: None,
            };
            let (reason, joined) = (Reason::ParticipantUnheard, participant.joined());
            findings.push(self.unheard(reason, joined, message.to_owned(), subject));
        }
        let Some(session) = session else { return };
        let is_gone = |id: &[u8]| {
            !inside
                .iter()
                .any(|one| [&one.sid, &one.identity].iter().any(|own| own.as_bytes() == id))
        };
        for known in &session.participants {
            let is_inside = known.left.is_none() && session.ended.is_none();
            if is_inside && known.joined < self.recent() && is_gone(known.id) {
                let message = "the participant did not leave, and the server does not have it";
                let finding = Finding::new(Reason::ParticipantGone, self.at, message);
                let subject = subject_of(session, Some(known.id));
                findings.push(Finding { from: Some(known.joined), subject, ..finding });
            }
        }
    }
}

fn name_of(participant: &Participant) -> String {
    match participant.sid.is_empty() {
        true => participant.identity.clone(),
        false => participant.sid.clone(),
    }
}

fn subject_of(session: &KnownSession<'_>, participant: Option<&[u8]>) -> Subject {
    let text = |id: &[u8]| String::from_utf8_lossy(id).into_owned();
    Subject {
        session: Some(session.name).filter(|name| !name.is_empty()).map(text),
        session_id: session.unique.map(text),
        participant: participant.map(text),
        activity: None,
    }
}

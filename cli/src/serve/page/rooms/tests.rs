//! Rooms, event by event.

use super::*;
use crate::count::event::ActivityKind;

fn session<'a>(name: &'a str, unique: Option<&'a str>) -> SessionRef<'a> {
    let id = |text: &'a str| Id::Borrowed(text.as_bytes());
    SessionRef { name: id(name), unique: unique.map(id) }
}

fn join(rooms: &mut Rooms, at: i64, session: &SessionRef<'_>, id: &str) {
    let person = Person { label: format!("label of {id}").into(), platform: "".into() };
    rooms.joined(at, session, &Id::Borrowed(id.as_bytes()), person);
}

fn leave(rooms: &mut Rooms, at: i64, session: &SessionRef<'_>, id: &str) {
    let participant = Some(Id::Borrowed(id.as_bytes()));
    let stay = Stay { participant, ..Stay::default() };
    rooms.left(at, session, &stay, Person::default());
}

fn open(rooms: &Rooms) -> (u64, u64) {
    (rooms.open().rooms, rooms.open().participants)
}

#[test]
fn a_room_is_open_from_its_start_to_its_end_with_those_who_are_in_it() {
    let (mut rooms, one) = (Rooms::default(), session("a", Some("a1")));
    rooms.began(1, &one);
    join(&mut rooms, 2, &one, "x");
    join(&mut rooms, 3, &one, "y");
    join(&mut rooms, 4, &one, "y");
    assert_eq!(open(&rooms), (1, 2));
    leave(&mut rooms, 5, &one, "x");
    leave(&mut rooms, 6, &one, "x");
    assert_eq!(open(&rooms), (1, 1));
    rooms.ended(7, &one, None);
    leave(&mut rooms, 8, &one, "y");
    join(&mut rooms, 9, &one, "late");
    rooms.began(1, &one);
    assert_eq!(open(&rooms), (0, 0), "what comes late opens nothing again");
    let (rows, count) = rooms.search(&(0..10), "", 10);
    assert_eq!((count, rows[0].joins, rows[0].ended_ms), (1, 3, Some(7)));
}

#[test]
fn a_room_whose_name_begins_again_is_over() {
    let mut rooms = Rooms::default();
    rooms.began(1, &session("a", Some("a1")));
    join(&mut rooms, 2, &session("a", Some("a1")), "x");
    rooms.began(10, &session("a", Some("a2")));
    assert_eq!(open(&rooms), (1, 0));
    assert_eq!(rooms.search(&(0..20), "", 10).1, 2);
    // Rooms of OpenVidu Meet have only a name.
    rooms.began(1, &session("meet", None));
    rooms.ended(5, &session("meet", None), None);
    rooms.began(6, &session("meet", None));
    assert_eq!(open(&rooms).0, 2);
}

#[test]
fn a_room_that_is_silent_for_a_day_is_over_and_one_that_was_never_seen_to_begin_is_open() {
    let mut rooms = Rooms::default();
    rooms.hear(5, &session("a", None));
    let rows = rooms.open_rows(9);
    assert!(!rows[0].has_start && rows[0].began_ms == 5);
    rooms.give_up_before(5);
    assert_eq!(open(&rooms).0, 1);
    rooms.give_up_before(6);
    assert_eq!(open(&rooms).0, 0);
}

#[test]
fn more_participants_than_are_remembered_are_counted() {
    let (mut rooms, one) = (Rooms::default(), session("a", Some("a1")));
    let many = PARTICIPANTS_MAX + 20;
    (0..many).for_each(|number| join(&mut rooms, 1, &one, &number.to_string()));
    assert_eq!(open(&rooms), (1, many as u64));
    (0..many).for_each(|number| leave(&mut rooms, 2, &one, &number.to_string()));
    assert_eq!(open(&rooms), (1, 0));
}

#[test]
fn rooms_that_ended_make_place_for_participants_and_nobody_is_left_uncounted() {
    let mut rooms = Rooms { remembered_max: 10, ..Rooms::default() };
    for number in 0..20 {
        let name = number.to_string();
        rooms.began(1, &session(&name, None));
        (0..4).for_each(|who| join(&mut rooms, 2, &session(&name, None), &who.to_string()));
        assert!(rooms.remembered <= 10, "{}", rooms.remembered);
        if number < 15 {
            rooms.ended(3, &session(&name, None), None);
        }
    }
    assert_eq!(open(&rooms), (5, 20));
    for number in 15..20 {
        let name = number.to_string();
        (0..4).for_each(|who| leave(&mut rooms, 4, &session(&name, None), &who.to_string()));
    }
    assert_eq!(open(&rooms), (5, 0));
}

#[test]
fn rooms_that_ended_are_forgotten_before_they_are_too_many() {
    let mut rooms = Rooms::default();
    for number in 0..ENDED_MAX + 50 {
        let name = number.to_string();
        rooms.began(1, &session(&name, None));
        rooms.ended(2, &session(&name, None), None);
    }
    assert_eq!((rooms.by_key.len(), rooms.names.len()), (ENDED_MAX, ENDED_MAX));
}

#[test]
fn a_search_finds_rooms_sessions_participants_and_egress_in_any_case() {
    let mut rooms = Rooms::default();
    let one = session("Daily", Some("RM_1"));
    rooms.began(1, &one);
    join(&mut rooms, 2, &one, "PA_1");
    let egress = ActivityRef {
        kind: ActivityKind::Egress,
        session: session("Daily", Some("RM_1")),
        participant: None,
        made_of: None,
        is_received: false,
        id: Id::Borrowed(b"EG_1"),
    };
    rooms.activity(3, &egress, Change::Began);
    assert_eq!(rooms.open().egress, 1);
    for query in ["", "dAIL", "rm_1", "pa_1", "LABEL OF", "eg_1"] {
        assert_eq!(rooms.search(&(0..9), query, 10).1, 1, "{query}");
    }
    assert_eq!(rooms.search(&(0..9), "other", 10).1, 0);
    assert_eq!(rooms.search(&(9..20), "", 10).1, 0, "it was not heard of then");
    rooms.activity(4, &egress, Change::Ended { began: None, bytes: Some(7) });
    rooms.activity(4, &egress, Change::Ended { began: None, bytes: Some(7) });
    assert_eq!(rooms.open().egress, 0);
}

//! Each finding has its likely reason.

use super::*;

#[test]
fn a_time_without_events_before_a_new_file_is_the_likely_reason() {
    let directory = tempfile::tempdir().unwrap();
    let before = [
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("a")),
        line("participantJoined", 30, "s", connection("b")),
    ];
    let after = [
        line("participantLeft", 200, "s", left("c", 100)),
        line("participantLeft", 290, "s", left("b", 30)),
        line("sessionDestroyed", 300, "s", json!({"startTime": BEGIN})),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &before);
    write(directory.path(), "CDR.2023-11-14_22-16-40.log", &after);
    let ended = run(&mut audit(&["--json"], directory.path())).expect(1, &[]);
    let expected = ["join_missing s c - down", "leave_missing s a - down"];
    assert_eq!(told(&objects(&ended), "finding"), expected);
    let table = run(&mut audit(&[], directory.path())).expect(1, &["2 files, 6 lines: 2 findings"]);
    let down = "cdrlog may have been down from 2023-11-14 22:13:50 to 2023-11-14 22:16:40";
    assert_eq!(table.stdout.matches(down).count(), 2, "{table:?}");
    assert!(table.stdout.lines().all(|line| line.trim_end() == line), "{table:?}");
    let zone = run(&mut audit(&["--tz", "Asia/Tokyo"], directory.path()));
    assert!(zone.stdout.contains("2023-11-15 07:15:00"), "{zone:?}");
    run(&mut audit(&["--tz", "Nowhere/Else"], directory.path())).expect(2, &["not a time zone"]);
}

#[test]
fn what_livekit_says_that_it_dropped_is_found_once_and_is_the_likely_reason() {
    let directory = tempfile::tempdir().unwrap();
    let joined = json!({"participant": {"sid": "PA_a"}});
    let lines = [
        livekit("room_started", 0, json!({})),
        livekit("participant_joined", 1, joined),
        livekit("room_finished", 60, json!({"numDropped": 3})),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let expected = ["events_dropped daily - - -", "leave_missing daily PA_a - dropped"];
    let findings = |path: &Path| {
        let ended = run(&mut audit(&["--json"], path)).expect(1, &[]);
        told(&objects(&ended), "finding")
    };
    assert_eq!(findings(directory.path()), expected);
    // The same, as `serve` notes it when the event comes, a note of another one, and an old one.
    let gaps = directory.path().join("gaps.jsonl");
    let note = |second: i64, dropped: u64| {
        format!("{{\"at\":{},\"dropped\":{dropped}}}\n", BEGIN + second * 1000)
    };
    fs::write(&gaps, note(-1000, 9) + &note(61, 3) + &note(62, 7) + "{\"at\":1").unwrap();
    let more = [&expected[..], &["events_dropped - - - -"]].concat();
    assert_eq!(findings(directory.path()), more);
    fs::write(&gaps, "nonsense\n").unwrap();
    run(&mut audit(&[], directory.path())).expect(1, &["gaps.jsonl: line 1: "]);
}

#[test]
fn numbers_that_no_event_has_are_found() {
    let numbered =
        |number: u64| line("signalSent", number as i64, "s", json!({"sequence": number}));
    let lines: Vec<_> = [1, 2, 3, 5, 4, 6, 9, 10].into_iter().map(numbered).collect();
    assert_eq!(findings_of(&lines), ["sequence_gap - - - -"]);
}

#[test]
fn time_that_goes_back_in_a_file_or_from_one_file_to_the_next_is_found() {
    let signal = |second: i64| line("signalSent", second, "s", json!({"data": second}));
    let steps: Vec<_> = [1000, 1001, 100, 101].into_iter().map(signal).collect();
    assert_eq!(findings_of(&steps), ["clock_step - - - -"]);
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &steps[..2]);
    write(directory.path(), "CDR.2023-11-14_22-13-20.0001.log", &steps[2..]);
    let ended = run(&mut audit(&[], directory.path())).expect(1, &["1 finding"]);
    let said = "time goes back from 2023-11-14 22:30:01 to 2023-11-14 22:15:00";
    assert!(ended.stdout.replace('\n', " ").contains(said), "{ended:?}");
    // One that is late is none.
    let late: Vec<_> = [1000, 1001, 100, 1002].into_iter().map(signal).collect();
    assert_eq!(findings_of(&late), [""; 0]);
}

#[test]
fn events_of_a_kind_that_is_never_sent_are_one_note() {
    let mut lines = vec![line("sessionCreated", 0, "s", json!({}))];
    for number in 0..25 {
        let id = format!("c{number}");
        lines.push(line("participantJoined", number, "s", connection(&id)));
        let track = json!({"connectionId": id, "streamId": "t"});
        lines.push(line("webrtcConnectionCreated", number + 1, "s", track));
        lines.push(line("participantLeft", number + 30, "s", left(&id, number)));
    }
    lines.sort_by_key(|line| line.split("\"timestamp\":").nth(1).unwrap().to_owned());
    lines.push(line("sessionDestroyed", 300, "s", json!({"startTime": BEGIN})));
    assert_eq!(findings_of(&lines), [""; 0]);
    // One that came says that the others are missing.
    let track = json!({"connectionId": "c0", "streamId": "t"});
    lines.insert(60, line("webrtcConnectionDestroyed", 29, "s", track));
    lines.sort_by_key(|line| line.split("\"timestamp\":").nth(1).unwrap().to_owned());
    assert_eq!(findings_of(&lines).len(), 24);
}

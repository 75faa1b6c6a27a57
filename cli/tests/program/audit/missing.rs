//! What never came is found, and what may still come is not.

use super::*;

#[test]
fn a_record_in_which_everything_came_has_no_finding() {
    let directory = tempfile::tempdir().unwrap();
    let track = json!({"connectionId": "a", "streamId": "str_a", "connection": "OUTBOUND"});
    let recording = |status: &str| json!({"id": "s", "status": status, "size": 7});
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("a")),
        line("webrtcConnectionCreated", 2, "s", track.clone()),
        line("recordingStatusChanged", 3, "s", recording("started")),
        line("recordingStatusChanged", 60, "s", recording("stopped")),
        line("recordingStatusChanged", 61, "s", recording("ready")),
        line("webrtcConnectionDestroyed", 70, "s", track),
        line("participantLeft", 70, "s", left("a", 1)),
        line("sessionDestroyed", 70, "s", json!({"startTime": BEGIN})),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let ended = run(&mut audit(&[], directory.path()));
    let said =
        "1 file, 9 lines: nothing is missing; 0 sessions with 0 participants open at the end";
    let ended = ended.expect(0, &[said]);
    assert_eq!(ended.stdout, "", "{ended:?}");
}

#[test]
fn a_participant_who_left_and_never_joined_and_one_who_never_left_are_found() {
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("a")),
        line("participantJoined", 2, "s", connection("b")),
        line("participantLeft", 40, "s", left("a", 1)),
        line("participantLeft", 50, "s", left("c", 20)),
        line("sessionDestroyed", 60, "s", json!({"startTime": BEGIN})),
    ];
    assert_eq!(findings_of(&lines), ["join_missing s c - -", "leave_missing s b - -"]);
}

#[test]
fn the_two_are_found_in_rooms_of_livekit_too_and_each_has_its_time() {
    let participant = |sid: &str, joined: i64| {
        let joined = (BEGIN / 1000 + joined).to_string();
        json!({"participant": {"sid": sid, "identity": format!("i{sid}"), "joinedAt": joined}})
    };
    let directory = tempfile::tempdir().unwrap();
    let lines = [
        livekit("room_started", 0, json!({})),
        livekit("participant_joined", 1, participant("PA_a", 1)),
        livekit("participant_left", 50, participant("PA_b", 20)),
        livekit("room_finished", 60, json!({})),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let ended = run(&mut audit(&["--json"], directory.path())).expect(1, &[]);
    let found = objects(&ended);
    assert_eq!(
        told(&found, "finding"),
        ["join_missing daily PA_b - -", "leave_missing daily PA_a - -"]
    );
    let times = |index: usize| ["at", "from", "until"].map(|name| found[index][name].as_i64());
    assert_eq!(times(0), [Some(BEGIN + 20_000); 3]);
    assert_eq!(times(1), [BEGIN + 60_000, BEGIN + 1000, BEGIN + 60_000].map(Some));
    assert_eq!(found[0]["session_id"], "RM_daily");
    let summary = found.last().unwrap();
    assert_eq!(summary["findings_by_reason"], json!({"join_missing": 1, "leave_missing": 1}));
    assert_eq!((&summary["findings"], &summary["lines"]), (&json!(2), &json!(4)));
}

#[test]
fn a_session_without_a_beginning_and_one_without_an_end_are_found() {
    let lines = [
        line("signalSent", 0, "other", json!({})),
        line("sessionDestroyed", 60, "s", json!({"startTime": BEGIN + 10_000})),
        r#"{"sessionCreated":{"sessionId":"again","uniqueSessionId":"again_1","timestamp":1700000070000}}"#.to_owned(),
        line("participantJoined", 71, "again", connection("a")),
        r#"{"sessionCreated":{"sessionId":"again","uniqueSessionId":"again_2","timestamp":1700000090000}}"#.to_owned(),
        r#"{"sessionDestroyed":{"sessionId":"again","uniqueSessionId":"again_2","timestamp":1700000099000}}"#.to_owned(),
    ];
    // The participant of a session without an end is no finding of its own.
    let expected = ["session_start_missing s - - -", "session_end_missing again - - -"];
    assert_eq!(findings_of(&lines), expected);
}

#[test]
fn what_was_before_the_first_line_is_a_note_and_no_finding() {
    let directory = tempfile::tempdir().unwrap();
    let lines = [
        line("signalSent", 0, "other", json!({})),
        line("participantLeft", 10, "s", left("a", -100)),
        line("sessionDestroyed", 60, "s", json!({"startTime": BEGIN - 200_000})),
        r#"{"meetingEnded":{"creationDate":1700000070000,"data":{"roomId":"meet"}}}"#.to_owned(),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let ended = run(&mut audit(&["--json"], directory.path())).expect(0, &[]);
    let found = objects(&ended);
    let expected = [
        "session_start_missing s - - before_record",
        "join_missing s a - before_record",
        "session_start_missing meet - - before_record",
    ];
    assert_eq!(told(&found, "note"), expected);
    let said = "note: the participant left, and never joined: the record begins after it (1 times)";
    let ended = run(&mut audit(&[], directory.path())).expect(0, &[said]);
    assert_eq!(ended.stdout, "", "{ended:?}");
}

#[test]
fn what_is_open_at_the_end_is_a_finding_only_after_the_grace_time() {
    let directory = tempfile::tempdir().unwrap();
    let egress =
        json!({"egressInfo": {"egressId": "EG_1", "roomId": "RM_daily", "roomName": "daily"}});
    let lines = [
        livekit("room_started", 0, json!({})),
        livekit("egress_started", 1, egress),
        line("sessionCreated", 4000, "late", json!({})),
        line("participantJoined", 4001, "late", connection("a")),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let ended = run(&mut audit(&["--json"], directory.path())).expect(0, &[]);
    let summary = objects(&ended).pop().unwrap();
    let open = ["sessions_open", "participants_open", "activities_open"];
    assert_eq!(open.map(|name| summary[name].as_u64()), [Some(2), Some(1), Some(1)]);
    let ended = run(&mut audit(&["--json", "--grace", "1h"], directory.path())).expect(1, &[]);
    let found = objects(&ended);
    let expected = ["session_end_missing daily - - -", "egress_end_missing daily - EG_1 -"];
    assert_eq!(told(&found, "finding"), expected);
    run(&mut audit(&["--grace", "soon"], directory.path())).expect(2, &["is not a duration"]);
}

#[test]
fn tracks_egress_ingress_recordings_and_broadcasts_without_an_end_are_found() {
    let track = |id: &str| json!({"connectionId": "a", "streamId": id});
    let info =
        |of: &str, id: &str| json!({of: {"egressId": id, "ingressId": id, "roomName": "daily"}});
    let meet = r#"{"recordingStarted":{"creationDate":1700000003000,"data":{"roomId":"s","recordingId":"s--EG_9--x"}}}"#;
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        livekit("room_started", 0, json!({})),
        line("participantJoined", 1, "s", connection("a")),
        line("webrtcConnectionCreated", 2, "s", track("ended")),
        line("webrtcConnectionCreated", 2, "s", track("open")),
        meet.to_owned(),
        line("broadcastStarted", 3, "s", json!({})),
        line("recordingStatusChanged", 3, "s", json!({"id": "rec", "status": "started"})),
        livekit("egress_started", 3, info("egressInfo", "EG_1")),
        livekit("ingress_started", 3, info("ingressInfo", "IN_1")),
        line("webrtcConnectionDestroyed", 20, "s", track("ended")),
        line("webrtcConnectionDestroyed", 21, "s", track("unheard")),
        line("participantLeft", 30, "s", left("a", 1)),
        line("sessionDestroyed", 30, "s", json!({"startTime": BEGIN})),
        livekit("room_finished", 30, json!({})),
        // An egress that outlives its room, and ends an hour later.
        line("signalSent", 7200, "other", json!({})),
        line("signalSent", 7201, "other", json!({})),
    ];
    let mut found = findings_of(&lines);
    found.sort();
    assert_eq!(
        found,
        [
            "broadcast_end_missing s - s_1 -",
            "egress_end_missing daily - EG_1 -",
            "ingress_end_missing daily - IN_1 -",
            "recording_end_missing s - EG_9 -",
            "recording_end_missing s - rec -",
            "track_end_missing s a open -",
            "track_start_missing s a unheard -",
        ]
    );
}

#[test]
fn a_participant_who_never_got_in_is_missed_by_nobody() {
    let aborted = json!({"participant": {"sid": "PA_a", "identity": "a"}});
    let track = json!({"participant": {"sid": "PA_a"}, "track": {"sid": "TR_1"}});
    let lines = [
        livekit("room_started", 0, json!({})),
        livekit("track_published", 1, track),
        livekit("participant_connection_aborted", 2, aborted),
        livekit("room_finished", 60, json!({})),
    ];
    assert_eq!(findings_of(&lines), [""; 0]);
}

#[test]
fn events_in_another_order_and_events_that_come_twice_miss_nothing() {
    let mut lines = vec![
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("a")),
        line("webrtcConnectionCreated", 2, "s", json!({"connectionId": "a", "streamId": "t"})),
        line("webrtcConnectionDestroyed", 70, "s", json!({"connectionId": "a", "streamId": "t"})),
        line("participantLeft", 70, "s", left("a", 1)),
        line("sessionDestroyed", 70, "s", json!({"startTime": BEGIN})),
    ];
    lines.reverse();
    assert_eq!(findings_of(&lines), [""; 0]);
    lines.extend(lines.clone());
    assert_eq!(findings_of(&lines), [""; 0]);
    // An end that comes minutes later, and a track that its participant takes again at once.
    let again = json!({"connectionId": "b", "streamId": "t"});
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("b")),
        line("webrtcConnectionCreated", 2, "s", again.clone()),
        line("webrtcConnectionCreated", 9, "s", again.clone()),
        line("webrtcConnectionDestroyed", 9, "s", again.clone()),
        line("sessionDestroyed", 70, "s", json!({"startTime": BEGIN})),
        line("signalSent", 200, "other", json!({})),
        line("webrtcConnectionDestroyed", 70, "s", again),
        line("participantLeft", 70, "s", left("b", 1)),
    ];
    assert_eq!(findings_of(&lines), [""; 0]);
}

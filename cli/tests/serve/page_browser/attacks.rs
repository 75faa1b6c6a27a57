//! No text that a caller chooses runs, loads or looks like anything but a text.

use super::*;

/// What would show if a text were more than a text.
const ATTACKS: [&str; 6] = [
    "<img src=x onerror=window.broken=1>",
    "\"'><script>window.broken=2</script>",
    "javascript:window.broken=3",
    "</td></tr></table><svg onload=window.broken=4>",
    "{token}${window.broken=5}`",
    "\u{202e}\u{0}__proto__",
];

/// Events in which every text that a caller can choose is an attack.
fn attacks(at: i64, attack: &str) -> Vec<String> {
    let openvidu = |event: &str, more: Value| {
        let mut body = json!({
            "event": event, "timestamp": at, "sessionId": attack, "uniqueSessionId": format!("{attack}u"),
            "participantId": attack, "connectionId": attack, "clientData": attack, "serverData": attack,
            "platform": attack, "location": attack, "ip": attack, "reason": attack,
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    let room =
        json!({ "sid": format!("{attack}s"), "name": format!("{attack}n"), "metadata": attack });
    let participant = json!({ "sid": attack, "identity": attack, "name": attack, "metadata": attack, "disconnectReason": attack });
    let livekit = |event: &str, more: Value| {
        let mut body = json!({ "event": event, "createdAt": (at / 1000).to_string(), "id": format!("{event}{attack}"), "room": room, "participant": participant });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body.to_string()
    };
    vec![
        openvidu("sessionCreated", json!({})),
        openvidu("participantJoined", json!({})),
        openvidu(
            "recordingStatusChanged",
            json!({ "id": attack, "status": "started", "name": attack }),
        ),
        openvidu("signalSent", json!({ "type": attack, "data": attack })),
        openvidu("participantLeft", json!({ "startTime": at - 1000, "duration": 1 })),
        livekit("room_started", json!({})),
        livekit("participant_joined", json!({})),
        livekit(
            "egress_started",
            json!({ "egressInfo": { "egressId": attack, "roomName": format!("{attack}n"), "roomId": format!("{attack}s") } }),
        ),
        livekit("participant_left", json!({})),
        livekit(attack, json!({})),
        // It is no event, and its reason is told.
        format!("{{\"event\":\"{attack}\""),
    ]
}

#[test]
fn no_text_that_a_caller_chooses_is_more_than_a_text_in_any_view() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_page(directory.path(), &[]);
    browser.call(
        "Page.addScriptToEvaluateOnNewDocument",
        json!({ "source": "window.stopped = []; addEventListener('securitypolicyviolation', (event) => window.stopped.push(event.violatedDirective + ' ' + event.sample));" }),
    );
    open(&mut browser, page(&daemon), "now");
    let mut client = daemon.connect();
    let mut posted = 0;
    for (index, attack) in ATTACKS.iter().enumerate() {
        for body in attacks(now() + index as i64, attack) {
            posted += u64::from(client.post(&body).status == 200);
        }
    }
    assert!(posted > 50, "{posted}");
    let image = json!(ATTACKS[0]);
    browser.wait_until(&format!(
        "document.getElementById('open-rooms').textContent.includes({image})"
    ));
    browser.wait_until(&format!("document.getElementById('feed').textContent.includes({image})"));
    for view in ["day", "health", "rooms"] {
        browser.evaluate(&format!("location.hash = '{view}'"));
        browser.wait_until(&format!("!document.getElementById('view-{view}').hidden"));
        if view != "health" {
            browser.wait_until(&format!(
                "document.getElementById('view-{view}').textContent.includes({image})"
            ));
        }
        look_for_harm(&mut browser);
    }
    // The whole time line of every room.
    let rooms = browser.evaluate("document.querySelectorAll('#found button').length");
    let rooms = rooms.as_u64().unwrap();
    assert!(rooms >= ATTACKS.len() as u64, "{rooms}");
    for room in 0..rooms {
        browser.evaluate(&format!("document.querySelectorAll('#found button')[{room}].click()"));
        browser.wait_until("document.querySelectorAll('#room-events tbody tr').length > 1");
        browser.evaluate(
            "document.querySelectorAll('#room details').forEach((one) => { one.open = true; })",
        );
        look_for_harm(&mut browser);
        browser.evaluate("document.getElementById('room').close()");
    }
    // What somebody is made to search for.
    browser.evaluate(&format!("{{ const query = document.getElementById('query'); query.value = {image}; query.dispatchEvent(new Event('input')); }}"));
    browser
        .wait_until(&format!("document.querySelector('#found p')?.textContent.includes({image})"));
    look_for_harm(&mut browser);
    let stopped = browser.evaluate("window.stopped");
    assert_eq!(stopped, json!([]), "the policy had something to stop");
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    daemon.terminate();
}

#[track_caller]
fn look_for_harm(browser: &mut Browser) {
    assert_eq!(browser.evaluate("typeof window.broken"), "undefined");
    let strange = "document.querySelectorAll('img, iframe, object, embed, [onerror], [onload], [style], a[href^=\"javascript\"]').length";
    assert_eq!(browser.evaluate(strange), 0);
    assert_eq!(browser.evaluate("document.scripts.length"), 1);
    assert_eq!(
        browser.evaluate("Object.prototype.polluted === undefined && location.pathname === '/'"),
        true
    );
}

//! `audit --livekit`: what a server says that there is now, against the record. The server is a
//! double that answers as LiveKit's Twirp service does.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::audit::{audit, objects, told};
use crate::run::run;

/// A request: its path, its token and its body.
type Asked = (String, String, Value);

/// How the double answers: by method and body, with a status.
type Answers = fn(&str, &Value) -> (u16, Value);

/// A server on a free port, for one connection after the other. Gives its address and what it is
/// asked.
fn double(answers: Answers) -> (String, Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while let Some(request) = read_request(&mut stream) {
                let method = request.0.rsplit('/').next().unwrap().to_owned();
                let (status, body) = answers(&method, &request.2);
                if sender.send(request).is_err() {
                    return;
                }
                answer(stream.get_mut(), status, &body.to_string());
            }
        }
    });
    (url, asked)
}

fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let (mut path, mut token, mut length) = (String::new(), String::new(), 0);
    for line in stream.lines() {
        let line = line.ok()?;
        if line.is_empty() {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).ok()?;
            return Some((path, token, serde_json::from_slice(&body).unwrap()));
        }
        let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
        match name.to_lowercase().as_str() {
            "authorization" => token = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            "content-type" => assert_eq!(value, "application/json"),
            _ if line.starts_with("POST ") => path = line.split(' ').nth(1).unwrap().to_owned(),
            _ => {}
        }
    }
    None
}

fn answer(stream: &mut TcpStream, status: u16, body: &str) {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json");
    let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // The program may have gone.
    let _ = stream.write_all(answer.as_bytes());
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A room as Twirp writes it: names of the proto file, 64-bit integers as texts, every field.
fn room(id: &str, seconds_ago: i64) -> Value {
    json!({
        "sid": format!("RM_{id}"), "name": id, "empty_timeout": 300, "departure_timeout": 20,
        "max_participants": 0, "creation_time": (now() - seconds_ago).to_string(),
        "creation_time_ms": ((now() - seconds_ago) * 1000).to_string(), "turn_password": "",
        "enabled_codecs": [], "metadata": "", "num_participants": 1, "num_publishers": 0,
        "active_recording": false, "version": null
    })
}

fn participant(id: &str, state: &str, seconds_ago: i64) -> Value {
    json!({
        "sid": format!("PA_{id}"), "identity": id, "state": state, "tracks": [], "metadata": "",
        "joined_at": (now() - seconds_ago).to_string(), "joined_at_ms": "0", "name": "",
        "version": 0, "permission": null, "region": "", "is_publisher": false, "kind": "STANDARD"
    })
}

fn event(name: &str, seconds_ago: i64, room: &str, participant: Option<&str>) -> String {
    let at = (now() - seconds_ago).to_string();
    let room = json!({"sid": format!("RM_{room}"), "name": room});
    let mut body = json!({"room": room, "createdAt": at});
    if let Some(id) = participant {
        body["participant"] = json!({"sid": format!("PA_{id}"), "identity": id, "joinedAt": at});
    }
    format!("{}\n", json!({ name: body }))
}

/// What the server answers: rooms that the record knows and does not know.
fn answers(method: &str, body: &Value) -> (u16, Value) {
    let inside = match (method, body["room"].as_str()) {
        ("ListRooms", None) => {
            let rooms =
                [room("known", 900), room("unheard", 500), room("new", 5), room("old", 9000)];
            return (200, json!({ "rooms": rooms }));
        }
        ("ListParticipants", Some("known")) => json!([
            participant("a", "ACTIVE", 800),
            participant("unheard", "ACTIVE", 600),
            participant("joining", "JOINING", 600),
            participant("new", "ACTIVE", 3)
        ]),
        ("ListParticipants", Some("unheard")) => json!([participant("b", "ACTIVE", 400)]),
        ("ListParticipants", Some("old")) => json!([participant("c", "ACTIVE", 300)]),
        ("ListParticipants", Some("new")) => {
            return (404, json!({"code": "not_found", "msg": "x"}));
        }
        _ => panic!("{method} {body}"),
    };
    (200, json!({ "participants": inside }))
}

fn record(directory: &Path) {
    let text = [
        event("room_started", 1000, "over", None),
        event("room_started", 900, "known", None),
        event("participant_joined", 800, "known", Some("a")),
        event("participant_joined", 700, "known", Some("gone")),
        event("room_started", 650, "gone", None),
        event("room_finished", 640, "over", None),
        event("room_started", 2, "begins", None),
    ];
    fs::write(directory.join("CDR.2026-11-23_00-00-00.log"), text.concat()).unwrap();
}

fn ask(directory: &Path, url: &str, options: &[&str]) -> Command {
    let file = directory.join("livekit.keys");
    fs::write(&file, "devkey: secret\nother: x\n").unwrap();
    let mut command = audit(&["--livekit", url, "--livekit-key-file"], &file);
    command.args(options).arg(directory);
    command
}

#[test]
fn what_the_record_should_have_heard_of_is_found_and_the_other_way_round() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let (url, asked) = double(answers);
    let ended = run(&mut ask(directory.path(), &url, &["--json"])).expect(1, &[]);
    let found = objects(&ended);
    let mut findings = told(&found, "finding");
    findings.sort();
    assert_eq!(
        findings,
        [
            "participant_gone known PA_gone - -",
            "participant_unheard known PA_unheard - -",
            "participant_unheard old PA_c - -",
            "room_gone gone - - -",
            "room_unheard unheard - - -",
        ]
    );
    let mut notes = told(&found, "note");
    notes.sort();
    assert_eq!(
        notes,
        [
            "participant_unheard known PA_new - on_its_way",
            "room_unheard new - - on_its_way",
            "room_unheard old - - before_record",
        ]
    );
    let summary = found.last().unwrap();
    assert_eq!((&summary["server_rooms"], &summary["server_participants"]), (&json!(4), &json!(6)));
    let said = "; the server has 4 rooms with 6 participants";
    let ended = run(&mut ask(directory.path(), &url, &[])).expect(1, &[said]);
    assert!(
        ended.stdout.contains("the server has the room, with 1 participant in it"),
        "{ended:?}"
    );
    let paths: Vec<_> = asked.try_iter().take(5).map(|(path, ..)| path).collect();
    assert_eq!(paths[0], "/twirp/livekit.RoomService/ListRooms");
    assert_eq!(paths[1..], ["/twirp/livekit.RoomService/ListParticipants"; 4]);
}

#[test]
fn each_request_has_a_token_that_grants_what_it_needs_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let (url, asked) = double(answers);
    run(&mut ask(directory.path(), &url, &[])).expect(1, &[]);
    let claims: Vec<_> = asked.try_iter().map(|(_, token, _)| claims(&token)).collect();
    assert_eq!(claims[0]["video"], json!({"roomList": true}));
    assert_eq!(claims[1]["video"], json!({"roomAdmin": true, "room": "known"}));
    let valid = claims[0]["exp"].as_i64().unwrap() - claims[0]["nbf"].as_i64().unwrap();
    assert!(claims.iter().all(|claims| claims["iss"] == "devkey") && valid == 60, "{claims:?}");
}

/// The claims of a token that the secret of `devkey` signed.
fn claims(authorization: &str) -> Value {
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap().chain_update(message);
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let claims = message.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[test]
fn a_server_that_refuses_and_one_that_is_not_there_are_told_before_anything_is_read() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let refuses: Answers =
        |_, _| (401, json!({"code": "unauthenticated", "msg": "no permissions"}));
    let (url, _asked) = double(refuses);
    let said = "ListRooms: 401 Unauthorized unauthenticated no permissions";
    let ended = run(&mut ask(directory.path(), &url, &[])).expect(1, &[said, &url]);
    assert_eq!(ended.stdout, "");
    let other: Answers = |_, _| (200, json!("a page"));
    let (url, _asked) = double(other);
    run(&mut ask(directory.path(), &url, &[])).expect(1, &["the answer is not LiveKit's"]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = ["cannot ask the LiveKit server", "refused"];
    run(&mut ask(directory.path(), &format!("http://{free}"), &[])).expect(1, &refused);
    let wrong = "it has to be an address such as https://livekit.example.org";
    run(&mut ask(directory.path(), "livekit", &[])).expect(1, &[wrong]);
}

#[test]
fn without_a_key_nobody_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let (url, asked) = double(answers);
    let mut command = audit(&["--livekit", &url], directory.path());
    command.env_remove("LIVEKIT_API_KEY").env_remove("LIVEKIT_API_SECRET");
    run(&mut command).expect(1, &["--livekit needs an API key", "--livekit-key-file"]);
    let file = directory.path().join("none");
    let mut command = audit(&["--livekit", &url, "--livekit-key-file"], &file);
    run(command.arg(directory.path())).expect(1, &["--livekit-key-file", "cannot be read"]);
    assert!(asked.try_recv().is_err());
    // The environment has LiveKit's own names for it.
    let mut command = audit(&["--livekit", &url], directory.path());
    command.env("LIVEKIT_API_KEY", "devkey").env("LIVEKIT_API_SECRET", "secret");
    run(&mut command).expect(1, &["findings"]);
    assert_eq!(claims(&asked.try_recv().unwrap().1)["iss"], "devkey");
}

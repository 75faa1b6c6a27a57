//! Hand-overs in which a process fails, dies or hangs: the other one goes on.

use super::*;

#[test]
fn a_new_process_that_cannot_start_leaves_the_old_one_alone() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _taken = TcpListener::bind(taken).unwrap();
    let taken = taken.to_string();
    for options in [
        &["--workers", "0"][..],
        &["--tls-cert", "/no/such/file", "--tls-key", "/no/such/file"],
        &["--listen", &taken],
        &["--listen", "0.0.0.0:0"],
    ] {
        let output = successor(directory.path(), options).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{options:?}: {said}");
        assert_eq!(daemon.connect().post(&body(0)).status, 200, "{options:?}");
    }
    daemon.terminate();
    assert_eq!(cdr(directory.path()), line(0));
}

/// Otherwise no process would serve after an upgrade that failed.
#[test]
fn the_old_process_goes_on_where_the_new_one_dies_before_or_after_it_has_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    for (number, has_directory) in [(0, false), (1, true), (2, true)] {
        let (peer, sockets) = Peer::greet(directory.path());
        assert_eq!(sockets.len(), 1);
        if has_directory {
            peer.go();
            assert_eq!(peer.hear().0, r#""closed""#);
            // A retry of it and a new event wait in the kernel meanwhile.
            let (repeated, new) = (body(0), body(number));
            let mut waiting = [daemon.connect(), daemon.connect()];
            for (client, event) in waiting.iter_mut().zip([repeated, new]) {
                client.send(post_head("/", event.len(), &event).as_bytes()).unwrap();
            }
            drop((peer, sockets));
            assert_eq!(waiting.map(|mut client| client.read("POST").unwrap().status), [200; 2]);
            daemon.wait_until_it_says("not handed over");
        } else {
            drop((peer, sockets));
            assert_eq!(daemon.connect().post(&body(number)).status, 200);
        }
    }
    // And it can still hand over.
    let new = Daemon::start(&mut successor(directory.path(), &[]));
    daemon.hand_over();
    new.terminate();
    assert_eq!(cdr(directory.path()), lines(3));
}

/// The signal is for the server that serves in the end.
#[test]
fn a_reload_that_is_asked_for_during_a_hand_over_that_fails_is_done_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let (peer, sockets) = Peer::greet(directory.path());
    peer.go();
    assert_eq!(peer.hear().0, r#""closed""#);
    daemon.signal("HUP");
    drop((peer, sockets));
    daemon.wait_until_it_says("not handed over");
    daemon.wait_until_it_says("reloaded");
    daemon.terminate();
}

/// As a file of a network file system that has gone away.
#[test]
fn secrets_that_cannot_be_read_to_their_end_hold_up_no_hand_over() {
    let directory = tempfile::tempdir().unwrap();
    let secrets = directory.path().join("secrets");
    fs::write(&secrets, "X-Token: secret").unwrap();
    let cdr = directory.path().join("cdr");
    let daemon = start(&cdr, &["--header-file", secrets.to_str().unwrap()]);
    fs::remove_file(&secrets).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &secrets, rustix::fs::Mode::RUSR).unwrap();
    // Reading it does not end until somebody has written to it.
    daemon.signal("HUP");
    wait_for("a thread that opens the secrets", || has_thread_in(daemon.id(), "wait_for_partner"));
    let (peer, sockets) = Peer::greet(&cdr);
    peer.go();
    assert_eq!(peer.hear().0, r#""closed""#);
    peer.say(r#""serving""#, &[]);
    drop((peer, sockets));
    daemon.hand_over();
}

/// Whether a thread of a process waits in this function of the kernel.
fn has_thread_in(process: u32, function: &str) -> Option<()> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut waits = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("wchan")));
    waits.any(|wait| wait.is_ok_and(|wait| wait == function)).then_some(())
}

/// The kernel kills it while it makes the files of the journal.
#[test]
fn the_old_process_goes_on_where_the_new_one_is_killed_while_it_opens_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    let new = successor(directory.path(), &[]);
    let mut limited = Command::new("sh");
    limited.args(["-c", r#"ulimit -f 1; exec "$@""#, "sh"]).arg(new.get_program());
    limited.args(new.get_args());
    copy_environment(&new, &mut limited);
    let output = limited.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    daemon.wait_until_it_says("not handed over");
    assert_eq!(daemon.connect().post(&body(1)).status, 200);
    daemon.terminate();
    assert_eq!(cdr(directory.path()), lines(2));
}

/// The old process has an acknowledged event in its journal, and waits for a request in flight.
#[test]
fn the_new_process_finishes_what_the_old_one_left_where_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--end-timeout", "600", "--body-timeout", "600"]);
    let mut slow = daemon.connect();
    let head = post_head("/", 100, "").replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    slow.send(head.as_bytes()).unwrap();
    assert_eq!(slow.read("HEAD").unwrap().status, 100);
    let mut command = successor(directory.path(), &[]);
    let new = std::thread::spawn(move || Daemon::start(&mut command));
    daemon.wait_until_it_says("handing over");
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    let address = daemon.address;
    daemon.kill();
    let new = new.join().unwrap();
    assert_eq!(new.address, address);
    for number in 0..2 {
        assert_eq!(new.connect().post(&body(number)).status, 200);
    }
    new.terminate();
    assert_eq!(cdr(directory.path()), lines(2));
}

/// It would end with events that it could not write, and the next one could not open the directory.
#[test]
fn a_server_that_cannot_write_hands_over_to_nobody_until_it_can() {
    let Some(mount) = Mount::new("tmpfs", 32) else { return };
    let directory = mount.path().join("cdr");
    let daemon = start(&directory, &["--write-retry-timeout", "0.5"]);
    let padding = "x".repeat(100_000);
    let event = |number: u64| format!(r#"{{"number":{number},"p":"{padding}","event":"e"}}"#);
    mount.fill();
    let refused = (0..1000).find(|number| daemon.connect().post(&event(*number)).status != 200);
    refused.expect("a full disk is noticed");
    let output = successor(&directory, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("does not hand over: events cannot be written now"), "{said}");
    mount.free();
    wait_for("health", || (daemon.connect().get("/healthz").status == 200).then_some(()));
    let new = Daemon::start(&mut successor(&directory, &[]));
    daemon.hand_over();
    assert_eq!(new.connect().post(&event(1000)).status, 200);
    new.terminate();
}

#[test]
fn where_nobody_can_ask_for_a_hand_over_events_are_taken_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path(), &[]).terminate();
    fs::write(control(directory.path()), "precious").unwrap();
    let daemon = start(directory.path(), &[]);
    let told = daemon.said.iter().find(|line| line.contains("no hand-over is possible"));
    assert!(told.is_some_and(|line| line.contains("not a socket")), "{:?}", daemon.said);
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.terminate();
    assert_eq!(fs::read(control(directory.path())).unwrap(), b"precious");
}

/// The old process, played by the test, dies halfway.
#[test]
fn the_new_process_goes_on_where_the_old_one_dies() {
    let directory = tempfile::tempdir().unwrap();
    start(directory.path(), &[]).terminate();
    let old = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::bind(&old, &SocketAddrUnix::new(control(directory.path())).unwrap()).unwrap();
    rustix::net::listen(&old, 1).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let playing = std::thread::spawn(move || {
        let peer = Peer(rustix::net::accept(&old).unwrap());
        assert!(peer.hear().0.starts_with(r#"{"take_over":"#));
        let sockets = r#"{"sockets":{"sockets":[{"asked":"127.0.0.1:0"}],"end_timeout_ms":1000}}"#;
        peer.say(sockets, &[&listener.into()]);
        assert_eq!(peer.hear().0, r#""go""#);
    });
    let daemon = Daemon::start(&mut successor(directory.path(), &[]));
    playing.join().unwrap();
    assert_eq!(daemon.address, address);
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.terminate();
    assert_eq!(cdr(directory.path()), line(0));
}

//! Answers that are lost, requests that are cut, and connections that hang, between the shipper and
//! real servers.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::proxy::{Mishap, Proxy};
use super::{append_events, record};
use crate::run::run;

/// Ships some files through the proxy, where the mishap happens to some of them.
#[track_caller]
fn ship_through(proxy: &Proxy, directory: &Path, shipper: impl Fn() -> Command) {
    append_events(directory, 0..200, "10K");
    run(shipper().arg("--once")).expect(0, &[]);
    assert_eq!(proxy.left(), 0, "it happened too seldom");
}

const SLOW: Mishap = Mishap::Slow(Duration::from_millis(40));

mod nats {
    use super::*;
    use crate::ship::jetstream::Client;
    use crate::ship::nats::{check, init, server, to_port};

    fn ship_with(mishap: Mishap, times: usize) {
        let Some(server) = server() else { return };
        let directory = tempfile::tempdir().unwrap();
        init(&server, directory.path());
        let proxy = Proxy::before(server.port, mishap, "HPUB cdr.lines.", times);
        ship_through(&proxy, directory.path(), || to_port(proxy.port, directory.path(), "CDR"));
        check(&server, directory.path());
        let blocks = Client::connect(server.port, serde_json::json!({}))
            .messages("CDR", "cdr.lines.*")
            .len();
        assert!(blocks > 3, "no rotation: {blocks} blocks");
    }

    #[test]
    fn a_message_whose_acknowledgement_is_lost_is_not_stored_twice() {
        ship_with(Mishap::AnswerLost, 3);
    }

    #[test]
    fn a_message_of_which_half_arrives_is_sent_again() {
        ship_with(Mishap::Cut, 3);
    }

    #[test]
    fn a_connection_to_nats_that_hangs_is_given_up() {
        ship_with(Mishap::Hangs, 1);
    }

    #[test]
    fn a_slow_server_of_nats_is_waited_for() {
        ship_with(SLOW, 0);
    }
}

mod postgres {
    use super::*;
    use crate::run::{end, start, wait_for};
    use crate::ship::postgres::{init, lines, server};
    use crate::ship::ship;

    fn to(port: u16, directory: &Path) -> Command {
        ship(directory, &format!("postgres://cdr@127.0.0.1:{port}/cdr?sslmode=disable"))
    }

    fn ship_with(mishap: Mishap, marker: &'static str, times: usize) {
        let Some(server) = server() else { return };
        let directory = tempfile::tempdir().unwrap();
        init(&server, directory.path());
        let proxy = Proxy::before(server.port, mishap, marker, times);
        ship_through(&proxy, directory.path(), || to(proxy.port, directory.path()));
        assert!(lines(&server, "lines") == record(directory.path(), "CDR."), "lines differ");
    }

    #[test]
    fn a_commit_whose_answer_is_lost_is_not_done_twice() {
        ship_with(Mishap::AnswerLost, "COMMIT", 3);
    }

    #[test]
    fn rows_of_which_half_arrive_are_sent_again() {
        ship_with(Mishap::Cut, "\"padding\"", 3);
    }

    #[test]
    fn a_slow_server_of_postgres_is_waited_for() {
        ship_with(SLOW, "COMMIT", 0);
    }

    #[test]
    fn a_commit_that_hangs_holds_up_the_next_shipper_for_seconds_only() {
        let Some(server) = server() else { return };
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        init(&server, directory);
        append_events(directory, 0..20, "0");
        run(to(server.port, directory).arg("--once")).expect(0, &[]);
        append_events(directory, 20..40, "0");
        let proxy = Proxy::before(server.port, Mishap::Hangs, "COMMIT", 1);
        let mut hanging = start(to(proxy.port, directory).arg("--once"));
        wait_for("the COMMIT", || (proxy.left() == 0).then_some(()));
        hanging.kill().unwrap();
        end(hanging);
        // The row of the chain is locked by a connection that nobody uses any more.
        run(to(server.port, directory).arg("--once")).expect(0, &["lock"]);
        assert!(lines(&server, "lines") == record(directory, "CDR."), "lines differ");
    }
}

mod s3 {
    use super::*;
    use crate::ship::archive;
    use crate::ship::s3::{fetch, server, to};
    use crate::ship::servers::Server;

    fn ship_with(server: &Server, mishap: Mishap, marker: &'static str, place: &str) {
        let directory = tempfile::tempdir().unwrap();
        let proxy = Proxy::before(server.port, mishap, marker, 3);
        let to = || to(proxy.port, directory.path(), &format!("cdr/{place}"));
        ship_through(&proxy, directory.path(), to);
        let copy = fetch(server, place);
        let local = record(directory.path(), "CDR.");
        assert!(archive::lines(copy.path(), "lines") == local, "lines differ");
    }

    #[test]
    fn an_object_whose_answer_is_lost_is_found_and_one_that_never_arrived_is_sent_again() {
        // One test for all: the server takes seconds to start.
        let Some(server) = server() else { return };
        server.make_bucket("cdr");
        ship_with(&server, Mishap::AnswerLost, "PUT /cdr/lost/lines/", "lost");
        ship_with(&server, Mishap::Cut, "PUT /cdr/cut/lines/", "cut");
        ship_with(&server, Mishap::Busy, "PUT /cdr/busy/lines/", "busy");
    }
}

//! What a database that is set up wrongly gets: one sentence with the way out.

use std::fs;

use super::postgres::{init, server, to};
use super::servers::postgres;
use super::{append_events, ship};
use crate::run::run;
use crate::support::skip;

#[test]
fn a_database_that_cannot_hold_the_record_is_refused() {
    let Some(server) = postgres("LATIN1") else {
        return skip("there is no PostgreSQL", "install the package postgresql");
    };
    let directory = tempfile::tempdir().unwrap();
    append_events(directory.path(), 0..1, "0");
    run(to(&server, directory.path()).arg("--init")).expect(1, &["encoding is LATIN1"]);
    let wrong = server.database().replace("/cdr?", "/other?");
    run(ship(directory.path(), &wrong).arg("--once"))
        .expect(1, &["does not exist", "create the database"]);
}

#[test]
fn a_standby_is_refused_for_shipping_and_can_be_read() {
    let Some(mut server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    append_events(directory, 0..10, "0");
    run(to(&server, directory).arg("--once")).expect(1, &["cdrlog ship --init"]);
    init(&server, directory);
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    server.become_standby();
    run(to(&server, directory).arg("--once")).expect(1, &["it is a standby: name the primary"]);
    let mut tail = crate::run::cdrlog();
    tail.env_remove("PGPASSWORD").env_remove("PGPASSFILE");
    let read = run(tail.args(["tail", "-n", "100"]).arg(server.database())).expect(0, &[]);
    assert_eq!(read.stdout.lines().count(), 10);
}

#[test]
fn wrong_passwords_and_missing_permissions_are_told_with_the_way_out() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    append_events(directory, 0..10, "0");
    init(&server, directory);
    server.query("CREATE ROLE poor LOGIN");
    let poor = server.database().replace("cdr@", "poor@");
    let mut of_poor = ship(directory, &poor);
    of_poor.env_remove("PGPASSWORD").env_remove("PGPASSFILE");
    run(of_poor.arg("--once")).expect(1, &["permission denied", "grant the user SELECT, INSERT"]);
    server.ask_for_passwords("hunter2hunter2");
    let with = |name: &str, value: &str| {
        let mut command = to(&server, directory);
        command.arg("--once").env(name, value);
        command
    };
    let wrong = run(&mut with("PGPASSWORD", "hunter3hunter3"));
    let wrong = wrong.expect(1, &["set PGPASSWORD or PGPASSFILE"]);
    assert!(!wrong.stderr.contains("hunter3"), "{wrong:?}");
    run(to(&server, directory).arg("--once")).expect(1, &["PGPASSWORD"]);
    run(&mut with("PGPASSFILE", "/nowhere/pgpass")).expect(1, &["cannot read /nowhere/pgpass"]);
    run(&mut with("PGPASSWORD", "hunter2hunter2")).expect(0, &[]);
    append_events(directory, 10..20, "0");
    let file = directory.with_extension("pgpass");
    fs::write(&file, "other:*:*:*:no\n127.0.0.1:*:cdr:cdr:hunter2hunter2\n").unwrap();
    run(&mut with("PGPASSFILE", file.to_str().unwrap())).expect(0, &[]);
    fs::remove_file(&file).unwrap();
}

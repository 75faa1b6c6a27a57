//! To PostgreSQL: a real server, which is killed too.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::reading::check_reading;
use super::servers::{Server, postgres};
use super::{append_events, kills, record, ship};
use crate::common::{CDR, WEBHOOKS};
use crate::run::{Run, append, cdrlog, end, run, run_with, start, wait_for};
use crate::support::skip;

pub fn server() -> Option<Server> {
    let server = postgres("UTF8");
    if server.is_none() {
        skip("there is no PostgreSQL", "install the package postgresql");
    }
    server
}

pub fn to(server: &Server, directory: &std::path::Path) -> Command {
    let mut command = ship(directory, &server.database());
    command.env_remove("PGPASSWORD").env_remove("PGPASSFILE");
    command
}

pub fn init(server: &Server, directory: &std::path::Path) -> Run {
    run(to(server, directory).arg("--init")).expect(0, &["the tables are those of version 2"])
}

/// The record as the database has it.
pub fn lines(server: &Server, stream: &str) -> Vec<u8> {
    let hex = server.query(&format!(
        "SELECT encode(coalesce(raw, convert_to(line, 'UTF8')), 'hex') FROM cdr_event \
         WHERE stream = '{stream}' ORDER BY node, seq, line_number"
    ));
    let mut lines = Vec::new();
    for line in hex.lines() {
        let digit = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
        lines.extend((0..line.len()).step_by(2).map(digit));
        lines.push(b'\n');
    }
    lines
}

#[test]
fn every_line_is_a_row_and_the_views_show_sessions() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    run_with(&mut append(directory), format!("{WEBHOOKS}no event\n").as_bytes()).expect(3, &[]);
    let without_tables = run(to(&server, directory).arg("--once"));
    without_tables.expect(1, &["cdrlog ship --init"]);
    init(&server, directory);
    init(&server, directory);
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    assert_eq!(lines(&server, "lines"), CDR.as_bytes());
    assert_eq!(lines(&server, "rejects"), record(directory, "rejected."));
    let bodies =
        server.query("SELECT body FROM cdr_event WHERE stream = 'lines' ORDER BY seq, line_number");
    for (body, line) in bodies.lines().zip(CDR.lines()) {
        let body: Value = serde_json::from_str(body).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line.as_object().unwrap().values().next().unwrap(), &body);
    }
    let sessions = server.query(
        "SELECT session, seconds, reason FROM cdr_session ORDER BY seq, line_number LIMIT 1",
    );
    assert_eq!(sessions, "ses_Qk3vT8nLzA|674|lastParticipantLeft\n");
    let stays = server.query(
        "SELECT participant, seconds FROM cdr_participant ORDER BY seq, line_number LIMIT 1",
    );
    assert_eq!(stays, "con_A1b2C3d4E5|599\n");
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    assert_eq!(lines(&server, "lines"), CDR.as_bytes());
    let partitions =
        server.query("SELECT count(*) FROM pg_inherits WHERE inhparent = 'cdr_event'::regclass");
    assert_eq!(partitions, "15\n");
    assert_eq!(server.query("SELECT count(*) FROM cdr_event_default"), "0\n");
    check_reading(directory, &server.database(), || {
        let mut command = cdrlog();
        command.env_remove("PGPASSWORD").env_remove("PGPASSFILE");
        command
    });
}

#[test]
fn no_line_fails_a_block_whatever_it_holds() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    let deep = format!("{}{}", "[".repeat(126), "]".repeat(126));
    let long = "9".repeat(200_000);
    let bodies = [
        r#"{"a":"\u0000","event":"nul"}"#.to_owned(),
        r#"{"sessionId":"\u0000","event":"nulSession"}"#.to_owned(),
        r#"{"a":1e999999,"event":"exponent"}"#.to_owned(),
        format!(r#"{{"a":{long},"event":"digits"}}"#),
        format!(r#"{{"a":{deep},"event":"deep"}}"#),
        r#"{"timestamp":9223372036854775807,"event":"time"}"#.to_owned(),
        r#"{"timestamp":-5e18,"event":"past"}"#.to_owned(),
        r#"{"a":1,"a":2,"event":"twice"}"#.to_owned(),
        r#"{"a":"\\t\t\\N \\.\n","event":"copy"}"#.to_owned(),
        r#"{"x":1,"event":"\u0000"}"#.to_owned(),
        r#"{"x":"\ud83d\ude00 ü","event":"last"}"#.to_owned(),
    ];
    let input = bodies.join("\n") + "\nx\u{fffd}\n";
    run_with(&mut append(directory), input.as_bytes()).expect(3, &[]);
    run_with(&mut append(directory), b"\xff\xfe\x00 no text\n").expect(3, &[]);
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    assert_eq!(lines(&server, "lines"), record(directory, "CDR."));
    assert_eq!(lines(&server, "rejects"), record(directory, "rejected."));
    let without = server.query(
        "SELECT event FROM cdr_event WHERE stream = 'lines' AND body IS NULL ORDER BY line_number",
    );
    assert_eq!(without, "nul\nnulSession\nexponent\ndigits\n");
    // The views pass over what is odd.
    server.query("SELECT * FROM cdr_session, cdr_participant");
}

#[test]
fn a_restored_database_gets_the_same_blocks_again() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    append_events(directory, 0..100, "5K");
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    let ids = "SELECT string_agg(id, ',' ORDER BY seq) FROM cdr_block WHERE stream = 'lines'";
    let before = server.query(ids);
    // As a backup of the time of block 2 has it.
    server.query(
        "BEGIN; DELETE FROM cdr_event WHERE seq > 2; DELETE FROM cdr_block WHERE seq > 2; \
         UPDATE cdr_cursor SET seq = 2, id = (SELECT id FROM cdr_block WHERE seq = 2) \
         WHERE stream = 'lines'; COMMIT",
    );
    append_events(directory, 100..120, "5K");
    run(to(&server, directory).arg("--once")).expect(0, &["gets them again"]);
    assert!(server.query(ids).starts_with(before.trim_end()), "other blocks");
    assert_eq!(lines(&server, "lines"), record(directory, "CDR."));
    server.query("TRUNCATE cdr_event, cdr_block, cdr_cursor");
    run(to(&server, directory).arg("--once")).expect(0, &["gets them again"]);
    assert_eq!(lines(&server, "lines"), record(directory, "CDR."));
}

#[test]
fn blocks_and_rows_that_a_database_lost_are_filled_in_before_their_file_is_given_up() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    append_events(directory, 0..100, "3K");
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    let ids = "SELECT string_agg(id, ',' ORDER BY seq) FROM cdr_block WHERE stream = 'lines'";
    let before = server.query(ids);
    server.query(
        "BEGIN; DELETE FROM cdr_event WHERE seq = 3 AND line_number > 1; \
         DELETE FROM cdr_event WHERE seq = 4; DELETE FROM cdr_block WHERE seq = 4; COMMIT",
    );
    let told = ["had lost block 3", "had lost block 4"];
    run(to(&server, directory).args(["--once", "--keep-after-ship", "0"])).expect(0, &told);
    assert_eq!(server.query(ids), before);
    assert_eq!(lines(&server, "lines"), record(directory, "CDR."));
    // Each file is claimed, and the idle node says up to when its record is complete.
    let births = "SELECT count(DISTINCT birth) FROM cdr_block WHERE kind = 'lines'";
    assert_eq!(server.query(births), server.query("SELECT count(*) FROM cdr_birth"));
    let marks = "SELECT count(*) FROM cdr_watermark m JOIN cdr_cursor c USING (node, stream, seq, id) \
         WHERE m.through > now() - interval '5 min'";
    assert_eq!(server.query(marks), "2\n");
}

#[test]
fn an_append_waits_for_a_transaction_that_hangs() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    append_events(directory, 0..10, "3K");
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    append_events(directory, 10..40, "3K");
    std::thread::scope(|scope| {
        // As a COMMIT that was lost on its way holds the row of the chain.
        let held = scope.spawn(|| {
            server.query("BEGIN; UPDATE cdr_cursor SET seq = seq; SELECT pg_sleep(2); COMMIT")
        });
        run(to(&server, directory).arg("--once")).expect(0, &[]);
        held.join().unwrap();
    });
    assert_eq!(lines(&server, "lines"), record(directory, "CDR."));
}

#[test]
fn a_kill_at_any_time_loses_and_doubles_no_row() {
    let Some(server) = server() else { return };
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cdr");
    init(&server, parent.path());
    kills::kill_at_every_step(&directory, || to(&server, &directory));
    let local = record(&directory, "CDR.");
    assert!(!local.is_empty() && lines(&server, "lines") == local, "lines differ");
}

#[test]
fn a_server_that_is_killed_loses_and_doubles_no_row() {
    let Some(mut server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    append_events(directory, 0..20, "5K");
    let shipper = start(to(&server, directory).args(["--block-age", "0"]));
    kills::append_while_a_server_is_killed(directory, shipper, || {
        server.kill_and_restart_postgres();
    });
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    assert!(lines(&server, "lines") == record(directory, "CDR."), "lines differ");
}

#[test]
#[ignore = "counts for docs/scale.md: cargo test -p cdrlog-cli --features s3,postgres,nats --test program how_many_bytes -- --ignored --nocapture"]
fn how_many_bytes_a_line_takes_in_the_database() {
    const LINES: u64 = 50_000;
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    append_events(directory, 0..LINES, "0");
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    let size = |what: &str| -> u64 {
        let sql = format!("SELECT sum({what}(relid)) FROM pg_partition_tree('cdr_event')");
        server.query(&sql).trim().parse().unwrap()
    };
    let lines = record(directory, "CDR.").len() as u64;
    println!(
        "a line of {} bytes takes {} bytes, {} of them in indexes",
        lines / LINES,
        size("pg_total_relation_size") / LINES,
        size("pg_indexes_size") / LINES,
    );
    assert!(size("pg_total_relation_size") < LINES * 4096);
}

/// Without this, each question after such a pause failed once, and that was logged.
#[test]
fn a_connection_that_the_server_closes_for_want_of_questions_is_no_failure() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    append_events(directory, 0..5, "0");
    init(&server, directory);
    server.query("ALTER SYSTEM SET idle_session_timeout = '200ms'");
    server.query("SELECT pg_reload_conf()");
    let shipper = start(to(&server, directory).args(["--block-age", "10ms"]));
    let count = || server.query("SELECT count(*) FROM cdr_event").trim().parse::<u64>().unwrap();
    for number in [5, 10, 15] {
        wait_for("the rows", || (count() == number).then_some(()));
        // Its connection is gone after that.
        let idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cdrlog'";
        wait_for("the end of its connection", || (server.query(idle).trim() == "0").then_some(()));
        append_events(directory, number..number + 5, "0");
    }
    wait_for("the rows", || (count() == 20).then_some(()));
    kill_process(Pid::from_child(&shipper), Signal::TERM).unwrap();
    let ended = end(shipper).expect(0, &[]);
    assert!(!ended.stderr.contains("trying again"), "{}", ended.stderr);
}

/// Without this, a reader left a connection of a pooler on which nothing could be shipped.
#[test]
fn a_reader_sets_nothing_that_a_pooler_would_give_to_a_shipper() {
    let Some(mut server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    append_events(directory, 0..5, "0");
    init(&server, directory);
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    for (name, value) in [("logging_collector", "on"), ("log_statement", "all")] {
        server.query(&format!("ALTER SYSTEM SET {name} = '{value}'"));
    }
    server.kill_and_restart_postgres();
    run(cdrlog().args(["tail", "-n", "5"]).arg(server.database())).expect(0, &[]);
    let logs = std::fs::read_dir(server.directory.path().join("data/log")).unwrap();
    let logs = logs.map(|log| std::fs::read(log.unwrap().path()).unwrap());
    let said: Vec<u8> = logs.flatten().collect();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("FROM cdr_event"), "nothing is logged: {said}");
    assert!(!said.to_lowercase().contains("set default"), "{said}");
}

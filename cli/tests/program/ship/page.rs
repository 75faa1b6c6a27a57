//! The commands of docs/shipping.md do what it says. Where they name a bucket, they get a directory,
//! which has the same objects.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{append_events, record};
use crate::shell::run_script;
use crate::support::skip;

const PAGE: &str = include_str!("../../../../docs/shipping.md");

/// The scripts of the page, in their order.
fn scripts() -> impl Iterator<Item = &'static str> {
    PAGE.split("```sh\n").skip(1).map(|rest| {
        let (script, _) = rest.split_once("```\n").expect("a script without an end");
        script
    })
}

/// The scripts of the page that have a text in them, made to end, and with other places. A place that
/// none of them has is an error: the page has changed.
fn scripts_with(text: &str, places: &[(&str, &str)]) -> Vec<String> {
    let found: Vec<_> = scripts().filter(|script| script.contains(text)).collect();
    for (place, _) in places {
        assert!(found.iter().any(|script| script.contains(place)), "{place}: {found:?}");
    }
    let adapt = |script: &str| {
        let script = script.replace("cdrlog ship --dir", "cdrlog ship --once --dir");
        let mut script = script.replace("cdrlog tail -f", "cdrlog tail");
        for (place, other) in places {
            script = script.replace(place, other);
        }
        script
    };
    found.into_iter().map(adapt).collect()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn the_commands_for_a_bucket_ship_a_record_and_read_it() {
    if !is_there("zstd") {
        return skip("the examples of docs/shipping.md: there is no zstd", "apt-get install zstd");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    append_events(&directory.path().join("cdr"), 0..100, "5K");
    let scripts = scripts_with(
        "s3://bucket/cdr",
        &[
            ("s3://bucket/cdr", &format!("file://{path}/archive")),
            ("file:///mnt/archive", &format!("file://{path}/archive")),
            ("/var/lib/cdrlog", &format!("{path}/cdr")),
            ("/etc/cdrlog", path),
            ("/srv/cdr-parquet", &format!("{path}/parquet")),
            ("lines/NODE", "lines/media-1"),
            // The database has a test of its own.
            ("postgres://cdr@db.example.org/cdr", &format!("file://{path}/archive")),
        ],
    );
    let [ship, redact, read, compact] = &scripts[..] else {
        panic!("the page has other scripts: {scripts:#?}");
    };
    let prelude =
        "export CDRLOG_NODE=media-1\naws() { [[ \"$1 $2\" == 's3 cp' ]]; cat \"${3#file://}\"; }\n";
    let run = |script: &str| run_script(&format!("{prelude}{script}"), directory.path());
    let local = String::from_utf8(record(&directory.path().join("cdr"), "CDR.")).unwrap();
    let head: String = local.split_inclusive('\n').take(10).collect();
    // `head` ends before what it reads from.
    let printed = run(&format!("set +o pipefail\n{ship}"));
    assert!(printed.ends_with(&head), "{printed}");
    run(redact);
    let read: Vec<_> = read
        .lines()
        .filter(|line| cfg!(feature = "export") || !line.starts_with("cdrlog export"))
        .collect();
    let printed = run(&read.join("\n"));
    assert!(printed.contains(&local), "{printed}");
    assert!(printed.contains("is complete"), "{printed}");
    // It ends by itself.
    run(&compact.replace("--once ", ""));
    assert!(
        run(read[1]).contains(&local),
        "the lines are not those from before they were gathered"
    );
}

#[test]
fn the_commands_for_a_database_ship_a_record_and_read_it() {
    let Some(server) = super::postgres::server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    append_events(&path.join("cdr"), 0..100, "5K");
    server.ask_for_passwords("secret");
    let port = server.port;
    let password = path.join("pgpass");
    fs::write(&password, format!("127.0.0.1:{port}:cdr:cdr:secret\n")).unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let scripts = scripts_with(
        "db.example.org",
        &[
            ("postgres://cdr@db.example.org/cdr", &format!("postgres://cdr@127.0.0.1:{port}/cdr")),
            ("-h db.example.org", &format!("-h 127.0.0.1 -p {port}")),
            ("/var/lib/cdrlog", path.join("cdr").to_str().unwrap()),
            ("/etc/cdrlog/pgpass", password.to_str().unwrap()),
        ],
    );
    let [ship, query, _read] = &scripts[..] else {
        panic!("the page has other scripts: {scripts:#?}");
    };
    let count =
        format!("psql -h 127.0.0.1 -p {port} -U cdr cdr -AtXc 'SELECT count(*) FROM cdr_event'");
    assert!(run_script(&format!("{ship}\n{query}\n{count}"), path).ends_with("\n100\n"));
}

#[test]
fn the_commands_for_a_stream_ship_a_record() {
    let Some(server) = super::nats::server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    append_events(&path.join("cdr"), 0..100, "5K");
    let scripts = scripts_with(
        "nats.example.org",
        &[
            ("nats.example.org:4222", &format!("127.0.0.1:{}", server.port)),
            ("/var/lib/cdrlog", path.join("cdr").to_str().unwrap()),
            // Servers with credentials have tests of their own.
            ("export NATS_CREDS=/etc/cdrlog/nats.creds", ":"),
        ],
    );
    let [ship] = &scripts[..] else {
        panic!("the page has other scripts: {scripts:#?}");
    };
    run_script(ship, path);
    super::nats::check(&server, &path.join("cdr"));
}

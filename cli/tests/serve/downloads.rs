//! The files of the CDR can be listed and downloaded, and no others.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::{body, line};
use crate::daemon::{Daemon, start};

const NAME: &str = "CDR.2020-01-02_03-04-05.log";

fn with_a_file(directory: &Path, content: &[u8]) -> Daemon {
    std::fs::write(directory.join(NAME), content).unwrap();
    start(directory, &["--ack", "written"])
}

#[test]
fn the_list_is_the_one_that_openvidu_gives_or_a_page() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("CDR.2020-01-02_03-04-05.1.log.zst"), b"").unwrap();
    std::fs::write(directory.path().join("passwords"), b"").unwrap();
    std::fs::write(directory.path().join("<b>.log"), b"").unwrap();
    let daemon = with_a_file(directory.path(), b"x\n");
    let mut client = daemon.connect();
    for path in ["/openvidu/cdr", "/openvidu/cdr/"] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        let names: Vec<String> = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(names.len(), 3, "{names:?}");
        assert_eq!(names[..2], [NAME, "CDR.2020-01-02_03-04-05.1.log.zst"]);
    }
    let page = client.request("GET", "/openvidu/cdr", &[("Accept", "text/html,*/*;q=0.8")]);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains(&format!("<a href=\"/openvidu/cdr/{NAME}\">")), "{}", page.text());
    assert!(!page.text().contains("<b>") && !page.text().contains("passwords"));
}

#[test]
fn a_file_is_downloaded_whole_and_in_parts() {
    let directory = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let daemon = with_a_file(directory.path(), &content);
    let path = format!("/openvidu/cdr/{NAME}");
    let mut client = daemon.connect();
    let whole = client.get(&path);
    assert_eq!((whole.status, &whole.body), (200, &content));
    assert_eq!(whole.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let head = client.request("HEAD", &path, &[]);
    assert_eq!((head.status, head.header("content-length")), (200, Some("300000")));
    for (range, expected, content_range) in [
        ("bytes=0-99", &content[..100], "bytes 0-99/300000"),
        ("bytes=100000-", &content[100_000..], "bytes 100000-299999/300000"),
        ("bytes=-5", &content[299_995..], "bytes 299995-299999/300000"),
    ] {
        let part = client.request("GET", &path, &[("Range", range)]);
        assert_eq!((part.status, part.header("content-range")), (206, Some(content_range)));
        assert!(part.body == expected, "{range}");
    }
    let none = client.request("GET", &path, &[("Range", "bytes=300000-")]);
    assert_eq!((none.status, none.header("content-range")), (416, Some("bytes */300000")));
}

#[test]
fn the_file_that_is_being_written_can_be_followed_by_ranges() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--ack", "written"]);
    let mut client = daemon.connect();
    assert_eq!(client.post(&body(1)).status, 200);
    let names: Vec<String> = serde_json::from_slice(&client.get("/openvidu/cdr").body).unwrap();
    let path = format!("/openvidu/cdr/{}", names[0]);
    let first = client.get(&path);
    assert_eq!(first.text(), line(1));
    assert_eq!(client.post(&body(2)).status, 200);
    let rest = client.request("GET", &path, &[("Range", &format!("bytes={}-", first.body.len()))]);
    assert_eq!((rest.status, rest.text()), (206, line(2).as_str()));
}

#[test]
fn nothing_outside_the_directory_is_ever_served() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("cdr");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(home.path().join(NAME), b"secret").unwrap();
    std::fs::write(home.path().join("secret.txt"), b"secret").unwrap();
    std::fs::write(directory.join("notes.txt"), b"secret").unwrap();
    symlink(home.path().join("secret.txt"), directory.join("CDR.2020-01-01_00-00-00.log")).unwrap();
    std::fs::create_dir(directory.join("CDR.2020-01-01_00-00-01.log")).unwrap();
    let pipe = directory.join("CDR.2020-01-01_00-00-02.log");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let daemon = start(&directory, &[]);
    let secret = home.path().join("secret.txt").display().to_string();
    let mut paths: Vec<String> = [
        "notes.txt",
        ".cdrlog/lock",
        "..",
        "../",
        "../secret.txt",
        "./../secret.txt",
        "%2e%2e/secret.txt",
        "%2e%2e%2fsecret.txt",
        "..%2fsecret.txt",
        "..%5csecret.txt",
        "..\\secret.txt",
        "%252e%252e%252fsecret.txt",
        "..;/secret.txt",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "CDR.2020-01-01_00-00-00.log",
        "CDR.2020-01-01_00-00-01.log",
        "CDR.2020-01-01_00-00-02.log",
        "CDR.2020-01-01_00-00-02.log%00",
        "CDR.2020-01-01_00-00-02.log/..",
        "CDR.2020-01-01_00-00-02.log/../../secret.txt",
        "\u{ff0e}\u{ff0e}/secret.txt",
    ]
    .iter()
    .map(|name| format!("/openvidu/cdr/{name}"))
    .collect();
    paths.push(format!("/openvidu/cdr/../{NAME}"));
    paths.push(format!("/openvidu/cdr/{secret}"));
    paths.push("/openvidu/../secret.txt".to_owned());
    for path in paths {
        let answer = daemon.connect().request("GET", &path, &[]);
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
        assert!(!answer.text().contains("secret"), "{path}: {answer:?}");
    }
    let names: Vec<String> =
        serde_json::from_slice(&daemon.connect().get("/openvidu/cdr").body).unwrap();
    assert_eq!(names.len(), 1, "only the file of this run is a file: {names:?}");
    daemon.terminate();
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_a_file(directory.path(), b"0123456789\n");
    let path = format!("/openvidu/cdr/{NAME}");
    let file = std::fs::File::options().append(true).open(directory.path().join(NAME)).unwrap();
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    file.set_modified(hour_ago).unwrap();
    let mut client = daemon.connect();
    let first = client.get(&path);
    let tag = first.header("etag").unwrap().to_owned();
    let time = first.header("last-modified").unwrap().to_owned();
    let mut ask = |headers: &[(&str, &str)]| {
        let answer = client.request("GET", &path, headers);
        (answer.status, answer.body.len())
    };
    assert_eq!(ask(&[("If-None-Match", &tag)]), (304, 0));
    assert_eq!(ask(&[("If-None-Match", "\"other\"")]), (200, 11));
    assert_eq!(ask(&[("If-Modified-Since", &time)]), (304, 0));
    assert_eq!(ask(&[("If-Match", "\"other\"")]).0, 412);
    assert_eq!(ask(&[("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT")]).0, 412);
    let part = ("Range", "bytes=3-5");
    assert_eq!(ask(&[part, ("If-Range", &tag)]), (206, 3));
    assert_eq!(ask(&[part, ("If-Range", "\"other\"")]), (200, 11));
    assert_eq!(ask(&[part, ("If-Match", &tag)]), (206, 3));
    // A line more: another file, which the time alone cannot tell within its second.
    std::io::Write::write_all(&mut &file, b"x\n").unwrap();
    assert_eq!(ask(&[("If-None-Match", &tag)]), (200, 13));
    assert_eq!(ask(&[part, ("If-Range", &tag)]), (200, 13));
    let live = client.get(&path);
    assert_eq!(live.header("last-modified"), None, "it may change within this second");
    assert_ne!(live.header("etag"), Some(tag.as_str()));
    daemon.terminate();
}

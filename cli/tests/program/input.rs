//! What goes in: files, standard input, and every kind of line.

use std::fs;
use std::io::Write;
use std::time::Duration;

use crate::common::{CDR, WEBHOOKS, body, cdr, line, lines, rejects};
use crate::run::{append, end, run, run_with, start, wait_for};

const WEBHOOKS_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/webhooks.jsonl");

#[test]
fn a_file_of_bodies_becomes_its_cdr_lines() {
    let directory = tempfile::tempdir().unwrap();
    let ended =
        run(append(directory.path()).arg(WEBHOOKS_PATH)).expect(0, &["51 lines, 0 rejected"]);
    assert_eq!(cdr(directory.path()), CDR);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_directory_that_is_not_there_is_created() {
    let directory = tempfile::tempdir().unwrap();
    let nested = directory.path().join("opt/openvidu/cdr");
    run(append(&nested).arg(WEBHOOKS_PATH)).expect(0, &[nested.to_str().unwrap()]);
    assert_eq!(cdr(&nested), CDR);
}

#[test]
fn standard_input_is_read_where_no_file_is_given_and_where_a_dash_is() {
    for arguments in [&[][..], &["-"]] {
        let directory = tempfile::tempdir().unwrap();
        run_with(append(directory.path()).args(arguments), WEBHOOKS.as_bytes()).expect(0, &[]);
        assert_eq!(cdr(directory.path()), CDR);
    }
}

#[test]
fn several_files_and_standard_input_come_in_the_order_in_which_they_are_given() {
    let directory = tempfile::tempdir().unwrap();
    let paths = [0, 2].map(|number| {
        let path = directory.path().join(format!("{number}.jsonl"));
        // No line feed at the end: the last line of a file is a line of its own all the same.
        fs::write(&path, body(number)).unwrap();
        path
    });
    let target = directory.path().join("cdr");
    let mut command = append(&target);
    command.arg(&paths[0]).arg("-").arg(&paths[1]);
    run_with(&mut command, body(1).as_bytes()).expect(0, &["3 lines"]);
    assert_eq!(cdr(&target), lines(3));
}

#[test]
fn no_body_at_all_is_no_error() {
    for input in ["", "\n", "\r\n\n\r\n"] {
        let directory = tempfile::tempdir().unwrap();
        run_with(&mut append(directory.path()), input.as_bytes())
            .expect(0, &["0 lines, 0 rejected"]);
        assert_eq!(cdr(directory.path()), "");
    }
}

#[test]
fn line_ends_of_both_kinds_are_taken_off_and_empty_lines_are_skipped() {
    let (one, two) = (body(0), body(1));
    let inputs = [
        format!("{one}\n{two}\n"),
        format!("{one}\n{two}"),
        format!("{one}\r\n{two}\r\n"),
        format!("{one}\r\n{two}\r"),
        format!("\n\n{one}\n\r\n\n{two}\n\n"),
    ];
    for input in inputs {
        let directory = tempfile::tempdir().unwrap();
        run_with(&mut append(directory.path()), input.as_bytes()).expect(0, &["2 lines"]);
        assert_eq!(cdr(directory.path()), lines(2), "{input:?}");
    }
}

#[test]
fn a_line_above_the_limit_is_rejected_whole_and_its_neighbours_are_not() {
    // Once a limit below the block that is read at once, and once a line of several blocks.
    for (arguments, length) in [(&["--event-bytes-max", "1000"][..], 1001), (&[], 5 << 20)] {
        let directory = tempfile::tempdir().unwrap();
        let frame = r#"{"event":"e","p":""}"#.len();
        let long = format!(r#"{{"event":"e","p":"{}"}}"#, "p".repeat(length - frame));
        let input = format!("{}\n{long}\n{}\n", body(0), body(1));
        run_with(append(directory.path()).args(arguments), input.as_bytes())
            .expect(3, &["2 lines, 1 rejected"]);
        assert_eq!(cdr(directory.path()), lines(2));
        let records = rejects(directory.path());
        assert_eq!((records.len(), &records[0]["reason"]), (1, &"too_large".into()));
        assert!(records[0]["body"] == long.as_str(), "the body was changed");
    }
}

#[test]
fn a_larger_limit_takes_larger_bodies() {
    let directory = tempfile::tempdir().unwrap();
    let long = format!(r#"{{"event":"e","p":"{}"}}"#, "p".repeat(3 << 20));
    run_with(append(directory.path()).args(["--event-bytes-max", "4194304"]), long.as_bytes())
        .expect(0, &["1 line,"]);
    assert_eq!(cdr(directory.path()).len(), long.len() - 6 + 1);
}

#[test]
fn tens_of_thousands_of_bodies_come_out_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bodies.jsonl");
    fs::write(&path, (0..50_000).map(|number| body(number) + "\n").collect::<String>()).unwrap();
    let target = directory.path().join("cdr");
    run(append(&target).arg(&path)).expect(0, &["50,000 lines"]);
    assert!(cdr(&target) == lines(50_000), "lines are missing, doubled or out of order");
}

#[test]
fn a_line_is_in_the_cdr_while_its_writer_goes_on_and_half_a_line_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(&mut append(directory.path()));
    let mut writer = child.stdin.take().unwrap();
    for number in 0..5 {
        for part in (body(number) + "\n").as_bytes().chunks(40) {
            writer.write_all(part).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        // Pipes and half a body are open here; the line that was ended is there all the same.
        writer.write_all(&body(number + 1).as_bytes()[..10]).unwrap();
        let expected = lines(number + 1);
        wait_for("the line", || (cdr(directory.path()) == expected).then_some(()));
        writer.write_all(b"\n").unwrap();
    }
    writer.write_all(body(5).as_bytes()).unwrap();
    drop(writer);
    end(child).expect(3, &["6 lines, 5 rejected"]);
    assert_eq!(cdr(directory.path()), lines(5) + &line(5));
}

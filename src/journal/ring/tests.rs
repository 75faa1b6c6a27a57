//! Tests of the module above.

use super::*;

fn plain_ring(segment_count: usize, segment_bytes: usize) -> (RingWriter, RingReader) {
    let segments = (0..segment_count).map(|_| Segment::plain(segment_bytes)).collect();
    ring(segments, segment_bytes, 3, 100)
}

fn put(write: &mut RingWriter, line: &[u8]) -> bool {
    if !write.ensure_room(line.len()) {
        return false;
    }
    write.spare()[..line.len()].copy_from_slice(line);
    write.advance(line.len());
    write.commit();
    true
}

#[test]
fn bytes_come_out_as_they_went_in_and_only_when_published() {
    let (mut write, mut read) = plain_ring(2, 16);
    assert!(put(&mut write, b"one\n"));
    assert!(read.pending().is_empty());
    write.publish();
    assert_eq!(read.pending(), b"one\n");
    read.consume(2);
    assert_eq!(read.pending(), b"e\n");
    assert_eq!((write.position(), read.position()), (104, 102));
}

#[test]
fn a_line_that_does_not_fit_goes_whole_to_the_next_segment() {
    let (mut write, mut read) = plain_ring(2, 8);
    assert!(put(&mut write, b"12345\n"));
    assert!(put(&mut write, b"abcde\n"));
    write.publish();
    assert_eq!(read.pending(), b"12345\n");
    assert!(read.segment_is_full());
    read.consume(6);
    assert_eq!(read.pending(), b"abcde\n");
    assert!(!read.segment_is_full());
}

#[test]
fn a_full_ring_says_so_and_goes_on_once_a_segment_is_read() {
    let (mut write, mut read) = plain_ring(2, 8);
    assert!(put(&mut write, b"1234567\n"));
    assert!(put(&mut write, b"abcdefg\n"));
    assert!(!put(&mut write, b"x\n"));
    assert!(write.spare().is_empty());
    read.consume(8);
    assert_eq!(read.pending(), b"abcdefg\n");
    assert!(put(&mut write, b"x\n"));
    write.publish();
    read.consume(8);
    assert_eq!(read.pending(), b"x\n");
}

#[test]
fn a_line_that_was_read_in_part_can_be_read_again() {
    let (mut write, mut read) = plain_ring(2, 32);
    assert!(put(&mut write, b"one\n") && put(&mut write, b"three\n"));
    write.publish();
    read.consume(7);
    assert_eq!(read.unfinished_line_bytes(), 3);
    read.rewind(3);
    assert_eq!(read.unfinished_line_bytes(), 0);
    assert_eq!(read.pending(), b"three\n");
}

#[test]
fn a_line_that_goes_on_in_the_next_segment_is_one_line() {
    let (mut write, mut read) = plain_ring(2, 8);
    for part in [b"1234", b"5678", b"abcd", b"e\nfg"] {
        assert!(put(&mut write, part));
    }
    assert!(!read.is_in_line());
    write.publish();
    assert_eq!(read.pending(), b"12345678");
    read.consume(8);
    assert!(read.is_in_line());
    assert_eq!(read.pending(), b"abcde\nfg");
    assert!(read.is_in_line());
    assert_eq!(read.unfinished_line_bytes(), 0);
    read.consume(2);
    read.rewind(2);
    assert!(read.is_in_line());
    read.consume(6);
    assert!(!read.is_in_line());
}

#[test]
#[should_panic(expected = "advance over more than the spare bytes")]
fn what_there_is_no_room_for_is_not_advanced_over() {
    plain_ring(2, 8).0.advance(9);
}

#[test]
#[should_panic(expected = "consume of more than is pending")]
fn what_is_not_pending_is_not_consumed() {
    plain_ring(2, 8).1.consume(1);
}

#[test]
#[should_panic(expected = "a rewind out of the segment")]
fn what_was_not_consumed_does_not_become_pending_again() {
    plain_ring(2, 8).1.rewind(1);
}

#[test]
#[should_panic(expected = "a ring without segments")]
fn a_ring_has_a_segment() {
    plain_ring(0, 8);
}

#[test]
fn a_line_larger_than_a_segment_never_fits() {
    let (mut write, _read) = plain_ring(2, 8);
    assert!(!put(&mut write, b"123456789"));
    assert!(put(&mut write, b"1"));
}

#[test]
fn a_hundred_thousand_lines_cross_a_small_ring_between_two_threads() {
    let lines_count = if cfg!(miri) { 200 } else { 100_000 };
    let (mut write, mut read) = plain_ring(3, 64);
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"end\n") {
            let pending = read.pending();
            bytes.extend_from_slice(pending);
            let taken = pending.len();
            read.consume(taken);
            if taken == 0 {
                std::thread::yield_now();
            }
        }
        bytes
    });
    let mut expected = Vec::new();
    for number in 0..lines_count {
        let line =
            if number + 1 == lines_count { "end\n".to_owned() } else { format!("{number}\n") };
        while !put(&mut write, line.as_bytes()) {
            std::thread::yield_now();
        }
        write.publish();
        expected.extend_from_slice(line.as_bytes());
    }
    assert!(reader.join().unwrap() == expected, "lines were lost, doubled or mixed up");
}

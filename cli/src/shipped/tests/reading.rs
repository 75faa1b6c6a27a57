//! In which order lines come, what is read for a time, and what is told.

use super::*;
use crate::shipped::begin_of_last_lines;

#[test]
fn lines_of_several_nodes_come_in_the_order_of_their_effective_times() {
    let store = Counting::new();
    let (mut a, mut b) = (Node::new(&store, "a"), Node::new(&store, "b"));
    let at = |minute: i64| DAY_0 + minute * MINUTE;
    // The third is late by an hour: it stays where it is in its node, and is of the time of its block.
    a.ship(&[at(1), at(5)], at(6), Some(at(6)));
    a.ship(&[at(-60), at(8)], at(9), Some(at(9)));
    // A clock that is a year ahead holds up nobody.
    b.ship(&[at(2), at(500_000), at(3)], at(4), Some(at(4)));
    b.ship(&[at(7)], at(8), Some(at(8)));
    let (lines, told) = read(&store, &all());
    let expected = [
        (0, at(1)),
        (1, at(2)),
        // Of the time of the cut.
        (1, at(500_000)),
        (1, at(3)),
        (0, at(5)),
        (0, at(-60)),
        (1, at(7)),
        (0, at(8)),
    ];
    assert_eq!(lines, expected);
    assert_eq!(told, []);
}

#[test]
fn one_node_or_all_are_read_and_an_unknown_one_is_named() {
    let store = Counting::new();
    for (node, minute) in [("a", 1), ("b", 2), ("c", 3)] {
        Node::new(&store, node).ship(&[DAY_0 + minute], DAY_0 + MINUTE, None);
    }
    let only = |nodes: &[&str]| Selection {
        nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
        ..Selection::default()
    };
    assert_eq!(read(&store, &all()).0.len(), 3);
    assert_eq!(read(&store, &only(&["c", "a"])).0, [(0, DAY_0 + 1), (1, DAY_0 + 3)]);
    let failure = open(&store, &only(&["x"])).err().unwrap().to_string();
    assert!(failure.contains("no node \"x\"; there are a, b, c"), "{failure}");
}

#[test]
fn holes_gaps_and_changed_lines_are_told_and_the_rest_is_read() {
    let store = Counting::new();
    let mut node = Node::new(&store, "a");
    for minute in 1..=9 {
        let at = DAY_0 + minute * MINUTE;
        node.ship(&[at], at, Some(at));
    }
    node.ship_block(Vec::new(), |fields| {
        (fields.kind, fields.lines, fields.cut) = (Kind::Gap, 0, DAY_0 + HOUR);
        let reason = "it was removed".to_owned();
        fields.missing = Some(crate::ship::Missing {
            file: Some("CDR.lost.log".to_owned()),
            offset: 7,
            reason,
            files: Vec::new(),
        });
    });
    for seq in [2, 5, 6] {
        store.remove(&format!("lines/a/{seq:016}.jsonl.zst"));
    }
    // Another block with this header, as somebody who can write to the store makes it.
    let lines = node.objects.block(&node.chain, 9).unwrap().unwrap();
    let changed = Block { body: lines.body.to_ascii_uppercase(), ..lines };
    store.remove("lines/a/0000000000000009.jsonl.zst");
    let answer = node.objects.append(None, &changed);
    assert!(matches!(answer, Answer::Appended), "{answer:?}");
    let shipped = open(&store, &all()).unwrap();
    let mut merged = Merged::new(shipped.blocks, Stream::Lines).unwrap();
    let mut count = 0;
    while merged.next_line().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 6);
    let told: Vec<_> = merged.take_remarks().into_iter().map(|it| (it.is_fault, it.text)).collect();
    let chain = "the lines of node a";
    let expected = [
        (true, format!("block 2 of {chain} is missing")),
        (true, format!("blocks 5 to 6 of {chain} are missing")),
        (true, format!("the lines of block 9 of {chain} are not those that were shipped")),
        (false, format!("before block 10 of {chain}: CDR.lost.log from byte 7 on: it was removed")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_block_that_does_not_follow_the_one_before_is_told() {
    let store = Counting::new();
    let mut node = Node::new(&store, "a");
    let first = node.ship(&[DAY_0], DAY_0, None);
    node.ship(&[DAY_0 + 1], DAY_0 + 1, None);
    // A second writer of the name.
    node.last = Some(first);
    store.remove("lines/a/0000000000000002.jsonl.zst");
    let other = node.cut(b"{\"event\":{\"timestamp\":7}}\n".to_vec(), |fields| {
        fields.prev = Hash::of(b"another");
    });
    node.append(&other);
    let told = read(&store, &all()).1;
    let text = "block 2 of the lines of node a does not follow the one before".to_owned();
    assert_eq!(told, [InputRemark::fault(text)]);
}

#[test]
fn only_blocks_of_the_wanted_time_are_read() {
    let store = Counting::new();
    for name in ["a", "b"] {
        let mut node = Node::new(&store, name);
        for hour in 0..100 {
            let cut = DAY_0 + hour * HOUR;
            node.ship(&[cut - MINUTE], cut, Some(cut));
        }
    }
    store.take_read();
    let (since, until) = (DAY_0 + 40 * HOUR, DAY_0 + 50 * HOUR);
    let (lines, told) = read(&store, &of_time(since, until));
    assert_eq!(told, []);
    let hours = |node: usize| lines.iter().filter(|line| line.0 == node).count();
    // An hour more at both ends, for what is late.
    assert_eq!((hours(0), hours(1)), (13, 13));
    for hour in 40..50 {
        assert!(lines.contains(&(0, DAY_0 + hour * HOUR - MINUTE + HOUR)), "{hour}");
    }
    // The wanted ones, and those of the search for the first one.
    let read = store.take_read().len();
    assert!(read < 2 * (13 + 10), "{read} objects were read");
}

#[test]
fn the_last_lines_of_all_nodes_are_found_without_reading_the_rest() {
    let store = Counting::new();
    let mut busy = Node::new(&store, "busy");
    for minute in 0..300 {
        let at = DAY_0 + minute * MINUTE;
        busy.ship(&[at, at + 1], at + 2, Some(at));
    }
    // Its last line is older than most of the other's.
    Node::new(&store, "idle").ship(&[DAY_0 + 297 * MINUTE + 500], DAY_0 + 298 * MINUTE, None);
    let last = |count: u64| {
        let shipped = open(&store, &all()).unwrap();
        let begun = begin_of_last_lines(shipped.blocks, Stream::Lines, count, |_| true);
        let (mut merged, before) = begun.unwrap();
        let lines = read_merged(&mut merged).0;
        lines[usize::try_from(before).unwrap()..].to_vec()
    };
    let everything = read(&store, &all()).0;
    for count in [1, 2, 4, 5, 6, 30, 601, 700] {
        let expected = &everything[everything.len().saturating_sub(count as usize)..];
        assert_eq!(last(count), expected, "the last {count}");
    }
    store.take_read();
    last(5);
    let read = store.take_read().len();
    assert!(read < 30, "{read} objects were read");
}

#[test]
fn a_reader_that_follows_gets_what_comes_and_new_nodes_too() {
    let store = Counting::new();
    let mut a = Node::new(&store, "a");
    a.ship(&[DAY_0], DAY_0, None);
    let shipped = open(&store, &all()).unwrap();
    let mut merged = Merged::new(shipped.blocks, Stream::Lines).unwrap();
    assert_eq!(read_merged(&mut merged).0, [(0, DAY_0)]);
    merged.look_again(&[]).unwrap();
    assert_eq!(read_merged(&mut merged).0, []);
    a.ship(&[DAY_0 + 1, DAY_0 + 2], DAY_0 + 3, None);
    Node::new(&store, "b").ship(&[DAY_0 + 1], DAY_0 + 3, None);
    merged.look_again(&[]).unwrap();
    assert_eq!(read_merged(&mut merged).0, [(0, DAY_0 + 1), (1, DAY_0 + 1), (0, DAY_0 + 2)]);
}

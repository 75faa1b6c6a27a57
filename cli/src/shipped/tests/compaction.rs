//! What compaction makes, keeps and removes.

use super::*;

/// Two nodes of three days, with a block each hour.
fn record() -> (Counting, [Node; 2]) {
    let store = Counting::new();
    let nodes = ["a", "b"].map(|name| {
        let mut node = Node::new(&store, name);
        for hour in 0..60 {
            let cut = DAY_0 + hour * HOUR;
            node.ship(&[cut - 2 * MINUTE, cut - MINUTE], cut, Some(cut));
        }
        node
    });
    (store, nodes)
}

fn count(store: &Counting, prefix: &str) -> usize {
    store.names().iter().filter(|(name, _)| name.starts_with(prefix)).count()
}

/// The clock of the machine, by which the store dates what it gets.
fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

#[test]
fn days_that_are_over_are_one_object_each_and_everything_is_read_as_before() {
    let (store, [mut a, mut b]) = record();
    let before = read(&store, &all());
    assert_eq!((a.compact(now()), b.compact(now())), (2, 2));
    assert_eq!((count(&store, "days/lines/a/"), count(&store, "lines/a/")), (2, 60));
    assert_eq!(read(&store, &all()), before);
    assert_eq!(a.compact(now()), 0, "it is done");
    // A day later the small ones go, but for those of the day that is not over.
    assert_eq!(b.compact(now() + DAY + MINUTE), 2);
    assert_eq!((count(&store, "days/lines/b/"), count(&store, "lines/b/")), (2, 12));
    assert_eq!(read(&store, &all()), before);
}

#[test]
fn an_object_of_a_day_is_decompressed_to_all_its_lines() {
    let (store, [mut a, _]) = record();
    a.compact(now());
    let object = store.read_object("days/lines/a/0000000000000001.jsonl.zst");
    let lines = zstd::decode_all(object.as_slice()).unwrap();
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), 2 * 24);
}

#[test]
fn the_tail_is_right_whatever_was_removed() {
    let (store, [mut a, _]) = record();
    let last = a.last.clone();
    a.compact(now());
    a.compact(now() + 2 * DAY);
    assert_eq!(count(&store, "lines/a/"), 12);
    // A shipper that starts anew.
    let mut objects = store.objects();
    assert_eq!(objects.tail(&a.chain).unwrap(), last);
    let oldest = Destination::header(&mut objects, &a.chain, 1).unwrap().unwrap();
    assert!(oldest.follows(None));
    // It goes on, and nothing can be put in the place of what was compacted.
    a.objects = objects;
    let next = a.ship(&[DAY_0 + 70 * HOUR], DAY_0 + 70 * HOUR, None);
    assert_eq!(store.objects().tail(&a.chain).unwrap(), Some(next));
    // All small ones may be lost: what a day has is known.
    let names = store.names();
    let small = names.iter().filter(|(name, _)| name.starts_with("lines/a/"));
    small.for_each(|(name, _)| store.remove(name));
    assert_eq!(store.objects().tail(&a.chain).unwrap().unwrap().fields.seq, 48);
}

#[test]
fn compaction_asks_hardly_more_of_an_old_record_than_of_a_young_one() {
    let store = Counting::new();
    let mut node = Node::new(&store, "a");
    let mut gets_of_days = Vec::new();
    for day in 0..60 {
        let midnight = DAY_0 + day * DAY;
        for cut in [midnight + HOUR, midnight + 2 * HOUR] {
            node.ship(&[cut - MINUTE], cut, Some(cut));
        }
        // A process that knows nothing of the days before.
        node.objects = store.objects();
        store.take_requests();
        node.compact(now() + 2 * DAY);
        gets_of_days.push(store.take_requests().gets);
    }
    assert_eq!((count(&store, "days/lines/a/"), count(&store, "lines/a/")), (59, 2));
    // Two more looks at an index for twice as many days.
    assert!(gets_of_days[59] <= gets_of_days[7] + 6, "{gets_of_days:?}");
}

#[test]
fn a_copy_of_a_block_that_arrives_after_compaction_does_no_harm() {
    let (store, [mut a, _]) = record();
    let before = read(&store, &all());
    let late = a.objects.block(&a.chain, 7).unwrap().unwrap();
    a.compact(now());
    a.compact(now() + 2 * DAY);
    let answer = store.objects().append(None, &late);
    assert!(matches!(answer, Answer::Appended), "its name was free: {answer:?}");
    assert_eq!(read(&store, &all()), before);
    assert_eq!(store.objects().tail(&a.chain).unwrap(), a.last);
    // It goes with the next round.
    assert_eq!(count(&store, "lines/a/"), 13);
    a.compact(now() + 2 * DAY);
    assert_eq!(count(&store, "lines/a/"), 12);
}

#[test]
fn a_foreign_block_in_a_compacted_place_is_not_read_and_not_removed() {
    let (store, [mut a, _]) = record();
    let before = read(&store, &all());
    a.compact(now());
    a.compact(now() + 2 * DAY);
    let name = "lines/a/0000000000000007.jsonl.zst";
    store.write_object(name, b"of somebody else".to_vec());
    assert_eq!(read(&store, &all()), before);
    let failure = a.objects.compact(&a.chain, now() + 2 * DAY).unwrap_err().to_string();
    assert!(failure.contains(name) && failure.contains("it is kept"), "{failure}");
}

#[test]
fn nothing_is_removed_for_the_sake_of_a_damaged_day() {
    let (store, [mut a, _]) = record();
    a.compact(now());
    let name = "days/lines/a/0000000000000001.jsonl.zst";
    let mut object = store.read_object(name);
    let last = object.len() - 20;
    object[last] ^= 1;
    store.write_object(name, object);
    let failure = a.objects.compact(&a.chain, now() + 2 * DAY).unwrap_err().to_string();
    assert!(failure.contains("is damaged, so the small objects are kept"), "{failure}");
    assert_eq!(count(&store, "lines/a/"), 60);
}

#[test]
fn a_chain_with_a_hole_is_not_compacted_over_it() {
    let (store, [mut a, _]) = record();
    store.remove("lines/a/0000000000000030.jsonl.zst");
    let done = a.objects.compact(&a.chain, now()).unwrap();
    assert!(done.is_some_and(|done| done.contains("blocks 1 to 24")), "the first day is whole");
    // The tail is before the hole, and nothing after it counts.
    assert_eq!(store.objects().tail(&a.chain).unwrap().unwrap().fields.seq, 29);
    assert_eq!(a.objects.compact(&a.chain, now()).unwrap(), None);
}

#[test]
fn two_that_compact_at_once_make_one_chain_of_days() {
    let (store, [mut a, _]) = record();
    let mut other = Node { objects: store.objects(), last: a.last.clone(), chain: a.chain.clone() };
    assert!(other.objects.compact(&a.chain, now()).unwrap().is_some());
    assert_eq!((a.compact(now()), other.compact(now())), (1, 0));
    assert_eq!(count(&store, "days/lines/a/"), 2);
    assert_eq!(read(&store, &all()).1, []);
}

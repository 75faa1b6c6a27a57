//! A month of 1 000 nodes, in memory: how many objects, requests and bytes that is.
//!
//! A block each minute would be 43 million: here a node has `CDRLOG_SCALE_BLOCKS` of them a day (6 by
//! default), and what depends on that number is told apart from what does not. docs/scale.md has the
//! figures.

use std::time::Instant;

use super::*;

const NODES: usize = 1000;
const DAYS: i64 = 30;

fn today() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap().div_euclid(DAY) * DAY
}

#[test]
#[ignore = "takes minutes: cargo test -p cdrlog-cli --features ship --lib thousand_nodes -- --ignored --nocapture"]
fn a_month_of_a_thousand_nodes_is_read_a_day_at_a_time() {
    let blocks = std::env::var("CDRLOG_SCALE_BLOCKS").map_or(6, |text| text.parse().unwrap());
    simulate(NODES, DAYS, blocks);
}

#[test]
fn a_day_of_several_nodes_is_read_without_the_days_around_it() {
    simulate(20, 5, 4);
}

fn simulate(nodes: usize, days: i64, blocks: i64) {
    let (store, begin, started) = (Counting::new(), today(), Instant::now());
    let mut shippers: Vec<_> =
        (0..nodes).map(|index| Node::new(&store, &format!("node-{index:04}"))).collect();
    let mut small_max = 0;
    let mut shipped = store::Requests::default();
    let mut compacted = store::Requests::default();
    for day in 0..days {
        let midnight = begin + day * DAY;
        for node in &mut shippers {
            for block in 1..=blocks {
                let cut = midnight + block * DAY / (blocks + 1);
                node.ship(&[cut - 3, cut - 2, cut - 1], cut, Some(cut));
            }
        }
        add(&mut shipped, store.take_requests());
        small_max = small_max.max(store.names().len());
        for node in &mut shippers {
            node.compact(midnight + DAY + HOUR);
        }
        add(&mut compacted, store.take_requests());
    }
    let names = store.names();
    let of_days = names.iter().filter(|(name, _)| name.starts_with("days/")).count();
    let bytes: u64 = names.iter().map(|(_, bytes)| bytes).sum();
    let per_node_day = |count: u64| count as f64 / (nodes as f64 * days as f64);
    println!("{nodes} nodes, {days} days, {blocks} blocks a day: {:.0?}", started.elapsed());
    println!("shipping: {shipped:?}, {:.1} puts a node and day", per_node_day(shipped.puts));
    println!("compaction: {compacted:?}");
    println!("objects: {} at the end, {of_days} of days, {small_max} at most", names.len());
    println!("bytes: {bytes}");

    // One object for each day of each node that is over.
    assert_eq!(of_days, nodes * (days as usize - 1));
    // Of the last two days only there are small ones.
    assert!(names.len() - of_days <= nodes * 2 * blocks as usize, "{}", names.len());

    store.take_read();
    let wanted = begin + (days / 2) * DAY;
    let (lines, told) = read(&store, &of_time(wanted + HOUR, wanted + DAY - HOUR));
    let requests = store.take_requests();
    println!("a day: {} lines by {requests:?}", lines.len());
    assert_eq!(told, []);
    let of_day = lines.iter().filter(|(_, at)| (wanted..wanted + DAY).contains(at)).count();
    assert_eq!(of_day, nodes * 3 * blocks as usize);
    // A block may hold lines from when the one before is complete on.
    assert!(lines.len() <= nodes * 3 * (blocks as usize + 1), "{} lines", lines.len());
    assert!(lines.is_sorted_by_key(|(_, at)| *at));
    // A few requests to find the day of a node, and one to read it.
    let each = |count: u64| count as f64 / nodes as f64;
    assert!(each(requests.lists) <= 2.1, "{requests:?}");
    assert!(each(requests.gets) <= 16.0, "{requests:?}");
    assert_eq!(requests.puts + requests.deletes, 0, "reading changes nothing");
}

fn add(sum: &mut store::Requests, more: store::Requests) {
    sum.puts += more.puts;
    sum.gets += more.gets;
    sum.bytes_read += more.bytes_read;
    sum.lists += more.lists;
    sum.deletes += more.deletes;
}

//! A record in memory: how it is read, what is told of it, and what compaction leaves of it.

mod compaction;
mod reading;
mod scale;
mod store;

use cdrlog::manifest::Hash;

use super::{Connections, Merged, Selection, Shipped, nodes};
use crate::input_remark::InputRemark;
use crate::ship::{
    Answer, Block, Chain, Destination, Failure, Fields, Header, Kind, Objects, Record, Stream,
    header_for_tests,
};
use store::Counting;

/// 2026-11-01, in milliseconds since 1970.
const DAY_0: i64 = 1_793_491_200_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const FILE: &str = "CDR.2026-11-01_00-00-00.log";

/// The shipper of one chain, without its files.
struct Node {
    objects: Objects,
    last: Option<Header>,
    chain: Chain,
}

impl Node {
    fn new(store: &Counting, name: &str) -> Self {
        let chain = Chain { node: name.to_owned(), stream: Stream::Lines };
        Self { objects: store.objects(), last: None, chain }
    }

    /// Ships events of these times in a block that is cut at `cut`.
    fn ship(&mut self, times: &[i64], cut: i64, through: Option<i64>) -> Header {
        let line = |at: &i64| format!("{{\"event\":{{\"timestamp\":{at}}}}}\n");
        let body: String = times.iter().map(line).collect();
        let lines = times.len() as u64;
        self.ship_block(body.into_bytes(), |fields| {
            (fields.lines, fields.cut, fields.through) = (lines, cut, through);
        })
    }

    fn ship_block(&mut self, body: Vec<u8>, change: impl FnOnce(&mut Fields)) -> Header {
        let block = self.cut(body, change);
        self.append(&block);
        block.header
    }

    fn cut(&self, body: Vec<u8>, change: impl FnOnce(&mut Fields)) -> Block {
        let header = header_for_tests(|fields| {
            fields.node.clone_from(&self.chain.node);
            fields.stream = self.chain.stream;
            fields.file = FILE.to_owned();
            fields.local = Hash::of(&body);
            fields.body = fields.local;
            fields.start = 0;
            if let Some(last) = &self.last {
                (fields.seq, fields.prev) = (last.fields.seq + 1, last.id);
                fields.start = last.fields.end;
            }
            fields.end = fields.start + body.len() as u64;
            change(fields);
        });
        Block { header, body }
    }

    fn append(&mut self, block: &Block) {
        let answer = self.objects.append(self.last.as_ref(), block);
        assert!(matches!(answer, Answer::Appended), "{answer:?}");
        self.last = Some(block.header.clone());
    }

    /// Compacts until there is nothing to do. Returns how often something was done.
    fn compact(&mut self, now: i64) -> usize {
        (0..).take_while(|_| self.objects.compact(&self.chain, now).unwrap().is_some()).count()
    }
}

fn open(store: &Counting, selection: &Selection) -> Result<Shipped, Failure> {
    let records = (0..4).map(|_| Box::new(store.objects()) as Box<dyn Record>);
    let mut connections = Connections::of(records.collect());
    let nodes = nodes(&mut connections, Stream::Lines, selection)?;
    Shipped::of(connections, nodes, Stream::Lines, selection)
}

/// The times of all lines with the indices of their nodes, and what was told.
fn read(store: &Counting, selection: &Selection) -> (Vec<(usize, i64)>, Vec<InputRemark>) {
    let shipped = open(store, selection).unwrap();
    read_merged(&mut Merged::new(shipped.blocks, Stream::Lines).unwrap())
}

fn read_merged(merged: &mut Merged) -> (Vec<(usize, i64)>, Vec<InputRemark>) {
    let mut lines = Vec::new();
    while let Some(next) = merged.next_line().unwrap() {
        let event: serde_json::Value = serde_json::from_slice(next.line.bytes()).unwrap();
        lines.push((next.chain, event["event"]["timestamp"].as_i64().unwrap()));
    }
    (lines, merged.take_remarks())
}

fn all() -> Selection {
    Selection::default()
}

fn of_time(since: i64, until: i64) -> Selection {
    Selection { since: Some(since), until: Some(until), ..Selection::default() }
}

//! The blocks of each chain, in order, and what is wrong with them.

use std::mem;
use std::path::PathBuf;

use cdrlog::manifest::Hash;

use super::connections::Connections;
use crate::input_remark::InputRemark;
use crate::ship::{Block, Chain, Failure, Header, Kind, Record, Stream};

/// A chain that is read, up to a block.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) chain: Chain,
    /// The first block that is wanted.
    pub(crate) first: u64,
    /// The last block that there is; 0 if there is none.
    pub(crate) last: u64,
}

/// Lines of one file of one node.
#[derive(Debug)]
pub(crate) struct LinesBlock {
    pub(crate) header: Header,
    pub(crate) body: Vec<u8>,
    /// All that the node took before this time is in the blocks before, in milliseconds since 1970.
    pub(crate) through_before: Option<i64>,
    /// The node and the file.
    pub(crate) path: PathBuf,
    /// No block is missing from this one to here: the first that was asked for, or the one after a hole.
    #[cfg_attr(
        not(feature = "export"),
        expect(dead_code, reason = "for ranges that are exported")
    )]
    pub(crate) row_start: u64,
    /// It follows the block before, and has the lines that were shipped. Else that is told.
    #[cfg_attr(
        not(feature = "export"),
        expect(dead_code, reason = "for ranges that are exported")
    )]
    pub(crate) is_sound: bool,
}

/// How far one reader of a chain is. A chain may have several.
struct Cursor {
    chain: usize,
    next: u64,
    /// The block that was read last.
    before: Option<Header>,
    /// What was fetched ahead: the block `next`.
    ready: Option<Result<Option<Block>, Failure>>,
    /// The first block of a hole that is not told yet.
    hole: Option<u64>,
    /// The block after the last hole, or the first one.
    row_start: u64,
    is_over: bool,
}

/// Which cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CursorId(usize);

/// The chains of a record. Whenever a block must be fetched, blocks of the other chains that are
/// needed soonest are fetched at the same time, one on each connection.
pub(crate) struct Blocks {
    connections: Connections,
    reaches: Vec<Reach>,
    cursors: Vec<Cursor>,
    /// What was taken later is not wanted, in milliseconds since 1970.
    until: Option<i64>,
    remarks: Vec<InputRemark>,
}

impl Blocks {
    pub(crate) const fn new(
        connections: Connections,
        reaches: Vec<Reach>,
        until: Option<i64>,
    ) -> Self {
        Self { connections, reaches, cursors: Vec::new(), until, remarks: Vec::new() }
    }

    pub(crate) fn reaches(&self) -> &[Reach] {
        &self.reaches
    }

    /// The first wanted block of each chain.
    pub(super) fn firsts(&self) -> Vec<u64> {
        self.reaches.iter().map(|reach| reach.first).collect()
    }

    /// Closes all cursors, and begins with the last blocks of each chain, at most `count`, that are
    /// not before those in `wanted`. Returns which chains have others that are wanted.
    pub(super) fn begin_before_end(&mut self, wanted: &[u64], count: u64) -> Vec<bool> {
        self.cursors.clear();
        let begin = |(reach, wanted): (&mut Reach, &u64)| {
            reach.first = (reach.last + 1).saturating_sub(count).max(*wanted);
            reach.first > *wanted
        };
        self.reaches.iter_mut().zip(wanted).map(begin).collect()
    }

    /// Looks how far the chains reach now, and for nodes that came since; `only` these, if there are
    /// any.
    pub(super) fn look_again(&mut self, stream: Stream, only: &[String]) -> Result<(), Failure> {
        for node in self.connections.first().nodes(stream)? {
            let chain = Chain { node, stream };
            let is_known = self.reaches.iter().any(|reach| reach.chain == chain);
            if !is_known && (only.is_empty() || only.contains(&chain.node)) {
                self.reaches.push(Reach { chain, first: 1, last: 0 });
            }
        }
        let chains = self.reaches.iter().map(|reach| reach.chain.clone());
        let chains: Vec<_> = chains.enumerate().collect();
        let ask = |record: &mut dyn Record, _, chain: &Chain| record.last_seq(chain);
        let lasts = self.connections.ask(&chains, ask);
        for (reach, last) in self.reaches.iter_mut().zip(lasts) {
            reach.last = reach.last.max(last?);
        }
        Ok(())
    }

    /// A new cursor, before the block `next` of the chain of this index.
    pub(crate) fn open(&mut self, chain: usize, next: u64) -> CursorId {
        self.open_after(chain, next, None)
    }

    /// The same; the first block must follow `before`, if that is given.
    pub(crate) fn open_after(
        &mut self,
        chain: usize,
        next: u64,
        before: Option<Header>,
    ) -> CursorId {
        let (ready, hole, row_start, is_over) = (None, None, next, false);
        self.cursors.push(Cursor { chain, next, before, ready, hole, row_start, is_over });
        CursorId(self.cursors.len() - 1)
    }

    /// The header of a block of the chain of this index.
    #[cfg(feature = "export")]
    pub(crate) fn header(&mut self, chain: usize, seq: u64) -> Result<Option<Header>, Failure> {
        let reach = self.reaches.get(chain).expect("its index is known");
        let ask = |record: &mut dyn Record, _, seq: &u64| record.header(&reach.chain, *seq);
        let answers = self.connections.ask(&[(chain, seq)], ask);
        answers.into_iter().next().expect("each question has an answer")
    }

    /// Nothing more is read with this cursor.
    pub(crate) fn close(&mut self, id: CursorId) {
        let cursor = self.cursor(id);
        cursor.is_over = true;
        cursor.ready = None;
    }

    /// What should be told of what was read since.
    pub(crate) fn take_remarks(&mut self) -> Vec<InputRemark> {
        mem::take(&mut self.remarks)
    }

    /// The next block with lines; `None` after the last one.
    pub(crate) fn next(&mut self, id: CursorId) -> Result<Option<LinesBlock>, Failure> {
        loop {
            let last = self.reach(id).last;
            let until = self.until;
            let cursor = self.cursor(id);
            let through_before = cursor.before.as_ref().and_then(|it| it.fields.through);
            let is_past = until.is_some_and(|until| through_before.is_some_and(|it| it >= until));
            if cursor.is_over || cursor.next > last || is_past {
                let end = cursor.next;
                self.tell_hole(id, end);
                return Ok(None);
            }
            if cursor.ready.is_none() {
                self.fetch(id);
            }
            let cursor = self.cursor(id);
            let fetched = cursor.ready.take().expect("it was fetched just now");
            let seq = cursor.next;
            // After a failure it is fetched again.
            let fetched = fetched?;
            cursor.next += 1;
            let Some(block) = fetched else {
                cursor.hole.get_or_insert(seq);
                cursor.row_start = seq + 1;
                continue;
            };
            let is_after_hole = cursor.hole.is_some();
            self.tell_hole(id, seq);
            let is_sound = self.check(id, &block, is_after_hole);
            let cursor = self.cursor(id);
            cursor.before = Some(block.header.clone());
            let row_start = cursor.row_start;
            let Block { header, body } = block;
            if header.fields.lines > 0 {
                let path = PathBuf::from(&header.fields.node).join(&header.fields.file);
                return Ok(Some(LinesBlock {
                    header,
                    body,
                    through_before,
                    path,
                    row_start,
                    is_sound,
                }));
            }
        }
    }

    /// Fetches the next block of a cursor, and those of others that are soonest at their end.
    fn fetch(&mut self, id: CursorId) {
        let width = self.connections.len();
        let is_wanted = |(index, cursor): &(usize, &Cursor)| {
            let has_more = self.reaches.get(cursor.chain).is_some_and(|it| cursor.next <= it.last);
            *index != id.0 && !cursor.is_over && cursor.ready.is_none() && has_more
        };
        let mut others: Vec<_> = self.cursors.iter().enumerate().filter(is_wanted).collect();
        others.sort_by_key(|(_, cursor)| cursor.before.as_ref().map(|it| it.fields.cut));
        let mut wanted = vec![id.0];
        wanted.extend(others.iter().take(width - 1).map(|(index, _)| *index));
        let question = |index: &usize| {
            let cursor = self.cursors.get(*index).expect("its index is known");
            (cursor.chain, cursor.next)
        };
        let questions: Vec<(usize, u64)> = wanted.iter().map(question).collect();
        let reaches = &self.reaches;
        let fetch = |record: &mut dyn Record, chain: usize, seq: &u64| {
            let reach = reaches.get(chain).expect("its index is known");
            record.block(&reach.chain, *seq)
        };
        let answers = self.connections.ask(&questions, fetch);
        for (index, answer) in wanted.into_iter().zip(answers) {
            self.cursor(CursorId(index)).ready = Some(answer);
        }
    }

    /// Notes what is wrong with a block, and what is missing before it. False if anything is wrong.
    fn check(&mut self, id: CursorId, block: &Block, is_after_hole: bool) -> bool {
        let Block { header, body } = block;
        let (chain, seq) = (header.chain(), header.fields.seq);
        let before = self.cursor(id).before.as_ref();
        let follows = is_after_hole || before.is_none_or(|before| header.follows(Some(before)));
        if !follows {
            let text = format!("block {seq} of {chain} does not follow the one before");
            self.remarks.push(InputRemark::fault(text));
        }
        let is_as_shipped = Hash::of(body) == header.fields.body;
        if !is_as_shipped {
            let text =
                format!("the lines of block {seq} of {chain} are not those that were shipped");
            self.remarks.push(InputRemark::fault(text));
        }
        if header.fields.kind == Kind::Gap {
            let missing = header.fields.missing.as_ref();
            let what = missing.map_or_else(|| "lines are missing".to_owned(), ToString::to_string);
            self.remarks.push(InputRemark::note(format!("before block {seq} of {chain}: {what}")));
        }
        follows && is_as_shipped
    }

    /// Tells which blocks before `end` are missing.
    fn tell_hole(&mut self, id: CursorId, end: u64) {
        let Some(first) = self.cursor(id).hole.take() else { return };
        let chain = &self.reach(id).chain;
        let text = match end - first {
            1 => format!("block {first} of {chain} is missing"),
            _ => format!("blocks {first} to {} of {chain} are missing", end - 1),
        };
        self.remarks.push(InputRemark::fault(text));
    }

    fn cursor(&mut self, id: CursorId) -> &mut Cursor {
        self.cursors.get_mut(id.0).expect("a cursor that was opened stays")
    }

    fn reach(&self, id: CursorId) -> &Reach {
        let chain = self.cursors.get(id.0).map_or(0, |cursor| cursor.chain);
        self.reaches.get(chain).expect("a cursor is of a chain")
    }
}

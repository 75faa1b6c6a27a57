//! Checks a chain of a shipped record.

use std::path::PathBuf;

use cdrlog::manifest::Hash;
use cdrlog::{LineCheck, LineFault};

use super::file::{Checked, Listener, NobodyListens};
use super::remark::{Kind as Severity, Remark};
use crate::ship::{
    Block, Chain, Failure, Fields, Header, Kind, Record, Stream, Target, Watermark, is_contiguous,
};

/// A record that fails so often in a row cannot be asked any more.
const FAILURES_MAX: u32 = 10;

/// A chain to check.
#[derive(Debug)]
pub(super) struct ChainTask {
    pub(super) target: Target,
    pub(super) chain: Chain,
}

/// Checks every block of a chain, and the lines of each.
pub(super) fn check(
    task: &ChainTask,
    listener: &mut impl Listener,
) -> Result<Checked, NobodyListens> {
    let path = PathBuf::from(format!("{}: {}", task.target, task.chain));
    let mut check = ChainCheck {
        stream: task.chain.stream,
        path,
        listener,
        lines: LineCheck::new(),
        checked: Checked::default(),
        before: None,
        end: None,
        hole: None,
        is_redacted: false,
    };
    match task.target.record() {
        Ok(mut record) => check.run(record.as_mut(), &task.chain)?,
        Err(failure) => check.find("unreadable", failure)?,
    }
    Ok(check.checked)
}

struct ChainCheck<'a, L> {
    stream: Stream,
    path: PathBuf,
    listener: &'a mut L,
    lines: LineCheck,
    checked: Checked,
    /// The block before; `None` if it could not be read.
    before: Option<Header>,
    /// The last block that says where lines go on; `None` if it is not known.
    end: Option<Fields>,
    /// The first of the blocks that are missing.
    hole: Option<u64>,
    /// The bytes of the file are not those that were shipped.
    is_redacted: bool,
}

impl<L: Listener> ChainCheck<'_, L> {
    fn run(&mut self, record: &mut dyn Record, chain: &Chain) -> Result<(), NobodyListens> {
        let asked = record.watermark(chain).and_then(|mark| Ok((mark, record.last_seq(chain)?)));
        let (mark, last) = match asked {
            Ok(asked) => asked,
            Err(failure) => return self.find("unreadable", failure),
        };
        let mut failures = 0;
        for seq in 1..=last {
            match record.block(chain, seq) {
                Ok(Some(block)) => {
                    failures = 0;
                    self.tell_hole(seq)?;
                    self.block(&block)?;
                    self.watermark(mark.as_ref(), &block.header)?;
                    if block.header.fields.lines > 0 || block.header.fields.kind == Kind::Gap {
                        self.end = Some(block.header.fields.clone());
                    }
                    self.before = Some(block.header);
                }
                Ok(None) => {
                    self.hole.get_or_insert(seq);
                    (self.before, self.end) = (None, None);
                }
                Err(Failure(fault)) => {
                    failures += 1;
                    self.find("unreadable", format!("block {seq}: {fault}"))?;
                    (self.before, self.end) = (None, None);
                    if failures == FAILURES_MAX {
                        return self.find("unreadable", format!("the blocks after {seq}: {fault}"));
                    }
                }
            }
        }
        self.tell_hole(last + 1)?;
        if self.is_redacted {
            let message = "the lines were changed by rules before they were shipped: whether they \
                           are those of the files cannot be checked here";
            let remark = Remark::new(Severity::Unchecked, &self.path, "redacted", message);
            self.listener.tell(remark)?;
        }
        Ok(())
    }

    fn tell_hole(&mut self, end: u64) -> Result<(), NobodyListens> {
        let Some(first) = self.hole.take() else { return Ok(()) };
        self.find(
            "block_missing",
            match end - first {
                1 => format!("block {first} is missing"),
                _ => format!("blocks {first} to {} are missing", end - 1),
            },
        )
    }

    fn block(&mut self, block: &Block) -> Result<(), NobodyListens> {
        let seq = block.header.fields.seq;
        for (reason, fault) in self.faults(block) {
            self.find(reason, format!("block {seq} {fault}"))?;
        }
        let fields = &block.header.fields;
        if fields.kind == Kind::Gap {
            let missing = fields.missing.as_ref().map(ToString::to_string).unwrap_or_default();
            let message =
                format!("lines are missing before block {seq}, and that was told: {missing}");
            self.listener.tell(Remark::note(&self.path, "gap", message))?;
        }
        self.is_redacted |= fields.redaction.is_some();
        self.lines(block)?;
        self.checked.bytes += block.body.len() as u64;
        self.listener.read(0)
    }

    /// What is wrong with a block, as its header and the one before tell.
    fn faults(&self, Block { header, body }: &Block) -> Vec<(&'static str, String)> {
        let fields = &header.fields;
        let mut faults = Vec::new();
        let mut find = |is_wrong: bool, reason, fault: &str| {
            if is_wrong {
                faults.push((reason, fault.to_owned()));
            }
        };
        let follows = match &self.before {
            Some(before) => header.follows(Some(before)),
            None => fields.seq > 1 || header.follows(None),
        };
        find(!follows, "chain_broken", "does not follow the one before");
        if let Some(Header { fields: before, .. }) = &self.before {
            let is_late = fields.cut < before.cut || fields.through < before.through;
            find(is_late, "time_goes_back", "was cut before the one before, or says so");
            find(before.kind == Kind::Retired, "after_retired", "comes after the last one");
        }
        let goes_on = self.end.as_ref().is_none_or(|end| is_contiguous(end, fields));
        find(!goes_on, "lines_missing", "begins elsewhere than the one before ends");
        find(Hash::of(body) != fields.body, "body_differs", "has other lines than were shipped");
        let ends = memchr::memchr_iter(b'\n', body).count() as u64;
        let is_torn = !body.is_empty() && !body.ends_with(b"\n");
        let count = ends + u64::from(is_torn);
        find(count != fields.lines, "lines_differ", "has another number of lines than it says");
        find(is_torn != fields.torn, "lines_differ", "says otherwise how its last line ends");
        if fields.redaction.is_none() {
            let differs = fields.local != fields.body;
            find(differs, "local_differs", "says that its lines are not those of the file");
            let bytes = fields.end - fields.start;
            find(bytes != body.len() as u64, "bytes_differ", "has another length than it says");
            let first = memchr::memchr(b'\n', body).and_then(|end| body.get(..=end));
            let is_born =
                fields.start == 0 && first.is_some_and(|first| Hash::of(first) != fields.birth);
            find(is_born, "birth_differs", "begins its file with another line than it says");
        }
        faults
    }

    fn lines(&mut self, block: &Block) -> Result<(), NobodyListens> {
        let mut offset = 0;
        for line in block.body.split_inclusive(|byte| *byte == b'\n') {
            self.checked.lines += 1;
            let checked = match self.stream {
                Stream::Lines => self.lines.line(line),
                Stream::Rejects => self.lines.record(line),
            };
            if let Err(LineFault { reason, offset: at, .. }) = checked {
                let fields = &block.header.fields;
                let message =
                    format!("in block {}, a line of {}: {reason}", fields.seq, fields.file);
                let remark = Remark::finding(&self.path, reason.as_str(), message);
                let byte = fields.start + offset + at as u64;
                self.listener.tell(remark.at(self.checked.lines, byte))?;
            }
            offset += line.len() as u64;
        }
        Ok(())
    }

    /// A watermark must be of the block that it names.
    fn watermark(
        &mut self,
        mark: Option<&Watermark>,
        header: &Header,
    ) -> Result<(), NobodyListens> {
        match mark.filter(|mark| mark.seq == header.fields.seq && mark.id != header.id) {
            Some(mark) => self.find(
                "watermark_differs",
                format!("the watermark is of another block {}", mark.seq),
            ),
            None => Ok(()),
        }
    }

    fn find(&mut self, reason: &'static str, message: impl ToString) -> Result<(), NobodyListens> {
        self.listener.tell(Remark::finding(&self.path, reason, message))
    }
}

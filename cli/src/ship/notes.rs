//! The headers of the blocks that were cut, noted before they are sent.
//!
//! A block is noted, and the note synced, before a destination sees it. So after a crash the same
//! block is sent again instead of another cut of the same lines, and a destination that went back to
//! an older state gets the blocks that it had. Notes are hints: without them the shipper goes on
//! from what the destination has. So on a full disk, blocks are sent that are only remembered: files
//! are kept until they are shipped, and a disk that is full because of that would stay full.

use std::io;

use super::header::Header;

/// How many headers are kept: a week of one block a minute. A destination that goes back further is
/// healed with new cuts.
const HEADERS_MAX: usize = 10_000;

/// How many more are kept before it is tried again to drop the oldest, if that failed.
const HEADERS_MORE: usize = 1000;

/// Keeps the notes of one chain at one destination.
pub(crate) trait NoteStore {
    fn read(&mut self) -> io::Result<Vec<u8>>;

    /// Adds bytes at the end, and syncs them.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Replaces everything at once, and syncs it.
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A row of headers, each of which follows the one before.
#[derive(Debug)]
pub(crate) struct Notes<S> {
    headers: Vec<Header>,
    store: S,
    /// The last write failed: half a line may be at the end, or headers are missing there.
    is_torn: bool,
    /// It failed because the disk is full.
    lacks_room: bool,
    /// The oldest headers are dropped if there are more.
    headers_max: usize,
}

impl<S: NoteStore> Notes<S> {
    /// Reads the notes. A last line that was cut by a crash was never sent, and is dropped.
    pub(crate) fn open(mut store: S) -> io::Result<Self> {
        let bytes = store.read()?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let is_torn = whole < bytes.len();
        let text = std::str::from_utf8(bytes.get(..whole).unwrap_or_default());
        let text = text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut headers: Vec<Header> = Vec::new();
        for line in text.lines() {
            let header = Header::parse(line)
                .map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
            if headers.last().is_some_and(|last| !header.follows(Some(last))) {
                let fault = format!("block {} does not follow the one before", header.fields.seq);
                return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
            }
            headers.push(header);
        }
        Ok(Self { headers, store, is_torn, lacks_room: false, headers_max: HEADERS_MAX })
    }

    pub(crate) fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// Whether the disk is full, so that the last headers are only remembered.
    pub(crate) const fn lacks_room(&self) -> bool {
        self.lacks_room
    }

    /// Notes a block that follows the last one.
    pub(crate) fn append(&mut self, header: Header) -> io::Result<()> {
        if let Some(last) = self.headers.last() {
            assert!(
                header.follows(Some(last)),
                "a block was cut that does not follow the last one"
            );
        }
        let noted = if self.is_torn {
            let mut bytes = lines_of(&self.headers);
            bytes.extend(lines_of(std::slice::from_ref(&header)));
            self.store.replace(&bytes)
        } else {
            self.store.append(&lines_of(std::slice::from_ref(&header)))
        };
        self.written(noted)?;
        self.headers.push(header);
        Ok(())
    }

    /// What became of a write. A full disk is no error.
    fn written(&mut self, written: io::Result<()>) -> io::Result<()> {
        self.is_torn = written.is_err();
        self.lacks_room = written.as_ref().is_err_and(is_full);
        if self.lacks_room { Ok(()) } else { written }
    }

    /// Keeps the first `keep` headers, and notes `others` after them.
    pub(crate) fn replace_after(&mut self, keep: usize, others: Vec<Header>) -> io::Result<()> {
        let mut headers = self.headers.get(..keep).unwrap_or_default().to_vec();
        headers.extend(others);
        let replaced = self.store.replace(&lines_of(&headers));
        self.written(replaced)?;
        self.headers = headers;
        Ok(())
    }

    /// Drops the oldest of the first `acknowledged` headers if there are too many. Returns how many. After
    /// an error all are still there, and it is tried again only after more blocks.
    pub(crate) fn prune(&mut self, acknowledged: usize) -> io::Result<usize> {
        if self.headers.len() <= self.headers_max {
            return Ok(0);
        }
        let dropped = acknowledged.saturating_sub(1).min(HEADERS_MAX / 2);
        let kept = self.headers.get(dropped..).unwrap_or_default();
        if let Err(error) = self.store.replace(&lines_of(kept)) {
            // Whether it was replaced or not: the last header there is the same, and the next one follows.
            self.headers_max = self.headers.len() + HEADERS_MORE;
            return Err(error);
        }
        self.headers.drain(..dropped);
        self.headers_max = HEADERS_MAX;
        self.written(Ok(())).map(|()| dropped)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn lines_of(headers: &[Header]) -> Vec<u8> {
    headers.iter().flat_map(|header| header.text.bytes().chain([b'\n'])).collect()
}

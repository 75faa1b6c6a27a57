//! The headers of the blocks that were cut, noted before they are sent.
//!
//! A block is noted, and the note synced, before a destination sees it. So after a crash the same
//! block is sent again instead of another cut of the same lines, and a destination that went back to
//! an older state gets the blocks that it had. Notes are hints: without them the shipper goes on
//! from what the destination has.

use std::io;

use super::header::Header;

/// How many headers are kept: a week of one block a minute. A destination that goes back further is
/// healed with new cuts.
const HEADERS_MAX: usize = 10_000;

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
    /// The last append failed, so that half a line may be at the end.
    is_torn: bool,
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
        Ok(Self { headers, store, is_torn })
    }

    pub(crate) fn headers(&self) -> &[Header] {
        &self.headers
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
        self.is_torn = noted.is_err();
        noted?;
        self.headers.push(header);
        Ok(())
    }

    /// Keeps the first `keep` headers, and notes `others` after them.
    pub(crate) fn replace_after(&mut self, keep: usize, others: Vec<Header>) -> io::Result<()> {
        let mut headers = self.headers.get(..keep).unwrap_or_default().to_vec();
        headers.extend(others);
        self.store.replace(&lines_of(&headers))?;
        self.headers = headers;
        self.is_torn = false;
        Ok(())
    }

    /// Drops the oldest of the first `acknowledged` headers if there are too many. Returns how many.
    pub(crate) fn prune(&mut self, acknowledged: usize) -> io::Result<usize> {
        if self.headers.len() <= HEADERS_MAX {
            return Ok(0);
        }
        let dropped = acknowledged.saturating_sub(1).min(HEADERS_MAX / 2);
        let kept = self.headers.split_off(dropped);
        let replaced = self.store.replace(&lines_of(&kept));
        self.headers = kept;
        self.is_torn |= replaced.is_err();
        replaced.map(|()| dropped)
    }
}

fn lines_of(headers: &[Header]) -> Vec<u8> {
    headers.iter().flat_map(|header| header.text.bytes().chain([b'\n'])).collect()
}

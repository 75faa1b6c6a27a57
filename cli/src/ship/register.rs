//! How a chain begins: with a block that registers the node, after nobody else has its files.

use super::destination::Destination;
use super::header::{Block, Chain, Fields, Header, Kind, Origin};
use super::notes::NoteStore;
use super::shipper::{End, Shipper};
use super::source::{Cursor, Held, Source};
use super::stop::Stop;

impl<S: NoteStore> Shipper<S> {
    /// The block that begins the chain, or opens it after it was closed; `None` if it is open.
    pub(super) fn registration(
        &mut self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<Option<Block>, End> {
        let fields = match self.acknowledged() {
            Some(last) if last.fields.kind == Kind::Closed && self.rules.opens => {
                self.empty_fields(Cursor::after(last), now)
            }
            Some(_) => return Ok(None),
            None => self.first_fields(source, destination, now)?,
        };
        let header = Header::new(Fields { kind: Kind::Registered, ..fields });
        Ok(Some(Block { header, body: Vec::new() }))
    }

    fn first_fields(
        &self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<Fields, End> {
        let beginning = source.beginning()?;
        let Some((owner, file)) = self.other_owner(source, destination)? else {
            return Ok(self.empty_fields(beginning, now));
        };
        if !self.rules.new_node {
            return Err(Stop::Copied { owner, file }.into());
        }
        let Some(common) = self.common_block(&owner, source, destination)? else {
            return Ok(self.empty_fields(beginning, now));
        };
        let origin = Some(Origin { node: owner, seq: common.fields.seq });
        Ok(Fields { origin, ..self.empty_fields(Cursor::after(&common), now) })
    }

    /// Claims all files. The newest that another node has; without leave for a copy, the oldest, so
    /// that a copy that is refused claims nothing.
    fn other_owner(
        &self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
    ) -> Result<Option<(String, String)>, End> {
        let mut other = None;
        for (file, birth) in source.births()? {
            let owner = destination.claim(birth, &self.chain.node)?;
            if owner != self.chain.node {
                other = Some((owner, file));
                if !self.rules.new_node {
                    break;
                }
            }
        }
        Ok(other)
    }

    /// The last block of another node whose bytes are here.
    fn common_block(
        &self,
        owner: &str,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
    ) -> Result<Option<Header>, End> {
        let chain = Chain { node: owner.to_owned(), stream: self.chain.stream };
        let mut block = destination.tail(&chain)?;
        while let Some(header) = block {
            let fields = &header.fields;
            // A block without lines would fit any file that is long enough; the first one is older than
            // any copy that has its files.
            let can_tell = fields.lines > 0 || (fields.seq == 1 && !fields.file.is_empty());
            let is_here = can_tell
                && match source.find_block(fields)? {
                    Held::Bytes(bytes) => source.is_of(fields, &bytes)?,
                    Held::Removed { .. } | Held::Other(_) => false,
                };
            if is_here {
                return Ok(Some(header));
            }
            block = match fields.seq {
                1 => None,
                seq => destination.header(&chain, seq - 1)?,
            };
        }
        Ok(None)
    }
}

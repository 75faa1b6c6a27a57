//! Reads blocks, out of their own objects or out of those of days.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path as Key;

use super::days::Days;
use super::encoding::{HEADER_BYTES_MAX, decode, header_of};
use super::{Objects, REQUEST_TIMEOUT, number_of, within};
use crate::ship::destination::{Destination, Failure};
use crate::ship::header::{Block, Chain, Header, Stream};
use crate::ship::record::{Record, first_cut_within};
use crate::ship::watermark::Watermark;

impl Objects {
    /// Runs `asking` with what is known of the day objects of a chain.
    pub(super) fn with_days<T>(
        &mut self,
        chain: &Chain,
        asking: impl AsyncFnOnce(&Self, &mut Days) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut days = self.days.remove(chain).unwrap_or_default();
        let answer = self.runtime.block_on(asking(self, &mut days));
        self.days.insert(chain.clone(), days);
        answer
    }

    /// The numbers of all objects after `after` that are blocks.
    async fn seqs_after(&self, chain: &Chain, after: u64) -> Result<BTreeSet<u64>, Failure> {
        let folder = self.folder(chain);
        let names = match after {
            0 => self.store.list(Some(&folder)),
            after => self.store.list_with_offset(Some(&folder), &self.key(chain, after)),
        };
        let names: Vec<_> = within(REQUEST_TIMEOUT, names.try_collect()).await?;
        Ok(names.iter().filter_map(|object| number_of(object.location.filename()?)).collect())
    }

    /// The object of a block, or as much of it as has the header. A block that a day object has is
    /// taken from there: its own object may be removed at any time, or be a late copy.
    pub(super) async fn find_object(
        &self,
        chain: &Chain,
        seq: u64,
        is_whole: bool,
        days: &mut Days,
    ) -> Result<Option<Bytes>, Failure> {
        if let Some(object) = self.compacted(chain, seq, days).await? {
            return Ok(Some(object));
        }
        let key = self.key(chain, seq);
        let object = match is_whole {
            true => self.get(&key).await?,
            false => self.get_range(&key, 0..HEADER_BYTES_MAX as u64).await?,
        };
        // It may have been compacted since the day objects were listed.
        if object.is_none() && days.forget_old_listing() {
            return self.compacted(chain, seq, days).await;
        }
        Ok(object)
    }

    /// The header of a block, wherever it is.
    pub(super) async fn find_header(
        &self,
        chain: &Chain,
        seq: u64,
        days: &mut Days,
    ) -> Result<Option<Header>, Failure> {
        let object = self.find_object(chain, seq, false, days).await?;
        let read =
            |object: Bytes| header_of(&object).map_err(|it| self.unreadable(chain, seq, &it));
        let header = object.map(read).transpose()?;
        header.map(|header| self.expect(header, chain, seq)).transpose()
    }

    fn unreadable(&self, chain: &Chain, seq: u64, fault: &str) -> Failure {
        Failure(format!("cannot read {}: {fault}", self.key(chain, seq)))
    }

    /// The header, if it is that of the block of this number.
    fn expect(&self, header: Header, chain: &Chain, seq: u64) -> Result<Header, Failure> {
        if (&header.chain(), header.fields.seq) == (chain, seq) {
            return Ok(header);
        }
        let fault = format!("it is block {} of {}", header.fields.seq, header.chain());
        Err(self.unreadable(chain, seq, &fault))
    }
}

impl Record for Objects {
    fn nodes(&mut self, stream: Stream) -> Result<Vec<String>, Failure> {
        let folder = self.prefix.clone().join(stream.as_str());
        let listing = self.store.list_with_delimiter(Some(&folder));
        let listed = self.runtime.block_on(within(REQUEST_TIMEOUT, listing))?;
        let name = |folder: Key| folder.filename().map(ToOwned::to_owned);
        Ok(listed.common_prefixes.into_iter().filter_map(name).collect())
    }

    fn watermark(&mut self, chain: &Chain) -> Result<Option<Watermark>, Failure> {
        Destination::watermark(self, chain)
    }

    fn last_seq(&mut self, chain: &Chain) -> Result<u64, Failure> {
        self.with_days(chain, async |objects, days| {
            let compacted = objects.last_compacted(chain, days).await?;
            let seqs = objects.seqs_after(chain, compacted).await?;
            Ok(seqs.last().copied().unwrap_or(compacted))
        })
    }

    fn header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Failure> {
        self.with_days(chain, async |objects, days| objects.find_header(chain, seq, days).await)
    }

    fn block(&mut self, chain: &Chain, seq: u64) -> Result<Option<Block>, Failure> {
        self.with_days(chain, async |objects, days| {
            let Some(object) = objects.find_object(chain, seq, true, days).await? else {
                return Ok(None);
            };
            let Block { header, body } =
                decode(&object).map_err(|fault| objects.unreadable(chain, seq, &fault))?;
            Ok(Some(Block { header: objects.expect(header, chain, seq)?, body }))
        })
    }

    fn first_cut_since(&mut self, chain: &Chain, cut: i64, last_seq: u64) -> Result<u64, Failure> {
        let (compacted, last_compacted) = self.with_days(chain, async |objects, days| {
            let compacted = objects.compacted_since(chain, cut, days).await?;
            Ok((compacted, objects.last_compacted(chain, days).await?))
        })?;
        match compacted {
            Some(seq) => Ok(seq),
            None => first_cut_within(self, chain, cut, last_compacted + 1..last_seq + 1),
        }
    }
}

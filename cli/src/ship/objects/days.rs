//! Finds blocks in day objects.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStoreExt};
use tokio::time::timeout;

use super::day::{Day, INDEX_BYTES_MAX};
use super::{Objects, REQUEST_TIMEOUT, failure, no_answer, number_of, within};
use crate::ship::destination::Failure;
use crate::ship::header::Chain;

/// How many bytes of consecutive blocks are fetched at once, if they are shorter.
const CHUNK_BYTES: u64 = 1 << 20;

/// How old a listing may be if it lacks something.
const LISTED_AGE_MAX: Duration = Duration::from_secs(1);

/// What is known of the day objects of one chain.
#[derive(Default)]
pub(super) struct Days {
    /// How many there are; `None` if they were not listed yet.
    count: Option<u64>,
    listed: Option<Instant>,
    /// The last block of each one whose index was read, and its cut.
    spans: BTreeMap<u64, Span>,
    /// The index that was read last.
    open: Option<(u64, Arc<Day>)>,
    /// Bytes of the day object of this number, from this offset on.
    chunk: Option<(u64, u64, Bytes)>,
}

#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) last: u64,
    last_cut: i64,
}

impl Days {
    /// They were listed just now, and there are `count`.
    pub(super) fn listed(&mut self, count: u64) {
        self.count = Some(count);
        self.listed = Some(Instant::now());
    }

    /// Lists them again, unless that was done just now. False if it was.
    pub(super) fn forget_old_listing(&mut self) -> bool {
        let is_old = self.listed.is_none_or(|listed| listed.elapsed() > LISTED_AGE_MAX);
        if is_old {
            self.count = None;
        }
        is_old
    }
}

impl Objects {
    pub(super) fn day_folder(&self, chain: &Chain) -> Key {
        let days = self.prefix.clone().join("days");
        days.join(chain.stream.as_str()).join(chain.node.as_str())
    }

    pub(super) fn day_key(&self, chain: &Chain, number: u64) -> Key {
        self.day_folder(chain).join(format!("{number:016}.jsonl.zst"))
    }

    /// The day objects of a chain by their number, which begins with 1 and has no hole.
    pub(super) async fn list_days(
        &self,
        chain: &Chain,
    ) -> Result<BTreeMap<u64, ObjectMeta>, Failure> {
        let folder = self.day_folder(chain);
        let listed = self.store.list(Some(&folder)).try_collect();
        let listed: Vec<ObjectMeta> = within(REQUEST_TIMEOUT, listed).await?;
        let numbered = |object: ObjectMeta| Some((number_of(object.location.filename()?)?, object));
        let days: BTreeMap<_, _> = listed.into_iter().filter_map(numbered).collect();
        match (1..).zip(days.keys()).find(|(expected, number)| expected != *number) {
            Some((missing, _)) => Err(Failure(format!(
                "the day object {} is missing: restore it from a version or a copy of the bucket",
                self.day_key(chain, missing)
            ))),
            None => Ok(days),
        }
    }

    async fn count_days(&self, chain: &Chain, days: &mut Days) -> Result<u64, Failure> {
        if let Some(count) = days.count {
            return Ok(count);
        }
        let count = self.list_days(chain).await?.len() as u64;
        days.listed(count);
        Ok(count)
    }

    /// The index of a day object, from the store.
    pub(super) async fn read_day(&self, chain: &Chain, number: u64) -> Result<Day, Failure> {
        let key = self.day_key(chain, number);
        let head = self.get_range(&key, 0..INDEX_BYTES_MAX as u64).await?;
        let head =
            head.ok_or_else(|| Failure(format!("the day object {key} was removed just now")))?;
        let day = Day::parse(&head).map_err(|fault| Failure(format!("cannot read {key}: {fault}")));
        let day = day?;
        match day.is_of(chain, number) {
            true => Ok(day),
            false => Err(Failure(format!("{key} is the object of another day"))),
        }
    }

    async fn span(&self, chain: &Chain, number: u64, days: &mut Days) -> Result<Span, Failure> {
        if let Some(span) = days.spans.get(&number) {
            return Ok(*span);
        }
        self.open_day(chain, number, days).await?;
        days.spans.get(&number).copied().ok_or_else(|| Failure("no span of a day".to_owned()))
    }

    async fn open_day(
        &self,
        chain: &Chain,
        number: u64,
        days: &mut Days,
    ) -> Result<Arc<Day>, Failure> {
        if let Some((open, day)) = &days.open
            && *open == number
        {
            return Ok(Arc::clone(day));
        }
        let day = Arc::new(self.read_day(chain, number).await?);
        let last_cut = day.fields.blocks.last().map_or(0, |(_, cut)| *cut);
        let span = Span { last: day.last(), last_cut };
        days.spans.insert(number, span);
        days.open = Some((number, Arc::clone(&day)));
        Ok(day)
    }

    /// The number of the last block that a day object has; 0 if there is none.
    pub(super) async fn last_compacted(
        &self,
        chain: &Chain,
        days: &mut Days,
    ) -> Result<u64, Failure> {
        match self.count_days(chain, days).await? {
            0 => Ok(0),
            count => Ok(self.span(chain, count, days).await?.last),
        }
    }

    /// The first day object for which `is_past` is false, with its number. The last one if it is true
    /// for all.
    pub(super) async fn find_day(
        &self,
        chain: &Chain,
        days: &mut Days,
        is_past: impl Fn(&Span) -> bool,
    ) -> Result<(u64, Arc<Day>), Failure> {
        let (mut low, mut high) = (1, self.count_days(chain, days).await?);
        while low < high {
            let middle = low + (high - low) / 2;
            match is_past(&self.span(chain, middle, days).await?) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok((low, self.open_day(chain, low, days).await?))
    }

    /// The number of the first block in a day object that was cut at `cut` or later; `None` if no day
    /// object has one.
    pub(super) async fn compacted_since(
        &self,
        chain: &Chain,
        cut: i64,
        days: &mut Days,
    ) -> Result<Option<u64>, Failure> {
        let last = self.last_compacted(chain, days).await?;
        if last == 0 {
            return Ok(None);
        }
        let (_, day) = self.find_day(chain, days, |span| span.last_cut < cut).await?;
        Ok(Some(day.first_cut_since(cut)).filter(|seq| *seq <= last))
    }

    /// The object of a block, out of the object of its day; `None` if no day object has it.
    pub(super) async fn compacted(
        &self,
        chain: &Chain,
        seq: u64,
        days: &mut Days,
    ) -> Result<Option<Bytes>, Failure> {
        if seq == 0 || seq > self.last_compacted(chain, days).await? {
            return Ok(None);
        }
        let (number, day) = self.find_day(chain, days, |span| span.last < seq).await?;
        let Some(range) = day.range_of(seq) else { return Ok(None) };
        if let Some((of, start, bytes)) = &days.chunk
            && *of == number
            && let Some(found) = part_of(*start, bytes, &range)
        {
            return Ok(Some(found));
        }
        let end = range.end.max(range.start + CHUNK_BYTES).min(day.object_bytes());
        let key = self.day_key(chain, number);
        let bytes = self.get_range(&key, range.start..end).await?;
        let bytes =
            bytes.ok_or_else(|| Failure(format!("the day object {key} was removed just now")))?;
        let found = part_of(range.start, &bytes, &range)
            .ok_or_else(|| Failure(format!("{key} is shorter than its index says")))?;
        days.chunk = Some((number, range.start, bytes));
        Ok(Some(found))
    }

    /// These bytes of an object, or fewer if it is shorter; `None` if there is no such object.
    pub(super) async fn get_range(
        &self,
        key: &Key,
        range: Range<u64>,
    ) -> Result<Option<Bytes>, Failure> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let reading = async { self.store.get_opts(key, options).await?.bytes().await };
        match timeout(REQUEST_TIMEOUT, reading).await {
            Ok(Ok(bytes)) => Ok(Some(bytes)),
            Ok(Err(Error::NotFound { .. })) => Ok(None),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(no_answer()),
        }
    }

    /// A whole object; `None` if there is no such object.
    pub(super) async fn get(&self, key: &Key) -> Result<Option<Bytes>, Failure> {
        let reading = async { self.store.get(key).await?.bytes().await };
        match timeout(REQUEST_TIMEOUT, reading).await {
            Ok(Ok(bytes)) => Ok(Some(bytes)),
            Ok(Err(Error::NotFound { .. })) => Ok(None),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(no_answer()),
        }
    }
}

/// The bytes of `range`, out of bytes that begin at `start`.
fn part_of(start: u64, bytes: &Bytes, range: &Range<u64>) -> Option<Bytes> {
    let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
    let to = usize::try_from(range.end.checked_sub(start)?).ok()?;
    (to <= bytes.len()).then(|| bytes.slice(from..to))
}

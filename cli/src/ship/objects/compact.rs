//! Makes one object of the blocks of a day, so that a record of years can be listed and read.
//!
//! The small objects stay for a day after that: a late copy of one, or a reader that began before,
//! finds what it expects. Each step can be repeated at any time, and nothing is noted elsewhere:
//!
//! 1. The blocks after the last day object that were cut on one day are fetched, if the newest block
//!    is of a later day, and their chain and their lines are checked.
//! 2. Their object is created under the next number. If another one is there, it is that of somebody
//!    else, and is looked at the next time.
//! 3. It is read back, and compared.
//! 4. A day later, it is read and checked again, and then the small objects are removed. The newest
//!    block of the chain is always kept.

use std::collections::BTreeMap;
use std::pin::pin;

use bytes::Bytes;
use cdrlog::manifest::Hash;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, Error, ObjectMeta, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use tokio::time::timeout;

use super::day::{BLOCKS_MAX, Day, DayFields, VERSION};
use super::days::Days;
use super::encoding::decode;
use super::{Objects, REQUEST_TIMEOUT, failure, no_answer, number_of, within};
use crate::ship::destination::Failure;
use crate::ship::header::{Block, Chain, Header};

/// How many bytes a day object holds at most, unless one block is longer: as much is in memory.
const OBJECT_BYTES_MAX: u64 = 32 << 20;

/// How many of them are fetched at the same time.
const FETCHES_MAX: usize = 8;

/// How long the small objects stay after the object of their day was made, in milliseconds.
const SMALL_KEPT_MS: i64 = DAY_MS;

const DAY_MS: i64 = 24 * 3_600_000;

/// Where the next day object begins.
struct End {
    number: u64,
    id: Hash,
    last: u64,
    last_id: Hash,
}

impl Objects {
    /// Makes the next day object of a chain whose last block is `newest`, and removes the small ones of
    /// older days. One object a call, so that shipping goes on in between.
    pub(super) async fn compact_chain(
        &self,
        chain: &Chain,
        newest: Option<Header>,
        now: i64,
        known: &mut Days,
    ) -> Result<Option<String>, Failure> {
        let Some(newest) = newest else { return Ok(None) };
        let days = self.list_days(chain).await?;
        known.listed(days.len() as u64);
        let end = match days.last_key_value() {
            Some((number, _)) => {
                let day = self.read_day(chain, *number).await?;
                End { number: *number, id: day.id, last: day.last(), last_id: day.fields.last_id }
            }
            None => End { number: 0, id: Hash::NONE, last: 0, last_id: Hash::NONE },
        };
        let made = self.gather(chain, &end, &newest).await?;
        let made = match made {
            Some((day, frames)) => self.create(chain, &day, frames).await?.then_some(day),
            None => None,
        };
        let removed = self.remove_small(chain, &days, known, newest.fields.seq, now).await?;
        let made = made.map(|day| {
            let (first, last, number) = (day.fields.first, day.last(), day.fields.number);
            format!("blocks {first} to {last} are in the day object {number}")
        });
        let removed = (removed > 0).then(|| format!("{removed} small objects were removed"));
        let done: Vec<_> = made.into_iter().chain(removed).collect();
        Ok((!done.is_empty()).then(|| format!("{chain}: {}", done.join("; "))))
    }

    /// The next day object, and the objects that it is made of. `None` if the day is not over.
    async fn gather(
        &self,
        chain: &Chain,
        end: &End,
        newest: &Header,
    ) -> Result<Option<(Day, Vec<Bytes>)>, Failure> {
        let first = end.last + 1;
        let (mut frames, mut blocks) = (Vec::new(), Vec::new());
        let (mut bytes, mut day_number, mut last_id) = (0, None, end.last_id);
        let newest_day = newest.fields.cut.div_euclid(DAY_MS);
        let fetch = |seq| async move { (seq, self.get(&self.key(chain, seq)).await) };
        let fetched = stream::iter(first..newest.fields.seq).map(fetch).buffered(FETCHES_MAX);
        let mut fetched = pin!(fetched);
        while let Some((seq, object)) = fetched.next().await {
            let key = self.key(chain, seq);
            let object = object?.ok_or_else(|| Failure(format!("{key} is missing")))?;
            let header = check(&object, chain, seq, last_id)
                .map_err(|fault| Failure(format!("{key} is not compacted: {fault}")))?;
            let day = header.fields.cut.div_euclid(DAY_MS);
            // Cuts never go back: no other block of the day can come.
            let is_over = day < newest_day && day_number.is_none_or(|it| it == day);
            let is_full = blocks.len() >= BLOCKS_MAX
                || (bytes > 0 && bytes + object.len() as u64 > OBJECT_BYTES_MAX);
            if !is_over || is_full {
                break;
            }
            day_number = Some(day);
            last_id = header.id;
            bytes += object.len() as u64;
            blocks.push((object.len() as u64, header.fields.cut));
            frames.push(object);
        }
        if blocks.is_empty() {
            return Ok(None);
        }
        let day = Day::new(DayFields {
            v: VERSION,
            node: chain.node.clone(),
            stream: chain.stream,
            number: end.number + 1,
            prev: end.id,
            first,
            before: end.last_id,
            last_id,
            blocks,
        });
        Ok(Some((day, frames)))
    }

    /// Creates a day object, and reads it back. False if there is another one of its number.
    async fn create(&self, chain: &Chain, day: &Day, frames: Vec<Bytes>) -> Result<bool, Failure> {
        let key = self.day_key(chain, day.fields.number);
        let pieces: Vec<Bytes> =
            std::iter::once(Bytes::copy_from_slice(&day.frame)).chain(frames).collect();
        let mut attributes = Attributes::new();
        if self.has_metadata {
            attributes.insert(Attribute::ContentType, "application/zstd".into());
        }
        let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
        let payload: PutPayload = pieces.iter().cloned().collect();
        match timeout(REQUEST_TIMEOUT, self.store.put_opts(&key, payload, options)).await {
            Ok(Ok(_)) => {}
            Ok(Err(Error::AlreadyExists { .. } | Error::Precondition { .. })) => return Ok(false),
            // Whether it is there is seen the next time.
            Ok(Err(error)) => return Err(failure(&error)),
            Err(_) => return Err(no_answer()),
        }
        match self.holds(&key, &pieces).await? {
            true => Ok(true),
            false => Err(Failure(format!(
                "{key} is not what was written: nothing is removed; look at the store, and remove it"
            ))),
        }
    }

    /// Whether an object consists of these bytes. It is never in memory as a whole.
    async fn holds(&self, key: &Key, pieces: &[Bytes]) -> Result<bool, Failure> {
        let mut wanted = blake3::Hasher::new();
        for piece in pieces {
            wanted.update(piece);
        }
        let reading = async {
            let mut read = self.store.get(key).await?.into_stream();
            let mut found = blake3::Hasher::new();
            while let Some(bytes) = read.try_next().await? {
                found.update(&bytes);
            }
            Ok(found.finalize())
        };
        Ok(within(REQUEST_TIMEOUT, reading).await? == wanted.finalize())
    }

    /// Removes the small objects that the day object of the oldest one has, once that is old enough.
    /// Returns how many.
    async fn remove_small(
        &self,
        chain: &Chain,
        days: &BTreeMap<u64, ObjectMeta>,
        known: &mut Days,
        newest: u64,
        now: i64,
    ) -> Result<u64, Failure> {
        let is_old =
            |object: &ObjectMeta| object.last_modified.timestamp_millis() <= now - SMALL_KEPT_MS;
        if !days.values().any(is_old) {
            return Ok(0);
        }
        let small = self.list_small(chain).await?;
        let Some(oldest) = small.keys().next().copied().filter(|seq| *seq != newest) else {
            return Ok(0);
        };
        // Not the days before it, of which a record of years has many.
        let (number, day) = self.find_day(chain, known, |span| span.last < oldest).await?;
        if day.last() < oldest || !days.get(&number).is_some_and(is_old) {
            return Ok(0);
        }
        self.check_day(chain, &day).await?;
        let mut keys = Vec::new();
        for (seq, object) in small.range(oldest..=day.last()).filter(|(seq, _)| **seq != newest) {
            let bytes = day.range_of(*seq).map(|range| range.end - range.start);
            if bytes != Some(object.size) {
                let key = &object.location;
                return Err(Failure(format!(
                    "{key} is not the object that was compacted: it is kept; look who wrote it"
                )));
            }
            keys.push(Ok(object.location.clone()));
        }
        let removed = keys.len() as u64;
        let removing = self.store.delete_stream(stream::iter(keys).boxed());
        within(REQUEST_TIMEOUT, removing.try_for_each(|_| async { Ok(()) })).await?;
        Ok(removed)
    }

    async fn list_small(&self, chain: &Chain) -> Result<BTreeMap<u64, ObjectMeta>, Failure> {
        let folder = self.folder(chain);
        let listed = self.store.list(Some(&folder)).try_collect();
        let listed: Vec<ObjectMeta> = within(REQUEST_TIMEOUT, listed).await?;
        let numbered = |object: ObjectMeta| Some((number_of(object.location.filename()?)?, object));
        Ok(listed.into_iter().filter_map(numbered).collect())
    }

    /// Reads a day object, and checks the chain and the lines of all its blocks.
    async fn check_day(&self, chain: &Chain, day: &Day) -> Result<(), Failure> {
        let key = self.day_key(chain, day.fields.number);
        let object = self.get(&key).await?;
        let object = object.ok_or_else(|| Failure(format!("{key} was removed just now")))?;
        let mut before = day.fields.before;
        for seq in day.fields.first..=day.last() {
            let range = day.range_of(seq).unwrap_or_default();
            let bytes = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            let bytes = bytes.and_then(|(start, end)| object.get(start..end)).unwrap_or_default();
            let header = check(bytes, chain, seq, before).map_err(|fault| {
                Failure(format!("{key} is damaged, so the small objects are kept: {fault}"))
            })?;
            before = header.id;
        }
        match before == day.fields.last_id {
            true => Ok(()),
            false => Err(Failure(format!("{key} does not end with the block of its index"))),
        }
    }
}

/// The header of an object, if it is that of this block, follows the one before, and has its lines.
fn check(object: &[u8], chain: &Chain, seq: u64, before: Hash) -> Result<Header, String> {
    let Block { header, body } = decode(object)?;
    if (&header.chain(), header.fields.seq) != (chain, seq) {
        return Err(format!("it holds block {} of {}", header.fields.seq, header.chain()));
    }
    if header.fields.prev != before {
        return Err(format!("block {seq} does not follow the one before"));
    }
    if Hash::of(&body) != header.fields.body {
        return Err(format!("the lines of block {seq} are not those that were shipped"));
    }
    Ok(header)
}

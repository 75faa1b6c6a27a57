//! Blocks as objects: in a directory (`file://`) or in a bucket (`s3://`).
//!
//! A block is created under a name that is made of its number, and only if there is no object of
//! that name. That guards the number, not the block before, and only while the object exists. So
//! the tail is the last block before the first hole, and a hole is filled with the block that was
//! noted.

mod compact;
mod day;
mod days;
mod encoding;
mod marks;
mod probe;
mod reading;
#[cfg(feature = "s3")]
mod s3;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cdrlog::manifest::Hash;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::clock::uptime;
use super::destination::{AfterRollback, Answer, Destination, Failure, Unfit};
use super::header::{Block, Chain, Header};
use super::watermark::Watermark;
use days::Days;

#[cfg(feature = "nats")]
pub(super) use encoding::decode;
pub(super) use encoding::encode;
#[cfg(feature = "s3")]
pub(super) use s3::Bucket;

/// How long one request may take: 16 MiB at 1 Mbit/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// How old what is known of a chain may be before all its names are listed again.
const KNOWN_AGE_MAX: Duration = Duration::from_secs(3600);

/// A directory or a bucket.
pub(crate) struct Objects {
    runtime: Runtime,
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// Directories keep no metadata.
    has_metadata: bool,
    known: HashMap<Chain, Known>,
    days: HashMap<Chain, Days>,
    /// The watermarks as they were last seen.
    marks: HashMap<Chain, (Watermark, UpdateVersion)>,
}

/// What a listing of a chain showed.
#[derive(Clone, Copy)]
struct Known {
    /// The blocks from 1 to this one exist.
    seq: u64,
    /// When all of them were listed, by the clock of [`uptime`].
    listed: Duration,
}

impl Objects {
    /// The objects in a directory, which is made if it does not exist.
    pub(super) fn of_directory(directory: &Path) -> Result<Self, Failure> {
        let unusable = |error: &dyn std::fmt::Display| {
            Failure(format!("cannot use the directory {}: {error}", directory.display()))
        };
        std::fs::create_dir_all(directory).map_err(|error| unusable(&error))?;
        Self::of_existing_directory(directory)
    }

    /// The same, to read.
    pub(super) fn of_existing_directory(directory: &Path) -> Result<Self, Failure> {
        let unusable = |error: &dyn std::fmt::Display| {
            Failure(format!("cannot use the directory {}: {error}", directory.display()))
        };
        // The store's own message for this is about canonical paths.
        std::fs::metadata(directory).map_err(|error| unusable(&error))?;
        let store =
            LocalFileSystem::new_with_prefix(directory).map_err(|error| unusable(&error))?;
        Self::new(Arc::new(store.with_fsync(true)), Key::default(), false)
    }

    /// The objects of a store that was made by a test.
    #[cfg(test)]
    pub(crate) fn of_store(store: Arc<dyn ObjectStore>) -> Self {
        Self::new(store, Key::default(), true).expect("a thread can wait")
    }

    fn new(store: Arc<dyn ObjectStore>, prefix: Key, has_metadata: bool) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure(format!("cannot start: {error}")))?;
        let (known, marks, days) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Self { runtime, store, prefix, has_metadata, known, marks, days })
    }

    fn folder(&self, chain: &Chain) -> Key {
        self.prefix.clone().join(chain.stream.as_str()).join(chain.node.as_str())
    }

    fn key(&self, chain: &Chain, seq: u64) -> Key {
        self.folder(chain).join(format!("{seq:016}.jsonl.zst"))
    }

    /// The number of the last block before the first hole, from what is known on.
    async fn last_seq(&self, chain: &Chain, known: u64) -> Result<u64, Failure> {
        let folder = self.folder(chain);
        let names = match known {
            0 => self.store.list(Some(&folder)),
            known => self.store.list_with_offset(Some(&folder), &self.key(chain, known)),
        };
        let names: Vec<_> = within(REQUEST_TIMEOUT, names.try_collect()).await?;
        let seqs: BTreeSet<u64> =
            names.iter().filter_map(|object| number_of(object.location.filename()?)).collect();
        let mut last = known;
        loop {
            // A listing may be older than the last append.
            let next = last + 1;
            let is_there = seqs.contains(&next) || self.exists(&self.key(chain, next)).await?;
            if !is_there {
                return Ok(last);
            }
            last = next;
        }
    }

    async fn exists(&self, key: &Key) -> Result<bool, Failure> {
        match timeout(REQUEST_TIMEOUT, self.store.head(key)).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(Error::NotFound { .. })) => Ok(false),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(no_answer()),
        }
    }

    async fn find_tail(
        &self,
        chain: &Chain,
        known: u64,
        days: &mut Days,
    ) -> Result<Option<Header>, Failure> {
        if known == 0 {
            *days = Days::default();
        }
        // What a day object has is there, also if its own object was removed.
        let compacted = self.last_compacted(chain, days).await?;
        let last = self.last_seq(chain, known.max(compacted)).await?;
        if last == 0 {
            return Ok(None);
        }
        match self.find_header(chain, last, days).await? {
            // What was known was removed.
            None if known > 0 => Box::pin(self.find_tail(chain, 0, days)).await,
            None => Err(Failure(format!("block {last} was removed just now"))),
            header => Ok(header),
        }
    }

    fn options(&self, block: &Block) -> PutOptions {
        let mut attributes = Attributes::new();
        if self.has_metadata {
            let header = Attribute::Metadata("cdrlog-header".into());
            attributes.insert(header, block.header.text.clone().into());
            attributes.insert(Attribute::ContentType, "application/zstd".into());
        }
        PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() }
    }
}

impl Destination for Objects {
    fn probe(&mut self, writer: &str) -> Result<(), Unfit> {
        self.runtime.block_on(probe::check(&self.store, &self.prefix, writer, self.has_metadata))
    }

    fn tail(&mut self, chain: &Chain) -> Result<Option<Header>, Failure> {
        let now = uptime();
        let is_recent = |known: &&Known| now.saturating_sub(known.listed) <= KNOWN_AGE_MAX;
        let known = self.known.get(chain).filter(is_recent).copied();
        let known = known.unwrap_or(Known { seq: 0, listed: now });
        let tail = self.with_days(chain, async |objects, days| {
            objects.find_tail(chain, known.seq, days).await
        })?;
        let seq = tail.as_ref().map_or(0, |tail| tail.fields.seq);
        self.known.insert(chain.clone(), Known { seq, ..known });
        Ok(tail)
    }

    fn header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Failure> {
        self.with_days(chain, async |objects, days| objects.find_header(chain, seq, days).await)
    }

    fn append(&mut self, _expected: Option<&Header>, block: &Block) -> Answer {
        let chain = block.header.chain();
        let key = self.key(&chain, block.header.fields.seq);
        let object = match encode(block) {
            Ok(object) => PutPayload::from(object),
            Err(error) => return Answer::Unknown(Failure(format!("cannot compress: {error}"))),
        };
        let putting = self.store.put_opts(&key, object, self.options(block));
        match self.runtime.block_on(async { timeout(REQUEST_TIMEOUT, putting).await }) {
            Ok(Ok(_)) => Answer::Appended,
            Ok(Err(Error::AlreadyExists { .. } | Error::Precondition { .. })) => Answer::Conflict,
            Ok(Err(error)) => Answer::Unknown(failure(&error)),
            Err(_) => Answer::Unknown(no_answer()),
        }
    }

    fn after_rollback(&self) -> AfterRollback {
        AfterRollback::Ask
    }

    fn reconnect(&mut self) {
        // Each request is answered by whoever has the name then; only what was listed is remembered.
        self.known.clear();
        self.days.clear();
        self.marks.clear();
    }

    fn lacks(&mut self, chain: &Chain, blocks: &[Header]) -> Result<Vec<u64>, Failure> {
        let mut lacking = Vec::new();
        for block in blocks {
            let seq = block.fields.seq;
            if self.header(chain, seq)?.as_ref() != Some(block) {
                lacking.push(seq);
            }
        }
        Ok(lacking)
    }

    fn fill(&mut self, block: &Block) -> Answer {
        self.append(None, block)
    }

    fn watermark(&mut self, chain: &Chain) -> Result<Option<Watermark>, Failure> {
        self.marks.remove(chain);
        let Some(found) = self.runtime.block_on(self.read_watermark(chain))? else {
            return Ok(None);
        };
        let (mark, _) = self.marks.entry(chain.clone()).insert_entry(found).into_mut();
        Ok(Some(mark.clone()))
    }

    fn put_watermark(
        &mut self,
        chain: &Chain,
        expected: Option<&Watermark>,
        mark: &Watermark,
    ) -> Answer {
        if self.marks.get(chain).map(|(known, _)| known) != expected {
            match self.watermark(chain) {
                Ok(found) if found.as_ref() != expected => return Answer::Conflict,
                Ok(_) => {}
                Err(failure) => return Answer::Unknown(failure),
            }
        }
        let version = self.marks.remove(chain).map(|(_, version)| version);
        match self.runtime.block_on(self.replace_watermark(chain, version, mark)) {
            Ok(version) => {
                self.marks.insert(chain.clone(), (mark.clone(), version));
                Answer::Appended
            }
            Err(answer) => answer,
        }
    }

    fn compact(&mut self, chain: &Chain, now: i64) -> Result<Option<String>, Failure> {
        let newest = Destination::tail(self, chain)?;
        self.with_days(chain, async |objects, days| {
            objects.compact_chain(chain, newest, now, days).await
        })
    }

    fn claim(&mut self, birth: Hash, node: &str) -> Result<String, Failure> {
        self.runtime.block_on(self.claim_birth(birth, node))
    }
}

async fn within<T>(
    limit: Duration,
    asking: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Failure> {
    match timeout(limit, asking).await {
        Ok(answer) => answer.map_err(|error| failure(&error)),
        Err(_) => Err(no_answer()),
    }
}

/// Where the store asks for the keys of the machine's role if none are in the environment.
const METADATA_SERVICE: &str = "169.254.169.254";
const NO_KEYS: &str = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and this machine \
                       has no role that gives it keys";

/// What went wrong, with the way out if there is one.
fn failure(error: &Error) -> Failure {
    let text = error.to_string();
    match way_out(error).or_else(|| text.contains(METADATA_SERVICE).then_some(NO_KEYS)) {
        Some(way_out) => Failure(format!("{text}; {way_out}")),
        None => Failure(text),
    }
}

/// What somebody has to do first, if trying again does not help.
const fn way_out(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotFound { .. } => Some("create the bucket"),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Some(
            "look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: they must be allowed to list the \
             bucket, and to get and put objects",
        ),
        _ => None,
    }
}

fn no_answer() -> Failure {
    Failure(format!("no answer within {} seconds", REQUEST_TIMEOUT.as_secs()))
}

/// The number in the name of an object, if it is the name of a block or of a day.
fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".jsonl.zst")?;
    (digits.len() == 16).then(|| digits.parse().ok()).flatten()
}

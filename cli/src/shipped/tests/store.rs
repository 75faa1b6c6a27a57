//! Objects in memory, with the requests counted.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::ship::Objects;

/// How many names a request lists.
const NAMES_OF_REQUEST: u64 = 1000;

/// How many requests there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Requests {
    pub(super) puts: u64,
    pub(super) gets: u64,
    pub(super) bytes_read: u64,
    pub(super) lists: u64,
    pub(super) deletes: u64,
}

#[derive(Default)]
struct Counts {
    requests: Mutex<Requests>,
    /// Names that were listed beyond the first thousand of each list.
    names: AtomicU64,
    read: Mutex<BTreeSet<String>>,
}

/// A store; its copies are the same one.
#[derive(Clone)]
pub(super) struct Counting {
    pub(super) store: Arc<InMemory>,
    counts: Arc<Counts>,
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store in memory")
    }
}

impl Counting {
    pub(super) fn new() -> Self {
        Self { store: Arc::new(InMemory::new()), counts: Arc::default() }
    }

    /// A connection to it.
    pub(super) fn objects(&self) -> Objects {
        Objects::of_store(Arc::new(self.clone()))
    }

    /// The requests since the last call.
    pub(super) fn take_requests(&self) -> Requests {
        let mut requests = std::mem::take(&mut *self.counts.requests.lock().unwrap());
        requests.lists += self.counts.names.swap(0, Ordering::Relaxed) / NAMES_OF_REQUEST;
        requests
    }

    /// The objects that were read since the last call.
    pub(super) fn take_read(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.counts.read.lock().unwrap())
    }

    fn count(&self, add: impl FnOnce(&mut Requests)) {
        add(&mut self.counts.requests.lock().unwrap());
    }

    fn block_on<T>(asking: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(asking)
    }

    /// The names and lengths of all objects.
    pub(super) fn names(&self) -> Vec<(String, u64)> {
        let listed = Self::block_on(self.store.list(None).collect::<Vec<_>>());
        let listed = listed.into_iter().map(Result::unwrap);
        listed.map(|object| (object.location.to_string(), object.size)).collect()
    }

    pub(super) fn read_object(&self, name: &str) -> Vec<u8> {
        let reading = async { self.store.get(&Key::from(name)).await?.bytes().await };
        Self::block_on(reading).unwrap().to_vec()
    }

    pub(super) fn write_object(&self, name: &str, bytes: Vec<u8>) {
        Self::block_on(self.store.put(&Key::from(name), bytes.into())).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        Self::block_on(self.store.delete(&Key::from(name))).unwrap();
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(
        &self,
        key: &Key,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.count(|requests| requests.puts += 1);
        self.store.put_opts(key, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Key,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.counts.read.lock().unwrap().insert(key.to_string());
        let got = self.store.get_opts(key, options).await;
        let bytes = got.as_ref().map_or(0, |got| got.range.end - got.range.start);
        self.count(|requests| {
            requests.gets += 1;
            requests.bytes_read += bytes;
        });
        got
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, Result<Key>>,
    ) -> BoxStream<'static, Result<Key>> {
        self.count(|requests| requests.deletes += 1);
        self.store.delete_stream(keys)
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count(|requests| requests.lists += 1);
        let counts = Arc::clone(&self.counts);
        let mut listed = 0;
        let count = move |_: &Result<ObjectMeta>| {
            listed += 1;
            counts.names.fetch_add(u64::from(listed > NAMES_OF_REQUEST), Ordering::Relaxed);
        };
        self.store.list(prefix).inspect(count).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.count(|requests| requests.lists += 1);
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

//! Whether a store keeps what the protocol relies on.

use std::sync::Arc;

use object_store::path::Path as Key;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion,
};
use tokio::time::timeout;

use super::{REQUEST_TIMEOUT, failure, way_out, within};
use crate::ship::destination::{Failure, Unfit};

/// How many creates of one object are tried at once.
const RACERS: usize = 16;

/// Tries what is relied on with one object, which is removed at the end. A directory has one writer
/// and no ETags, so nothing is replaced by its ETag there.
pub(super) async fn check(
    store: &Arc<dyn ObjectStore>,
    prefix: &Key,
    writer: &str,
    has_etags: bool,
) -> Result<(), Unfit> {
    let key = prefix.clone().join("probes").join(writer);
    let checked = async {
        create_only(store, &key).await?;
        if has_etags { stale_etag(store, &key).await } else { Ok(()) }
    };
    let checked = checked.await;
    // Whoever may not delete leaves a few bytes there.
    let _ = within(REQUEST_TIMEOUT, store.delete(&key)).await;
    checked
}

async fn put(
    store: &Arc<dyn ObjectStore>,
    key: &Key,
    text: &'static str,
    mode: PutMode,
) -> Result<PutResult, Error> {
    let options = PutOptions { mode, ..PutOptions::default() };
    store.put_opts(key, PutPayload::from_static(text.as_bytes()), options).await
}

/// Creates one object many times at once: exactly one create may succeed, and none after that. Some
/// servers ignored the condition, and would let a second shipper overwrite blocks.
async fn create_only(store: &Arc<dyn ObjectStore>, key: &Key) -> Result<(), Unfit> {
    let create = || {
        let (store, key) = (Arc::clone(store), key.clone());
        async move { put(&store, &key, "probe\n", PutMode::Create).await }
    };
    let racers: Vec<_> = (0..RACERS).map(|_| tokio::spawn(create())).collect();
    let mut winners = 0;
    let mut conflicts = 0;
    let mut fault = None;
    for racer in racers {
        match timeout(REQUEST_TIMEOUT, racer).await {
            Ok(Ok(Ok(_))) => winners += 1,
            Ok(Ok(Err(Error::AlreadyExists { .. } | Error::Precondition { .. }))) => conflicts += 1,
            Ok(Ok(Err(error))) if way_out(&error).is_some() => {
                return Err(Unfit::Refused(failure(&error).0));
            }
            Ok(Ok(Err(error))) => fault = Some(failure(&error).0),
            Ok(Err(error)) => fault = Some(error.to_string()),
            Err(_) => fault = Some("no answer in time".to_owned()),
        }
    }
    let again = timeout(REQUEST_TIMEOUT, create()).await;
    let is_taken = matches!(again, Ok(Ok(_)));
    let is_refused =
        matches!(again, Ok(Err(Error::AlreadyExists { .. } | Error::Precondition { .. })));
    if winners > 1 || is_taken {
        let found = match winners {
            0 | 1 => "an object was created that was there".to_owned(),
            winners => format!("{winners} of {RACERS} creates of one object succeeded"),
        };
        return Err(Unfit::Refused(format!(
            "the probe \"create-only\" failed: {found}, so this server would let blocks be \
             overwritten; use one that enforces If-None-Match"
        )));
    }
    match fault {
        Some(fault) if conflicts == 0 || !is_refused => {
            Err(Failure(format!("the probe \"create-only\" failed: {fault}")).into())
        }
        _ => Ok(()),
    }
}

/// Replaces the object by its ETag, and once more by the one that it had before: that must be refused.
/// Else two shippers of one name could replace each other's watermark, and neither would notice.
async fn stale_etag(store: &Arc<dyn ObjectStore>, key: &Key) -> Result<(), Unfit> {
    let failed = |fault: String| Failure(format!("the probe \"If-Match\" failed: {fault}"));
    let refused = |found: &str| {
        Unfit::Refused(format!(
            "the probe \"If-Match\" failed: {found}, so this server would let two shippers of one \
             name replace each other's watermarks; use one that enforces If-Match"
        ))
    };
    let found = within(REQUEST_TIMEOUT, store.head(key)).await.map_err(|it| failed(it.0))?;
    if found.e_tag.is_none() {
        return Err(refused("an object has no ETag"));
    }
    let version = || UpdateVersion { e_tag: found.e_tag.clone(), version: found.version.clone() };
    let replace = async |text| {
        let replacing = put(store, key, text, PutMode::Update(version()));
        timeout(REQUEST_TIMEOUT, replacing).await.map_err(|_| failed("no answer in time".into()))
    };
    // Their lengths differ, so their ETags do.
    match replace("the probe again\n").await? {
        Ok(_) => {}
        Err(Error::Precondition { .. }) => {
            return Err(refused("a replacement with the ETag that the object has was refused"));
        }
        Err(error) => return Err(failed(failure(&error).0).into()),
    }
    match replace("the probe with an outdated ETag\n").await? {
        Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(failed(failure(&error).0).into()),
        Ok(_) => Err(refused("a replacement with an outdated ETag succeeded")),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use futures_util::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
        PutMultipartOptions, Result,
    };

    use super::*;
    use crate::ship::destination::Destination;
    use crate::ship::objects::Objects;

    /// A store in memory that takes some writes whatever their condition says.
    #[derive(Debug)]
    struct Lax {
        store: InMemory,
        creates: AtomicUsize,
        /// Whether the create of this number is one, from 1 on.
        is_lax_create: fn(usize) -> bool,
        is_lax_update: bool,
    }

    impl Lax {
        fn new(is_lax_create: fn(usize) -> bool, is_lax_update: bool) -> Self {
            let (store, creates) = (InMemory::new(), AtomicUsize::new(0));
            Self { store, creates, is_lax_create, is_lax_update }
        }
    }

    impl fmt::Display for Lax {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a lax store in memory")
        }
    }

    #[async_trait]
    impl ObjectStore for Lax {
        async fn put_opts(
            &self,
            key: &Key,
            payload: PutPayload,
            mut options: PutOptions,
        ) -> Result<PutResult> {
            let is_lax = match &options.mode {
                PutMode::Create => {
                    (self.is_lax_create)(self.creates.fetch_add(1, Ordering::Relaxed) + 1)
                }
                PutMode::Update(_) => self.is_lax_update,
                PutMode::Overwrite => false,
            };
            if is_lax {
                options.mode = PutMode::Overwrite;
            }
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
            self.store.get_opts(key, options).await
        }

        fn delete_stream(
            &self,
            keys: BoxStream<'static, Result<Key>>,
        ) -> BoxStream<'static, Result<Key>> {
            self.store.delete_stream(keys)
        }

        fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.store.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
            self.store.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
            self.store.copy_opts(from, to, options).await
        }
    }

    /// Probes a store, which must be empty again.
    fn probe(lax: Lax) -> Result<(), Unfit> {
        let store: Arc<dyn ObjectStore> = Arc::new(lax);
        let probed = Objects::of_store(Arc::clone(&store)).probe("w");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let left = runtime.block_on(store.list_with_delimiter(None)).unwrap();
        assert!(left.objects.is_empty() && left.common_prefixes.is_empty(), "{left:?}");
        probed
    }

    #[track_caller]
    fn expect_refusal(lax: Lax, told: &[&str]) {
        let Err(Unfit::Refused(sentence)) = probe(lax) else { panic!("{told:?} was not refused") };
        for text in told {
            assert!(sentence.contains(text), "{text:?} is missing: {sentence}");
        }
    }

    #[test]
    fn a_store_that_enforces_both_conditions_is_used() {
        probe(Lax::new(|_| false, false)).unwrap();
    }

    #[test]
    fn a_store_that_creates_what_is_there_is_refused_by_the_name_of_the_probe() {
        let told = ["the probe \"create-only\"", "16 of 16", "use one that enforces If-None-Match"];
        expect_refusal(Lax::new(|_| true, false), &told);
        // Only when many come at once, or only when nobody else does.
        expect_refusal(Lax::new(|number| number == 9, false), &["create-only", "2 of 16 creates"]);
        expect_refusal(Lax::new(|number| number == 17, false), &["create-only", "that was there"]);
    }

    #[test]
    fn a_shipper_without_keys_says_which_variables_hold_them() {
        let asked = "Error performing PUT http://169.254.169.254/latest/api/token";
        let error = |source: &str| Error::Generic { store: "S3", source: source.into() };
        assert!(failure(&error(asked)).0.contains("; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
        assert!(!failure(&error("it is busy")).0.contains("AWS_"));
    }

    #[test]
    fn a_store_that_takes_an_outdated_etag_is_refused_by_the_name_of_the_probe() {
        let told = ["the probe \"If-Match\"", "outdated ETag", "use one that enforces If-Match"];
        expect_refusal(Lax::new(|_| false, true), &told);
    }
}

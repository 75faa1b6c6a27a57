//! Whether a store keeps what the protocol relies on.

use std::sync::Arc;

use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::{REQUEST_TIMEOUT, failure, way_out, within};
use crate::ship::destination::{Failure, Unfit};

/// How many creates of one object are tried at once.
const RACERS: usize = 16;

/// Creates one object many times at once: exactly one create may succeed, and none after that. Some
/// servers ignored the condition, and would let a second shipper overwrite blocks.
pub(super) async fn create_only(
    store: &Arc<dyn ObjectStore>,
    prefix: &Key,
    writer: &str,
) -> Result<(), Unfit> {
    let key = prefix.clone().join("probes").join(writer);
    let create = || {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let (store, key) = (Arc::clone(store), key.clone());
        async move { store.put_opts(&key, PutPayload::from_static(b"probe\n"), options).await }
    };
    let racers: Vec<_> = (0..RACERS).map(|_| tokio::spawn(create())).collect();
    let mut winners = 0;
    let mut conflicts = 0;
    let mut fault = None;
    for racer in racers {
        match tokio::time::timeout(REQUEST_TIMEOUT, racer).await {
            Ok(Ok(Ok(_))) => winners += 1,
            Ok(Ok(Err(Error::AlreadyExists { .. } | Error::Precondition { .. }))) => conflicts += 1,
            Ok(Ok(Err(error))) if way_out(&error).is_some() => {
                return Err(Unfit::Refused(failure(&error).0));
            }
            Ok(Ok(Err(error))) => fault = Some(error.to_string()),
            Ok(Err(error)) => fault = Some(error.to_string()),
            Err(_) => fault = Some("no answer in time".to_owned()),
        }
    }
    let again = create().await;
    // Whoever may not delete leaves a few bytes there.
    let _ = within(REQUEST_TIMEOUT, store.delete(&key)).await;
    let is_refused = matches!(again, Err(Error::AlreadyExists { .. } | Error::Precondition { .. }));
    if winners > 1 || again.is_ok() {
        return Err(Unfit::Refused(format!(
            "the probe \"create-only\" failed: {winners} of {RACERS} creates of one object \
             succeeded, so this server would let blocks be overwritten; use one that enforces \
             If-None-Match"
        )));
    }
    match fault {
        Some(fault) if conflicts == 0 || !is_refused => {
            Err(Failure(format!("the probe \"create-only\" failed: {fault}")).into())
        }
        _ => Ok(()),
    }
}

//! The small objects beside the blocks: watermarks, which are replaced, and claims, which stay.
//!
//! ```text
//! <prefix>/<stream>/<node>/watermark.json   replaced only if it is still the one that was read
//! <prefix>/births/<birth>                   the name of the node that shipped it first
//! ```

use cdrlog::manifest::Hash;
use object_store::path::Path as Key;
use object_store::{
    Error, GetResult, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use tokio::time::timeout;

use super::{Objects, REQUEST_TIMEOUT, failure, no_answer};
use crate::ship::destination::{Answer, Failure};
use crate::ship::header::Chain;
use crate::ship::watermark::Watermark;

/// The longest watermark or claim, in bytes.
const MARK_BYTES_MAX: u64 = 64 << 10;

impl Objects {
    fn watermark_key(&self, chain: &Chain) -> Key {
        self.folder(chain).join("watermark.json")
    }

    pub(super) async fn read_watermark(
        &self,
        chain: &Chain,
    ) -> Result<Option<(Watermark, UpdateVersion)>, Failure> {
        let key = self.watermark_key(chain);
        let Some((text, version)) = self.read_small(&key).await? else { return Ok(None) };
        let mark = Watermark::parse(&text);
        mark.map(|mark| Some((mark, version)))
            .map_err(|fault| Failure(format!("cannot read {key}: {fault}")))
    }

    /// Replaces the watermark that was read as `expected`.
    pub(super) async fn replace_watermark(
        &self,
        chain: &Chain,
        expected: Option<UpdateVersion>,
        mark: &Watermark,
    ) -> Result<UpdateVersion, Answer> {
        let mode = match expected {
            None => PutMode::Create,
            // A directory has one writer, which holds its lock, and replaces the file by a rename.
            Some(_) if !self.has_metadata => PutMode::Overwrite,
            Some(version) => PutMode::Update(version),
        };
        self.put_small(&self.watermark_key(chain), mark.text(), mode).await
    }

    /// Claims a birth; whose it is.
    pub(super) async fn claim_birth(&self, birth: Hash, node: &str) -> Result<String, Failure> {
        let key = self.prefix.clone().join("births").join(birth.to_string());
        match self.put_small(&key, format!("{node}\n"), PutMode::Create).await {
            Ok(_) => return Ok(node.to_owned()),
            Err(Answer::Unknown(failure)) => return Err(failure),
            // It was claimed before.
            Err(Answer::Appended | Answer::Conflict) => {}
        }
        let found = self.read_small(&key).await?;
        let (text, _) = found.ok_or_else(|| Failure(format!("{key} was removed just now")))?;
        Ok(text.trim_end().to_owned())
    }

    async fn put_small(
        &self,
        key: &Key,
        text: String,
        mode: PutMode,
    ) -> Result<UpdateVersion, Answer> {
        let options = PutOptions { mode, ..PutOptions::default() };
        let putting = self.store.put_opts(key, PutPayload::from(text), options);
        match timeout(REQUEST_TIMEOUT, putting).await {
            Ok(Ok(put)) => Ok(put.into()),
            Ok(Err(
                Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. },
            )) => Err(Answer::Conflict),
            Ok(Err(error)) => Err(Answer::Unknown(failure(&error))),
            Err(_) => Err(Answer::Unknown(no_answer())),
        }
    }

    async fn read_small(&self, key: &Key) -> Result<Option<(String, UpdateVersion)>, Failure> {
        let reading = async {
            let found: GetResult = self.store.get(key).await?;
            let (e_tag, version) = (found.meta.e_tag.clone(), found.meta.version.clone());
            let bytes = match found.meta.size {
                0..=MARK_BYTES_MAX => found.bytes().await?.to_vec(),
                _ => Vec::new(),
            };
            Ok((bytes, UpdateVersion { e_tag, version }))
        };
        match timeout(REQUEST_TIMEOUT, reading).await {
            Ok(Ok((bytes, version))) => {
                Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), version)))
            }
            Ok(Err(Error::NotFound { .. })) => Ok(None),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) => Err(no_answer()),
        }
    }
}

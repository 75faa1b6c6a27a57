//! The address of a destination.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::destination::{Destination, Failure};
#[cfg(feature = "nats")]
use super::nats::{JetStream, StreamAddress};
use super::objects::Objects;
#[cfg(feature = "postgres")]
use super::postgres::{Database, Postgres, Use};
use super::record::Record;

/// The lines of a block, in bytes. A block is in memory while it is sent, and in a database it is one
/// transaction.
const OBJECT_BYTES: usize = 16 << 20;
#[cfg(feature = "postgres")]
const TRANSACTION_BYTES: usize = 8 << 20;
/// Compressed, it usually fits into one message of 1 MB.
#[cfg(feature = "nats")]
const MESSAGE_BYTES: usize = 4 << 20;

/// How long lines may wait for more lines of the same block.
const OBJECT_AGE: Duration = Duration::from_secs(60);
#[cfg(feature = "postgres")]
const TRANSACTION_AGE: Duration = Duration::from_millis(500);
#[cfg(feature = "nats")]
const MESSAGE_AGE: Duration = Duration::from_millis(500);

/// Where blocks go, as given with `--to`. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `file:///archive`
    Directory(PathBuf),
    /// `s3://bucket/prefix`
    #[cfg(feature = "s3")]
    Bucket(super::objects::Bucket),
    /// `postgres://user@host/database`
    #[cfg(feature = "postgres")]
    Database(Database),
    /// `nats://host:port/STREAM`
    #[cfg(feature = "nats")]
    Stream(StreamAddress),
}

impl Target {
    /// A connection to it.
    pub(super) fn open(&self) -> Result<Box<dyn Destination>, Failure> {
        Ok(match self {
            Self::Directory(path) => Box::new(Objects::of_directory(path)?),
            #[cfg(feature = "s3")]
            Self::Bucket(bucket) => Box::new(Objects::of_bucket(bucket)?),
            #[cfg(feature = "postgres")]
            Self::Database(database) => Box::new(Postgres::new(database, Use::Ship)?),
            #[cfg(feature = "nats")]
            Self::Stream(address) => Box::new(JetStream::new(address.clone())),
        })
    }

    /// A connection to read what was shipped there.
    pub(crate) fn record(&self) -> Result<Box<dyn Record>, Failure> {
        Ok(match self {
            Self::Directory(path) => Box::new(Objects::of_existing_directory(path)?),
            #[cfg(feature = "s3")]
            Self::Bucket(bucket) => Box::new(Objects::of_bucket(bucket)?),
            #[cfg(feature = "postgres")]
            Self::Database(database) => Box::new(Postgres::new(database, Use::Read)?),
            #[cfg(feature = "nats")]
            Self::Stream(address) => Box::new(JetStream::reader(address.clone())),
        })
    }

    /// How many connections are used to read several chains at the same time: where each answer comes
    /// from far away, many are needed to read fast.
    pub(crate) const fn readers_max(&self) -> usize {
        match self {
            Self::Directory(_) => 4,
            #[cfg(feature = "s3")]
            Self::Bucket(_) => 16,
            #[cfg(feature = "postgres")]
            Self::Database(_) => 4,
            #[cfg(feature = "nats")]
            Self::Stream(_) => 4,
        }
    }

    /// Makes what it needs before the first block, and says what that was.
    pub(super) fn init(&self) -> Result<String, Failure> {
        match self {
            Self::Directory(_) => Ok("it needs nothing".to_owned()),
            #[cfg(feature = "s3")]
            Self::Bucket(_) => Ok("it needs nothing but the bucket".to_owned()),
            #[cfg(feature = "postgres")]
            Self::Database(database) => Postgres::new(database, Use::Ship)?.init(),
            #[cfg(feature = "nats")]
            Self::Stream(address) => JetStream::new(address.clone()).init(),
        }
    }

    /// The most lines of a block, in bytes.
    pub(super) const fn block_bytes(&self) -> usize {
        match self {
            Self::Directory(_) => OBJECT_BYTES,
            #[cfg(feature = "s3")]
            Self::Bucket(_) => OBJECT_BYTES,
            #[cfg(feature = "postgres")]
            Self::Database(_) => TRANSACTION_BYTES,
            #[cfg(feature = "nats")]
            Self::Stream(_) => MESSAGE_BYTES,
        }
    }

    /// How long lines wait for others.
    pub(super) const fn block_age(&self) -> Duration {
        match self {
            Self::Directory(_) => OBJECT_AGE,
            #[cfg(feature = "s3")]
            Self::Bucket(_) => OBJECT_AGE,
            #[cfg(feature = "postgres")]
            Self::Database(_) => TRANSACTION_AGE,
            #[cfg(feature = "nats")]
            Self::Stream(_) => MESSAGE_AGE,
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| unknown(text))?;
        match scheme {
            // One name for one place, whether it ends with a slash or not.
            "file" if rest.starts_with('/') => {
                Ok(Self::Directory(Path::new(rest).components().collect()))
            }
            "file" => Err("write file:// and an absolute path, such as file:///archive".to_owned()),
            #[cfg(feature = "s3")]
            "s3" => bucket(rest).map(Self::Bucket),
            #[cfg(not(feature = "s3"))]
            "s3" => Err("this program was built without the feature s3".to_owned()),
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => Database::parse(text).map(Self::Database),
            #[cfg(not(feature = "postgres"))]
            "postgres" | "postgresql" => {
                Err("this program was built without the feature postgres".to_owned())
            }
            #[cfg(feature = "nats")]
            "nats" | "tls" => StreamAddress::parse(rest, scheme == "tls").map(Self::Stream),
            #[cfg(not(feature = "nats"))]
            "nats" | "tls" => Err("this program was built without the feature nats".to_owned()),
            _ => Err(unknown(text)),
        }
    }
}

fn unknown(text: &str) -> String {
    let what = match text.split_once("://") {
        Some((scheme, _)) => format!("{scheme:?} is no kind of destination"),
        None if text.starts_with('/') => return format!("a directory is written file://{text}"),
        None => "it does not begin with a kind of destination".to_owned(),
    };
    format!(
        "{what}: write file:///path, s3://bucket/prefix, postgres://user@host/database or \
         nats://host:port/STREAM"
    )
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "file://{}", path.display()),
            #[cfg(feature = "s3")]
            Self::Bucket(bucket) => {
                write!(f, "s3://{}", bucket.name)?;
                if !bucket.prefix.is_empty() {
                    write!(f, "/{}", bucket.prefix)?;
                }
                match &bucket.endpoint {
                    Some(endpoint) => write!(f, "?endpoint={endpoint}"),
                    None => Ok(()),
                }
            }
            #[cfg(feature = "postgres")]
            Self::Database(database) => write!(f, "{database}"),
            #[cfg(feature = "nats")]
            Self::Stream(address) => write!(f, "{address}"),
        }
    }
}

/// `bucket/prefix?endpoint=http://127.0.0.1:8333&region=eu-central-1`
#[cfg(feature = "s3")]
fn bucket(text: &str) -> Result<super::objects::Bucket, String> {
    let (place, options) = text.split_once('?').unwrap_or((text, ""));
    let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
    let keys = || {
        "write s3://bucket/prefix; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            .to_owned()
    };
    if name.is_empty() || name.contains(['@', ':']) {
        return Err(keys());
    }
    let mut bucket = super::objects::Bucket {
        name: name.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
        endpoint: None,
        region: None,
    };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("endpoint", endpoint)) if endpoint.contains('@') => return Err(keys()),
            Some(("endpoint", endpoint)) if endpoint.starts_with("http") => {
                bucket.endpoint = Some(endpoint.trim_end_matches('/').to_owned());
            }
            Some(("region", region)) => bucket.region = Some(region.to_owned()),
            other => {
                // The value may be a password.
                let name = other.map_or(option, |(name, _)| name);
                return Err(format!(
                    "{name:?} is no option of a bucket: there are endpoint, which begins with http, \
                     and region"
                ));
            }
        }
    }
    Ok(bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        text.parse::<Target>().unwrap_err()
    }

    #[test]
    fn an_address_is_shown_as_it_is_given() {
        assert_eq!("file:///a/b".parse::<Target>().unwrap().to_string(), "file:///a/b");
        assert!(fault("file://a/b").contains("absolute path"));
        assert!(fault("ftp://a").contains("\"ftp\" is no kind of destination"));
        assert_eq!(fault("/archive"), "a directory is written file:///archive");
        assert!(fault("archive").starts_with("it does not begin with a kind of destination: "));
    }

    #[cfg(feature = "s3")]
    #[test]
    fn a_bucket_has_a_prefix_and_perhaps_a_server_of_its_own() {
        let shown = |text: &str| text.parse::<Target>().unwrap().to_string();
        assert_eq!(shown("s3://cdr"), "s3://cdr");
        assert_eq!(shown("s3://cdr/a/b/"), "s3://cdr/a/b");
        let own = "s3://cdr/a?endpoint=http://127.0.0.1:8333";
        assert_eq!(shown(own), own);
        assert!(fault("s3://key:secret@cdr/a").contains("AWS_ACCESS_KEY_ID"));
        assert!(fault("s3:///a").contains("write s3://bucket/prefix"));
        assert!(fault("s3://cdr?acl=x").contains("\"acl\" is no option of a bucket"));
        for text in ["s3://cdr?secret=hunter2", "s3://cdr?endpoint=https://me:hunter2@minio"] {
            assert!(!fault(text).contains("hunter2"), "{}", fault(text));
        }
    }
}

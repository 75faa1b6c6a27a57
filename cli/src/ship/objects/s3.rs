//! A bucket of S3, or of a server that speaks its protocol.

use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::path::Path as Key;
use object_store::{BackoffConfig, RetryConfig};

use super::Objects;
use crate::ship::destination::Failure;
use crate::ship::http::Connector;

/// Where the objects are. Credentials come from the environment, as for Amazon's own tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(in crate::ship) name: String,
    pub(in crate::ship) prefix: String,
    /// Of a server that is not Amazon's; else `AWS_ENDPOINT` counts.
    pub(in crate::ship) endpoint: Option<String>,
    pub(in crate::ship) region: Option<String>,
}

impl Objects {
    /// The objects of a bucket. Nothing is sent yet.
    pub(in crate::ship) fn of_bucket(bucket: &Bucket) -> Result<Self, Failure> {
        // The shipper tries again itself, and must know what became of each try.
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 0,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&bucket.name)
            .with_retry(retry)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_http_connector(Connector::new());
        let endpoint = bucket.endpoint.clone().or_else(|| std::env::var("AWS_ENDPOINT").ok());
        if let Some(endpoint) = endpoint.or_else(|| std::env::var("AWS_ENDPOINT_URL").ok()) {
            builder =
                builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
        }
        if let Some(region) = &bucket.region {
            builder = builder.with_region(region);
        }
        let unusable = |error: &dyn std::fmt::Display| {
            Failure(format!("cannot use the bucket {}: {error}", bucket.name))
        };
        let store = builder.build().map_err(|error| unusable(&error))?;
        let prefix = Key::parse(&bucket.prefix).map_err(|error| unusable(&error))?;
        Self::new(Arc::new(store), prefix, true)
    }
}

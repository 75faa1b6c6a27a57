//! Decodes compressed files.

#[cfg(feature = "compress")]
use std::io::BufReader;
use std::io::{self, Read};

#[cfg(feature = "compress")]
use flate2::read::MultiGzDecoder;

use super::name::Encoding;

/// The bytes of a compressed file that are read at once.
#[cfg(feature = "compress")]
const COMPRESSED_BYTES: usize = 128 << 10;

/// Decompresses what `R` returns.
pub(crate) enum Decoder<R: Read> {
    Plain(R),
    #[cfg(feature = "compress")]
    Zstd(Box<zstd::Decoder<'static, BufReader<R>>>),
    #[cfg(feature = "compress")]
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
}

impl<R: Read> Decoder<R> {
    /// Decodes `source` from its current position on.
    ///
    /// Fails with [`io::ErrorKind::Unsupported`] if this build cannot decode it.
    pub(crate) fn new(source: R, encoding: Encoding) -> io::Result<Self> {
        match encoding {
            Encoding::Plain => Ok(Self::Plain(source)),
            #[cfg(feature = "compress")]
            Encoding::Zstd => {
                let source = BufReader::with_capacity(COMPRESSED_BYTES, source);
                Ok(Self::Zstd(Box::new(zstd::Decoder::with_buffer(source)?)))
            }
            #[cfg(feature = "compress")]
            Encoding::Gzip => {
                let source = BufReader::with_capacity(COMPRESSED_BYTES, source);
                Ok(Self::Gzip(Box::new(MultiGzDecoder::new(source))))
            }
            #[cfg(not(feature = "compress"))]
            Encoding::Zstd | Encoding::Gzip => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(bytes),
            #[cfg(feature = "compress")]
            Self::Zstd(decoder) => decoder.read(bytes),
            #[cfg(feature = "compress")]
            Self::Gzip(decoder) => decoder.read(bytes),
        }
    }
}

//! One input: a file, or what a node shipped.

use std::path::PathBuf;

use cdrlog::reader::{ReadError, Reader, ReaderPosition};

use super::Source;
#[cfg(feature = "ship")]
use super::chain::{ChainInput, ChainReader};
use super::piece::Piece;
use crate::cdr_path;
use crate::input_remark::InputRemark;

/// Something with lines of a CDR in their order.
#[derive(Debug)]
pub(crate) struct Input {
    /// The file, or the name of the node.
    pub(crate) path: PathBuf,
    /// The number of its directory or node.
    pub(crate) source: Source,
    /// The length on the disk; `None` if it is compressed, or shipped.
    pub(crate) bytes: Option<u64>,
    /// It was listed, so it may be gone when it is opened.
    pub(crate) is_listed: bool,
    /// What a node shipped; `None` for a file.
    #[cfg(feature = "ship")]
    pub(crate) chain: Option<ChainInput>,
}

/// Reads an input.
pub(crate) enum InputReader {
    File(Box<Reader>),
    #[cfg(feature = "ship")]
    Chain(Box<ChainReader>),
}

impl Input {
    /// A file that is read as a whole.
    pub(crate) fn file(path: PathBuf, source: Source, bytes: Option<u64>, is_listed: bool) -> Self {
        Self {
            path,
            source,
            bytes,
            is_listed,
            #[cfg(feature = "ship")]
            chain: None,
        }
    }

    /// Whether it takes a descriptor while it is open.
    #[cfg(feature = "ship")]
    pub(crate) const fn is_file(&self) -> bool {
        self.chain.is_none()
    }

    /// Whether it takes a descriptor while it is open.
    #[cfg(not(feature = "ship"))]
    pub(crate) const fn is_file(&self) -> bool {
        true
    }

    /// Reads it from a position on, which an earlier reader told.
    pub(crate) fn open(&self, position: u64) -> Result<InputReader, ReadError> {
        #[cfg(feature = "ship")]
        if let Some(chain) = &self.chain {
            return Ok(InputReader::Chain(Box::new(chain.open(position))));
        }
        let builder = Reader::of_files([&self.path]);
        let builder = match position {
            0 => builder,
            offset => {
                let file = cdr_path::plain_path(&self.path);
                builder.begin_at(ReaderPosition { file, offset })
            }
        };
        Ok(InputReader::File(Box::new(builder.open()?)))
    }
}

impl InputReader {
    /// The next lines; `None` at the end.
    pub(crate) fn next_lines(&mut self) -> Result<Option<Piece<'_>>, ReadError> {
        match self {
            Self::File(reader) => {
                let lines = reader.next_lines()?;
                Ok(lines.map(|lines| Piece { lines, position: lines.offset() }))
            }
            #[cfg(feature = "ship")]
            Self::Chain(reader) => reader.next_lines(),
        }
    }

    /// The next lines, to look at them: a chain returns them again, and a file is opened again.
    pub(crate) fn peek_lines(&mut self) -> Result<Option<Piece<'_>>, ReadError> {
        match self {
            Self::File(_) => self.next_lines(),
            #[cfg(feature = "ship")]
            Self::Chain(reader) => reader.peek_lines(),
        }
    }

    /// What is to be told of what was read since.
    pub(crate) fn take_remarks(&mut self) -> Vec<InputRemark> {
        match self {
            Self::File(_) => Vec::new(),
            #[cfg(feature = "ship")]
            Self::Chain(reader) => reader.take_remarks(),
        }
    }
}

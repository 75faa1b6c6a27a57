//! What a block says of itself, and how that is written down.
//!
//! A header is one JSON object without a line feed; `docs/shipping.md` lists its members. The id of a
//! block is the BLAKE3 hash of exactly these bytes, and `prev` is the id of the block before. So the
//! chain runs over the headers, and the header of a later version keeps its id even if this version
//! does not know all of its members.

use std::fmt;

use serde::{Deserialize, Serialize};

use cdrlog::manifest::Hash;

/// The version of the encoding. It grows when a member is removed or changes its meaning.
pub(crate) const VERSION: u32 = 1;

/// One of the two records of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stream {
    /// The CDR lines.
    Lines,
    /// The rejected bodies.
    Rejects,
}

impl Stream {
    pub(crate) const ALL: [Self; 2] = [Self::Lines, Self::Rejects];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Rejects => "rejects",
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose blocks these are: a stream of a node has one chain at each destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Chain {
    pub(crate) node: String,
    pub(crate) stream: Stream,
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} of node {}", self.stream, self.node)
    }
}

/// A place between two lines of a file. A file is named by its name and its *birth*, the hash of its
/// first line: a name may begin anew with other lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) file: String,
    pub(crate) birth: Hash,
    /// In bytes of the uncompressed file.
    pub(crate) offset: u64,
}

/// What a block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// It holds lines.
    Lines,
    /// It holds no lines, and says which ones are missing.
    Gap,
    /// It holds no lines, and begins a chain, or opens it again after it was closed: whoever waits for
    /// all nodes waits for this one too.
    Registered,
    /// It holds no lines: the node has ended, and nobody need wait for it. Blocks may follow.
    Closed,
    /// It holds no lines: an operator ended the node, and no block follows.
    Retired,
}

impl Kind {
    #[cfg(feature = "postgres")]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Gap => "gap",
            Self::Registered => "registered",
            Self::Closed => "closed",
            Self::Retired => "retired",
        }
    }
}

/// The lines that a gap stands for, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Missing {
    /// The file in which they begin; `None` if everything before this block is meant.
    pub(crate) file: Option<String>,
    pub(crate) offset: u64,
    /// Why they are missing.
    pub(crate) reason: String,
    /// The files that are gone, as far as the manifest of the node has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<MissingFile>,
}

/// A file whose lines, or the last ones of them, are missing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct MissingFile {
    pub(crate) name: String,
    /// Of the whole file.
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) hash: Hash,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{file} from byte {} on: {}", self.offset, self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// The members of a header.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Fields {
    pub(crate) v: u32,
    pub(crate) node: String,
    pub(crate) stream: Stream,
    /// From 1, without a hole.
    pub(crate) seq: u64,
    /// The id of the block before, or zeros.
    pub(crate) prev: Hash,
    pub(crate) kind: Kind,
    /// Empty as long as there never was a line.
    pub(crate) file: String,
    pub(crate) birth: Hash,
    /// The first byte in the file, and the one after the last.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) lines: u64,
    /// The last line has no line feed, and never gets one.
    pub(crate) torn: bool,
    /// The file gets no more lines, and ends where the block ends.
    pub(crate) file_end: bool,
    /// The hash of the bytes in the file, and of the bytes as shipped.
    pub(crate) local: Hash,
    pub(crate) body: Hash,
    /// A random id of the process that cut the block.
    pub(crate) writer: String,
    /// When it was cut, in milliseconds since 1970 by the clock of the node. Never goes back.
    pub(crate) cut: i64,
    /// All that the node took before this time is in the chain up to here, in milliseconds since
    /// 1970. `None` if it is not known.
    pub(crate) through: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<Missing>,
    /// Of the block that registers a copy: where the lines before it are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    /// By what the lines were redacted. Then `local` and `birth` are keyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) redaction: Option<Redaction>,
}

/// Rules and a key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Redaction {
    pub(crate) rules: String,
    /// Names the key, and gives nothing of it away.
    pub(crate) key: String,
}

/// A block of the node that a copy was made of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Origin {
    pub(crate) node: String,
    pub(crate) seq: u64,
}

/// A header that cannot change any more: its bytes and its id.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) fields: Fields,
    pub(crate) text: String,
    pub(crate) id: Hash,
}

impl PartialEq for Header {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Header {
    pub(crate) fn new(fields: Fields) -> Self {
        let text = serde_json::to_string(&fields).expect("strings and numbers are always JSON");
        let id = Hash::of(text.as_bytes());
        Self { fields, text, id }
    }

    /// Reads what a destination or a note holds.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let not_one =
            |error: serde_json::Error| format!("it is not the header of a block: {error}");
        let Version { v } = serde_json::from_str(text).map_err(not_one)?;
        if v != VERSION {
            return Err(format!(
                "the header is of version {v}, and this program reads version {VERSION}; \
                 use the version of cdrlog that wrote it, or a later one"
            ));
        }
        let fields: Fields = serde_json::from_str(text).map_err(not_one)?;
        if fields.seq == 0 || fields.start > fields.end {
            return Err("the header of a block has impossible numbers".to_owned());
        }
        Ok(Self { fields, text: text.to_owned(), id: Hash::of(text.as_bytes()) })
    }

    pub(crate) fn chain(&self) -> Chain {
        Chain { node: self.fields.node.clone(), stream: self.fields.stream }
    }

    /// Where the next block begins, if its lines are in the same file.
    pub(crate) fn end(&self) -> Position {
        let Fields { file, birth, end, .. } = &self.fields;
        Position { file: file.clone(), birth: *birth, offset: *end }
    }

    /// Whether it is the block after `before`.
    pub(crate) fn follows(&self, before: Option<&Self>) -> bool {
        let (seq, id) = before.map_or((0, Hash::NONE), |before| (before.fields.seq, before.id));
        self.fields.seq == seq + 1 && self.fields.prev == id
    }
}

/// A block: whole lines of one file, and their header.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) header: Header,
    /// The lines, as shipped.
    pub(crate) body: Vec<u8>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The header of a block, with changed members.
    pub(crate) fn header_for_tests(change: impl FnOnce(&mut Fields)) -> Header {
        let mut fields = fields();
        change(&mut fields);
        Header::new(fields)
    }

    pub(in crate::ship) fn fields() -> Fields {
        Fields {
            v: VERSION,
            node: "n".to_owned(),
            stream: Stream::Lines,
            seq: 1,
            prev: Hash::NONE,
            kind: Kind::Lines,
            file: "CDR.2026-11-26_00-00-00.log".to_owned(),
            birth: Hash::of(b"{}\n"),
            start: 0,
            end: 3,
            lines: 1,
            torn: false,
            file_end: false,
            local: Hash::of(b"{}\n"),
            body: Hash::of(b"{}\n"),
            writer: "w".to_owned(),
            cut: 7,
            through: None,
            missing: None,
            origin: None,
            redaction: None,
        }
    }

    #[test]
    fn a_header_that_was_read_has_the_id_of_the_one_that_was_written() {
        let header = Header::new(fields());
        let read = Header::parse(&header.text).unwrap();
        assert_eq!((read.id, read.fields), (header.id, header.fields));
        let expected = r#"{"v":1,"node":"n","stream":"lines","seq":1,"prev":"0000"#;
        assert!(header.text.starts_with(expected), "{}", header.text);
    }

    #[test]
    fn a_member_that_is_not_known_counts_in_the_id() {
        let header = Header::new(fields());
        let later = header.text.replacen("{\"v\":1,", "{\"v\":1,\"new\":2,", 1);
        let read = Header::parse(&later).unwrap();
        assert_eq!(read.id, Hash::of(later.as_bytes()));
        assert_ne!(read.id, header.id);
    }

    #[test]
    fn a_header_of_another_version_is_refused_by_its_number() {
        let later = Header::new(Fields { v: 2, ..fields() }).text;
        assert!(Header::parse(&later).unwrap_err().contains("of version 2"));
        assert!(Header::parse("{}").unwrap_err().contains("not the header"));
        let impossible = Header::new(Fields { start: 4, ..fields() }).text;
        assert!(Header::parse(&impossible).unwrap_err().contains("impossible"));
    }

    #[test]
    fn a_block_follows_the_one_whose_id_it_names() {
        let first = Header::new(fields());
        let second = Header::new(Fields { seq: 2, prev: first.id, ..fields() });
        assert!(first.follows(None) && second.follows(Some(&first)));
        assert!(!second.follows(None) && !first.follows(Some(&second)));
        assert!(!Header::new(Fields { seq: 2, ..fields() }).follows(Some(&first)));
    }
}

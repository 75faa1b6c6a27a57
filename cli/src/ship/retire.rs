//! Ends a node that does not come back, at a destination.

use cdrlog::manifest::Hash;

use super::destination::{Answer, Destination, Failure};
use super::header::{Block, Chain, Fields, Header, Kind, Stream};

/// Appends a last block to each chain of a node. False if it has none, or was retired before.
pub(super) fn retire(
    destination: &mut dyn Destination,
    node: &str,
    writer: &str,
    now: i64,
) -> Result<bool, Failure> {
    let mut is_done = false;
    for stream in Stream::ALL {
        let chain = Chain { node: node.to_owned(), stream };
        while let Some(tail) = destination.tail(&chain)? {
            if tail.fields.kind == Kind::Retired {
                break;
            }
            match destination.append(Some(&tail), &last_block(&tail, writer, now)) {
                Answer::Appended => {
                    is_done = true;
                    break;
                }
                // It may still ship.
                Answer::Conflict => {}
                Answer::Unknown(failure) => return Err(failure),
            }
        }
    }
    Ok(is_done)
}

fn last_block(tail: &Header, writer: &str, now: i64) -> Block {
    let fields = Fields {
        seq: tail.fields.seq + 1,
        prev: tail.id,
        kind: Kind::Retired,
        start: tail.fields.end,
        lines: 0,
        torn: false,
        local: Hash::of(b""),
        body: Hash::of(b""),
        writer: writer.to_owned(),
        cut: now.max(tail.fields.cut),
        missing: None,
        origin: None,
        ..tail.fields.clone()
    };
    Block { header: Header::new(fields), body: Vec::new() }
}

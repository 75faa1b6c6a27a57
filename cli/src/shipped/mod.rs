//! A shipped record, which commands read as they read a directory.
//!
//! ```text
//! address ──> Shipped ──> Blocks ──────────> count: each chain is an input, as a file is
//!             nodes,      each chain in └──> Merged: one row of lines, for `tail`
//!             through     order, checked
//! ```
//!
//! Where to look:
//! - what a destination must be able to do: `ship/record.rs`;
//! - which chains are read, and from which block on: here;
//! - the blocks of a chain, holes and gaps: `blocks.rs`; several connections: `connections.rs`;
//! - up to which time the record is complete: `complete.rs`;
//! - the order over nodes: `order.rs`; the last lines of all: `last_lines.rs`.

mod blocks;
mod complete;
mod connections;
mod last_lines;
mod order;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::ship::{Chain, Failure, Header, Kind, Record, Stream, Target, Watermark};

pub(crate) use blocks::{Blocks, CursorId, LinesBlock, Reach};
pub(crate) use complete::Completeness;
pub(crate) use connections::Connections;
pub(crate) use last_lines::begin_of_last_lines;
pub(crate) use order::Merged;

/// How much earlier and later than the wanted time blocks are read, in milliseconds: an event may
/// reach the record late, and clocks differ.
const LATE_MS: i64 = 3_600_000;

/// How many nodes a message names.
const NAMED_MAX: usize = 20;

/// Which part of a record is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Only these nodes; all if it is empty.
    pub(crate) nodes: Vec<String>,
    /// Nodes that must be there, also if they never shipped a block.
    pub(crate) expected: Vec<String>,
    /// From this time on, and before this time, in milliseconds since 1970.
    pub(crate) since: Option<i64>,
    pub(crate) until: Option<i64>,
}

/// One stream of a record.
pub(crate) struct Shipped {
    pub(crate) blocks: Blocks,
    pub(crate) completeness: Completeness,
}

/// What is known of a chain before it is read.
struct Opened {
    reach: Reach,
    last: Option<Header>,
    watermark: Option<Watermark>,
}

impl Shipped {
    /// Finds the chains, and what is wanted of them.
    pub(crate) fn open(
        target: &Target,
        stream: Stream,
        selection: &Selection,
    ) -> Result<Self, Failure> {
        let mut connections = Connections::open(target)?;
        let nodes = nodes(&mut connections, stream, selection)?;
        connections.open_more(target, nodes.len())?;
        Self::of(connections, nodes, stream, selection)
    }

    /// The same, of connections that exist.
    pub(crate) fn of(
        mut connections: Connections,
        nodes: Vec<String>,
        stream: Stream,
        selection: &Selection,
    ) -> Result<Self, Failure> {
        let chains: Vec<_> =
            nodes.into_iter().map(|node| Chain { node, stream }).enumerate().collect();
        let since = selection.since.map(|since| since.saturating_sub(LATE_MS));
        let open = |record: &mut dyn Record, _, chain: &Chain| open(record, chain, since);
        let opened = connections.ask(&chains, open);
        let opened = opened.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut completeness = Completeness::default();
        for Opened { reach, last, watermark } in &opened {
            completeness.add(&reach.chain.node, last.as_ref(), watermark.as_ref());
        }
        completeness.expect(&selection.expected);
        let reaches = opened.into_iter().map(|opened| opened.reach).collect();
        let until = selection.until.map(|until| until.saturating_add(LATE_MS));
        Ok(Self { blocks: Blocks::new(connections, reaches, until), completeness })
    }
}

/// The nodes that are wanted and that there are, in order.
///
/// # Errors
///
/// A node that is named does not exist.
pub(crate) fn nodes(
    connections: &mut Connections,
    stream: Stream,
    selection: &Selection,
) -> Result<Vec<String>, Failure> {
    let nodes: BTreeSet<String> = connections.first().nodes(stream)?.into_iter().collect();
    if let Some(missing) = selection.nodes.iter().find(|node| !nodes.contains(*node)) {
        // Perhaps it has only a chain of the other stream.
        let other = if stream == Stream::Lines { Stream::Rejects } else { Stream::Lines };
        let others = connections.first().nodes(other)?;
        if !others.contains(missing) {
            let known: BTreeSet<_> = nodes.iter().chain(&others).map(String::as_str).collect();
            let known: Vec<_> = known.into_iter().take(NAMED_MAX).collect();
            return Err(Failure(format!(
                "there is no node {missing:?}; there are {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        }
    }
    let is_wanted = |node: &String| selection.nodes.is_empty() || selection.nodes.contains(node);
    Ok(nodes.into_iter().filter(is_wanted).collect())
}

/// The watermark comes first: it counts once the chain was read up to its block.
fn open(record: &mut dyn Record, chain: &Chain, since: Option<i64>) -> Result<Opened, Failure> {
    let watermark = record.watermark(chain)?;
    let last_seq = record.last_seq(chain)?;
    let last = if last_seq > 0 { record.header(chain, last_seq)? } else { None };
    let first = match since {
        Some(since) if last_seq > 0 => record.first_cut_since(chain, since, last_seq)?,
        _ => 1,
    };
    let reach = Reach { chain: chain.clone(), first, last: last_seq };
    Ok(Opened { reach, last, watermark })
}

/// Whether nobody need wait for more of a chain that ends with this block.
const fn is_over(last: &Header) -> bool {
    matches!(last.fields.kind, Kind::Closed | Kind::Retired)
}

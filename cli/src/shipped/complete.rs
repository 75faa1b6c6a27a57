//! Up to which time a record is complete, and which nodes are silent.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{NAMED_MAX, is_over};
use crate::ship::{Header, Watermark, now_ms};

/// A node of which nothing is known for longer is silent, in milliseconds: an idle one says every
/// minute how far its record is complete, and blocks are rarely cut less often.
const SILENT_MS: i64 = 10 * 60_000;

/// How far each node is complete.
#[derive(Clone, Debug, Default)]
pub(crate) struct Completeness {
    /// The nodes that go on, with the time before which all that they took is in the record, in
    /// milliseconds since 1970; `None` if that is not known.
    nodes: BTreeMap<String, Option<i64>>,
    /// Nodes that ended: nothing more comes from them.
    ended: BTreeSet<String>,
    /// Expected nodes that have no chain.
    unregistered: Vec<String>,
}

impl Completeness {
    /// Adds a node by its last block and its watermark.
    pub(super) fn add(&mut self, node: &str, last: Option<&Header>, mark: Option<&Watermark>) {
        if last.is_some_and(is_over) {
            self.ended.insert(node.to_owned());
            return;
        }
        // A watermark of another block is of a chain that went on, or back.
        let is_of = |mark: &&Watermark| last.is_some_and(|last| last.id == mark.id);
        let mark = mark.filter(is_of).map(|mark| mark.through);
        let through = last.and_then(|last| last.fields.through);
        self.nodes.insert(node.to_owned(), through.max(mark));
    }

    pub(super) fn expect(&mut self, nodes: &[String]) {
        let is_unknown =
            |node: &&String| !self.nodes.contains_key(*node) && !self.ended.contains(*node);
        self.unregistered = nodes.iter().filter(is_unknown).cloned().collect();
    }

    /// Whether nothing more comes from a node.
    pub(crate) fn has_ended(&self, node: &str) -> bool {
        self.ended.contains(node)
    }

    /// Whether an expected node never shipped anything.
    pub(crate) const fn lacks_expected(&self) -> bool {
        !self.unregistered.is_empty()
    }

    /// The time before which all that was taken is in the record, in milliseconds since 1970. `None`
    /// if there is no such time.
    pub(crate) fn through(&self) -> Option<i64> {
        if !self.unregistered.is_empty() {
            return None;
        }
        self.nodes.values().copied().min().flatten()
    }

    /// What to tell, a sentence each.
    pub(crate) fn sentences(&self) -> Vec<String> {
        self.sentences_at(now_ms())
    }

    fn sentences_at(&self, now: i64) -> Vec<String> {
        let mut sentences = Vec::new();
        for node in &self.unregistered {
            sentences.push(format!("node {node} is expected, and never shipped anything here"));
        }
        let is_silent =
            |through: Option<i64>| through.is_none_or(|it| it < now.saturating_sub(SILENT_MS));
        let silent = self.nodes.iter().filter(|(_, through)| is_silent(**through));
        let silent: Vec<_> = silent.collect();
        for (node, through) in silent.iter().take(NAMED_MAX) {
            sentences.push(match through {
                Some(through) => {
                    format!(
                        "node {node} is silent: nothing is known of it after {}",
                        time(*through)
                    )
                }
                None => format!("node {node} does not say up to which time its record is complete"),
            });
        }
        if silent.len() > NAMED_MAX {
            sentences.push(format!("and {} more nodes are silent", silent.len() - NAMED_MAX));
        }
        if self.nodes.is_empty() && self.ended.is_empty() {
            return sentences;
        }
        sentences.push(match self.through() {
            Some(through) => format!("the record is complete up to {}", time(through)),
            None if self.nodes.is_empty() && self.unregistered.is_empty() => {
                "the record is complete: all its nodes ended".to_owned()
            }
            None => "it is not known up to which time the record is complete".to_owned(),
        });
        sentences
    }
}

/// A time as people read it, the same everywhere.
fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ship::header_for_tests;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn a_record_is_complete_up_to_the_node_that_is_furthest_back() {
        let mut complete = Completeness::default();
        let last = header_for_tests(|fields| fields.through = Some(NOW - 1000));
        complete.add("a", Some(&last), None);
        assert_eq!(complete.through(), Some(NOW - 1000));
        let idle = header_for_tests(|fields| fields.through = Some(NOW - 90_000));
        let writer = "w".to_owned();
        let mark = Watermark { seq: 1, id: idle.id, through: NOW - 2000, writer };
        complete.add("b", Some(&idle), Some(&mark));
        assert_eq!(complete.through(), Some(NOW - 2000));
        // Of a block that is not the last one.
        complete.add("c", Some(&idle), Some(&Watermark { id: last.id, ..mark }));
        assert_eq!(complete.through(), Some(NOW - 90_000));
        let told = complete.sentences_at(NOW);
        assert_eq!(told, [format!("the record is complete up to {}", time(NOW - 90_000))]);
    }

    #[test]
    fn silent_nodes_and_those_that_never_came_are_named() {
        let mut complete = Completeness::default();
        let last = header_for_tests(|fields| fields.through = Some(NOW - 700_000));
        complete.add("old", Some(&last), None);
        complete.add("mute", Some(&header_for_tests(|fields| fields.through = None)), None);
        complete.expect(&["old".to_owned(), "never".to_owned()]);
        let told = complete.sentences_at(NOW).join("\n");
        for text in ["node never is expected", "node old is silent", "node mute does not say"] {
            assert!(told.contains(text), "{text:?} is missing: {told}");
        }
        assert!(
            told.ends_with("it is not known up to which time the record is complete"),
            "{told}"
        );
    }

    #[test]
    fn nobody_waits_for_a_node_that_ended() {
        let mut complete = Completeness::default();
        let retired = header_for_tests(|fields| fields.kind = crate::ship::Kind::Retired);
        complete.add("gone", Some(&retired), None);
        complete.expect(&["gone".to_owned()]);
        assert_eq!(
            complete.sentences_at(NOW),
            ["the record is complete: all its nodes ended".to_owned()]
        );
        let last = header_for_tests(|fields| fields.through = Some(NOW));
        complete.add("here", Some(&last), None);
        assert_eq!(complete.through(), Some(NOW));
    }
}

//! What a worker is to do.

use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::redact::Redactor;
use super::shipper::Rules;
use super::state::Place;
use super::target::Target;

/// What to ship, and how.
#[derive(Clone)]
pub(super) struct Job<'a> {
    pub(super) directory: &'a Path,
    pub(super) target: &'a Target,
    pub(super) place: &'a Place,
    pub(super) node: &'a str,
    pub(super) writer: &'a str,
    pub(super) rules: Rules,
    /// Takes out of the shipped copy what must not leave the machine.
    pub(super) redactor: Option<&'a Redactor>,
    pub(super) block_age: Duration,
    /// Files are kept until the destination has them.
    pub(super) required: bool,
    /// End when everything that may be shipped is acknowledged.
    pub(super) once: bool,
    /// Ship the other stream for as long as the program runs, if one has stopped.
    pub(super) outlives_stop: bool,
    pub(super) ends: &'a AtomicBool,
    /// Where sentences go.
    pub(super) tell: &'a (dyn Fn(String) + Sync),
}

impl Job<'_> {
    /// Says something about this destination.
    pub(super) fn tell(&self, sentence: &dyn Display) {
        (self.tell)(format!("{}: {sentence}", self.target));
    }
}

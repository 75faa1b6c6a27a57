//! Which files are removed because they are too old (by the time of `age.rs`), or too large
//! together.

use std::time::{Duration, SystemTime};

use super::directory::Found;
use crate::pins::Limit;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retention {
    pub(super) age_max: Option<Duration>,
    pub(super) bytes_max: Option<u64>,
}

impl Retention {
    /// Which files of `all`, oldest first, are to be removed now, and because of which limit. A file
    /// that is kept counts for the size.
    pub(super) fn surplus(
        self,
        all: &[Found],
        now: SystemTime,
        is_kept: impl Fn(&Found, Limit) -> bool,
    ) -> Vec<(&Found, Limit)> {
        let mut bytes: u64 = all.iter().map(|file| file.bytes).sum();
        let mut surplus = Vec::new();
        for file in all {
            let is_too_much = self.bytes_max.is_some_and(|bytes_max| bytes > bytes_max);
            let limit = match is_too_much {
                true => Some(Limit::Bytes),
                false => self.is_too_old(file, now).then_some(Limit::Age),
            };
            if let Some(limit) = limit.filter(|&limit| !is_kept(file, limit)) {
                bytes -= file.bytes;
                surplus.push((file, limit));
            }
        }
        surplus
    }

    /// Whether a file is spared that would be too old at `clock` but is not at `now`.
    pub(super) fn spares_any(self, all: &[Found], now: SystemTime, clock: SystemTime) -> bool {
        all.iter().any(|file| self.is_too_old(file, clock) && !self.is_too_old(file, now))
    }

    fn is_too_old(self, file: &Found, now: SystemTime) -> bool {
        // A file in the future, from a clock that was set back since, is not old.
        let age = now.duration_since(file.modified).unwrap_or_default();
        self.age_max.is_some_and(|age_max| age > age_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::FileName;

    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + 30_000 * DAY
    }

    /// Files of 10 bytes, a day apart, the newest being written now.
    fn files(count: u32) -> Vec<Found> {
        let file = |number: u32| {
            let plain_name = format!("CDR.2026-11-{:02}_00-00-00.log", number + 1);
            Found {
                path: format!("/cdr/{plain_name}").into(),
                name: FileName::parse(&plain_name).unwrap(),
                plain_name,
                bytes: 10,
                modified: now() - (count - 1 - number) * DAY,
            }
        };
        (0..count).map(file).collect()
    }

    fn surplus(age_max: Option<Duration>, bytes_max: Option<u64>) -> Vec<String> {
        let all = files(5);
        // Day 2 and the last one are open.
        let is_open = |file: &Found, _: Limit| file.path == all[1].path || file.path == all[4].path;
        let surplus = Retention { age_max, bytes_max }.surplus(&all, now(), is_open);
        surplus.into_iter().map(|(file, _)| file.plain_name[12..14].to_owned()).collect()
    }

    #[test]
    fn the_oldest_files_go_until_the_rest_is_small_enough_but_never_an_open_one() {
        assert_eq!(surplus(None, None), [""; 0]);
        assert_eq!(surplus(None, Some(50)), [""; 0]);
        assert_eq!(surplus(None, Some(49)), ["01"]);
        assert_eq!(surplus(None, Some(35)), ["01", "03"]);
        assert_eq!(surplus(None, Some(1)), ["01", "03", "04"]);
    }

    #[test]
    fn files_go_whose_last_line_is_older_than_the_age() {
        assert_eq!(surplus(Some(4 * DAY), None), [""; 0]);
        assert_eq!(surplus(Some(4 * DAY - Duration::from_secs(1)), None), ["01"]);
        assert_eq!(surplus(Some(DAY), None), ["01", "03"]);
        assert_eq!(surplus(Some(2 * DAY), Some(29)), ["01", "03", "04"]);
    }

    #[test]
    fn a_file_that_is_kept_against_one_limit_goes_because_of_the_other() {
        let all = files(5);
        let names = |kept: Limit, bytes_max| {
            let retention = Retention { age_max: Some(DAY), bytes_max: Some(bytes_max) };
            let surplus = retention.surplus(&all, now(), |_, limit| limit == kept);
            surplus.into_iter().map(|(file, _)| file.plain_name[12..14].to_owned()).collect()
        };
        let (too_much, too_old): (Vec<String>, Vec<String>) =
            (names(Limit::Age, 30), names(Limit::Bytes, 50));
        assert_eq!(
            (too_much, too_old),
            (vec!["01".into(), "02".into()], vec!["01".into(), "02".into(), "03".into()])
        );
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_file_old() {
        let (all, age_max) = (files(5), Some(Duration::from_secs(1)));
        let retention = Retention { age_max, bytes_max: None };
        assert!(retention.surplus(&all, SystemTime::UNIX_EPOCH, |_, _| false).is_empty());
    }
}

//! Which names the files of a CDR have: `CDR.<date>_<time>[.<number>].log` and
//! `rejected.<date>_<time>[.<number>].jsonl`, with `.zst` or `.gz` behind it where they are
//! compressed.

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Cdr,
    Rejects,
}

/// `None` where it is not exactly such a name: it holds no separator, no escape and no blank.
pub(super) fn kind(name: &str) -> Option<Kind> {
    let plain = name.strip_suffix(".zst").or_else(|| name.strip_suffix(".gz")).unwrap_or(name);
    let within = |prefix, suffix| plain.strip_prefix(prefix)?.strip_suffix(suffix);
    let (kind, middle): (_, &str) = match within("CDR.", ".log") {
        Some(middle) => (Kind::Cdr, middle),
        None => (Kind::Rejects, within("rejected.", ".jsonl")?),
    };
    let (stamp, number) = middle.split_at_checked(STAMP.len())?;
    let is_stamp = stamp.bytes().zip(STAMP.bytes()).all(|(byte, pattern)| match pattern {
        b'0' => byte.is_ascii_digit(),
        separator => byte == separator,
    });
    let is_number = match number.strip_prefix('.') {
        Some(digits) => {
            (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => number.is_empty(),
    };
    (is_stamp && is_number).then_some(kind)
}

/// Digits where there is a 0.
const STAMP: &str = "0000-00-00_00-00-00";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_our_files_and_no_others() {
        for name in [
            "CDR.2026-11-23_13-07-28.log",
            "CDR.2026-11-23_13-07-28.1.log",
            "CDR.2026-11-23_13-07-28.log.zst",
            "CDR.2026-11-23_13-07-28.2.log.gz",
        ] {
            assert_eq!(kind(name), Some(Kind::Cdr), "{name}");
        }
        assert_eq!(kind("rejected.2026-11-23_13-07-28.jsonl"), Some(Kind::Rejects));
        for name in [
            "",
            "..",
            "CDR.log",
            "CDR.2026-11-23_13-07-28.log/",
            "CDR.2026-11-23_13-07-28.log\0",
            "CDR.2026-11-23_13-07-28/../../x.log",
            "CDR.2026-11-23_13-07-28.log.zst.gz",
            "CDR.2026-11-23_13-07-28.+1.log",
            "CDR.2026-11-23_13-07-28..log",
            "CDR.2026-11-23_13-07-2%38.log",
            "CDR.2026-11-23_13-07-2\u{e9}.log",
            "../CDR.2026-11-23_13-07-28.log",
            "rejected.2026-11-23_13-07-28.log",
        ] {
            assert_eq!(kind(name), None, "{name}");
        }
    }
}

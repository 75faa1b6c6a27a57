//! Rows as bytes, for those that wait in a temporary file.
//!
//! ```text
//! flags | 14 numbers of 8 bytes | for each text: its length in 4 bytes, and its bytes
//! ```

use std::borrow::Cow;

use super::row::{EndedBy, Row, RowType};
use crate::count::{Sum, Usage};

const IS_SESSION: u8 = 1;
const HAS_BEGAN: u8 = 2;
const HAS_ENDED: u8 = 4;
/// What ended it, from this bit on; 0 if it is open.
const ENDED_BY_SHIFT: u32 = 4;

const ENDED_BY: [EndedBy; 3] = [EndedBy::Leave, EndedBy::SessionEnd, EndedBy::Inferred];

/// Appends a row.
pub(super) fn pack(row: &Row<'_>, bytes: &mut Vec<u8>) {
    let ended_by = row.ended_by.map_or(0, |by| by as u8 + 1);
    let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
    bytes.push(
        flag(row.of == RowType::Session, IS_SESSION)
            | flag(row.began.is_some(), HAS_BEGAN)
            | flag(row.ended.is_some(), HAS_ENDED)
            | ended_by << ENDED_BY_SHIFT,
    );
    let Usage { tracks, received, egress, recordings, recording_bytes } = row.usage;
    let times = [row.began.unwrap_or(0), row.ended.unwrap_or(0), row.last, row.stay_ms];
    times.iter().for_each(|time| bytes.extend(time.to_le_bytes()));
    [row.participants, recording_bytes].iter().for_each(|it| bytes.extend(it.to_le_bytes()));
    for Sum { count, ms } in [tracks, received, egress, recordings] {
        bytes.extend(count.to_le_bytes());
        bytes.extend(ms.to_le_bytes());
    }
    for text in [
        &row.session,
        &row.session_id,
        &row.participant,
        &row.identity,
        &row.kind,
        &row.connection,
        &row.platform,
        &row.location,
        &row.client_data,
        &row.reason,
    ] {
        // No line is that long.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        bytes.extend(length.to_le_bytes());
        bytes.extend(text.as_bytes());
    }
}

/// The row of these bytes; `None` if they are not those of a row.
pub(super) fn unpack(bytes: &[u8]) -> Option<Row<'_>> {
    let (&flags, mut rest) = bytes.split_first()?;
    let mut number = || {
        let (number, after) = rest.split_first_chunk()?;
        rest = after;
        Some(*number)
    };
    let mut time = || number().map(i64::from_le_bytes);
    let (began, ended, last, stay_ms) = (time()?, time()?, time()?, time()?);
    let mut count = || number().map(u64::from_le_bytes);
    let (participants, recording_bytes) = (count()?, count()?);
    let mut sum =
        || Some(Sum { count: u64::from_le_bytes(number()?), ms: i64::from_le_bytes(number()?) });
    let (tracks, received, egress, recordings) = (sum()?, sum()?, sum()?, sum()?);
    let mut text = || {
        let (length, after) = rest.split_first_chunk()?;
        let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = after;
        str::from_utf8(text).ok().map(Cow::Borrowed)
    };
    let ended_by = usize::from(flags >> ENDED_BY_SHIFT).checked_sub(1);
    Some(Row {
        of: if flags & IS_SESSION == 0 { RowType::Participant } else { RowType::Session },
        session: text()?,
        session_id: text()?,
        participant: text()?,
        identity: text()?,
        kind: text()?,
        connection: text()?,
        platform: text()?,
        location: text()?,
        client_data: text()?,
        began: (flags & HAS_BEGAN != 0).then_some(began),
        ended: (flags & HAS_ENDED != 0).then_some(ended),
        last,
        ended_by: ended_by.and_then(|by| ENDED_BY.get(by).copied()),
        reason: text()?,
        participants,
        stay_ms,
        usage: Usage { tracks, received, egress, recordings, recording_bytes },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_same_after_it_was_packed() {
        let text = |text: &'static str| Cow::Borrowed(text);
        let of = |number: u64| Sum { count: number, ms: -(number as i64) };
        for ended_by in [None, Some(ENDED_BY[0]), Some(ENDED_BY[1]), Some(ENDED_BY[2])] {
            let row = Row {
                of: RowType::Session,
                session: text("ä\n\""),
                session_id: text("id"),
                participant: text("con"),
                identity: text("ada"),
                kind: text("SIP"),
                connection: text("c"),
                platform: text("Firefox"),
                location: text(""),
                client_data: text("{}"),
                began: Some(-5),
                ended: ended_by.map(|_| i64::MAX),
                last: 7,
                ended_by,
                reason: text("disconnect"),
                participants: u64::MAX,
                stay_ms: 9,
                usage: Usage {
                    tracks: of(1),
                    received: of(2),
                    egress: of(3),
                    recordings: of(4),
                    recording_bytes: 5,
                },
            };
            let mut bytes = Vec::new();
            pack(&row, &mut bytes);
            assert_eq!(unpack(&bytes).unwrap(), row);
            // A part of a row is none.
            (0..bytes.len()).for_each(|end| assert_eq!(unpack(&bytes[..end]), None));
            assert_eq!(
                unpack(&[&[0][..], &[0; 8 * 14 + 4 * 10]].concat()),
                Some(Row::default()).map(|row| Row { ended: None, ..row })
            );
        }
    }
}

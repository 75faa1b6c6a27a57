//! The tables of participants and of sessions: the rows of `cdrlog sessions`, of each day once, when
//! it is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;

use jiff::tz::TimeZone;

use super::columns::{PARTICIPANTS, SESSIONS};
use super::days::Days;
use super::parquet_file::Cell;
use super::table_file::{TableFile, partition};
use super::target::Target;
use crate::count::Sum;
use crate::sessions::{Ledger, Row, RowType};

/// The one file of a day.
const NAME: &str = "rows.parquet";

/// Exports the rows of all days that are closed, begin before `closed_before` (in milliseconds since
/// 1970), and were not exported yet. Returns how many files were created.
pub(super) fn export(
    target: &Target,
    ledger: &mut Ledger,
    closed_before: Option<i64>,
    zone: &TimeZone,
) -> Result<u64, Box<dyn Error>> {
    let mut files_created = 0;
    for (table, schema, of) in [
        ("participants", PARTICIPANTS, RowType::Participant),
        ("sessions", SESSIONS, RowType::Session),
    ] {
        let known: BTreeSet<String> = target
            .files(table)?
            .into_iter()
            .filter_map(|(day, name)| (name == NAME).then_some(day))
            .collect();
        let mut days = Days::new(zone.clone());
        let mut files: BTreeMap<String, TableFile> = BTreeMap::new();
        ledger.rows(of, |row| {
            let at = row.at().filter(|at| closed_before.is_some_and(|before| *at < before));
            let Some(at) = at.filter(|_| row.of == of) else { return Ok(()) };
            let day = days.of(at);
            if known.contains(&partition(day)) {
                return Ok(());
            }
            if !files.contains_key(day) {
                let file = TableFile::new(target, table, day, schema).map_err(io::Error::other)?;
                files.insert(day.to_owned(), file);
            }
            let cells = match of {
                RowType::Participant => participant(&row),
                RowType::Session => session(&row),
            };
            files.get_mut(day).map_or(Ok(()), |file| file.push(&cells)).map_err(io::Error::other)
        })?;
        for file in files.into_values() {
            files_created += u64::from(file.commit(target, NAME)?);
        }
    }
    Ok(files_created)
}

fn participant<'a>(row: &'a Row<'_>) -> Vec<Cell<'a>> {
    let mut cells: Vec<_> = [
        &row.session,
        &row.session_id,
        &row.participant,
        &row.identity,
        &row.kind,
        &row.connection,
        &row.platform,
        &row.location,
        &row.client_data,
    ]
    .map(|text| Cell::text(text))
    .into();
    cells.extend([
        Cell::whole(row.began),
        Cell::whole(row.ended),
        Cell::Whole(row.last),
        seconds(row.stay_ms),
        ended_by(row),
        Cell::text(&row.reason),
        Cell::count(row.participants),
    ]);
    cells.extend(usage(row));
    cells
}

fn session<'a>(row: &'a Row<'_>) -> Vec<Cell<'a>> {
    let mut cells = vec![
        Cell::text(&row.session),
        Cell::text(&row.session_id),
        Cell::whole(row.began),
        Cell::whole(row.ended),
        Cell::Whole(row.last),
        Cell::count(row.participants),
        seconds(row.stay_ms),
        ended_by(row),
        Cell::text(&row.reason),
    ];
    cells.extend(usage(row));
    cells
}

fn ended_by(row: &Row<'_>) -> Cell<'static> {
    // Open rows are in no day that is closed.
    Cell::Text(row.ended_by.map_or("open", |by| by.word()).as_bytes())
}

fn usage(row: &Row<'_>) -> [Cell<'static>; 9] {
    let usage = &row.usage;
    let sum = |sum: Sum| [Cell::count(sum.count), seconds(sum.ms)];
    let [tracks, track_seconds] = sum(usage.tracks);
    let [received, received_seconds] = sum(usage.received);
    let [egresses, egress_seconds] = sum(usage.egress);
    let [recordings, recording_seconds] = sum(usage.recordings);
    let bytes = Cell::count(usage.recording_bytes);
    [
        tracks,
        track_seconds,
        received,
        received_seconds,
        egresses,
        egress_seconds,
        recordings,
        recording_seconds,
        bytes,
    ]
}

fn seconds(ms: i64) -> Cell<'static> {
    Cell::Real(ms as f64 / 1000.0)
}

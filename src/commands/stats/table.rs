//! The report as a human reads it.

use std::fmt::Write;
use std::iter;

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{DecimalBytes, HumanCount};

use super::period::{By, Divider};
use super::tally::{Figures, Report};

/// Where the table is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Text alone.
    Plain,
    /// With bars.
    Bars,
    /// With bars in colour.
    Colours,
}

const BAR_CELLS: u64 = 24;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const BAR_STYLE: Style = AnsiColor::Cyan.on_default();
const HEADING_STYLE: Style = Style::new().bold();

/// The whole report.
pub(super) fn render(report: &Report, divider: &Divider, look: Look) -> String {
    let mut text = heading(report, divider, look);
    text.push_str(&show(&summary(report), look, Shape { header: false, numbers: 1..2 }));
    if let Some(by) = divider.by {
        text.push('\n');
        text.push_str(&show(
            &rows(report, divider, by, look),
            look,
            Shape { header: true, numbers: 1..9 },
        ));
    }
    if !report.kinds.is_empty() {
        text.push('\n');
        text.push_str(&show(&kinds(report, look), look, Shape { header: true, numbers: 1..2 }));
    }
    text
}

fn heading(report: &Report, divider: &Divider, look: Look) -> String {
    let local = |at: Option<i64>| {
        let local = at.and_then(|at| divider.local(at));
        local.map_or("-".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
    };
    let heading = format!(
        "{} to {} {}, {}",
        local(report.first_timestamp),
        local(report.last_timestamp),
        zone_name(report, divider),
        DecimalBytes(report.bytes)
    );
    format!("{}\n\n", styled(&heading, HEADING_STYLE, look))
}

fn zone_name(report: &Report, divider: &Divider) -> String {
    let last = report.last_timestamp.and_then(|at| divider.local(at));
    last.map(|time| time.strftime("%Z").to_string()).unwrap_or_default()
}

fn summary(report: &Report) -> Vec<Vec<String>> {
    let total = &report.total;
    let count = |count: u64| HumanCount(count).to_string();
    let around = |open: u64, before: u64| {
        let notes = [(open, "still open"), (before, "more from before the first line")];
        let notes = notes.iter().filter(|(count, _)| *count > 0);
        let notes: Vec<_> =
            notes.map(|(count, note)| format!("{} {note}", HumanCount(*count))).collect();
        notes.join(", ")
    };
    let mut sessions = around(report.sessions_open, report.sessions_before);
    if report.sessions_given_up > 0 {
        let comma = if sessions.is_empty() { "" } else { ", " };
        let _ = write!(sessions, "{comma}{} without an end", HumanCount(report.sessions_given_up));
    }
    let bytes = match total.recordings {
        0 => String::new(),
        _ => DecimalBytes(total.recording_bytes).to_string(),
    };
    let row = |name: &str, figure: String, note: String| vec![name.to_owned(), figure, note];
    vec![
        row("events", count(total.events), String::new()),
        row("sessions", count(total.sessions), sessions),
        row(
            "participants",
            count(total.participants),
            around(report.participants_open, report.participants_before),
        ),
        row("participant-minutes", minutes(total), String::new()),
        row("recordings", count(total.recordings), bytes),
        row("most sessions at once", count(total.peak_sessions), String::new()),
        row("most participants at once", count(total.peak_participants), String::new()),
    ]
}

fn rows(report: &Report, divider: &Divider, by: By, look: Look) -> Vec<Vec<String>> {
    let most = report.rows.values().map(|row| row.participant_ms).max().unwrap_or_default();
    let name = match by {
        By::Day => "day",
        By::Hour => "hour",
    };
    let header = [
        name,
        "events",
        "sessions",
        "participants",
        "recordings",
        "recorded",
        "most sessions",
        "most participants",
        "participant-minutes",
    ];
    let header = header.map(str::to_owned).to_vec();
    let row = |(begin, row): (&Option<i64>, &Figures)| {
        let count = |count: u64| HumanCount(count).to_string();
        let mut cells = vec![
            begin.map_or("(no time)".to_owned(), |begin| label(begin, divider, by)),
            count(row.events),
            count(row.sessions),
            count(row.participants),
            count(row.recordings),
            DecimalBytes(row.recording_bytes).to_string(),
            count(row.peak_sessions),
            count(row.peak_participants),
            minutes(row),
        ];
        cells.extend((look != Look::Plain).then(|| bar(row.participant_ms, most)));
        cells
    };
    iter::once(header).chain(report.rows.iter().map(row)).collect()
}

/// The local name of a day or an hour.
fn label(begin: i64, divider: &Divider, by: By) -> String {
    let format = match by {
        By::Day => "%Y-%m-%d",
        // The offset tells the two hours apart that are one hour when summer time ends.
        By::Hour => "%Y-%m-%d %H:00 %:z",
    };
    divider.local(begin).map_or_else(|| begin.to_string(), |time| time.strftime(format).to_string())
}

/// The kinds of events, the most frequent first.
fn kinds(report: &Report, look: Look) -> Vec<Vec<String>> {
    let mut kinds: Vec<_> = report
        .kinds
        .iter()
        .zip(report.total.kinds.iter().copied())
        .filter(|kind| kind.1 > 0)
        .collect();
    kinds.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
    let most = kinds.first().map_or(0, |kind| kind.1);
    let row = |(name, count): (&String, u64)| {
        let mut cells = vec![printable(name), HumanCount(count).to_string()];
        cells.extend((look != Look::Plain).then(|| bar(count, most)));
        cells
    };
    iter::once(vec!["event".to_owned(), "count".to_owned()])
        .chain(kinds.into_iter().map(row))
        .collect()
}

/// A name is anybody's: no control character of one may reach the terminal.
fn printable(name: &str) -> String {
    name.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

fn minutes(figures: &Figures) -> String {
    let tenths = figures.participant_ms / 6000;
    format!("{}.{}", HumanCount(tenths / 10), tenths % 10)
}

/// A bar for `count` where `most` is the longest.
fn bar(count: u64, most: u64) -> String {
    let cells = u128::from(BAR_CELLS) * 8 * u128::from(count) / u128::from(most.max(1));
    let eighths = (cells as usize).max(usize::from(count > 0));
    "█".repeat(eighths / 8) + EIGHTHS.get(eighths % 8).copied().unwrap_or_default()
}

struct Shape {
    header: bool,
    /// The columns that are aligned to the right.
    numbers: std::ops::Range<usize>,
}

fn show(rows: &[Vec<String>], look: Look, shape: Shape) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.add_rows(rows.iter());
    for index in shape.numbers {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    let mut text = String::new();
    for (index, line) in table.lines().enumerate() {
        let line = line.trim_end();
        if shape.header && index == 0 {
            text.push_str(&styled(line, HEADING_STYLE, look));
        } else {
            // A bar is the last thing of its line.
            let (words, bar) = line.split_at(line.find(is_bar).unwrap_or(line.len()));
            text.push_str(words);
            text.push_str(&styled(bar, BAR_STYLE, look));
        }
        text.push('\n');
    }
    text
}

fn is_bar(char: char) -> bool {
    ('▉'..='▏').contains(&char) || char == '█'
}

fn styled(text: &str, style: Style, look: Look) -> String {
    match look {
        Look::Colours if !text.is_empty() => format!("{style}{text}{style:#}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_full_and_no_count_is_without_one() {
        assert_eq!(bar(7, 7), "█".repeat(24));
        assert_eq!(bar(1, u64::MAX), "▏");
        assert_eq!(bar(0, 7), "");
        assert_eq!(bar(1, 2), "█".repeat(12));
        assert_eq!(bar(u64::MAX, u64::MAX).chars().count(), 24);
        assert!(bar(3, 7).chars().all(is_bar));
    }

    #[test]
    fn names_cannot_reach_the_terminal_with_control_characters() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\u{fffd}[31mb");
    }
}

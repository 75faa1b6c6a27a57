//! The report for people.

use std::fmt::Write;
use std::iter;

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{DecimalBytes, HumanCount};

use super::figures::{Figures, Report};
use super::period::{By, Divider};
use super::rejects::Rejects;

/// Where the table is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Text alone.
    Plain,
    /// With bars, on a terminal of this width.
    Bars { columns: usize },
    /// With bars in colour.
    Colours { columns: usize },
}

impl Look {
    fn columns(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::Bars { columns } | Self::Colours { columns } => columns,
        }
    }
}

/// The length of a bar if there is room for it.
const BAR_CELLS: usize = 24;
/// A shorter bar would show nothing.
const BAR_CELLS_MIN: usize = 4;
/// The space between two columns.
const BAR_GAP: usize = 2;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const BAR_STYLE: Style = AnsiColor::Cyan.on_default();
const HEADING_STYLE: Style = Style::new().bold();

/// The whole report.
pub(super) fn render(report: &Report, rejects: &Rejects, divider: &Divider, look: Look) -> String {
    let mut text = heading(report, divider, look);
    text.push_str(&show(&summary(report, rejects), look, Shape { header: false, numbers: 1..2 }));
    if let Some(by) = divider.by {
        let (rows, minutes) = rows(report, divider, by);
        text.push('\n');
        text.push_str(&with_bars(rows, &minutes, look, 1..9));
    }
    if !report.kinds.is_empty() {
        let (kinds, counts) = kinds(report);
        text.push('\n');
        text.push_str(&with_bars(kinds, &counts, look, 1..2));
    }
    for (heading, counts) in [
        ("why participants left", &report.leave_reasons),
        ("why sessions ended", &report.end_reasons),
        ("why bodies were rejected", &rejects.reasons),
    ] {
        if !counts.is_empty() {
            let (rows, counts) = named(heading, counts.iter().map(|(name, count)| (name, *count)));
            text.push('\n');
            text.push_str(&with_bars(rows, &counts, look, 1..2));
        }
    }
    text
}

/// A table with a header, and a bar after each row if the terminal is wide enough.
fn with_bars(
    mut rows: Vec<Vec<String>>,
    counts: &[u64],
    look: Look,
    numbers: std::ops::Range<usize>,
) -> String {
    let shape = || Shape { header: true, numbers: numbers.clone() };
    let plain = show(&rows, Look::Plain, shape());
    let width = plain.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let cells = look.columns().saturating_sub(width + BAR_GAP).min(BAR_CELLS);
    if cells >= BAR_CELLS_MIN {
        let most = counts.iter().copied().max().unwrap_or_default();
        for (row, &count) in rows.iter_mut().skip(1).zip(counts) {
            row.push(bar(count, most, cells));
        }
    }
    show(&rows, look, shape())
}

fn heading(report: &Report, divider: &Divider, look: Look) -> String {
    let local = |at: Option<i64>| {
        let local = at.and_then(|at| divider.local(at));
        local.map_or("-".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
    };
    let times = match report.last_timestamp {
        None => "no event with a time".to_owned(),
        last => format!(
            "{} to {} {}",
            local(report.first_timestamp),
            local(last),
            zone_name(report, divider)
        ),
    };
    let heading = format!("{times}, {}", DecimalBytes(report.bytes));
    format!("{}\n\n", styled(&heading, HEADING_STYLE, look))
}

fn zone_name(report: &Report, divider: &Divider) -> String {
    let last = report.last_timestamp.and_then(|at| divider.local(at));
    last.map(|time| time.strftime("%Z").to_string()).unwrap_or_default()
}

fn summary(report: &Report, rejects: &Rejects) -> Vec<Vec<String>> {
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
        row("events", count(total.events), repeated(report)),
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
        row("rejected bodies", count(rejects.count), String::new()),
    ]
}

/// What the events exclude, or may count twice.
fn repeated(report: &Report) -> String {
    let notes =
        [(report.events_repeated, "more occur twice"), (report.events_unknown, "may occur twice")];
    let notes = notes.iter().filter(|(count, _)| *count > 0);
    let notes: Vec<_> =
        notes.map(|(count, note)| format!("{} {note}", HumanCount(*count))).collect();
    notes.join(", ")
}

/// The header and a row for each day or hour, and the participant-time of each.
fn rows(report: &Report, divider: &Divider, by: By) -> (Vec<Vec<String>>, Vec<u64>) {
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
        vec![
            begin.map_or("(no time)".to_owned(), |begin| label(begin, divider, by)),
            count(row.events),
            count(row.sessions),
            count(row.participants),
            count(row.recordings),
            DecimalBytes(row.recording_bytes).to_string(),
            count(row.peak_sessions),
            count(row.peak_participants),
            minutes(row),
        ]
    };
    let rows = iter::once(header).chain(report.rows.iter().map(row)).collect();
    (rows, report.rows.values().map(|row| row.participant_ms).collect())
}

/// The local name of a day or an hour.
fn label(begin: i64, divider: &Divider, by: By) -> String {
    let format = match by {
        By::Day => "%Y-%m-%d",
        // The offset distinguishes the hour that occurs twice when summer time ends.
        By::Hour => "%Y-%m-%d %H:00 %:z",
    };
    divider.local(begin).map_or_else(|| begin.to_string(), |time| time.strftime(format).to_string())
}

/// The kinds of events, most frequent first, below a header; and the count of each.
fn kinds(report: &Report) -> (Vec<Vec<String>>, Vec<u64>) {
    let mut kinds: Vec<_> = report
        .kinds
        .iter()
        .zip(report.total.kinds.iter().copied())
        .filter(|kind| kind.1 > 0)
        .collect();
    kinds.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
    named("event", kinds.into_iter())
}

/// A row for each name below a header; and the counts alone.
fn named<'a>(
    heading: &str,
    names: impl Iterator<Item = (&'a String, u64)> + Clone,
) -> (Vec<Vec<String>>, Vec<u64>) {
    let counts = names.clone().map(|(_, count)| count).collect();
    let row = |(name, count): (&String, u64)| vec![printable(name), HumanCount(count).to_string()];
    let header = vec![heading.to_owned(), "count".to_owned()];
    (iter::once(header).chain(names.map(row)).collect(), counts)
}

/// Names can contain anything: no control character may reach the terminal.
fn printable(name: &str) -> String {
    name.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

fn minutes(figures: &Figures) -> String {
    let tenths = figures.participant_ms.saturating_add(3000) / 6000;
    format!("{}.{}", HumanCount(tenths / 10), tenths % 10)
}

/// A bar for `count`, if that of `most` has this many cells.
fn bar(count: u64, most: u64, cells: usize) -> String {
    let eighths = cells as u128 * 8 * u128::from(count) / u128::from(most.max(1));
    let eighths = (eighths as usize).max(usize::from(count > 0));
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
            // A bar is the last thing on its line.
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
        Look::Colours { .. } if !text.is_empty() => format!("{style}{text}{style:#}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_full_and_no_count_is_without_one() {
        assert_eq!(bar(7, 7, 24), "█".repeat(24));
        assert_eq!(bar(1, u64::MAX, 24), "▏");
        assert_eq!(bar(0, 7, 24), "");
        assert_eq!(bar(1, 2, 24), "█".repeat(12));
        assert_eq!(bar(u64::MAX, u64::MAX, 24).chars().count(), 24);
        assert!(bar(3, 7, 24).chars().all(is_bar));
    }

    #[test]
    fn a_line_is_no_wider_than_the_terminal_where_only_its_bar_would_be() {
        let rows =
            || ["event", "a", "b"].map(|name| vec![name.to_owned(), "7".to_owned()]).to_vec();
        let widths = |columns| {
            let text = with_bars(rows(), &[7, 1], Look::Bars { columns }, 1..2);
            text.lines().map(|line| line.chars().count()).max().unwrap()
        };
        assert_eq!([widths(0), widths(12), widths(20), widths(200)], [8, 8, 20, 8 + 2 + 24]);
    }

    #[test]
    fn minutes_are_rounded_not_cut() {
        let minutes = |participant_ms| {
            let mut figures = Figures::default();
            figures.participant_ms = participant_ms;
            minutes(&figures)
        };
        assert_eq!(
            [0, 2999, 3000, 59_999, 60_000].map(minutes),
            ["0.0", "0.0", "0.1", "1.0", "1.0"]
        );
        assert_eq!(minutes(3_599_999_999), "60,000.0");
    }

    #[test]
    fn names_cannot_reach_the_terminal_with_control_characters() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\u{fffd}[31mb");
    }
}

//! `cdrlog ship --status`.

use std::error::Error;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::json;

use super::state::{Place, State};
use super::status::{Status, StreamStatus};
use super::target::Target;
use crate::json_output::{self, ObjectType};
use crate::outcome::Outcome;
use crate::print;

/// Prints how far each destination is; those of `targets` only, if there are any.
pub(super) fn print(
    state: &State,
    targets: &[Target],
    is_json: bool,
) -> Result<Outcome, Box<dyn Error>> {
    let wanted: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let is_wanted = |place: &Place| wanted.is_empty() || wanted.contains(&place.address);
    let mut known = Vec::new();
    for place in state.destinations()?.into_iter().filter(is_wanted) {
        let path = place.status_path();
        let status = Status::read(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        known.push(status.unwrap_or(Status {
            destination: place.address,
            required: true,
            disk_full_in_seconds: None,
            streams: Vec::new(),
        }));
    }
    print::print(if is_json { as_json(&known) } else { as_table(&known) })?;
    let has_errors = known.iter().flat_map(|status| &status.streams).any(|it| it.error.is_some());
    Ok(if has_errors { Outcome::Failed } else { Outcome::Done })
}

fn as_json(known: &[Status]) -> String {
    let members = json!({ "destinations": known });
    format!("{}\n", json_output::object("ship", ObjectType::Summary, members))
}

fn as_table(known: &[Status]) -> String {
    if known.is_empty() {
        return "nothing was shipped from here yet\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["destination", "stream", "block", "up to", "acknowledged", "state"]);
    for status in known {
        for stream in &status.streams {
            table.add_row([
                status.destination.clone(),
                stream.stream.to_string(),
                stream.seq.to_string(),
                stream
                    .file
                    .as_ref()
                    .map_or("-".to_owned(), |file| format!("{file}:{}", stream.offset)),
                stream.acknowledged_at.map_or("-".to_owned(), time),
                state_of(status, stream),
            ]);
        }
    }
    format!("{}\n", table.trim_fmt())
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string())
}

fn state_of(status: &Status, stream: &StreamStatus) -> String {
    let full = status.disk_full_in_seconds.map(|seconds| seconds / 3600);
    let full = full.map(|hours| format!("; the disk is full in {hours} hours")).unwrap_or_default();
    match (&stream.error, &stream.waits_for) {
        (Some(error), _) if stream.has_stopped => format!("stopped: {error}{full}"),
        (Some(error), _) => format!("{error}{full}"),
        (None, Some(reason)) => format!("waits: {reason}"),
        (None, None) => "ok".to_owned(),
    }
}

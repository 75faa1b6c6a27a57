//! `cdrlog demo`: a made-up day of calls, posted to the real endpoint.
//!
//! ```text
//! day (call, random) ──> client ──HTTP──> endpoint: `cdrlog serve`, or that of --url
//! ```

mod call;
mod client;
mod day;
mod endpoint;
mod random;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use http::header::{HeaderName, HeaderValue};
use indicatif::HumanCount;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use self::call::Event;
use self::client::{Client, Failure};
use self::endpoint::Endpoint;
use super::local_time::UtcOption;
use super::outcome::{Outcome, say};
use super::progress::Progress;
use super::time_arg::TimeArg;

/// Play a made-up day of calls through the endpoint, to try the other commands
///
/// Posts the events of OpenVidu 2, LiveKit and OpenVidu Meet of a day to `cdrlog serve`, which it
/// starts itself, or to the endpoint of --url. The day has calls over midnight, recordings, phones,
/// participants who never leave and servers that die. It is the same day for the same --seed, --day
/// and --calls.
#[derive(Debug, Args)]
#[command(
    after_help = "\
Examples:
  cdrlog demo --dir ./cdr
  cdrlog sessions ./cdr
  cdrlog demo --speed 1440 --url http://127.0.0.1:8787/

Exit codes: 0 success; 1 an event was not taken; 2 usage error",
    mut_arg("utc", |utc| utc.help("The day is one of UTC instead of local time"))
)]
pub(super) struct Demo {
    /// The directory of the CDR, for the endpoint that it starts; created if it does not exist
    #[arg(long, value_name = "DIR", default_value = "./cdr", conflicts_with = "url")]
    dir: PathBuf,

    /// Post to this endpoint instead
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Send this header with each event, such as "Authorization: Basic ..."; can be repeated
    #[arg(long, value_name = "HEADER", value_parser = header, requires = "url")]
    header: Vec<(HeaderName, HeaderValue)>,

    /// How many seconds of the day are played in a second: 1440 is a day in a minute [default: as
    /// many as the endpoint takes]
    #[arg(long, value_name = "FACTOR", value_parser = clap::value_parser!(u32).range(1..))]
    speed: Option<u32>,

    /// The number of calls
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    calls: u32,

    /// Another number makes another day
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// The day, by any time in it
    #[arg(long, value_name = "TIME", default_value = "yesterday", allow_hyphen_values = true)]
    day: TimeArg,

    #[command(flatten)]
    utc: UtcOption,
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("it has to be like \"Name: value\"")?;
    let name = name.trim().parse().map_err(|_| "that is not the name of a header")?;
    let value = HeaderValue::from_str(value.trim());
    Ok((name, value.map_err(|_| "a header cannot have this value")?))
}

impl Demo {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let begin = begin_of_day(&self.day, &self.utc.zone())?;
        let events = day::events(begin, self.calls, self.seed);
        let endpoint = match self.url {
            None => Some(Endpoint::start(&self.dir)?),
            Some(_) => None,
        };
        let url = self.url.as_ref().or(endpoint.as_ref().map(|endpoint| &endpoint.url));
        let url = url.cloned().unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let count = HumanCount(events.len() as u64);
        let played = runtime.block_on(play(events, &url, self.header, self.speed));
        played.map_err(|error| -> Box<dyn Error> { error })?;
        let calls = HumanCount(u64::from(self.calls));
        let noun = if self.calls == 1 { "call" } else { "calls" };
        match endpoint {
            None => say(format_args!("{count} events of {calls} {noun} were taken by {url}")),
            Some(endpoint) => {
                endpoint.end()?;
                let dir = self.dir.display();
                say(format_args!(
                    "{count} events of {calls} {noun} are in {dir}: try cdrlog sessions {dir}, or \
                     cdrlog stats --by hour {dir}"
                ));
            }
        }
        Ok(Outcome::Done)
    }
}

/// When the day of a time begins, in milliseconds since 1970.
fn begin_of_day(day: &TimeArg, zone: &TimeZone) -> Result<i64, Box<dyn Error>> {
    let time: Timestamp = day.in_zone(zone)?;
    let begin = time.to_zoned_datetime(zone.clone()).start_of_day()?;
    Ok(begin.timestamp().as_millisecond())
}

/// Posts all events in their order, each when its time has come.
async fn play(
    events: Vec<Event>,
    url: &str,
    headers: Vec<(HeaderName, HeaderValue)>,
    speed: Option<u32>,
) -> Result<(), Failure> {
    let mut client = Client::connect(url, headers).await?;
    let bodies = events.into_iter().map(|event| (event.at, event.body.to_string().into_bytes()));
    let bodies: Vec<_> = bodies.collect();
    let mut progress = Progress::new(Some(bodies.iter().map(|(_, body)| body.len() as u64).sum()));
    let first = bodies.first().map_or(0, |(at, _)| *at);
    let begin = Instant::now();
    for (at, body) in bodies {
        if let Some(speed) = speed {
            let passed = Duration::from_millis((at - first).max(0).unsigned_abs()) / speed;
            tokio::time::sleep_until((begin + passed).into()).await;
        }
        let bytes = body.len() as u64;
        client.post(body).await?;
        progress.add(bytes);
    }
    progress.end();
    Ok(())
}

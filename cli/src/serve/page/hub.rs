//! One state for all viewers: each message is encoded once, and every viewer gets the same bytes.
//!
//! A viewer that does not take its messages is dropped, and none of them makes another one or the
//! reading wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::board::{Board, Disk, Shipping, Status};
use super::room::{Open, RoomRow};
use super::series::Part;
use super::settings::PageSettings;
use super::view::{Outside, Shown, View};

/// How many may look at the same time.
pub(super) const VIEWERS_MAX: usize = 1000;

/// Messages that a viewer may leave unread: some seconds.
const UNREAD_MAX: usize = 16;

/// The open rooms that are sent.
const ROOMS_MAX: usize = 100;

/// Messages between two lists of rooms.
const ROOMS_INTERVAL: u32 = 4;

/// Messages between two that are sent although nothing has changed, so that the other end, and
/// whatever is between, knows that the connection is alive.
const ALIVE_INTERVAL: u32 = 20;

#[derive(Debug)]
pub(super) struct Hub {
    live: Mutex<Live>,
    /// How many wait for the state: the one who reads lines then makes way.
    asking: AtomicUsize,
    board: Arc<Board>,
    /// The directory, as it is shown.
    directory: String,
    has_endpoint: bool,
    /// Viewers can log out.
    has_login: bool,
}

/// The state that all viewers see.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) view: View,
    /// Everything that was there when the page started has been read.
    pub(super) is_caught_up: bool,
    /// What keeps the record from being read, if anything.
    pub(super) fault: Option<String>,
    pub(super) disk: Option<Disk>,
    pub(super) shipping: Vec<Shipping>,
    viewers: Vec<Sender<Bytes>>,
    /// The last status that was sent.
    status: Option<Status>,
    /// Counts messages.
    ticks: u32,
    has_unsent_rooms: bool,
    is_closed: bool,
}

/// A message. In the first one that a viewer gets, every member is there.
#[derive(Debug, Serialize)]
struct Message<'a> {
    now_ms: i64,
    is_caught_up: bool,
    fault: Option<&'a str>,
    newest_ms: Option<i64>,
    outside: Outside,
    open: Open,
    viewers: usize,
    disk: Option<Disk>,
    shipping: &'a [Shipping],
    /// What ended before this time is counted.
    counted_until_ms: Option<i64>,
    series: Part<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<Vec<RoomRow<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a Status>,
    /// Some of the new events, and how many there were.
    events: Vec<Shown>,
    events_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<About<'a>>,
}

/// What stays the same.
#[derive(Debug, Serialize)]
struct About<'a> {
    directory: &'a str,
    has_endpoint: bool,
    has_login: bool,
    version: &'static str,
    span_ms: i64,
}

/// Why nobody may look now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    TooMany,
    Ending,
}

impl Live {
    /// What was there at the start has been read. None of it is new.
    pub(super) fn note_caught_up(&mut self) {
        if !self.is_caught_up {
            self.is_caught_up = true;
            self.view.take_sample();
        }
    }
}

impl Hub {
    pub(super) fn new(view: View, board: Arc<Board>, settings: &PageSettings) -> Self {
        let live = Live {
            view,
            is_caught_up: false,
            fault: None,
            disk: None,
            shipping: Vec::new(),
            viewers: Vec::new(),
            status: None,
            ticks: 0,
            has_unsent_rooms: false,
            is_closed: false,
        };
        let asking = AtomicUsize::new(0);
        Self {
            live: Mutex::new(live),
            asking,
            board,
            directory: settings.directory.display().to_string(),
            has_endpoint: settings.has_endpoint,
            has_login: settings.password_file.is_some(),
        }
    }

    /// The state for one who asks, while lines are read without a pause.
    pub(super) fn ask(&self) -> MutexGuard<'_, Live> {
        self.asking.fetch_add(1, Ordering::Relaxed);
        let live = self.live();
        self.asking.fetch_sub(1, Ordering::Relaxed);
        live
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asking.load(Ordering::Relaxed) > 0
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new viewer: its first message holds everything.
    pub(super) fn join(&self, now_ms: i64) -> Result<Receiver<Bytes>, Full> {
        let mut live = self.ask();
        if live.is_closed {
            return Err(Full::Ending);
        }
        live.viewers.retain(|viewer| !viewer.is_closed());
        if live.viewers.len() >= VIEWERS_MAX {
            return Err(Full::TooMany);
        }
        let (sender, receiver) = channel(UNREAD_MAX);
        let message = encode("state", &self.whole(&live, now_ms));
        // The channel is new and has room.
        let _ = sender.try_send(message);
        live.viewers.push(sender);
        Ok(receiver)
    }

    /// Tells all viewers what has changed since the last call.
    pub(super) fn tick(&self, now_ms: i64) {
        let mut live = self.live();
        let live = &mut *live;
        live.ticks = live.ticks.wrapping_add(1);
        live.has_unsent_rooms |= live.view.take_rooms_changed();
        let has_rooms = live.has_unsent_rooms && live.ticks.is_multiple_of(ROOMS_INTERVAL);
        let status = self.board.get();
        let has_status = status != live.status;
        live.status = status;
        let (events, events_count) = match live.is_caught_up {
            true => live.view.take_sample(),
            false => (Vec::new(), 0),
        };
        live.viewers.retain(|viewer| !viewer.is_closed());
        live.has_unsent_rooms &= !has_rooms;
        let viewers = live.viewers.len();
        let (open, outside, newest_ms) = (live.view.open(), live.view.outside, live.view.newest_ms);
        let counted_until_ms = live.view.counted_until_ms();
        let View { series, rooms, .. } = &mut live.view;
        let series = series.take_changes();
        let is_quiet = series.is_empty() && !has_rooms && !has_status && events_count == 0;
        if viewers == 0 || is_quiet && !live.ticks.is_multiple_of(ALIVE_INTERVAL) {
            return;
        }
        let message = encode(
            "tick",
            &Message {
                now_ms,
                is_caught_up: live.is_caught_up,
                fault: live.fault.as_deref(),
                newest_ms,
                outside,
                open,
                viewers,
                disk: live.disk,
                shipping: &live.shipping,
                counted_until_ms,
                series,
                rooms: has_rooms.then(|| rooms.open_rows(ROOMS_MAX)),
                status: live.status.as_ref().filter(|_| has_status),
                events,
                events_count,
                about: None,
            },
        );
        // One that is full does not read: it is dropped, and its stream ends.
        live.viewers.retain(|viewer| viewer.try_send(message.clone()).is_ok());
    }

    /// Ends the streams of all viewers. Nobody may look any more.
    pub(super) fn close(&self) {
        let mut live = self.live();
        live.is_closed = true;
        live.viewers.clear();
    }

    fn whole<'a>(&'a self, live: &'a Live, now_ms: i64) -> Message<'a> {
        let span = live.view.series.span();
        Message {
            now_ms,
            is_caught_up: live.is_caught_up,
            fault: live.fault.as_deref(),
            newest_ms: live.view.newest_ms,
            outside: live.view.outside,
            open: live.view.open(),
            viewers: live.viewers.len() + 1,
            disk: live.disk,
            shipping: &live.shipping,
            counted_until_ms: live.view.counted_until_ms(),
            series: live.view.series.all(),
            rooms: Some(live.view.rooms.open_rows(ROOMS_MAX)),
            status: live.status.as_ref(),
            events: Vec::new(),
            events_count: 0,
            about: Some(About {
                directory: &self.directory,
                has_endpoint: self.has_endpoint,
                has_login: self.has_login,
                version: env!("CARGO_PKG_VERSION"),
                span_ms: span.end - span.start,
            }),
        }
    }
}

/// A message of Server-Sent Events. JSON has no line ends outside of strings, and escapes those
/// within.
fn encode(event: &str, message: &Message<'_>) -> Bytes {
    // Nothing in it fails to be JSON: keys are strings, and numbers are whole.
    let json = serde_json::to_string(message).unwrap_or_default();
    format!("event: {event}\ndata: {json}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Hub {
        let view = View::new(0..3_600_000);
        let hub = Hub::new(view, Arc::default(), &PageSettings::of_test());
        hub.live().note_caught_up();
        hub
    }

    fn take(hub: &Hub, at: i64) {
        let line = format!(r#"{{"sessionCreated":{{"sessionId":"s{at}","timestamp":{at}}}}}"#);
        hub.live().view.take(line.as_bytes()).unwrap();
    }

    #[test]
    fn all_viewers_get_the_same_bytes_which_are_encoded_once() {
        let hub = hub();
        let mut viewers = [(); 3].map(|()| hub.join(1).unwrap());
        let firsts = viewers.each_mut().map(|viewer| viewer.try_recv().unwrap());
        assert!(firsts[0].starts_with(b"event: state\ndata: {"), "{:?}", firsts[0]);
        take(&hub, 5);
        hub.tick(2);
        let messages = viewers.each_mut().map(|viewer| viewer.try_recv().unwrap());
        assert!(messages[0].starts_with(b"event: tick\n"));
        assert!(messages.iter().all(|message| message.as_ptr() == messages[0].as_ptr()));
    }

    #[test]
    fn a_viewer_that_does_not_read_is_dropped_and_the_others_go_on() {
        let hub = hub();
        let (mut slow, mut quick) = (hub.join(1).unwrap(), hub.join(1).unwrap());
        for at in 0..UNREAD_MAX as i64 + 5 {
            take(&hub, at);
            hub.tick(at);
            quick.try_recv().unwrap();
        }
        assert_eq!(hub.live().viewers.len(), 1);
        let unread = std::iter::from_fn(|| slow.try_recv().ok()).count();
        assert_eq!(unread, UNREAD_MAX, "what it was sent before");
        assert!(slow.is_closed());
    }

    #[test]
    fn there_are_not_more_viewers_than_the_bound_and_one_that_leaves_makes_room() {
        let hub = hub();
        let mut viewers: Vec<_> = (0..VIEWERS_MAX).map(|_| hub.join(1).unwrap()).collect();
        assert_eq!(hub.join(1).unwrap_err(), Full::TooMany);
        viewers.pop();
        assert!(hub.join(1).is_ok());
    }

    #[test]
    fn nothing_is_sent_as_long_as_nothing_changes_but_for_a_sign_of_life() {
        let hub = hub();
        let mut viewer = hub.join(1).unwrap();
        (0..4 * ALIVE_INTERVAL).for_each(|_| hub.tick(1));
        let count = std::iter::from_fn(|| viewer.try_recv().ok()).count();
        // The state, the rooms of the start, and a sign each.
        assert!((5..=6).contains(&count), "{count}");
    }

    #[test]
    fn events_from_before_the_start_count_and_are_not_shown_as_new() {
        let hub = hub();
        hub.live().is_caught_up = false;
        let mut viewer = hub.join(1).unwrap();
        viewer.try_recv().unwrap();
        take(&hub, 5);
        hub.tick(1);
        let old = viewer.try_recv().unwrap();
        hub.live().note_caught_up();
        take(&hub, 6);
        hub.tick(2);
        let new = viewer.try_recv().unwrap();
        let events = |message: &Bytes| {
            let text = String::from_utf8(message.to_vec()).unwrap();
            let (_, json) = text.split_once("data: ").unwrap();
            let json: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(json["series"]["minutes"].as_array().unwrap().len(), 1, "it counts");
            json["events_count"].clone()
        };
        assert_eq!([events(&old), events(&new)], [0, 1]);
    }

    #[test]
    fn the_end_ends_all_streams() {
        let hub = hub();
        let viewer = hub.join(1).unwrap();
        hub.close();
        assert!(viewer.is_closed());
        assert_eq!(hub.join(1).unwrap_err(), Full::Ending);
    }
}

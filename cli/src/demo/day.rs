//! A made-up day: which calls there are, and all of their events in order.

use super::call::{self, Ending, Event, Plan};
use super::random::Random;

const MINUTE_MS: i64 = 60_000;

/// How many of a thousand calls begin in each hour.
const HOURS: [i64; 24] =
    [4, 2, 1, 1, 2, 6, 20, 55, 95, 110, 105, 85, 50, 70, 95, 90, 75, 50, 30, 20, 14, 10, 6, 4];

const ROOMS: [&str; 12] = [
    "daily",
    "weekly",
    "support",
    "sales",
    "design",
    "retro",
    "interview",
    "lesson",
    "doctor",
    "planning",
    "board",
    "webinar",
];

/// The events of a day that begins at `begin`, in milliseconds since 1970, in the order of their
/// times. Some belong to the first minutes of the next day.
pub(super) fn events(begin: i64, calls: u32, seed: u64) -> Vec<Event> {
    let mut random = Random::new(seed);
    let mut events = Vec::new();
    for number in 0..i64::from(calls) {
        let plan = plan(begin, number, i64::from(calls), &mut random);
        events.extend(call::events(&plan, &mut random));
    }
    // Stable: events with one time stay in the order in which they were made.
    events.sort_by_key(|event| event.at);
    events
}

fn plan(day: i64, number: i64, calls: i64, random: &mut Random) -> Plan {
    let room = random.one_of(&ROOMS);
    // Each call has a room of its own, as most are made for one appointment.
    let room = format!("{room}-{:03}", number + 1);
    let is_last = number + 1 == calls;
    // The last one goes on over midnight, so that the day is over at its end.
    let at = if is_last { 24 * 60 - 30 } else { hour(random) * 60 + random.below(60) };
    let begin = day + at * MINUTE_MS + random.below(MINUTE_MS);
    let minutes = if is_last { 50 } else { random.between(4, 40) + random.below(50) };
    let ending = match random.below(100) {
        _ if is_last => Ending::Usual,
        // Of so few, chance may choose none.
        _ if number % 100 == 42 => Ending::Death,
        0..=5 => Ending::Closed,
        _ => Ending::Usual,
    };
    Plan {
        room,
        begin,
        end: begin + minutes * MINUTE_MS + random.below(MINUTE_MS),
        people: 1 + random.below(3) + random.below(3),
        is_livekit: random.is(40),
        is_recorded: random.is(15),
        ending,
    }
}

/// An hour of the day, the busy ones more often.
fn hour(random: &mut Random) -> i64 {
    let mut ticket = random.below(HOURS.iter().sum());
    for (hour, calls) in (0..).zip(HOURS) {
        if ticket < calls {
            return hour;
        }
        ticket -= calls;
    }
    12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_same_for_the_same_seed_and_another_one_for_another() {
        let begin = 1_700_000_000_000;
        assert_eq!(events(begin, 20, 7), events(begin, 20, 7));
        assert_ne!(events(begin, 20, 7), events(begin, 20, 8));
        let day = events(begin, 20, 7);
        assert!(day.is_sorted_by_key(|event| event.at));
        assert!(
            day.iter()
                .all(|event| event.body["event"].as_str().is_some_and(|name| !name.is_empty()))
        );
    }
}

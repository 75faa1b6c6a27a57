// What the server has told: numbers by minute, words by quarter, rooms, health.

export const MINUTE = 60000, QUARTER = 15 * MINUTE, HOUR = 60 * MINUTE;
export const EVENTS = 1, JOINED = 2, LEFT = 3, BEGAN = 4, ENDED = 5, REJECTED = 6, LEVELS = 7;

// The span from one time to the next in which `at` is; -1 if it is in none.
function spanOf(times, at) {
  if (at < times[0] || at >= times[times.length - 1]) return -1;
  let low = 0, high = times.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] <= at) low = middle; else high = middle;
  }
  return low;
}

// Minutes and quarters, by their numbers since 1970.
export class Series {
  constructor(part) {
    this.minutes = new Map();
    this.quarters = new Map();
    if (part) this.apply(part);
  }
  apply(part) {
    for (const row of part.minutes) this.minutes.set(row[0], row);
    for (const [number, words] of part.quarters) this.quarters.set(number, words);
  }
  forget(beforeMs) {
    for (const number of this.minutes.keys()) if (number * MINUTE < beforeMs) this.minutes.delete(number);
    for (const number of this.quarters.keys()) if (number * QUARTER < beforeMs) this.quarters.delete(number);
  }
  // Sums of a figure in spans, each from one time to the next.
  sums(times, figure) {
    const sums = new Array(times.length - 1).fill(0);
    this.each(times, (index, row) => { sums[index] += row[figure]; });
    return sums;
  }
  // The most participants (0) or rooms (2) at once in spans.
  levels(times, which) {
    const first = times[0] / MINUTE;
    let before = -1, level = 0;
    for (const [number, row] of this.minutes)
      if (number < first && number > before) [before, level] = [number, row[LEVELS][which + 1]];
    const most = new Array(times.length - 1).fill(0), last = new Array(times.length - 1), at = [];
    this.each(times, (index, row) => {
      const [highest, end] = [row[LEVELS][which], row[LEVELS][which + 1]];
      // A minute without an event of a room has no level of its own.
      if (row[LEVELS].every((number) => number === 0) && row[JOINED] + row[LEFT] + row[BEGAN] + row[ENDED] === 0) return;
      most[index] = Math.max(most[index], highest);
      if (!(row[0] < at[index])) [at[index], last[index]] = [row[0], end];
    });
    return most.map((number, index) => {
      const highest = Math.max(number, level);
      if (last[index] !== undefined) level = last[index];
      return highest;
    });
  }
  each(times, take) {
    for (const row of this.minutes.values()) {
      const index = spanOf(times, row[0] * MINUTE);
      if (index >= 0) take(index, row);
    }
  }
  // Sums of what is counted as `cdrlog stats` does, in spans of whole quarters.
  counted(times, name) {
    const sums = new Array(times.length - 1).fill(0);
    for (const [number, { counted }] of this.quarters) {
      const index = spanOf(times, number * QUARTER);
      if (counted && index >= 0) sums[index] += counted[name];
    }
    return sums;
  }
  // How often each word of a kind occurred, most frequent first.
  words(kind, from, until) {
    const counts = new Map();
    for (const [number, words] of this.quarters) {
      const at = number * QUARTER;
      if (at < from || at >= until) continue;
      for (const [word, count] of Object.entries(words[kind] ?? {})) counts.set(word, (counts.get(word) ?? 0) + count);
    }
    return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  }
}

// The state that the server sends, and what came since.
export const live = {
  series: new Series(), rooms: [], open: { rooms: 0, participants: 0, recordings: 0, egress: 0 },
  feed: [], perSecond: 0, status: null, about: null, now: Date.now(), message: null, isWhole: false,
};

const FEED_MAX = 100;
let before = 0;

export function applyMessage(message, isWhole) {
  if (isWhole) {
    live.series = new Series();
    live.about = message.about;
    live.isWhole = true;
  }
  live.message = message;
  live.now = message.now_ms;
  live.open = message.open;
  live.series.apply(message.series);
  live.series.forget(live.now - (live.about?.span_ms ?? 26 * HOUR));
  if (message.rooms) live.rooms = message.rooms;
  if (message.status) live.status = message.status;
  if (!isWhole) {
    const seconds = Math.max(0.25, (message.now_ms - before) / 1000);
    live.perSecond = message.events_count / seconds;
    live.feed = [...message.events.reverse(), ...live.feed].slice(0, FEED_MAX);
  }
  before = message.now_ms;
}

// Local midnight of a day, and that of the next one.
export function dayOf(text) {
  const [year, month, day] = text.split("-").map(Number);
  return [new Date(year, month - 1, day).getTime(), new Date(year, month - 1, day + 1).getTime()];
}
export function textOfDay(ms) {
  const at = new Date(ms), two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}
export function isLive(from) {
  return live.about !== null && from >= live.now + 5 * MINUTE - live.about.span_ms;
}

export async function ask(path, query) {
  const answer = await fetch(`${path}?${new URLSearchParams(query)}`, { cache: "no-store" });
  if (answer.status === 401) location.reload();
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error ?? `status ${answer.status}`);
  return body;
}

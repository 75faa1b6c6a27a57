// The page: which view is shown, and when it is drawn.

import { applyMessage, ask, BEGAN, dayOf, ENDED, EVENTS, HOUR, isLive, JOINED, LEFT, live, MINUTE, REJECTED, Series, textOfDay } from "./data.js";
import { bytes, Chart, count, dateTime, duration, el, hourMinute, table, tiles, time, wordTable, zone } from "./charts.js";
import { findRooms, openRooms } from "./rooms.js";

const $ = (id) => document.getElementById(id);
// The rooms that the server sends.
const ROOMS_MAX = 100;
const VIEWS = ["now", "day", "rooms", "health"];
let view = "now", day = textOfDay(Date.now()), isToday = true, connected = false, drawn = false;
// A past day that was asked for.
const past = { day: null, series: null, error: null };

const nowCharts = [
  new Chart($("now-charts"), "Events by minute, last hour", ["events"]),
  new Chart($("now-charts"), "Participants by minute, last hour", ["participants"]),
  new Chart($("now-charts"), "Joined and left by minute, last hour", ["joined", "left"]),
  new Chart($("now-charts"), "Rejected bodies by minute, last hour", ["rejected"]),
];
const dayCharts = [
  new Chart($("day-charts"), "Events by hour", ["events"]),
  new Chart($("day-charts"), "Participant-minutes by hour", ["minutes"]),
  new Chart($("day-charts"), "Most participants at once by hour", ["participants"]),
  new Chart($("day-charts"), "Joined and left by hour", ["joined", "left"]),
  new Chart($("day-charts"), "Rooms that began and ended by hour", ["began", "ended"]),
  new Chart($("day-charts"), "Recordings by hour", ["recordings"]),
  new Chart($("day-charts"), "Rejected bodies by hour", ["rejected"]),
];

function drawState() {
  const state = $("state"), { message } = live;
  const parts = [];
  if (!connected) parts.push("The server cannot be reached. Trying again…");
  else if (!message) parts.push("Connecting…");
  else {
    if (message.fault) parts.push(`The record cannot be read: ${message.fault}`);
    else parts.push(message.is_caught_up ? "Live" : "Reading the last day…");
    if (live.status?.failure) parts.push(`events cannot be written: ${live.status.failure}`);
    const stopped = message.shipping.filter((one) => one.failure !== null).length;
    if (stopped > 0) parts.push(stopped === 1 ? "a destination gets no lines: see Health" : `${stopped} destinations get no lines: see Health`);
    parts.push(`newest event ${message.newest_ms === null ? "none" : dateTime(message.newest_ms)}`);
    parts.push(`times in ${zone}`);
  }
  const isBad = !connected || Boolean(message?.fault || live.status?.failure || message?.shipping.some((one) => one.failure !== null)), text = parts.join(" · ");
  state.className = isBad ? "bad" : "";
  if (state.textContent !== text) state.textContent = text;
}

// Whoever has a row in focus, or selects a text, keeps it.
function isInUse(place) {
  const selection = getSelection();
  return place.contains(document.activeElement) || (!selection.isCollapsed && place.contains(selection.anchorNode));
}

function drawNow() {
  const { open, series } = live;
  const end = (Math.floor(live.now / MINUTE) + 1) * MINUTE;
  const times = Array.from({ length: 61 }, (_, index) => end - (60 - index) * MINUTE);
  const labels = times.slice(0, -1).map(hourMinute);
  const of = (figure) => series.sums(times, figure), sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const events = of(EVENTS), left = of(LEFT), rejected = of(REJECTED);
  tiles($("tiles"), [
    ["Rooms", count(open.rooms)], ["Participants", count(open.participants)],
    ["Recordings", count(open.recordings)], ["Egress", count(open.egress)],
    ["Events a second", count(Math.round(live.perSecond * 10) / 10)], ["Events, last hour", count(sum(events))],
    ["Left, last hour", count(sum(left))], ["Rejected, last hour", count(sum(rejected)), sum(rejected) > 0 ? "bad" : ""],
  ]);
  const people = series.levels(times, 0);
  people[59] = Math.max(people[59], open.participants);
  [[events], [people], [of(JOINED), left], [rejected]].forEach((numbers, index) => nowCharts[index].update(labels, numbers));
  $("open-count").textContent = live.rooms.length >= ROOMS_MAX && open.rooms > live.rooms.length ? `(${count(live.rooms.length)} of ${count(open.rooms)}, the largest)` : "";
  if (!isInUse($("open-rooms"))) openRooms($("open-rooms"));
  $("feed-count").textContent = live.perSecond > 40 ? "(some of them; all are counted)" : "";
  if (!isInUse($("feed"))) $("feed").replaceChildren(table([["Time", "t"], ["Event"], ["Room"], ["Participant"], ["Why", "wide"]],
    live.feed.map((one) => [time(one.at_ms), one.event, one.room, one.participant, one.reason]), "Nothing since the page was opened."));
}

function drawDay() {
  const [from, next] = dayOf(day);
  $("h-day").textContent = `${new Date(from).toLocaleDateString(undefined, { dateStyle: "full" })}`;
  const isLiveDay = isLive(from), series = isLiveDay ? live.series : past.day === day ? past.series : null;
  if (!series) {
    tiles($("day-tiles"), [["Day", past.day === day && past.error ? past.error : "Reading…", "text"]]);
    if (past.day !== day) readPast(from, next);
    return;
  }
  const times = [];
  for (let at = from; at < next; at += HOUR) times.push(at);
  times.push(next);
  const labels = times.slice(0, -1).map(hourMinute);
  const of = (figure) => series.sums(times, figure), sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const figures = { events: of(EVENTS), joined: of(JOINED), left: of(LEFT), began: of(BEGAN), ended: of(ENDED), rejected: of(REJECTED) };
  const counted = (name) => series.counted(times, name), total = (name) => sum(counted(name));
  const minutes = counted("stay_ms").map((ms) => Math.round(ms / 6000) / 10);
  const people = series.levels(times, 0), hour = new Date(live.now).getTime();
  // Hours that are still to come have nobody.
  times.slice(0, -1).forEach((at, index) => { if (at > hour) people[index] = 0; });
  tiles($("day-tiles"), [
    ["Events", count(sum(figures.events))], ["Sessions", count(total("sessions"))], ["Participants", count(total("participants"))],
    ["Participant-minutes", count(Math.round(total("stay_ms") / 6000) / 10)], ["Most at once", count(Math.max(0, ...people))],
    ["Recordings", count(total("recordings"))], ["Recorded", bytes(total("recording_bytes")), "text"],
    ["Rejected", count(sum(figures.rejected)), sum(figures.rejected) > 0 ? "bad" : ""],
  ]);
  const until = live.message.counted_until_ms;
  $("day-counted").textContent = "Sessions, participants, minutes and recordings are counted as cdrlog stats does" +
    (isLiveDay && isToday ? `, for events before ${until === null ? time(from) : time(until)}: later ones may still be missing.` : ".");
  [[figures.events], [minutes], [people], [figures.joined, figures.left], [figures.began, figures.ended], [counted("recordings")], [figures.rejected]]
    .forEach((numbers, index) => dayCharts[index].update(labels, numbers));
  const words = (kind) => series.words(kind, from, next);
  $("day-words").replaceChildren(
    wordTable("Why participants left", words("left"), "Reason"), wordTable("Why rooms ended", words("ended"), "Reason"),
    wordTable("Why bodies were rejected", words("rejected"), "Reason"), wordTable("Events by name", words("event"), "Event"));
}

async function readPast(from, until) {
  const asked = day;
  Object.assign(past, { day: asked, series: null, error: null });
  try {
    const answer = await ask("api/day", { from, until });
    if (past.day === asked) past.series = new Series(answer.series);
  } catch (error) {
    if (past.day === asked) past.error = String(error.message);
  }
  draw();
}

// How far each destination of the shipped record is.
function shippingTable(shipping) {
  const rows = shipping.map((one) => [
    one.destination, one.stream, bytes(one.lag_bytes),
    one.caught_up_ms === null ? "not yet" : `${duration(live.now - one.caught_up_ms)} ago`,
    one.disk_full_in_seconds === null ? "" : `in ${duration(one.disk_full_in_seconds * 1000)}`,
    one.failure === null ? el("span", { class: "good" }, "ships")
      : el("span", { class: "bad" }, `${one.has_stopped ? "stopped" : "tries again"}: ${one.failure}`),
  ]);
  const columns = [["Destination"], ["What"], ["Behind", "n"], ["Had everything", "t"], ["Disk full", "t"], ["State"]];
  return el("div", { class: "whole" }, el("h3", {}, "Shipping"), table(columns, rows));
}

function drawHealth() {
  const { status, message } = live, disk = message?.disk, outside = message?.outside;
  const list = [];
  if (live.about?.has_endpoint) {
    const failure = status?.failure;
    list.push(["Endpoint", failure ?? (status ? "takes events" : "starting"), failure ? "text bad" : "text good"]);
  }
  if (disk) {
    const share = Math.round((100 * disk.free_bytes) / Math.max(1, disk.bytes));
    list.push(["Disk free", `${bytes(disk.free_bytes)} (${share} %)`, share < 10 ? "text bad" : "text"]);
  }
  if (status) list.push(
    ["Waiting for the file", bytes(status.lag_bytes), "text"], ["Not synced yet", bytes(status.unsynced_bytes), "text"],
    ["Connections", count(status.connections)], ["Came again", count(status.repeated)],
    ["Dropped by senders", count(status.sender_dropped), status.sender_dropped > 0 ? "bad" : ""]);
  if (message) list.push(
    ["Newest event", message.newest_ms === null ? "none" : `${duration(live.now - message.newest_ms)} ago`, "text"],
    ["Repeated in the record", count(outside.repeated)], ["Of another time", count(outside.other_time)],
    ["Lines that are no events", count(outside.not_an_event), outside.not_an_event > 0 ? "bad" : ""], ["Viewers", count(message.viewers)]);
  tiles($("health-tiles"), list);
  const words = (kind) => live.series.words(kind, live.now - 24 * HOUR, live.now + HOUR);
  const parts = message?.shipping.length > 0 ? [shippingTable(message.shipping)] : [];
  parts.push(wordTable("Rejected bodies, last day", words("rejected"), "Reason"));
  if (live.about?.has_endpoint) parts.push(
    wordTable("Refused requests, since the start", (status?.refused ?? []).toSorted((a, b) => b[1] - a[1]), "Reason"),
    wordTable("Counters, since the start", status?.counters ?? [], "Counter"));
  $("health-words").replaceChildren(...parts);
}

function draw() {
  drawState();
  for (const name of VIEWS) $(`view-${name}`).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  if (!live.isWhole) return;
  if (view === "now") drawNow();
  if (view === "day") drawDay();
  if (view === "health") drawHealth();
  const { about } = live;
  $("about").textContent = `cdrlog ${about.version} · ${about.directory}`;
  $("logout").hidden = !about.has_login;
  document.body.dataset.drawn = view;
  if (!drawn) performance.mark("drawn");
  drawn = true;
}

let isDue = false;
function drawSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    draw();
  });
}

function search() {
  if (live.isWhole) findRooms($("found"), day, $("query").value.trim());
}

function go() {
  const wanted = location.hash.slice(1);
  view = VIEWS.includes(wanted) ? wanted : "now";
  if (view === "rooms") search();
  draw();
}

function connect() {
  const source = new EventSource("live");
  const take = (isWhole) => (event) => {
    connected = true;
    applyMessage(JSON.parse(event.data), isWhole);
    if (isToday && textOfDay(live.now) !== day) setDay(textOfDay(live.now));
    if (isWhole && view === "rooms") search();
    if (!document.hidden || !drawn) drawSoon();
  };
  source.addEventListener("state", take(true));
  source.addEventListener("tick", take(false));
  source.addEventListener("error", () => {
    connected = false;
    drawState();
    if (source.readyState !== EventSource.CLOSED) return;
    // It was answered with an error: perhaps the session is over.
    fetch("live", { method: "HEAD" }).then((answer) => (answer.status === 401 ? location.reload() : null)).catch(() => null);
    setTimeout(connect, 3000);
  });
}

function setDay(text) {
  day = text;
  isToday = text === textOfDay(Date.now());
  $("date").value = text;
  past.day = null;
  if (view === "rooms") search();
}

$("date").value = day;
$("date").max = textOfDay(Date.now() + 24 * HOUR);
$("date").addEventListener("change", () => {
  if (!/^\d{4}-\d\d-\d\d$/.test($("date").value)) return;
  setDay($("date").value);
  if (view === "now" || view === "health") location.hash = "day"; else draw();
});
$("dates").addEventListener("submit", (event) => event.preventDefault());
let typing = 0;
$("query").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => { if (view === "rooms") search(); else location.hash = "rooms"; }, 250);
});
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  if (view === "rooms") search(); else location.hash = "rooms";
});

const theme = document.documentElement.dataset;
try { if (localStorage.theme) theme.theme = localStorage.theme; } catch { /* No storage: as the system has it. */ }
function changeTheme() {
  const isDark = theme.theme ? theme.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.theme = isDark ? "light" : "dark";
  try { localStorage.theme = theme.theme; } catch { /* For this visit only. */ }
}
$("theme").addEventListener("click", changeTheme);
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, dialog") || event.ctrlKey || event.metaKey || event.altKey;
  if (isTyping) return;
  if (event.key === "/") { event.preventDefault(); $("query").focus(); }
  else if (event.key === "t") changeTheme();
  else if (VIEWS[event.key - 1]) location.hash = VIEWS[event.key - 1];
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) drawSoon(); });
addEventListener("hashchange", go);

go();
connect();

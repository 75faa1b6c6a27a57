// Lists of rooms, and the time line of one.

import { ask, dayOf, live, MINUTE } from "./data.js";
import { bytes, count, dateTime, duration, el, stays, table, time } from "./charts.js";

const nameOf = (room) => room.name || room.unique || room.key;
const labelOf = ([id, person]) => person.label || id;

function link(room) {
  return el("button", { type: "button", class: "link", onclick: () => showRoom(room) }, nameOf(room));
}

export function openRooms(place) {
  const rows = live.rooms.map((room) => [
    link(room), room.has_start ? time(room.began_ms) : `before ${time(room.began_ms)}`,
    duration(live.now - room.began_ms), count(room.present),
    room.participants.slice(0, 8).map(labelOf).join(", ") + (room.present > 8 ? ", …" : ""),
    room.activities.filter((one) => one.ended_ms === undefined).map((one) => one.kind).join(", "),
  ]);
  place.replaceChildren(table([["Room"], ["Since", "t"], ["For", "n"], ["Now", "n"], ["Participants", "wide"], ["Under way", "wide"]], rows, "No room is open."));
}

let asked = 0;
export async function findRooms(place, day, query) {
  const number = ++asked, [from, until] = dayOf(day);
  if (place.childElementCount === 0) place.replaceChildren(el("p", { class: "dim" }, "Reading…"));
  let answer;
  try {
    answer = await ask("api/rooms", { from, until, q: query });
  } catch (error) {
    if (number === asked) place.replaceChildren(el("p", { class: "bad" }, String(error.message)));
    return;
  }
  if (number !== asked) return;
  const rows = answer.rooms.map((room) => [
    link(room), room.unique ?? "", dateTime(room.began_ms),
    room.ended_ms === undefined ? "open" : time(room.ended_ms),
    duration((room.ended_ms ?? live.now) - room.began_ms), count(room.joins),
    room.participants.slice(0, 6).map(labelOf).join(", "), room.reason ?? "",
  ]);
  const more = answer.count > rows.length ? `, the last ${count(rows.length)} are shown` : "";
  place.replaceChildren(
    el("p", { class: "dim" }, `${count(answer.count)} rooms${query ? ` with “${query}”` : ""}${more}.`),
    table([["Room"], ["Session", "wide"], ["Began", "t"], ["Ended", "t"], ["For", "n"], ["Joins", "n"], ["Participants", "wide"], ["Why it ended", "wide"]], rows, "No room."));
}

const timeOf = (body) => {
  const number = (value) => (Number(value) > 0 ? Number(value) : null);
  const seconds = number(body.createdAt);
  return number(body.timestamp) ?? number(body.creationDate) ?? (seconds === null ? null : seconds * 1000);
};

function summary(body) {
  const { participant, egressInfo, data } = body;
  const parts = [
    participant?.identity, body.clientData, body.participantId ?? body.connectionId, participant?.sid,
    egressInfo?.egressId, body.reason ?? participant?.disconnectReason, body.platform, body.type, data?.recordingId,
  ];
  return parts.filter((part) => typeof part === "string" && part !== "").join(" · ");
}

export async function showRoom(room) {
  const $ = (id) => document.getElementById(id), dialog = $("room");
  const until = room.ended_ms ?? live.now, people = room.participants;
  $("room-title").textContent = nameOf(room);
  $("room-about").textContent = [
    room.unique, `${dateTime(room.began_ms)} to ${room.ended_ms === undefined ? "now" : time(until)}`,
    duration(until - room.began_ms), `${count(room.joins)} joins`, room.reason,
  ].filter(Boolean).join(" · ");
  const marks = room.activities.map((one) => ({ label: `${one.kind} ${one.id}`, from: one.began_ms, until: one.ended_ms ?? until }));
  $("room-line").replaceChildren(stays(room.began_ms, until, people.slice(0, 30).map(([id, one]) =>
    ({ label: one.label || id, from: one.joined_ms, until: one.left_ms ?? until })), marks));
  $("room-people").replaceChildren(
    table([["Participant"], ["Id", "wide"], ["Joined", "t"], ["Left", "t"], ["For", "n"], ["Why", ""], ["Platform", "wide"]], people.map(([id, one]) => [
      one.label || id, id, time(one.joined_ms), one.left_ms === undefined ? "present" : time(one.left_ms),
      duration((one.left_ms ?? until) - one.joined_ms), one.reason ?? "", one.platform,
    ]), "Nobody is known."),
    ...(room.activities.length === 0 ? [] : [table([["Recording, egress"], ["Id", "wide"], ["Began", "t"], ["Ended", "t"], ["Bytes", "n"]], room.activities.map((one) => [
      one.kind, one.id, time(one.began_ms), one.ended_ms === undefined ? "under way" : time(one.ended_ms), one.bytes === undefined ? "" : bytes(one.bytes),
    ]))]));
  const events = $("room-events");
  events.replaceChildren(el("p", { class: "dim" }, "Reading…"));
  if (!dialog.open) dialog.showModal();
  try {
    const span = { from: Math.max(0, room.began_ms - MINUTE), until: Math.min(until + 10 * MINUTE, room.began_ms + 7 * 86400000) };
    const answer = await ask("api/room", { ...span, name: room.name, unique: room.unique ?? "" });
    const rows = answer.events.map((event) => {
      const [[name, body]] = Object.entries(event);
      const raw = el("details", {}, el("summary", {}, summary(body) || "all members"), el("pre", {}, JSON.stringify(body, null, 1)));
      return [time(timeOf(body)), name, raw];
    });
    events.replaceChildren(
      table([["Time", "t"], ["Event"], ["What"]], rows, "No events are in the record any more."),
      ...(answer.is_cut ? [el("p", { class: "dim" }, "There are more: cdrlog tail --session shows all of them.")] : []));
  } catch (error) {
    events.replaceChildren(el("p", { class: "bad" }, String(error.message)));
  }
}

// Elements, tables and charts. A text only ever becomes a text node: nothing that a caller of the
// server has chosen is markup, an address or a style.

const SVG = "http://www.w3.org/2000/svg";

export function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key === "onclick") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const numbers = new Intl.NumberFormat();
export const count = (number) => numbers.format(number);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const short = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dated = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
export const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
export const time = (ms) => (ms === null || ms === undefined ? "–" : clock.format(ms));
export const hourMinute = (ms) => short.format(ms);
export const dateTime = (ms) => dated.format(ms);
export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000)), two = (number) => String(number).padStart(2, "0");
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) [number, unit] = [number / 1024, unit + 1];
  return `${unit === 0 ? number : number.toFixed(1)} ${units[unit]}`;
}

// columns: [title, class]; rows: arrays of texts and elements.
export function table(columns, rows, nothing) {
  if (rows.length === 0) return el("p", { class: "dim" }, nothing ?? "None.");
  return el("table", {},
    el("thead", {}, el("tr", {}, columns.map(([title, kind]) => el("th", { class: kind ?? "", scope: "col" }, title)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, index) => el("td", { class: columns[index][1] ?? "" }, cell))))));
}

export function tiles(place, list) {
  place.replaceChildren(...list.map(([title, value, kind]) =>
    el("div", {}, el("dt", {}, title), el("dd", { class: kind ?? "" }, value))));
}

export function wordTable(title, words, column) {
  const rows = words.map(([word, number]) => [word, count(number)]);
  return el("div", {}, el("h3", {}, title), table([[column], ["Count", "n"]], rows, "None."));
}

const WIDTH = 640, HEIGHT = 170, LEFT = 44, BOTTOM = 18, TOP = 8;

// Bars of one or two series, and the same numbers as a table.
export class Chart {
  constructor(place, title, names) {
    this.title = title;
    this.names = names;
    this.svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    this.body = el("div", {});
    this.details = el("details", {}, el("summary", {}, "Table"), this.body);
    this.details.addEventListener("toggle", () => this.fill());
    const keys = names.length > 1 ? names.map((name, index) => el("span", { class: index === 0 ? "key-a" : "key-b" }, name)) : [];
    place.append(el("figure", {}, el("figcaption", {}, title, keys), this.svg, this.details));
  }
  // labels: a text for each bar; series: an array of numbers for each name.
  update(labels, series) {
    this.labels = labels;
    this.series = series;
    const most = Math.max(1, ...series.flat()), top = niceTop(most);
    const step = (WIDTH - LEFT) / labels.length, high = HEIGHT - TOP - BOTTOM;
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      const y = TOP + high * (1 - share);
      parts.push(shape("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y, y2: y }));
      parts.push(shape("text", { x: LEFT - 5, y: y + 4, "text-anchor": "end" }, count(Math.round(top * share * 10) / 10)));
    }
    const gap = step > 8 ? 2 : step > 4 ? 1 : 0.3, wide = (step - gap) / series.length;
    series.forEach((values, which) => values.forEach((value, index) => {
      if (value <= 0) return;
      const tall = Math.max(1, (high * value) / top);
      const bar = shape("rect", {
        class: which === 0 ? "a" : "b", x: (LEFT + index * step + which * wide).toFixed(2),
        y: (TOP + high - tall).toFixed(2), width: Math.max(0.6, wide).toFixed(2), height: tall.toFixed(2),
      });
      bar.append(shape("title", {}, `${labels[index]}: ${count(value)} ${this.names[which]}`));
      parts.push(bar);
    }));
    const every = Math.ceil(labels.length / 8);
    labels.forEach((label, index) => {
      if (index % every === 0) parts.push(shape("text", { x: LEFT + index * step, y: HEIGHT - 4 }, label));
    });
    this.svg.replaceChildren(...parts);
    const sums = series.map((values, index) => `${this.names[index]}: at most ${count(Math.max(0, ...values))}`);
    this.svg.setAttribute("aria-label", `${this.title}. ${sums.join(", ")}. The table below has all numbers.`);
    this.fill();
  }
  fill() {
    if (!this.details.open || !this.labels) return;
    const rows = this.labels.map((label, index) => [label, ...this.series.map((values) => count(values[index]))]);
    this.body.replaceChildren(table([["From"], ...this.names.map((name) => [name, "n"])], rows));
  }
}

function niceTop(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 5, 10].map((times) => times * power).find((top) => top >= most);
}

// Who was there from when to when, as bars over time.
export function stays(from, until, people, marks) {
  const rowHigh = 20, high = Math.max(1, people.length) * rowHigh + 24, wide = Math.max(1, until - from);
  const x = (ms) => 150 + ((Math.min(until, Math.max(from, ms)) - from) / wide) * (WIDTH - 160);
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${high}`, role: "img", "aria-label": "When participants were in the room. The table below has all times." });
  people.forEach((person, index) => {
    const y = index * rowHigh + 4;
    svg.append(shape("text", { x: 145, y: y + 11, "text-anchor": "end" }, person.label.slice(0, 22)));
    const bar = shape("rect", { class: "stay", x: x(person.from), y, height: rowHigh - 7, width: Math.max(2, x(person.until) - x(person.from)), rx: 2 });
    bar.append(shape("title", {}, `${person.label}: ${time(person.from)} to ${time(person.until)}`));
    svg.append(bar);
  });
  for (const mark of marks) {
    const rect = shape("rect", { class: "mark", x: x(mark.from), y: high - 22, height: 4, width: Math.max(2, x(mark.until) - x(mark.from)) });
    rect.append(shape("title", {}, mark.label));
    svg.append(rect);
  }
  svg.append(shape("text", { x: 150, y: high - 4 }, time(from)), shape("text", { x: WIDTH - 5, y: high - 4, "text-anchor": "end" }, time(until)));
  return svg;
}

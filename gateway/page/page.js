// The status page of field2mqtt. Whatever comes from the plant goes into the page as text, never as markup.
"use strict";

const HISTORY = 60; // values of a point that are kept for its course
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

let points = []; // as /api/v1/points has them, with .history
let shown = []; // places of the points that the filters leave
let epoch = null, status = null, clockSkewMs = 0, isFetching = false;
let rowHeight = 34;

// ---- small things ----

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };

const number = (n) => n.toLocaleString("en");

function span(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 100) return s < 10 ? s.toFixed(1) + " s" : Math.round(s) + " s";
  if (s < 6000) return Math.round(s / 60) + " min";
  if (s < 172800) return Math.round(s / 3600) + " h";
  return Math.round(s / 86400) + " d";
}

function bytes(n) {
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (n < 1024 || unit === "GiB") return (unit === "B" ? n : n.toFixed(1)) + " " + unit;
    n /= 1024;
  }
}

const nowMs = () => Date.now() + clockSkewMs;

function line(values, width, height) {
  const low = Math.min(...values), range = Math.max(...values) - low || 1;
  const step = width / Math.max(values.length - 1, 1);
  return values.map((v, i) => (i ? "L" : "M") + (i * step).toFixed(1) + " " +
    (height - 2 - (v - low) / range * (height - 4)).toFixed(1)).join("");
}

function draw(svg, values, width, height) {
  let path = svg.querySelector("path");
  if (!path) {
    path = document.createElementNS(SVG, "path");
    svg.append(path);
  }
  path.setAttribute("d", values.length > 1 ? line(values, width, height) : "");
}

// ---- overview ----

function showTiles() {
  const { broker, outbox, reload } = status;
  const brokerState = byId("broker-state");
  setText(brokerState, broker.connected ? "online" : "offline");
  brokerState.className = "big state " + brokerState.textContent;
  setText(byId("broker-detail"), `${broker.server} · ${number(broker.acknowledged)} acknowledged, ${number(broker.connects)} connection${broker.connects === 1 ? "" : "s"}`);
  setText(byId("outbox-state"), outbox.messages ? `${number(outbox.messages)} waiting` : "empty");
  setText(byId("outbox-detail"), (outbox.messages ? `${bytes(outbox.bytes)}, oldest ${span(outbox.oldest_s * 1000)} · ` : "") +
    `${number(outbox.dropped)} dropped${outbox.degraded ? " · disk unusable, in memory only" : ""}`);
  draw(byId("backlog"), outbox.backlog, 300, 48);
  const reloadState = byId("reload-state");
  setText(reloadState, reload ? (reload.refused ? "refused" : "in force") : "in force");
  reloadState.className = "big " + (reload && reload.refused ? "bad" : "");
  setText(byId("reload-detail"), reload ? `${reload.text}, ${span(nowMs() - reload.ts)} ago`
    : `running for ${span(nowMs() - status.started)}`);
}

function showCounts() {
  const bad = points.reduce((n, p) => n + (p.quality !== "good"), 0);
  const state = byId("points-state");
  setText(state, bad ? `${number(bad)} bad` : "all good");
  state.className = "big " + (bad ? "bad" : "good");
  setText(byId("points-detail"), `${number(points.length)} points`);
}

// ---- buses ----

function busCard(bus) {
  const card = element("article", "bus");
  const top = element("div", "top");
  const meter = element("div", "meter");
  top.append(element("h3", "", bus.name), element("span", "soft", bus.driver), element("span", "state"));
  meter.append(element("div"));
  meter.setAttribute("role", "meter");
  meter.setAttribute("aria-label", "Utilisation of " + bus.name);
  meter.setAttribute("aria-valuemin", "0");
  meter.setAttribute("aria-valuemax", "100");
  card.append(top, meter, element("p", "soft figures"), element("p", "soft errors"), element("ul"));
  for (const device of bus.devices) {
    const item = element("li"), button = element("button", "", device.name);
    button.type = "button";
    button.title = "Show the points of this device";
    button.addEventListener("click", () => filterDevice(bus.name, device.name));
    item.append(button, element("span", "soft reason"), element("span", "state"));
    card.querySelector("ul").append(item);
  }
  return card;
}

function fillBus(card, bus) {
  const percent = Math.round(bus.utilisation * 100), latency = bus.latency_ms;
  const state = card.querySelector(".top .state");
  setText(state, bus.state);
  state.className = "state " + bus.state;
  const meter = card.querySelector(".meter");
  meter.classList.toggle("full", percent >= 90);
  meter.setAttribute("aria-valuenow", percent);
  meter.firstChild.style.width = percent + "%";
  setText(card.querySelector(".figures"), `${percent} % busy · ${number(bus.requests)} requests · ` +
    (latency.p50 === null ? "no recent answer" : `p50 ${latency.p50} ms, p95 ${latency.p95} ms, p99 ${latency.p99} ms`) +
    ` · ${number(bus.overruns)} overruns`);
  const errors = Object.entries(bus.errors).map(([reason, n]) => `${number(n)} × ${reason}`).join(", ");
  setText(card.querySelector(".errors"), errors || (bus.opens ? "no errors" : "never reached"));
  card.querySelectorAll("li").forEach((item, i) => {
    const device = bus.devices[i], mark = item.querySelector(".state");
    setText(mark, device.state);
    mark.className = "state " + device.state;
    setText(item.querySelector(".reason"), (device.reason && device.state !== "online"
      ? `${device.reason} for ${span(nowMs() - device.since)}` : "") +
      (device.bad_points && device.state === "online" ? `${device.bad_points} of ${device.points} points bad` : ""));
  });
}

function showBuses(isNew) {
  const box = byId("buses");
  if (isNew || box.children.length !== status.buses.length) box.replaceChildren(...status.buses.map(busCard));
  status.buses.forEach((bus, i) => fillBus(box.children[i], bus));
}

// ---- points: only the rows that are in sight exist ----

function fillSelect(select, values) {
  const before = select.value;
  select.replaceChildren(new Option("all", ""), ...values.map((v) => new Option(v, v)));
  select.value = values.includes(before) ? before : "";
}

function showChoices() {
  const bus = byId("bus").value;
  fillSelect(byId("bus"), [...new Set(points.map((p) => p.bus))]);
  fillSelect(byId("device"), [...new Set(points.filter((p) => !bus || p.bus === bus).map((p) => p.device))]);
}

function filterPoints() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const bus = byId("bus").value, device = byId("device").value, badOnly = byId("bad").checked;
  shown = [];
  points.forEach((p, place) => {
    if ((!bus || p.bus === bus) && (!device || p.device === device) && (!badOnly || p.quality !== "good") &&
        words.every((word) => p.haystack.includes(word))) shown.push(place);
  });
  setText(byId("count"), `${number(shown.length)} of ${number(points.length)}`);
  byId("space").style.height = shown.length * rowHeight + "px";
  showRows();
}

function filterDevice(bus, device) {
  byId("bus").value = bus;
  showChoices();
  byId("device").value = device;
  filterPoints();
  byId("points").scrollIntoView();
  byId("search").focus();
}

function newRow() {
  const row = element("div", "row");
  row.setAttribute("role", "listitem");
  row.append(element("span", "name"), element("span", "value"), element("span", "quality"), element("span", "age"),
    document.createElementNS(SVG, "svg"));
  row.lastChild.setAttribute("viewBox", "0 0 130 24");
  row.lastChild.setAttribute("aria-hidden", "true");
  return row;
}

function fillRow(row, point) {
  const [name, value, quality, age, course] = row.children;
  const isGood = point.quality === "good";
  setText(name, `${point.device} · ${point.name}`);
  name.title = `${point.bus} / ${point.device} / ${point.name}\n${point.topic}`;
  setText(value, isGood ? `${point.value}${point.unit ? " " + point.unit : ""}` : "—");
  value.title = value.textContent;
  setText(quality, isGood ? "good" : point.reason || "bad");
  quality.className = "quality " + (isGood ? "good" : "bad");
  setText(age, point.ts ? span(nowMs() - point.ts) : "never");
  row.classList.toggle("is-bad", !isGood);
  draw(course, point.history, 130, 24);
}

function showRows() {
  const list = byId("list"), rows = byId("rows");
  const first = Math.max(0, Math.min(Math.floor(list.scrollTop / rowHeight) - 5, shown.length));
  const n = Math.min(Math.ceil(list.clientHeight / rowHeight) + 10, shown.length - first);
  while (rows.children.length < n) rows.append(newRow());
  while (rows.children.length > n) rows.lastChild.remove();
  rows.style.transform = `translateY(${first * rowHeight}px)`;
  for (let i = 0; i < n; i++) {
    fillRow(rows.children[i], points[shown[first + i]]);
    rows.children[i].setAttribute("aria-setsize", shown.length);
    rows.children[i].setAttribute("aria-posinset", first + i + 1);
  }
}

function remember(point) {
  const value = typeof point.value === "boolean" ? Number(point.value) : point.value;
  if (typeof value !== "number") return;
  point.history.push(value);
  if (point.history.length > HISTORY) point.history.shift();
}

async function fetchPoints() {
  if (isFetching) return;
  isFetching = true;
  try {
    const answer = await fetch("/api/v1/points");
    if (!answer.ok) return;
    const fetched = await answer.json(), before = new Map(points.map((p) => [`${p.bus}/${p.device}/${p.name}`, p.history]));
    epoch = fetched.epoch;
    points = fetched.points;
    for (const p of points) {
      p.history = before.get(`${p.bus}/${p.device}/${p.name}`) || [];
      p.haystack = `${p.name} ${p.device} ${p.bus} ${p.unit || ""} ${p.topic}`.toLowerCase();
      remember(p);
    }
    showChoices();
    showCounts();
    filterPoints();
    if (status) showBuses(true);
  } finally {
    isFetching = false;
  }
}

function takeChanges(event) {
  if (event.epoch !== epoch) { // buses came or went: places are void
    fetchPoints();
    return;
  }
  let isFiltered = false;
  for (const [place, value, reason, ts] of event.changes) {
    const point = points[place], quality = reason === null ? "good" : "bad";
    if (!point) continue;
    isFiltered ||= point.quality !== quality;
    Object.assign(point, { value, reason, ts, quality });
    remember(point);
  }
  showCounts();
  if (isFiltered && byId("bad").checked) filterPoints();
  else showRows();
}

// ---- log and commands ----

let lastLogged = "";

function logLine([ts, level, text]) {
  const item = element("li", level), when = element("time", "", new Date(ts).toLocaleTimeString("en-GB"));
  when.dateTime = new Date(ts).toISOString();
  when.title = new Date(ts).toLocaleString();
  item.append(when, text);
  return item;
}

function showLog() {
  const lines = status.log.filter(Boolean), last = lines.at(-1);
  const mark = lines.length + "/" + (last ? last.join() : "");
  if (mark === lastLogged) return;
  lastLogged = mark;
  const isCommand = ([, , text]) => /^(command|audit)\b/.test(text);
  const fill = (id, chosen, empty) => byId(id).replaceChildren(...(chosen.length ? chosen.reverse().map(logLine)
    : [element("li", "empty", empty)]));
  fill("commands", lines.filter(isCommand).slice(-30), "no commands yet");
  fill("log", lines.filter((l) => !isCommand(l)), "nothing yet");
}

// ---- live ----

function showLive(state, text) {
  byId("live").className = "state " + state;
  setText(byId("live"), text);
}

function takeStatus(event) {
  status = event;
  clockSkewMs = status.now - Date.now();
  setText(byId("gateway"), status.gateway);
  setText(byId("version"), "field2mqtt " + status.version);
  document.title = `${status.gateway} – field2mqtt`;
  showLive(status.alive ? "online" : "offline", status.alive ? "live" : "a thread hangs");
  showTiles();
  showBuses(false);
  showLog();
}

function listen() {
  const source = new EventSource("/api/v1/events");
  source.addEventListener("status", (e) => takeStatus(JSON.parse(e.data)));
  source.addEventListener("points", (e) => takeChanges(JSON.parse(e.data)));
  source.addEventListener("error", () => {
    showLive("offline", "no connection to the gateway");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

// ---- keyboard, theme ----

function setTheme(isDark) {
  document.documentElement.classList.toggle("dark", isDark);
}

function stored(key, value) { // a browser may forbid it
  try {
    if (value !== undefined) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function onKey(event) {
  const isTyping = ["INPUT", "SELECT"].includes(event.target.tagName) && event.target.type !== "checkbox";
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    byId("filters").reset();
    showChoices();
    filterPoints();
  } else if (!isTyping && event.key === "/") {
    event.preventDefault();
    byId("search").focus();
  } else if (!isTyping && event.key === "b") {
    byId("bad").click();
  }
}

function measure() {
  rowHeight = matchMedia("(max-width: 640px)").matches ? 52 : 34;
  filterPoints();
}

const dark = matchMedia("(prefers-color-scheme: dark)");
setTheme((stored("theme") || (dark.matches ? "dark" : "light")) === "dark");
dark.addEventListener("change", () => stored("theme") || setTheme(dark.matches));
byId("theme").addEventListener("click", () => {
  const isDark = !document.documentElement.classList.contains("dark");
  setTheme(isDark);
  stored("theme", isDark ? "dark" : "light");
});
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("search").addEventListener("input", filterPoints);
byId("bus").addEventListener("change", () => { showChoices(); filterPoints(); });
byId("device").addEventListener("change", filterPoints);
byId("bad").addEventListener("change", filterPoints);
byId("list").addEventListener("scroll", () => requestAnimationFrame(showRows));
document.addEventListener("keydown", onKey);
addEventListener("resize", measure);
setInterval(showRows, 1000); // ages
measure();
fetchPoints().then(listen, listen);

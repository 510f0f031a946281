// The live page. Every unit that is told moves the counters and the trail; pictures are fetched one unit at a time and
// a few times a second at most, so neither a fast line nor a slow browser makes requests pile up.

import { t } from "./texts.js";

const SHOWN_EVERY_MS = 300;
const KEPT_TRAIL = 160;
const KEPT_STOPPED = 12;

const at = (id) => document.getElementById(id);
const words = (code) => (code || "").replaceAll("_", " ");
const time = (text) => (text ? new Date(text).toLocaleTimeString([], { hourCycle: "h23" }) : "");
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function sign() {
  const made = element("span", { className: "sign" });
  made.setAttribute("aria-hidden", "true");
  return made;
}

// Status: the line, the alarm, the counts.

const title = document.title;

function showAlarm(text) {
  at("alarm").hidden = !text;
  at("alarm").querySelector("span").textContent = text;
  document.title = text ? `▲ ${title}` : title;
}

function showLine(state, text = state) {
  at("bar-line").textContent = text;
  at("bar-line").dataset.state = state;
  document.body.classList.toggle("lost", state === "lost");
}

function showStatus(status) {
  const { units, outcomes, reasons, severities, latency_ms_p50: latency } = status.tally;
  showLine(status.line);
  at("bar-batch").textContent = status.batch || t("base.no_batch");
  showAlarm(status.alarm);
  at("units").textContent = units.toLocaleString();
  for (const [name, count] of Object.entries(outcomes)) {
    at(`count-${name}`).textContent = count.toLocaleString();
    at(`count-${name}`).parentElement.classList.toggle("zero", count === 0);
  }
  at("latency").textContent = latency === null ? "–" : `${Math.round(latency)} ms`;
  const others = Object.entries(reasons).filter(([reason]) => reason !== "within_limits").slice(0, 6);
  at("reasons").replaceChildren(...others.map(([reason, count]) =>
    element("li", {}, element("span", { textContent: words(reason) }), count.toLocaleString())));
  at("severities").textContent = ["critical", "major", "minor"].filter((name) => severities[name])
    .map((name) => `${severities[name].toLocaleString()} ${name}`).join(" · ");
}

// Pictures: whoever wants several asks for one after the other.

async function picture(address) {
  if (!address) return null;
  const image = element("img", { alt: "", src: address });
  try { await image.decode(); return image; } catch { return null; }
}

// The unit in the middle: verdict, pictures and score change together.

let next = null;
let showing = false;

async function showLatest(unit) {
  next = unit;
  if (showing) return;
  showing = true;
  while (next) {
    const shown = next;
    next = null;
    await Promise.all([showUnit(shown), pause(SHOWN_EVERY_MS)]);
  }
  showing = false;
}

async function showUnit(unit) {
  const { record } = unit;
  const links = record ? record.links : {};
  const frame = await picture(links.image && `${links.image}?width=560`);
  const heatmap = await picture(links.heatmap && `${links.heatmap}?width=560`);
  put("image", frame, links.image ? "the frame cannot be shown" : "no frame");
  put("heatmap", heatmap, links.heatmap ? "the heatmap cannot be shown" : "no heatmap");
  const verdict = at("verdict");
  verdict.dataset.outcome = unit.outcome;
  verdict.querySelector(".outcome").textContent = unit.outcome;
  at("reason").textContent = [words(unit.reason), ...(record ? record.named : [])].join(" · ");
  at("message").textContent = unit.message;
  at("unit").textContent = unit.unit;
  at("when").textContent = time(record && record.recorded_at);
  showScore(record);
}

function put(id, image, otherwise) {
  if (image) image.alt = id === "image" ? "Latest frame" : "Heatmap over the latest frame";
  at(id).dataset.empty = otherwise;
  at(id).replaceChildren(...(image ? [image] : []));
}

// Score and limits of the finding that decided: the record's own, or the classifier's beside it.
const deciding = (record) =>
  record && record.details.decided_by === "classifier" ? record.details.classifier : record;

function showScore(record) {
  const gauge = at("gauge");
  const decided = deciding(record);
  const known = Boolean(record) && decided.score !== null;
  gauge.classList.toggle("unknown", !known);
  at("score").textContent = known ? `Score ${decided.score.toFixed(2)}` : "No score";
  at("limits").textContent = !record ? "not on record" : [
    `review from ${decided.review_limit.toFixed(2)}`,
    `reject from ${decided.reject_limit.toFixed(2)}`,
    `${Math.round(record.latency_ms)} ms`,
  ].join(" · ");
  if (!record) return;
  const full = decided.reject_limit * 1.5;
  const place = (value) => `${Math.min(100, Math.max(0, (100 * value) / full))}%`;
  gauge.style.setProperty("--review-at", place(decided.review_limit));
  gauge.style.setProperty("--reject-at", place(decided.reject_limit));
  if (known) gauge.style.setProperty("--score-at", place(decided.score));
}

// What went by: a mark for every unit, and pictures of those that did not pass.

function addPast(unit) {
  const mark = element("li");
  mark.dataset.outcome = unit.outcome;
  at("trail").prepend(mark);
  while (at("trail").children.length > KEPT_TRAIL) at("trail").lastChild.remove();
  if (unit.outcome !== "PASS") addStopped(unit);
}

function addStopped(unit) {
  const { record } = unit;
  const thumb = element("div", { className: "thumb" });
  const score = record && deciding(record).score !== null ? deciding(record).score.toFixed(2) : "no score";
  const link = element("a", { title: unit.message || words(unit.reason) },
    thumb, sign(), element("strong", { textContent: unit.outcome }),
    element("small", { textContent: record && record.named.length ? record.named[0] : words(unit.reason) }),
    element("small", { textContent: record ? `${score} · ${time(record.recorded_at)}` : "not on record" }));
  link.dataset.outcome = unit.outcome;
  if (record) link.href = record.links.self;
  const item = element("li", {}, link);
  at("stopped").prepend(item);
  while (at("stopped").children.length > KEPT_STOPPED) at("stopped").lastChild.remove();
  const image = record && record.links.image;
  if (image) fillThumb(item, thumb, `${image}?width=130`);
}

const emptyThumbs = [];

async function fillThumb(item, thumb, address) {
  emptyThumbs.unshift({ item, thumb, address });
  if (emptyThumbs.length > 1) return;
  while (emptyThumbs.length) {
    const due = emptyThumbs[0];
    if (due.item.isConnected) due.thumb.replaceChildren(...[await picture(due.address)].filter(Boolean));
    emptyThumbs.splice(emptyThumbs.indexOf(due), 1);
  }
}

// Records are read once the events flow, so that no unit falls between the two; what both tell is shown once.

let toldMeanwhile = null;

async function showPast() {
  toldMeanwhile = [];
  const answer = await fetch(`/api/records?limit=${KEPT_TRAIL}`).catch(() => null);
  const records = answer && answer.ok ? await answer.json() : [];
  const known = new Set(records.map((record) => record.hash));
  const past = records.reverse().map((record) => ({ ...record, record, message: record.details.message || "" }));
  const units = [...past, ...toldMeanwhile.filter((unit) => !(unit.record && known.has(unit.record.hash)))];
  toldMeanwhile = null;
  at("trail").replaceChildren();
  at("stopped").replaceChildren();
  for (const unit of units) addPast(unit);
  if (units.length) showLatest(units.at(-1));
}

function listen() {
  const events = new EventSource("/api/events");
  let connected = false;
  events.addEventListener("status", (event) => {
    showStatus(JSON.parse(event.data));
    if (!connected) showPast();
    connected = true;
  });
  events.addEventListener("unit", (event) => {
    const { unit, status } = JSON.parse(event.data);
    showStatus(status);
    if (toldMeanwhile) { toldMeanwhile.push(unit); return; }
    addPast(unit);
    showLatest(unit);
  });
  events.onerror = () => {
    connected = false;
    showLine("lost", "unknown");
    showAlarm("No connection to the station. What you see is old; the line may still run.");
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

showStatus(JSON.parse(at("status").textContent));
listen();

"use strict";
// The live page: shows each unit as it is decided. A picture is fetched only when the one before it has arrived, so a
// fast line never queues up work in a slow browser; counters and the strip still count every unit that is told.

const at = (id) => document.getElementById(id);
const words = (code) => (code || "").replaceAll("_", " ");
const number = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const KEPT = 16;
let busy = false;
let waiting = null;

function showStatus(status) {
  at("line").textContent = status.line;
  at("line").dataset.state = status.line;
  at("alarm").hidden = !status.alarm;
  at("alarm").querySelector("span").textContent = status.alarm;
  at("units").textContent = status.tally.units;
  for (const [name, count] of Object.entries(status.tally.outcomes)) at(`count-${name}`).textContent = count;
  const latency = status.tally.latency_ms_p50;
  at("latency").textContent = latency === null ? "–" : `${Math.round(latency)} ms`;
  at("reasons").replaceChildren(...Object.entries(status.tally.reasons).map(([reason, count]) => {
    const item = document.createElement("li");
    item.append(Object.assign(document.createElement("span"), { textContent: words(reason) }), String(count));
    return item;
  }));
}

function loaded(image, address) {
  return new Promise((done) => {
    image.hidden = !address;
    if (!address) { image.removeAttribute("src"); done(); return; }
    image.onload = image.onerror = done;
    image.src = address;
  });
}

async function showUnit(unit) {
  busy = true;
  const record = unit.record;
  const links = record ? record.links : { image: null, heatmap: null };
  await Promise.all([
    loaded(at("image"), links.image && `${links.image}?width=560`),
    loaded(at("heatmap"), links.heatmap && `${links.heatmap}?width=560`),
  ]);
  at("verdict").dataset.outcome = unit.outcome;
  at("verdict").querySelector(".outcome").textContent = unit.outcome;
  at("verdict").querySelector(".why").textContent = unit.message || words(unit.reason);
  at("unit").textContent = unit.unit;
  at("when").textContent = record ? new Date(record.recorded_at).toLocaleTimeString() : "";
  showScore(unit, record);
  busy = false;
  if (waiting) { const next = waiting; waiting = null; showUnit(next); }
}

function showScore(unit, record) {
  const gauge = at("fill").parentElement;
  const known = record && record.score !== null;
  const full = record ? record.reject_limit * 1.5 : 1;
  const place = (value) => `${Math.min(100, Math.max(0, (100 * value) / full))}%`;
  gauge.dataset.outcome = unit.outcome;
  at("fill").style.width = known ? place(record.score) : "0";
  if (record) {
    at("review").style.left = place(record.review_limit);
    at("reject").style.left = place(record.reject_limit);
  }
  at("score").textContent = known
    ? `Score ${number(record.score)} · review from ${number(record.review_limit)} · reject from ${number(record.reject_limit)} · ${number(record.latency_ms, 0)} ms`
    : "No score: the unit could not be inspected";
}

function addRecent(unit) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.dataset.outcome = unit.outcome;
  if (unit.record) link.href = unit.record.links.self;
  const image = unit.record && unit.record.links.image;
  const picture = document.createElement(image ? "img" : "div");
  if (image) { picture.src = `${image}?width=112`; picture.alt = ""; } else { picture.className = "none"; picture.textContent = "no image"; }
  const text = document.createElement("span");
  const sign = Object.assign(document.createElement("span"), { className: "sign" });
  sign.setAttribute("aria-hidden", "true");
  text.append(sign, `${unit.outcome} ${unit.record ? number(unit.record.score) : ""}`);
  link.append(picture, text);
  item.append(link);
  at("recent").prepend(item);
  while (at("recent").children.length > KEPT) at("recent").lastChild.remove();
}

async function showPast() {
  const answer = await fetch(`/api/records?limit=${KEPT}`);
  if (!answer.ok) return;
  const units = (await answer.json()).map((record) => ({ ...record, record, message: record.details.message || "" }));
  for (const unit of units.reverse()) addRecent(unit);
  if (units.length) showUnit(units.at(-1));
}

showStatus(JSON.parse(document.body.dataset.status));
showPast();
const events = new EventSource("/api/events");
events.addEventListener("status", (event) => showStatus(JSON.parse(event.data)));
events.addEventListener("unit", (event) => {
  const { unit, status } = JSON.parse(event.data);
  showStatus(status);
  addRecent(unit);
  if (busy) waiting = unit; else showUnit(unit);
});
events.onerror = () => { at("line").textContent = "connection lost"; at("line").dataset.state = "failed"; };

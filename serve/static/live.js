// The live page. Every unit that is told moves the counters and the strip; pictures are fetched one unit at a time and
// a few times a second at most, so neither a fast line nor a slow browser makes requests pile up.
import { call } from "./calls.js";
import { watchActions } from "./live_actions.js";
import { addPast, showPastUnits } from "./live_past.js";
import { showLost, showStatus } from "./live_status.js";
import { showTrend } from "./live_trend.js";
import { changeView, setCameras, showLatest } from "./live_unit.js";
import { typing } from "./page.js";

const KEPT_PAST = 60;
const AGAIN_MS = 2000;

function status(told) {
  showStatus(told);
  setCameras(told.cameras.map((camera) => camera.name));
  if (told.trend) showTrend(told.trend);
}

// What the strip needs of a unit that an event told.
function inShort({ record, ...unit }) {
  if (!record) return unit;
  const decided = record.details.decided_by === "classifier" ? record.details.classifier : record;
  const { station, sequence, named, frames } = record;
  const shown = frames[record.worst_frame];
  return {
    ...unit, station, sequence, named, recorded_at: record.recorded_at, score: decided.score,
    worst_frame: record.worst_frame, pictured: Boolean(shown && (shown.image || shown.thumbnail)),
  };
}

// Past units are read once the events flow, so that none falls between the two; what both tell is shown once.
let toldMeanwhile = null;

async function showPast() {
  toldMeanwhile = [];
  let past = [];
  let latest = null;
  try {
    past = await call(`/api/units?limit=${KEPT_PAST}`);
    if (past.length) latest = await call(`/api/records/${encodeURIComponent(past[0].station)}/${past[0].sequence}`);
  } catch { /* the events say what is wrong */ }
  const known = new Set(past.map((unit) => `${unit.station}/${unit.sequence}`));
  const since = toldMeanwhile.filter((unit) => !(unit.record && known.has(`${unit.record.station}/${unit.record.sequence}`)));
  toldMeanwhile = null;
  showPastUnits([...past.reverse(), ...since.map(inShort)]);
  if (since.length) showLatest(since.at(-1));
  else if (latest) showLatest({ ...past.at(-1), record: latest });
}

function listen() {
  const events = new EventSource("/api/events");
  let connected = false;
  events.addEventListener("status", (event) => {
    status(JSON.parse(event.data));
    if (!connected) showPast();
    connected = true;
    document.body.dataset.listening = "yes";
  });
  events.addEventListener("unit", (event) => {
    const { unit, status: after } = JSON.parse(event.data);
    status(after);
    if (toldMeanwhile) { toldMeanwhile.push(unit); return; }
    addPast(inShort(unit));
    showLatest(unit);
  });
  events.addEventListener("trend", (event) => showTrend(JSON.parse(event.data)));
  events.onerror = () => {
    connected = false;
    document.body.dataset.listening = "no";
    showLost();
    if (events.readyState !== EventSource.CLOSED) return;
    call("/api/session").catch(() => {}); // who is not signed in any more is led to where one does
    setTimeout(listen, AGAIN_MS);
  };
}

document.addEventListener("keydown", (event) => {
  if (typing(event)) return;
  if (event.key === "v") changeView();
  if (event.key === "w") {
    const address = new URL(location);
    if (address.searchParams.has("wall")) address.searchParams.delete("wall");
    else address.searchParams.set("wall", "1");
    location.assign(address);
  }
});

status(JSON.parse(document.getElementById("status").textContent));
watchActions();
listen();

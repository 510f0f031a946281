// The review queue. The next units are fetched and decoded ahead, so that the picture is there with the key; decisions
// are recorded in the background, and where one cannot be, the page goes back to its unit and no further.
import { call, toSignIn } from "./calls.js";
import { DecisionForm, Outbox } from "./decide.js";
import { typing } from "./page.js";
import { code, t } from "./texts.js";
import { showTimes } from "./times.js";
import { prepare, Viewer } from "./viewer.js";

const AHEAD = 3;
const KEPT_BEHIND = 5;
const PAGE = 100;
const LOOK_AGAIN_MS = 15000;
const at = (id) => document.getElementById(id);
const asked = JSON.parse(at("queue").textContent);

let units = []; // in order; with `decided` where this person did
let place = -1;
let exhausted = false; // whether all that the server has was fetched
let total = 0;
let done = 0;
let fetching = null;
let wanted = 0; // counts showings, so that a slow one does not overtake the next

const viewer = new Viewer(at("viewer"));
const form = at("decide") && new DecisionForm(at("decide"), decided);
const outbox = new Outbox({ recorded, failed, changed: showWaiting });

// The queue: page by page.

function query(after) {
  const { batch, which, order, state } = asked;
  return new URLSearchParams({ batch, which, order, state, limit: PAGE, ...(after ? { after } : {}) });
}

async function fetchMore() {
  const answer = await call(`/api/review/queue?${query(units.at(-1)?.name)}`);
  const known = new Set(units.map((unit) => unit.name));
  const fresh = answer.units.map((unit) => ({ ...unit, name: `${unit.station}/${unit.sequence}` }))
    .filter((unit) => !known.has(unit.name));
  units.push(...fresh);
  if (!known.size) ({ total, done } = answer);
  exhausted = !fresh.length || answer.units.length < PAGE;
}

function more() {
  if (exhausted) return Promise.resolve();
  fetching ||= fetchMore().finally(() => { fetching = null; });
  return fetching;
}

// A unit's panel and pictures, asked for once.

function load(unit) {
  unit.loading ||= panelOf(unit).catch((error) => { unit.loading = null; throw error; });
  return unit.loading;
}

async function panelOf(unit) {
  const answer = await fetch(`/records/${encodeURIComponent(unit.station)}/${unit.sequence}/panel`);
  if (answer.redirected) toSignIn();
  if (!answer.ok) throw new Error(t("review.not_loaded", { unit: unit.unit || unit.name }));
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  const panel = holder.content.firstElementChild;
  const picture = JSON.parse(panel.dataset.picture);
  showTimes(panel);
  if (unit.last === undefined) unit.last = picture.last;
  if (picture.mine.length && !unit.said) [unit.said] = picture.mine;
  const prepared = prepare(picture.frames[picture.worst]);
  await prepared.ready;
  return { panel, picture, prepared };
}

function loadAhead() {
  const ahead = units.slice(place + 1, place + 1 + AHEAD);
  // one after the other: the next one first
  ahead.reduce((before, unit) => before.then(() => load(unit)).catch(() => {}), Promise.resolve())
    .then(() => { document.body.dataset.ahead = ahead.length; });
  for (const unit of units.slice(0, Math.max(0, place - KEPT_BEHIND))) unit.loading = null;
  if (units.length - place < PAGE / 4) more().then(showPlace).catch(() => {});
}

// Showing.

async function show(to) {
  const unit = units[to];
  if (!unit) return;
  place = to;
  const showing = ++wanted;
  document.body.dataset.ahead = 0;
  form?.enable(false); // what is not seen is not decided on
  try {
    const { panel, picture, prepared } = await load(unit);
    if (showing !== wanted) return;
    await viewer.show(picture, picture.worst, prepared);
    at("panel").replaceChildren(panel);
    document.body.dataset.unit = unit.name;
    form?.enable(true);
  } catch (error) {
    if (showing !== wanted) return;
    viewer.clear();
    at("panel").textContent = error.message;
  }
  form?.fill(unit.said);
  showPlace();
  history.replaceState(null, "", `?${new URLSearchParams({ ...Object.fromEntries(["batch", "which", "order", "state"].map((name) => [name, asked[name]])), unit: unit.name })}`);
  loadAhead();
}

function showPlace() {
  at("desk").hidden = place < 0 || place >= units.length;
  at("empty").hidden = !at("desk").hidden;
  at("empty").textContent = total ? t("review.finished", { total }) : t("review.nothing");
  at("done").textContent = t("review.progress", { done, total });
  document.querySelector("progress").max = Math.max(1, total);
  document.querySelector("progress").value = done;
  at("place").textContent = units[place] ? t(units[place].said ? "review.place_decided" : "review.place", { at: place + 1 }) : "";
  at("previous").disabled = place <= 0;
  at("next").disabled = place >= units.length - 1;
}

async function go(step) {
  if (outbox.stuck) return;
  if (place + step >= units.length) await more().catch(() => {});
  if (units[place + step]) await show(place + step);
}

// Deciding.

function decided(values) {
  const unit = units[place];
  if (!unit || (outbox.stuck && outbox.stuck.unit !== unit)) return;
  if (!unit.said && asked.state === "open") done += 1;
  unit.said = values;
  hideFault();
  outbox.put(unit, values);
  if (place + 1 < units.length) show(place + 1);
  else more().catch(() => {}).then(() => (units[place + 1] ? show(place + 1) : finish()));
}

function finish() {
  if (place !== units.length) {
    place = units.length;
    wanted += 1;
    showPlace();
    at("empty").focus();
  }
  if (asked.state === "open") setTimeout(lookAgain, LOOK_AGAIN_MS);
}

// Of a batch that runs there are more units to come.
async function lookAgain() {
  if (place < units.length) return;
  exhausted = document.hidden;
  await more().catch(() => {});
  if (units[place]) show(place);
  else finish();
}

function recorded(unit) {
  unit.loading = null; // its panel is another now
  if (!outbox.waiting.length) document.dispatchEvent(new CustomEvent("recorded"));
}

function failed(unit, values, error) {
  if (error.code === "reviewed_meanwhile") {
    unit.last = undefined; // it is looked at anew, with what was decided meanwhile
    unit.loading = null;
  }
  const shown = at("unsaved");
  shown.hidden = false;
  shown.querySelector("span").textContent = t("review.not_recorded", { decision: code(values.decision), unit: unit.unit || unit.name, why: error.message });
  show(units.indexOf(unit)).then(() => form?.fill(values));
}

function hideFault() {
  at("unsaved").hidden = true;
}

function showWaiting(count) {
  document.body.dataset.waiting = count;
  if (!outbox.stuck) hideFault();
}

at("again").addEventListener("click", () => outbox.again());
at("next").addEventListener("click", () => go(1));
at("previous").addEventListener("click", () => go(-1));
at("filters").addEventListener("change", () => at("filters").submit());
document.addEventListener("keydown", (event) => {
  if (typing(event)) return;
  if (event.key === "n" || event.key === "ArrowRight") go(1);
  else if (event.key === "p" || event.key === "ArrowLeft") go(-1);
  else return;
  event.preventDefault();
});

async function begin() {
  showWaiting(0);
  try {
    await more();
  } catch (error) {
    at("empty").hidden = false;
    at("empty").textContent = error.message;
    return;
  }
  const named = new URLSearchParams(location.search).get("unit");
  const first = Math.max(0, units.findIndex((unit) => unit.name === named));
  if (units.length) await show(first);
  else showPlace();
}

begin();

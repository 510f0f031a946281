// The latest unit: its verdict, score and pictures of each camera, which change together.
import { at, element, milliseconds, pause, picture, sign } from "./live_parts.js";
import { code, t } from "./texts.js";
import { timeOfDay } from "./times.js";

const SHOWN_EVERY_MS = 300;
const WIDTHS = [560, 400, 320]; // of pictures, of one, two and more cameras
const VIEWS = ["both", "frame", "heatmap"];
const WORST = ["PASS", "REVIEW", null, "REJECT"]; // a frame that was not looked at is worse than one to look at

let cameras = [];
let latest = null;
const tiles = new Map();
const pinned = new Map(); // by camera, which of its frames a person wants to see

// One tile for each camera of the recipe; where it has none, for whoever sent the latest unit's images.
export function setCameras(names) {
  cameras = names;
  if (!tiles.size || names.some((name) => !tiles.has(name))) tilesFor(names);
}

function tilesFor(names) {
  const wanted = names.length ? names : [""];
  if (wanted.length === tiles.size && wanted.every((name) => tiles.has(name))) return;
  tiles.clear();
  at("cameras").replaceChildren();
  for (const name of wanted) {
    const tile = at("camera").content.firstElementChild.cloneNode(true);
    tile.dataset.camera = name;
    tile.querySelector(".name").textContent = name;
    tile.querySelector(".said").textContent = t("live.waiting");
    tiles.set(name, tile);
    at("cameras").append(tile);
  }
  at("cameras").dataset.count = wanted.length;
  showView();
}

// Which pictures: in the address, so that a screen on the wall can be told.
const asked = () => new URLSearchParams(location.search).get("view");
const view = () => (VIEWS.includes(asked()) ? asked() : tiles.size > 2 ? "heatmap" : "both");

function showView() {
  at("cameras").dataset.view = view();
  for (const one of at("view").elements) one.checked = one.value === view();
}

export function changeView(to = VIEWS[(VIEWS.indexOf(view()) + 1) % VIEWS.length]) {
  const address = new URL(location);
  address.searchParams.set("view", to);
  history.replaceState(null, "", address);
  showView();
  if (latest) showLatest(latest);
}

at("view").addEventListener("change", (event) => changeView(event.target.value));

let next = null;
let showing = false;

export async function showLatest(unit) {
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

// The frames of a unit by camera, each with its number in the record.
function framesOf(record) {
  const found = new Map(cameras.map((name) => [name, []]));
  (record ? record.frames : []).forEach((frame, number) => {
    if (!found.has(frame.camera)) found.set(frame.camera, []);
    found.get(frame.camera).push({ ...frame, number });
  });
  return found;
}

const badness = (frame) => [WORST.indexOf(frame.said.outcome), frame.said.score ?? -Infinity];

function worst(frames) {
  return frames.reduce((bad, frame) => {
    const [one, other] = [badness(frame), badness(bad)];
    return one[0] > other[0] || (one[0] === other[0] && one[1] > other[1]) ? frame : bad;
  });
}

async function showUnit(unit) {
  const { record } = unit;
  const byCamera = framesOf(record);
  tilesFor([...byCamera.keys()]);
  const width = WIDTHS[Math.min(tiles.size, WIDTHS.length) - 1];
  const ready = [];
  for (const [name, frames] of byCamera) {
    const chosen = frames[pinned.get(name)] || (frames.length ? worst(frames) : null);
    const address = (what) => `${record.links.self}/${what}?frame=${chosen.number}&width=${width}`;
    const wants = (what) => view() === "both" || view() === what;
    const image = chosen && (chosen.image || chosen.thumbnail) && wants("frame") ? await picture(address("image")) : null;
    const heatmap = chosen?.heatmap && wants("heatmap") ? await picture(address("heatmap")) : null;
    ready.push({ name, frames, chosen, image, heatmap });
  }
  latest = unit;
  for (const one of ready) showCamera(unit, one);
  if (!ready.length) showCamera(unit, { name: "", frames: [], chosen: null, image: null, heatmap: null });
  showVerdict(unit);
  showScore(record);
}

function showCamera(unit, { name, frames, chosen, image, heatmap }) {
  const tile = tiles.get(name);
  if (!tile) return;
  const said = chosen ? worst(frames).said : null; // whichever frame is looked at, the sign is the camera's
  tile.dataset.outcome = tile.querySelector("h3").dataset.outcome = said?.outcome || "";
  tile.querySelector(".said").textContent = !chosen ? t("live.no_frame") : said.outcome ? code(said.outcome) : t("live.not_looked_at");
  tile.querySelector(".score").textContent = said && said.score !== null ? said.score.toFixed(2) : "";
  const which = frames.length > 1 ? { number: frames.indexOf(chosen) + 1, frames: frames.length } : null;
  tile.querySelector(".frame figcaption").textContent = which ? t("live.frame_of", which) : t("live.view_frame");
  tile.querySelector(".heatmap figcaption").textContent = which ? t("live.heatmap_of", which) : t("live.view_heatmap");
  put(tile.querySelector(".frame .picture"), image, t("live.frame_alt", { unit: unit.unit, camera: name }),
    t(chosen && (chosen.image || chosen.thumbnail) ? "live.frame_fails" : "live.no_frame"));
  put(tile.querySelector(".heatmap .picture"), heatmap, t("live.heatmap_alt", { unit: unit.unit, camera: name }),
    t(chosen?.heatmap ? "live.heatmap_fails" : "live.no_heatmap"));
  showFrames(tile.querySelector(".frames"), name, frames, chosen);
}

function put(where, image, alt, otherwise) {
  if (image) image.alt = alt;
  where.dataset.empty = otherwise;
  where.replaceChildren(...(image ? [image] : []));
}

// Of a camera with several frames, one button each; its nodes stay, so that the focus does.
function showFrames(group, name, frames, chosen) {
  group.hidden = frames.length < 2;
  if (group.hidden) { group.replaceChildren(); return; }
  group.setAttribute("aria-label", t("live.frames_of", { camera: name }));
  while (group.children.length > frames.length) group.lastChild.remove();
  while (group.children.length < frames.length) {
    const index = group.children.length;
    const button = element("button", { type: "button", className: "quiet" }, sign(), element("span"));
    button.addEventListener("click", () => {
      if (pinned.get(name) === index) pinned.delete(name);
      else pinned.set(name, index);
      if (latest) showLatest(latest);
    });
    group.append(button);
  }
  frames.forEach((frame, index) => {
    const button = group.children[index];
    const score = frame.said.score === null ? "–" : frame.said.score.toFixed(2);
    const said = frame.said.outcome ? code(frame.said.outcome) : t("live.not_looked_at");
    button.dataset.outcome = frame.said.outcome || "";
    button.lastChild.textContent = `${index + 1}`;
    button.setAttribute("aria-label", t("live.frame_button", { number: index + 1, said, score }));
    button.title = button.getAttribute("aria-label");
    button.setAttribute("aria-pressed", String(pinned.get(name) === index));
    button.toggleAttribute("data-shown", frame === chosen);
  });
}

function showVerdict(unit) {
  const { record } = unit;
  const verdict = at("verdict");
  verdict.dataset.outcome = unit.outcome;
  verdict.querySelector(".outcome").textContent = code(unit.outcome);
  at("reason").textContent = [code(unit.reason), ...(record ? record.named : [])].join(" · ");
  at("message").textContent = unit.message;
  at("unit").textContent = unit.unit;
  if (record) at("unit").href = `/records/${encodeURIComponent(record.station)}/${record.sequence}`;
  else at("unit").removeAttribute("href");
  at("when").textContent = record ? timeOfDay(record.recorded_at) : "";
}

// Score and limits of the finding that decided: the record's own, or the classifier's beside it.
function showScore(record) {
  const gauge = at("gauge");
  const decided = record && record.details.decided_by === "classifier" ? record.details.classifier : record;
  const known = Boolean(record) && decided.score !== null;
  gauge.classList.toggle("unknown", !known);
  at("score").textContent = known ? t("live.score", { score: decided.score.toFixed(2) }) : t("live.no_score");
  at("limits").textContent = !record ? t("live.not_on_record") : [
    t("live.review_from", { limit: decided.review_limit.toFixed(2) }),
    t("live.reject_from", { limit: decided.reject_limit.toFixed(2) }),
    milliseconds(record.latency_ms),
  ].join(" · ");
  if (!record) return;
  const full = decided.reject_limit * 1.5;
  const place = (value) => `${Math.min(100, Math.max(0, (100 * value) / full))}%`;
  gauge.style.setProperty("--review-at", place(decided.review_limit));
  gauge.style.setProperty("--reject-at", place(decided.reject_limit));
  if (known) gauge.style.setProperty("--score-at", place(decided.score));
}

// What went by: a sign for every unit, and pictures of those that did not pass, each a way to its record.
import { at, element, picture, sign } from "./live_parts.js";
import { code, t } from "./texts.js";
import { timeOfDay } from "./times.js";

const KEPT_TRAIL = 60;
const KEPT_STOPPED = 12;
let held = []; // what came while somebody was about to press one: it must not move away under them

const recordPage = (unit) => `/records/${encodeURIComponent(unit.station)}/${unit.sequence}`;
const onRecord = (unit) => unit.sequence !== undefined;

export function addPast(unit) {
  held.push(unit);
  if (held.length > KEPT_TRAIL) held.shift();
  if (at("trail").closest("section").matches(":has(li:hover, a:focus-visible)")) return;
  letGo();
}

function letGo() {
  for (const unit of held) add(unit);
  held = [];
}

export function showPastUnits(units) {
  held = [];
  at("trail").replaceChildren();
  at("stopped").replaceChildren();
  for (const unit of units) add(unit);
}

for (const event of ["pointerleave", "focusout"]) at("trail").closest("section").addEventListener(event, letGo);

function add(unit) {
  const label = t("live.trail_label", { outcome: code(unit.outcome), unit: unit.unit });
  const mark = element(onRecord(unit) ? "a" : "span", { title: label }, sign(), element("span", { className: "unseen", textContent: label }));
  mark.dataset.outcome = unit.outcome;
  if (onRecord(unit)) mark.href = recordPage(unit);
  at("trail").prepend(element("li", {}, mark));
  while (at("trail").children.length > KEPT_TRAIL) at("trail").lastChild.remove();
  at("trail").querySelectorAll("a").forEach((link, index) => { link.tabIndex = index ? -1 : 0; });
  if (unit.outcome !== "PASS") addStopped(unit);
}

// One stop for the whole strip; the arrows go along it.
at("trail").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const links = [...at("trail").querySelectorAll("a")];
  const there = step && links[links.indexOf(document.activeElement) + step];
  if (!there) return;
  event.preventDefault();
  there.focus();
});

function addStopped(unit) {
  const thumb = element("div", { className: "thumb" });
  thumb.dataset.empty = t("live.no_image");
  const score = typeof unit.score === "number" ? unit.score.toFixed(2) : t("live.no_score");
  const link = element(onRecord(unit) ? "a" : "div", { title: unit.message || code(unit.reason) },
    thumb, sign(), element("strong", { textContent: code(unit.outcome) }),
    element("small", { textContent: unit.named?.length ? unit.named[0] : code(unit.reason) }),
    element("small", { textContent: onRecord(unit) ? `${score} · ${timeOfDay(unit.recorded_at)}` : t("live.not_on_record") }));
  link.dataset.outcome = unit.outcome;
  if (onRecord(unit)) link.href = recordPage(unit);
  const item = element("li", {}, link);
  at("stopped").prepend(item);
  while (at("stopped").children.length > KEPT_STOPPED) at("stopped").lastChild.remove();
  if (unit.pictured) fillThumb(item, thumb, `/api${recordPage(unit)}/image?frame=${unit.worst_frame}&width=130`);
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

// Search and gallery: filters in the address, pictures as they come into view, units ticked, keys.
import { typing } from "./page.js";
import { openExport } from "./record_export.js";
import { watchPictures } from "./record_pictures.js";
import { t } from "./texts.js";
import { utcShown } from "./times.js";

const AHEAD = "1200px 0px"; // how far below the view the next units are asked for
const search = document.getElementById("search");
const bar = document.getElementById("selection");
const units = () => document.getElementById("units");
const tickOf = (unit) => unit.querySelector("input.tick");

// Times are typed in the reader's zone and sent in UTC.
function showMoments() {
  for (const field of search.querySelectorAll("[data-utc]")) {
    const moment = new Date(search.elements[field.dataset.utc].value);
    if (Number.isNaN(moment.getTime())) { field.value = ""; continue; }
    const shift = utcShown() ? 0 : moment.getTimezoneOffset() * 60000;
    field.value = new Date(moment - shift).toISOString().slice(0, 19);
  }
}

search.addEventListener("change", ({ target }) => {
  if (!target.dataset.utc) return;
  const moment = new Date(utcShown() && target.value ? `${target.value}Z` : target.value);
  search.elements[target.dataset.utc].value = Number.isNaN(moment.getTime()) ? "" : moment.toISOString().replace(".000", "");
}, { capture: true });
document.addEventListener("click", (event) => { if (event.target.closest("[data-does=zone]")) showMoments(); });

// A change and the Enter that made it are one search.
let wanted = 0;
function searchAnew(event) {
  if (event.target !== search && event.target.form !== search) return;
  if (event.type === "submit") event.preventDefault();
  clearTimeout(wanted);
  wanted = setTimeout(() => window.htmx.trigger(search, "wanted"), 30);
}
document.addEventListener("change", searchAnew);
document.addEventListener("submit", searchAnew);

// The address has only what is looked for.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.elt !== search) return;
  for (const [name, value] of Object.entries(detail.parameters)) if (value === "") delete detail.parameters[name];
});

// The next units, before one comes to their end.
const near = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    window.htmx.trigger(target, "near");
  }
}, { rootMargin: AHEAD });

function watch(within) {
  watchPictures(within);
  for (const button of within.querySelectorAll("[data-near]")) near.observe(button);
}

// Ticks. `all` is everything that fits, whether it is on the page or not.
const ticked = new Set();
let all = false;
let last = null;

function showTicks() {
  if (!bar) return;
  bar.hidden = !all && ticked.size === 0;
  bar.querySelector("strong").textContent = all ? t("records.ticked_all") : t("records.ticked", { count: ticked.size });
}

function tick(unit, on) {
  if (!on && all) {
    all = false;
    for (const one of units().querySelectorAll(".unit")) ticked.add(one.dataset.record);
  }
  tickOf(unit).checked = on;
  if (on) ticked.add(unit.dataset.record);
  else ticked.delete(unit.dataset.record);
}

function tickAll(on) {
  all = on;
  ticked.clear();
  last = null;
  for (const one of document.querySelectorAll("#units .unit")) tickOf(one).checked = on;
  showTicks();
}

function tickTo(unit, on) {
  const listed = [...units().querySelectorAll(".unit")];
  const [from, to] = [listed.indexOf(last), listed.indexOf(unit)].sort((a, b) => a - b);
  for (const one of listed.slice(Math.max(0, from), to + 1)) tick(one, on);
}

document.addEventListener("click", (event) => {
  if (event.target.matches("input.tick")) {
    const unit = event.target.closest(".unit");
    if (event.shiftKey && last) tickTo(unit, event.target.checked);
    else tick(unit, event.target.checked);
    last = unit;
    showTicks();
  }
  const ticks = event.target.closest("[data-ticks]");
  if (ticks) tickAll(ticks.dataset.ticks === "all");
  if (event.target.closest("[data-exports]")) exportTicked();
});

function exportTicked() {
  if (!bar || (!all && !ticked.size)) return;
  openExport(all ? [] : [...ticked], all ? document.getElementById("found").dataset.search : "");
}

document.getElementById("export")?.querySelector("form").addEventListener("submit", (event) => {
  setTimeout(() => event.target.closest("dialog").close());
});

// Keys: one unit has the focus, the arrows move it.
function move(key, from) {
  const listed = [...units().querySelectorAll(".unit")];
  const columns = units().matches(".gallery") ? getComputedStyle(units()).gridTemplateColumns.split(" ").length : 1;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  const to = from ? listed[listed.indexOf(from) + step] : listed[0];
  to?.querySelector(".opens").focus();
}

document.addEventListener("focusin", ({ target }) => {
  if (!target.matches(".unit .opens")) return;
  for (const one of units().querySelectorAll('.opens[tabindex="0"]')) one.tabIndex = -1;
  target.tabIndex = 0;
});

document.addEventListener("keydown", (event) => {
  if (typing(event)) return;
  const unit = event.target.closest?.(".unit");
  if (event.key.startsWith("Arrow") && units() && (unit || event.target.matches("body, main"))) move(event.key, unit);
  else if (event.key === " " && unit && event.target.matches(".opens") && bar) {
    tick(unit, !tickOf(unit).checked);
    last = unit;
    showTicks();
  } else if (event.key === "x") exportTicked();
  else if (event.key === "/") search.elements.batch.focus();
  else return;
  event.preventDefault();
});

document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target.id === "found" || detail.requestConfig?.elt === search) tickAll(false);
  else if (all || ticked.size) {
    for (const one of document.querySelectorAll("#units .unit")) {
      tickOf(one).checked = all || ticked.has(one.dataset.record);
    }
  }
  watch(document.getElementById("found"));
});

showMoments();
watch(document);

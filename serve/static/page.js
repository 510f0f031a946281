// What every page does: theme, time zone, the station's state in its head, keys, dialogs, forms.
import { call, submit, toSignIn } from "./calls.js";
import { code, t } from "./texts.js";
import { showTimes, toggleZone, utcShown, zoneName } from "./times.js";

const STATUS_EVERY_MS = 5000;
const THEMES = ["light dark", "dark", "light"];
const at = (id) => document.getElementById(id);

function showZone() {
  at("zone").textContent = t("base.times_in", { zone: zoneName() });
  const button = document.querySelector("[data-does=zone]");
  button.textContent = utcShown() ? button.dataset.local : button.dataset.utc;
}

function showTheme() {
  const button = document.querySelector("[data-does=theme]");
  const chosen = localStorage.getItem("theme") || THEMES[0];
  button.textContent = { "light dark": button.dataset.auto, dark: button.dataset.dark, light: button.dataset.light }[chosen];
  document.documentElement.style.colorScheme = chosen;
  document.dispatchEvent(new CustomEvent("theme"));
}

const does = {
  keys: () => at("keys").showModal(),
  zone: () => { toggleZone(); showZone(); },
  theme: () => {
    const next = THEMES[(THEMES.indexOf(localStorage.getItem("theme") || THEMES[0]) + 1) % THEMES.length];
    localStorage.setItem("theme", next);
    showTheme();
  },
};

document.addEventListener("click", (event) => {
  const done = event.target.closest("[data-does]");
  if (done) does[done.dataset.does]();
  const opens = event.target.closest("[data-opens]");
  if (opens) at(opens.dataset.opens).showModal();
  const closes = event.target.closest("[data-closes]");
  if (closes) closes.closest("dialog").close();
  const menu = document.querySelector("details.menu[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
});

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.call) return;
  event.preventDefault();
  submit(event.target);
});

// Keys. What is typed into a field, or with a dialog open, is no command.
export const typing = (event) => event.ctrlKey || event.metaKey || event.altKey
  || event.target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, dialog[open]");

let going = false;
document.addEventListener("keydown", (event) => {
  if (typing(event)) return;
  if (event.key === "?") does.keys();
  else if (going) {
    going = false;
    const link = document.querySelector(`.bar nav [data-key="${CSS.escape(event.key)}"]`);
    if (link) { event.stopImmediatePropagation(); link.click(); }
  } else if (event.key === "g") {
    going = true;
    setTimeout(() => { going = false; }, 1500);
  }
}, { capture: true });

// The station's state. The live page hears it by events and says so itself.
export function showAlarm(text) {
  at("alarm").hidden = !text;
  at("alarm").querySelector("span").textContent = text;
}

export function showState(status) {
  at("bar-line").textContent = code(status.line);
  at("bar-line").dataset.state = status.line;
  at("bar-batch").textContent = status.batch || t("base.no_batch");
  showAlarm(status.alarm);
}

// While somebody changes their own password, their session ends and the next one begins: one refusal is no sign-out.
let refused = 0;

async function watch() {
  if (document.hidden) return;
  try {
    showState(await call("/api/status", "GET", undefined, { stay: true }));
    refused = 0;
  } catch (error) {
    if (!error.code) showAlarm(t("base.connection_lost"));
    else if (["not_signed_in", "password_expired"].includes(error.code) && ++refused > 1) toSignIn();
  }
}

document.addEventListener("htmx:afterSwap", (event) => showTimes(event.target));
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) toSignIn();
});
// A page that comes out of the browser's memory is old.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

showTimes(document);
showZone();
showTheme();
if (document.body.dataset.page !== "/") setInterval(watch, STATUS_EVERY_MS);

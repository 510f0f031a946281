// Times are recorded in UTC. They are shown in the browser's zone, or in UTC where its user wants that.
const zone = () => (localStorage.getItem("zone") === "UTC" ? "UTC" : undefined);

export const utcShown = () => zone() === "UTC";

export function toggleZone() {
  localStorage.setItem("zone", utcShown() ? "local" : "UTC");
  showTimes(document);
}

export function zoneName() {
  const parts = new Intl.DateTimeFormat("en", { timeZone: zone(), timeZoneName: "longOffset" }).formatToParts();
  const offset = parts.find((part) => part.type === "timeZoneName").value.replace("GMT", "UTC");
  const name = new Intl.DateTimeFormat("en", { timeZone: zone() }).resolvedOptions().timeZone;
  return name === offset ? name : `${name} (${offset})`;
}

// Making a format takes far longer than using it, and a gallery has thousands of times.
const formats = new Map();
function format(moment, options) {
  const key = `${zone()} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("sv-SE", { timeZone: zone(), ...options }));
  return formats.get(key).format(moment);
}

// 2026-11-28 04:31:05; the zone stands at the foot of the page and in the title.
export const dateTime = (text) => format(new Date(text), { dateStyle: "short", timeStyle: "medium" });
export const timeOfDay = (text) => format(new Date(text), { timeStyle: "medium" });

export function showTimes(within) {
  for (const one of within.querySelectorAll("time[datetime]")) {
    const moment = new Date(one.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const shown = one.dataset.short === undefined ? dateTime(moment) : timeOfDay(moment);
    if (one.textContent === shown && one.title) continue;
    one.textContent = shown;
    one.title = `${one.dateTime.slice(0, 19).replace("T", " ")} UTC`;
  }
}

// The line, its batch, its alarms, the counts and the latency, as the station last told them.
import { at, count, element, milliseconds, percent, setList } from "./live_parts.js";
import { showAlarm, showState } from "./page.js";
import { code, hasText, t } from "./texts.js";
import { showTimes } from "./times.js";

const NEAR = 0.8; // of the deadline
const MOST_REASONS = 6;
const title = document.title;
export let told = null;

function alarmed(text) {
  document.title = text ? `▲ ${title}` : title;
}

export function showStatus(status) {
  told = status;
  showState(status);
  alarmed(status.alarm);
  document.body.classList.remove("lost");
  showAlarms(status.alarms);
  showLine(status);
  showCounts(status.tally);
  showLatency(status.tally, status.deadline_ms);
  document.dispatchEvent(new CustomEvent("told", { detail: status }));
}

export function showLost() {
  at("bar-line").textContent = t("base.unknown");
  at("bar-line").dataset.state = "lost";
  at("line-state").textContent = t("base.unknown");
  at("no-alarms").textContent = t("live.alarms_unknown");
  document.body.classList.add("lost");
  showAlarm(t("live.lost"));
  alarmed(true);
}

// The newest first: what it is, since when, what was said, what to do.
function showAlarms(alarms) {
  at("no-alarms").hidden = alarms.length > 0;
  at("no-alarms").textContent = t("live.no_alarms");
  at("alarms-count").textContent = alarms.length ? count(alarms.length) : "";
  const newest = [...alarms].sort((one, other) => (one.since < other.since ? 1 : -1));
  setList(at("alarms"), newest.map((alarm) => {
    const since = element("time", { dateTime: alarm.since });
    since.dataset.short = "";
    const named = hasText(`live.alarm_${alarm.code}`) ? t(`live.alarm_${alarm.code}`) : code(alarm.code);
    const does = hasText(`live.do_${alarm.code}`) ? `live.do_${alarm.code}` : "live.do_other";
    return element("li", {}, element("p", {}, element("strong", { textContent: named }), ` ${t("live.since")} `, since),
      element("p", { className: "said", textContent: alarm.message }),
      element("p", { className: "todo", textContent: t(does) }));
  }));
  showTimes(at("alarms"));
}

function showLine(status) {
  at("line-state").textContent = code(status.line);
  at("batch").textContent = status.batch || t("base.no_batch");
  const notes = [
    ...(status.batch_came_by === null ? [] : [t("live.came_by", { units: count(status.batch_came_by) })]),
    ...(status.batch_of_recipe ? [t("live.batch_by_recipe")] : []),
  ];
  at("batch-units").textContent = notes.join(" · ");
  at("product").textContent = status.product;
  at("recipe").textContent = status.recipe;
  const { name, version, sha256 } = status.package;
  const digest = element("code", { textContent: sha256.slice(0, 8), title: t("live.package_digest", { digest: sha256 }) });
  setList(at("package"), [element("span", { textContent: `${name} ${version} ` }), digest]);
  setList(at("camera-states"), status.cameras.map((camera) => {
    const said = { ...camera, state: t(`live.camera_is_${camera.state}`) };
    const one = element("span", { textContent: t(camera.frames > 1 ? "live.camera_frames" : "live.camera_state", said) });
    one.dataset.state = camera.state;
    return one;
  }));
  if (!status.cameras.length) at("camera-states").textContent = t("live.no_camera");
  showShadow(status.shadow);
}

// A candidate beside the active package. It decides nothing, so that what is wrong with it is no alarm.
function showShadow(shadow) {
  at("shadow-name").hidden = at("shadow-said").hidden = !shadow;
  if (!shadow) return;
  const { label, state } = shadow;
  const counts = t("live.shadow_said", { label, inspected: count(shadow.inspected), differ: count(shadow.differ), shed: count(shadow.shed) });
  const failed = shadow.failed ? ` · ▲ ${t("live.shadow_failed", { count: count(shadow.failed) })}` : "";
  const said = { running: counts + failed, starting: t("live.shadow_starting", { label }), fault: `▲ ${t("live.shadow_fault", { label })}` };
  at("shadow").textContent = said[state];
  at("shadow").title = shadow.message;
}

function showCounts({ units, outcomes, reasons, severities }) {
  at("units").textContent = count(units);
  for (const [name, number] of Object.entries(outcomes)) {
    at(`count-${name}`).textContent = count(number);
    at(`count-${name}`).closest("div").classList.toggle("zero", number === 0);
    at(`share-${name}`).textContent = units ? percent(number / units) : "";
  }
  const others = Object.entries(reasons).filter(([reason]) => reason !== "within_limits").slice(0, MOST_REASONS);
  setList(at("reasons"), others.map(([reason, number]) =>
    element("li", {}, element("span", { textContent: code(reason) }), count(number))));
  at("severities").textContent = ["critical", "major", "minor"].filter((name) => severities[name])
    .map((name) => t(`live.severity_${name}`, { count: count(severities[name]) })).join(" · ");
}

function showLatency({ latency_ms_p50: p50, latency_ms_p99: p99 }, deadlineMs) {
  const deadline = milliseconds(deadlineMs);
  const near = p99 > NEAR * deadlineMs;
  at("latency").textContent = p50 === null ? t("live.latency_none", { deadline })
    : t("live.latency_said", { p50: milliseconds(p50), p99: milliseconds(p99), deadline })
      + (near ? ` · ▲ ${t("live.latency_near")}` : "");
  at("latency").classList.toggle("near", near);
  const place = (ms) => Math.min(100, (100 * (ms || 0)) / deadlineMs);
  at("latency-bar").classList.toggle("near", near);
  at("latency-bar").classList.toggle("unknown", p50 === null);
  at("latency-bar").querySelector(".p99").setAttribute("width", place(p99));
  at("latency-bar").querySelector(".p50").setAttribute("x", Math.min(99, place(p50)));
}

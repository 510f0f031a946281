// The editor of limits: both limits as handles on the recorded scores, and at once what they would change.
import { at, keep, latest, made, number, query, range, saving, showChanges, showFault, values } from "./editor.js";
import { call } from "./calls.js";
import { code, t } from "./texts.js";

const KEYS = ["review_limit", "reject_limit"];
const limits = { ...values.limits };
for (const key of KEYS) {
  const given = Number(new URLSearchParams(location.search).get(key) ?? NaN);
  if (Number.isFinite(given)) limits[key] = given;
}
let plot = null, scores = null;

function colour(name) {
  const probe = made("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const handles = Object.fromEntries(KEYS.map((key) => {
  const which = key.split("_")[0];
  const one = made("button", { type: "button", class: "handle", role: "slider", "data-limit": which, "data-sign": which === "review" ? "?" : "✕", "aria-label": t(`editor.${key}`) });
  return [key, one];
}));

const span = () => (scores?.edges.length ? scores.edges.at(-1) - scores.edges[0] : Math.max(1, values.limits.reject_limit * 1.5));

function place() {
  for (const key of KEYS) {
    if (document.activeElement !== at(key)) at(key).value = Number(limits[key].toPrecision(6));
    const handle = handles[key];
    handle.setAttribute("aria-valuenow", limits[key]);
    handle.setAttribute("aria-valuetext", number(limits[key]));
    handle.setAttribute("aria-valuemin", scores?.edges[0] ?? 0);
    handle.setAttribute("aria-valuemax", scores?.edges.at(-1) ?? values.limits.reject_limit * 2);
    if (plot) {
      const width = plot.over.clientWidth;
      handle.style.left = `${Math.min(width, Math.max(0, plot.valToPos(limits[key], "x")))}px`;
    }
  }
  const score = Number(at("frame-score")?.dataset.score ?? NaN);
  if (Number.isFinite(score)) {
    const outcome = score >= limits.reject_limit ? "REJECT" : score >= limits.review_limit ? "REVIEW" : "PASS";
    const sign = made("span", { class: "sign", "aria-hidden": "true" });
    at("frame-verdict").replaceChildren(made("span", { class: "outcome", "data-outcome": outcome }, sign, code(outcome)));
  }
}

function set(key, value, moved = true) {
  if (!Number.isFinite(value)) return;
  const other = KEYS.find((one) => one !== key);
  limits[key] = value;
  // Both stay in order: the handle that is moved takes the other one along.
  if (limits.review_limit > limits.reject_limit) limits[other] = value;
  place();
  if (moved) {
    keep(Object.fromEntries(KEYS.map((one) => [one, limits[one] === values.limits[one] ? null : limits[one]])));
    ask();
  }
}

const ask = latest(async () => {
  const answer = await call(`/api/registry/what-if/limits?${query({ package: values.package, ...limits, ...range() })}`);
  return () => {
    const told = answer.changed === 0 ? "editor.none_change" : answer.changed === 1 ? "editor.one_changes" : "editor.some_change";
    showChanges(answer, t(told, { changed: number(answer.changed, 0), judged: number(answer.judged, 0) }));
    const apart = [t("editor.faults", { count: number(answer.faults, 0) })];
    if (answer.untold) apart.push(t("editor.untold", { count: number(answer.untold, 0) }));
    at("apart").textContent = apart.join(" ");
  };
});

function draw() {
  plot?.destroy();
  plot = null;
  if (!scores.edges.length) {
    at("histogram-note").textContent = t("editor.no_scores");
    place();
    return;
  }
  const highest = scores.highest > scores.edges.at(-1) ? ` ${t("editor.above", { score: number(scores.edges.at(-1)), highest: number(scores.highest) })}` : "";
  at("histogram-note").textContent = t("editor.score_count", { units: number(scores.units, 0) }) + highest;
  const { PASS, REVIEW, REJECT } = scores.counts;
  const all = PASS.map((count, index) => count + REVIEW[index] + REJECT[index]);
  const stopped = REVIEW.map((count, index) => count + REJECT[index]);
  const bars = { size: [0.94, 100], align: 1 };
  const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") }, font: "12px system-ui", labelFont: "12px system-ui", labelSize: 20 };
  const linear = at("linear").checked;
  const y = linear ? { range: (u, low, high) => [0, 1.15 * Math.max(1, high)] } : { distr: 4, asinh: 1, range: (u, low, high) => [0, 1.15 * Math.max(1, high)] };
  const steps = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 100000, 1000000];
  const series = (outcome, own, name) => ({ label: code(outcome), stroke: colour(name), width: 0, fill: colour(name), paths: uPlot.paths.bars(bars), points: { show: false }, value: (u, value, index, at_) => (at_ === null ? "–" : number(own[at_], 0)) });
  plot = new uPlot({
    width: at("histogram").clientWidth, height: 270, cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: false, range: [scores.edges[0], scores.edges.at(-1)] }, y },
    axes: [{ ...axis, label: t("editor.score") }, { ...axis, label: t("editor.units"), size: 60, ...(linear ? {} : { splits: (u) => steps.filter((one) => one <= u.scales.y.max) }) }],
    hooks: { draw: [() => { if (plot) place(); }] },  // by then the scales are known
    series: [{ label: t("editor.score"), value: (u, value) => (value === null ? "–" : number(value)) },
      series("PASS", PASS, "calm"), series("REVIEW", REVIEW, "review"), series("REJECT", REJECT, "reject")],
  }, [scores.edges.slice(0, -1), all, stopped, REJECT], at("histogram"));
  plot.over.append(...KEYS.map((key) => handles[key]));
  place();
}

async function load() {
  try {
    const upper = 3 * Math.max(values.limits.reject_limit, 1e-9);
    scores = await call(`/api/registry/what-if/scores?${query({ package: values.package, upper, ...range() })}`);
    draw();
  } catch (error) {
    showFault(error.message);
  }
  ask();
}

for (const key of KEYS) {
  const handle = handles[key];
  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const left = plot.over.getBoundingClientRect().left;
    const value = plot.posToVal(Math.min(plot.over.clientWidth, Math.max(0, event.clientX - left)), "x");
    set(key, Number(value.toPrecision(4)));
  });
  handle.addEventListener("keydown", (event) => {
    const step = span() / (event.shiftKey ? 1000 : 200);
    const by = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageDown: -10 * step, PageUp: 10 * step }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    set(key, Number((limits[key] + by).toPrecision(6)));
  });
  at(key).addEventListener("input", () => { if (at(key).value !== "") set(key, Number(at(key).value)); });
  at(key).addEventListener("change", place);
}
at("reset").addEventListener("click", () => { Object.assign(limits, values.limits); set("review_limit", values.limits.review_limit); });
at("linear").addEventListener("change", draw);
at("range").addEventListener("change", () => { keep({ batch: null, days: null, ...range() }); load(); });
document.addEventListener("theme", () => { if (scores) draw(); });
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width && scores) { width = innerWidth; draw(); } });

saving(
  () => ({ limits: { ...limits } }),
  () => KEYS.map((key) => [t(`editor.${key}`), t("editor.from_to", { old: number(values.limits[key]), new: number(limits[key]) })]),
);
keep({});
place();
load();

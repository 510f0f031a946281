// The reject rate as a control chart: muted, and marked where it leaves its limits. uPlot is a script of its own.
import { at, percent, shortTime } from "./live_parts.js";
import { t } from "./texts.js";

const LEAST_SHOWN_S = 900;
let trend = null;
let chart = null;

// A canvas knows no variables: what the style sheet makes of them.
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  at("trend").append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const rates = () => trend.units.map((units, index) => trend.stopped[index] / units);
const columns = () => {
  const rate = rates();
  return [trend.at, trend.upper, trend.lower, trend.mean, rate, rate.map((one, index) => (trend.outside[index] ? one : null))];
};

const size = () => ({ width: Math.max(200, at("trend").clientWidth), height: at("trend").clientHeight });

function draw() {
  chart?.destroy();
  chart = null;
  if (!trend?.at.length || !globalThis.uPlot) return;
  const [text, soft, line, edge, review] = ["text", "soft", "line", "edge", "review"].map(colour);
  const stepped = globalThis.uPlot.paths.stepped({ align: -1 });
  const limit = { stroke: edge, width: 1, dash: [6, 4], paths: stepped, points: { show: false } };
  const axis = { stroke: soft, font: "13px system-ui, sans-serif", grid: { stroke: line, width: 1 }, ticks: { show: false } };
  chart = new globalThis.uPlot({
    ...size(),
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { range: () => { // of one point uPlot would make a day
        const [first, last] = [trend.at[0], trend.at.at(-1)];
        return [Math.min(first, last - LEAST_SHOWN_S), last + Math.max(LEAST_SHOWN_S, last - first) / 100];
      } },
      y: { range: (_, __, highest) => [0, Math.min(1, Math.max(0.02, highest * 1.15))] },
    },
    axes: [
      { ...axis, values: (_, splits) => splits.map(shortTime), space: 80, size: 30 },
      { ...axis, values: (_, splits) => splits.map((share) => percent(share, 0)), size: 56, space: 34 },
    ],
    series: [
      {}, limit, limit,
      { stroke: soft, width: 1, paths: stepped, points: { show: false } },
      { stroke: text, width: 1.6, points: { show: true, size: 4, fill: text } },
      { stroke: review, width: 0, paths: () => null, points: { show: true, size: 11, width: 2.5, fill: "transparent", stroke: review } },
    ],
    hooks: { setCursor: [({ cursor }) => showBlock(cursor.idx)] },
  }, columns(), at("trend"));
}

function showBlock(index) {
  at("trend-at").textContent = index === null || index === undefined || trend.at[index] === undefined ? "" : t("live.trend_at", {
    time: shortTime(trend.at[index]), stopped: trend.stopped[index], units: trend.units[index],
    rate: percent(trend.stopped[index] / trend.units[index]),
  });
}

function say() {
  const last = trend.at.length - 1;
  const known = last >= 0 && trend.mean[last] !== null;
  const said = last < 0 ? t("live.trend_none") : trend.signal ? t(`live.trend_${trend.signal}`, { time: shortTime(trend.since) })
    : t(known ? "live.trend_within" : "live.trend_few");
  at("trend-said").dataset.signal = last < 0 || (!known && !trend.signal) ? "none" : trend.signal;
  at("trend-said").querySelector("strong").textContent = said;
  const rate = last < 0 ? "" : percent(trend.stopped[last] / trend.units[last]);
  at("trend-now").textContent = last < 0 ? "" : !known ? t("live.trend_now_alone", { rate }) : t("live.trend_now", {
    rate, mean: percent(trend.mean[last]), lower: percent(trend.lower[last]), upper: percent(trend.upper[last]),
  });
  at("trend").setAttribute("aria-label", `${t("live.trend")}: ${said}. ${at("trend-now").textContent}`);
}

export function showTrend(told) {
  trend = told;
  say();
  if (chart && trend.at.length) chart.setData(columns());
  else draw();
}

new ResizeObserver(() => chart?.setSize(size())).observe(at("trend"));
document.addEventListener("theme", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

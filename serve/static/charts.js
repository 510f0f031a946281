// Charts, all drawn the same way (uPlot): colours from the theme, limits with their names, a readout under the pointer and
// the arrow keys, a picture to save. A figure.chart holds what is drawn as JSON.
import { t } from "./texts.js";
import { dateTime, utcShown, zoneName } from "./times.js";

const HEIGHT = 260, TALL = 300, FONT = '12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif';
const charts = new Map();

function colours() {
  const probe = document.body.appendChild(document.createElement("i"));
  const found = {};
  for (const name of ["page", "card", "well", "line", "edge", "text", "soft", "calm", "review", "reject"]) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

const number = (value, digits) => (value === null || value === undefined ? "–"
  : value.toLocaleString("en", { maximumFractionDigits: digits }).replaceAll(",", " ").replace("-", "−"));
const faint = (colour, share) => colour.replace("rgb(", "rgba(").replace(")", `, ${share})`);

function range(spec) {
  const values = [];
  for (const one of spec.series) if (one.axis !== "share") values.push(...one.values);
  for (const one of spec.limits || []) values.push(one.value);
  const known = values.filter((value) => value !== null && value !== undefined);
  let low = Math.min(...known), high = Math.max(...known);
  if (!known.length) [low, high] = [0, 1];
  if (spec.zero) low = Math.min(0, low);
  const room = (high - low || Math.abs(high) || 1) * 0.1;
  return [spec.zero && low === 0 ? 0 : low - room, high + room];
}

function across(spec) {
  const [first, last] = [spec.xs[0], spec.xs.at(-1)];
  if (spec.x.kind === "value") {
    const ends = [first, last + spec.width, ...(spec.verticals || []).map((one) => one.value)];
    const low = Math.min(...ends), high = Math.max(...ends);
    return [low, high + 0.02 * (high - low)];
  }
  const step = spec.xs.length > 1 ? (last - first) / (spec.xs.length - 1) : spec.x.kind === "time" ? 600 : 1;
  const room = spec.x.kind === "place" ? 0.6 : 0.6 * step;
  return [first - room, last + room];
}

function seriesOf(one, spec, colour) {
  const tone = colour[one.tone] || colour.text;
  const made = {
    label: one.label, stroke: tone, width: one.tone === "edge" || one.dash ? 1.25 : 1.75, dash: one.dash || undefined,
    scale: one.axis === "share" ? "share" : "y", spanGaps: false,
    points: { show: Boolean(one.points) && spec.xs.length <= 200, size: 5, fill: tone, stroke: tone },
  };
  if (one.kind === "bars") {
    const align = spec.x.kind === "value" ? 1 : 0;
    Object.assign(made, { paths: uPlot.paths.bars({ size: [spec.x.kind === "value" ? 1 : 0.7, 90], align }), fill: faint(tone, 0.45), width: 0.75, points: { show: false } });
  }
  if (one.kind === "steps") made.paths = uPlot.paths.stepped({ align: 1 });
  if (one.kind === "points" || one.kind === "none") made.paths = () => null;
  if (one.kind === "points") made.points = { show: true, size: 9, fill: tone, stroke: tone };
  if (one.kind === "none") made.points = { show: false };
  return made;
}

// What uPlot does not draw: the baseline's ground, limits and their names, marks.
function under(plot, spec, colour) {
  const { ctx, bbox } = plot, ratio = devicePixelRatio;
  ctx.save();
  if (spec.shade) {
    const edge = spec.shade.to < spec.xs.length ? (spec.xs[spec.shade.to - 1] + spec.xs[spec.shade.to]) / 2 : spec.xs.at(-1);
    const right = plot.valToPos(edge, "x", true);
    ctx.fillStyle = colour.well;
    ctx.fillRect(bbox.left, bbox.top, right - bbox.left, bbox.height);
    label(ctx, spec.shade.label, bbox.left + 6 * ratio, bbox.top + 14 * ratio, colour.soft, "left");
  }
  ctx.restore();
}

function label(ctx, text, x, y, colour, align, ground) {
  ctx.font = FONT.replace("12px", `${12 * devicePixelRatio}px`);
  ctx.textAlign = align;
  ctx.textBaseline = "alphabetic";
  if (ground) {
    const wide = ctx.measureText(text).width, pad = 3 * devicePixelRatio;
    const left = align === "right" ? x - wide : align === "center" ? x - wide / 2 : x;
    ctx.fillStyle = ground;
    ctx.fillRect(left - pad, y - 12 * devicePixelRatio, wide + 2 * pad, 15 * devicePixelRatio);
  }
  ctx.fillStyle = colour;
  ctx.fillText(text, x, y);
}

function over(plot, spec, colour) {
  const { ctx, bbox } = plot, ratio = devicePixelRatio, right = bbox.left + bbox.width;
  ctx.save();
  ctx.lineWidth = 1.5 * ratio;
  for (const one of spec.limits || []) {
    const y = plot.valToPos(one.value, "y", true);
    ctx.strokeStyle = colour[one.tone];
    ctx.setLineDash(one.tone === "soft" ? [] : [7 * ratio, 4 * ratio]);
    ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(right, y); ctx.stroke();
    label(ctx, `${one.label} ${number(one.value, spec.y.digits)}${spec.y.unit ? ` ${spec.y.unit}` : ""}`,
      right - 4 * ratio, y - 4 * ratio, colour[one.tone], "right", faint(colour.card, 0.8));
  }
  for (const one of spec.series) {
    if (one.tone !== "edge") continue;
    const at = one.values.findLastIndex((value) => value !== null);
    if (at < 0) continue;
    const side = one.values[at] > (spec.limits?.[0]?.value ?? 0) ? -4 : 13;
    label(ctx, `${one.label} ${number(one.values[at], spec.y.digits)}${spec.y.unit ? ` ${spec.y.unit}` : ""}`,
      right - 4 * ratio, plot.valToPos(one.values[at], "y", true) + (one.values[at] === 0 ? -4 : side) * ratio, colour.soft, "right", faint(colour.card, 0.8));
  }
  let row = 0;
  for (const one of [...(spec.verticals || [])].sort((a, b) => a.value - b.value)) {
    const x = plot.valToPos(one.value, "x", true);
    if (x < bbox.left || x > right) continue;
    ctx.strokeStyle = colour[one.tone];
    ctx.setLineDash(one.tone === "soft" ? [2 * ratio, 3 * ratio] : [7 * ratio, 4 * ratio]);
    ctx.beginPath(); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); ctx.stroke();
    const left = x > bbox.left + 0.6 * bbox.width;
    label(ctx, `${one.label} ${number(one.value, 2)}`, x + (left ? -5 : 5) * ratio, bbox.top + (14 + 17 * (row++ % 4)) * ratio,
      colour[one.tone], left ? "right" : "left", faint(colour.card, 0.85));
  }
  ctx.setLineDash([]);
  if (spec.whiskers) {
    const [low, high] = spec.whiskers.map((at) => spec.series[at].values);
    ctx.strokeStyle = colour.text;
    spec.xs.forEach((value, at) => {
      const x = plot.valToPos(value, "x", true), cap = 8 * ratio;
      const [bottom, top] = [low[at], high[at]].map((end) => plot.valToPos(end, "y", true));
      ctx.beginPath();
      ctx.moveTo(x, bottom); ctx.lineTo(x, top);
      ctx.moveTo(x - cap, bottom); ctx.lineTo(x + cap, bottom);
      ctx.moveTo(x - cap, top); ctx.lineTo(x + cap, top);
      ctx.stroke();
    });
  }
  for (const one of spec.marks || []) {
    const of = one.name ? spec.series.findIndex((series) => series.name === one.name) : one.series;
    const value = spec.series[of].values[one.at];
    if (value === null) continue;
    const x = plot.valToPos(spec.xs[one.at], "x", true), y = plot.valToPos(value, "y", true), size = 7 * ratio;
    ctx.strokeStyle = colour.card; ctx.fillStyle = colour.reject; ctx.lineWidth = 1.5 * ratio;
    ctx.beginPath();
    ctx.moveTo(x, y - size); ctx.lineTo(x + 0.9 * size, y + 0.75 * size); ctx.lineTo(x - 0.9 * size, y + 0.75 * size);
    ctx.closePath(); ctx.fill(); ctx.stroke();
  }
  ctx.restore();
}

function where(spec, at) {
  if (spec.at) return spec.at[at].map(dateTime).join(" – ");
  return spec.names ? `${spec.x.kind === "place" && !spec.ticks ? `${at + 1}: ` : ""}${spec.names[at]}` : number(spec.xs[at], 3);
}

function says(spec, at) {
  const found = spec.series.map((one) => {
    const [unit, digits] = one.axis === "share" ? ["%", 1] : [spec.y.unit, spec.y.digits];
    return one.values[at] === null ? null : `${one.label} ${number(one.values[at], digits)}${unit ? ` ${unit}` : ""}`;
  });
  const marks = (spec.marks || []).filter((one) => one.at === at).map((one) => `▲ ${one.text}`);
  return [where(spec, at), ...found.filter(Boolean), ...marks].join(" · ");
}

function axes(spec, colour) {
  const shared = { stroke: colour.soft, font: FONT, labelFont: FONT, labelSize: 18, grid: { stroke: faint(colour.edge, 0.18), width: 1 }, ticks: { stroke: faint(colour.edge, 0.4), width: 1 } };
  const whole = spec.x.kind === "place" || spec.x.kind === "group";
  const x = { ...shared, label: spec.x.kind === "time" ? t("trends.x_time", { zone: zoneName() }) : spec.x.label || undefined, grid: { show: false } };
  if (whole) {
    x.incrs = [1, 2, 5, 10, 20, 50, 100];
    x.values = (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) && tick >= 1 && tick <= spec.xs.length ? (spec.ticks ? spec.names[tick - 1] : `${tick}`) : ""));
  }
  if (spec.x.kind === "time") {
    const clock = (seconds, options) => new Intl.DateTimeFormat("sv-SE", { timeZone: utcShown() ? "UTC" : undefined, ...options }).format(new Date(1000 * seconds));
    x.values = (_, ticks) => ticks.map((tick, at) => {
      const day = clock(tick, { dateStyle: "short" }), time = clock(tick, { timeStyle: "short" });
      return at === 0 || clock(ticks[at - 1], { dateStyle: "short" }) !== day ? `${time}\n${day}` : time;
    });
    x.space = 64;
    x.size = 50;
  }
  const made = [x, { ...shared, label: spec.y.label, size: 62, values: (_, ticks) => ticks.map((tick) => number(tick, 3)) }];
  if (spec.share) made.push({ ...shared, scale: "share", side: 1, label: spec.share.label, size: 50, grid: { show: false } });
  return made;
}

function draw(figure) {
  const kept = charts.get(figure);
  kept?.plot.destroy();
  const spec = kept?.spec || JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const place = figure.querySelector(".plot"), readout = figure.querySelector(".readout"), colour = colours();
  const size = () => ({ width: Math.max(240, place.clientWidth), height: figure.dataset.tall === undefined ? HEIGHT : TALL });
  let shown = null;
  const plot = new uPlot({
    ...size(), legend: { show: false }, axes: axes(spec, colour), tzDate: (seconds) => (utcShown() ? uPlot.tzDate(new Date(1000 * seconds), "Etc/UTC") : new Date(1000 * seconds)),
    cursor: { x: true, y: false, drag: { x: false, y: false }, points: { size: 8 } },
    scales: { x: { time: spec.x.kind === "time", range: () => across(spec) }, y: { range: () => range(spec) }, share: { range: () => [0, 105] } },
    series: [{}, ...spec.series.map((one) => seriesOf(one, spec, colour))],
    hooks: {
      drawClear: [(self) => under(self, spec, colour)],
      draw: [(self) => over(self, spec, colour)],
      setCursor: [(self) => {
        const at = self.cursor.left < 0 ? null : at_(self, spec);
        if (at === shown) return;
        shown = at;
        readout.textContent = at === null || at === undefined ? readout.dataset.empty : says(spec, at);
      }],
    },
  }, [spec.xs, ...spec.series.map((one) => one.values)], place);
  const made = { spec, plot, size, at: () => shown };
  charts.set(figure, made);
  if (!kept) listen(figure, spec);
}

// Of a histogram's bars the one under the pointer, of points the nearest.
function at_(plot, spec) {
  if (spec.x.kind !== "value") return plot.cursor.idx;
  const at = Math.floor((plot.posToVal(plot.cursor.left, "x") - spec.xs[0]) / spec.width);
  return at >= 0 && at < spec.xs.length ? at : null;
}

function go(figure, at) {
  const { plot, spec } = charts.get(figure);
  const within = Math.max(0, Math.min(spec.xs.length - 1, at));
  const value = spec.xs[within] + (spec.x.kind === "value" ? spec.width / 2 : 0);
  plot.setCursor({ left: plot.valToPos(value, "x"), top: 10 });
}

function listen(figure, spec) {
  const place = figure.querySelector(".plot");
  const open = (at) => { if (spec.links?.[at]) location.href = spec.links[at]; };
  place.classList.toggle("linked", Boolean(spec.links));
  place.addEventListener("click", () => open(charts.get(figure).at()));
  place.addEventListener("keydown", (event) => {
    const at = charts.get(figure).at();
    const to = { ArrowRight: (at ?? -1) + 1, ArrowLeft: (at ?? spec.xs.length) - 1, Home: 0, End: spec.xs.length - 1 }[event.key];
    if (to !== undefined) { event.preventDefault(); go(figure, to); }
    if (event.key === "Enter" && at !== null) open(at);
  });
  figure.addEventListener("save", () => save(figure, spec));
}

// The picture has its title, what it shows, and its legend on it: it will be read without the page.
function save(figure, spec) {
  const { plot } = charts.get(figure), from = plot.ctx.canvas, ratio = devicePixelRatio, colour = colours();
  const lines = [...figure.closest("section").querySelectorAll("[data-on-picture]"), figure.querySelector(".legend")].map((one) => one.innerText.replace(/\s+/g, " ").trim()).filter(Boolean);
  const to = document.createElement("canvas"), line = 18 * ratio, pad = 12 * ratio;
  const ctx = to.getContext("2d");
  ctx.font = `${12 * ratio}px system-ui, "DejaVu Sans", sans-serif`;
  const wrapped = lines.flatMap((text) => wrap(ctx, text, from.width - pad));
  to.width = from.width + 2 * pad;
  to.height = from.height + (wrapped.length + 2) * line + 2 * pad;
  ctx.fillStyle = colour.card;
  ctx.fillRect(0, 0, to.width, to.height);
  ctx.fillStyle = colour.text;
  ctx.font = `650 ${15 * ratio}px system-ui, "DejaVu Sans", sans-serif`;
  ctx.fillText(spec.title, pad, pad + line);
  ctx.drawImage(from, pad, pad + 1.6 * line);
  ctx.fillStyle = colour.soft;
  ctx.font = `${12 * ratio}px system-ui, "DejaVu Sans", sans-serif`;
  wrapped.forEach((text, at) => ctx.fillText(text, pad, from.height + pad + (at + 2.6) * line));
  to.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${spec.id}.png`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

function wrap(ctx, text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (ctx.measureText(longer).width > width && lines.at(-1)) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

const again = () => charts.forEach((_, figure) => draw(figure));

export function drawCharts(within) {
  for (const figure of [...charts.keys()]) if (!figure.isConnected) { charts.get(figure).plot.destroy(); charts.delete(figure); }
  within.querySelectorAll("figure.chart").forEach((figure) => { if (!charts.has(figure)) draw(figure); });
}

document.addEventListener("theme", again);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
document.addEventListener("click", (event) => { if (event.target.closest("[data-does=zone]")) setTimeout(again); });
let waiting = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => charts.forEach(({ plot, size }) => plot.setSize(size())));
});

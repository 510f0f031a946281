// Packages and recipes: forms with files, and the charts of an evaluation.
import { toSignIn } from "./calls.js";
import { typing } from "./page.js";
import { t } from "./texts.js";

const at = (id) => document.getElementById(id);

async function upload(form) {
  const fault = form.querySelector(".fault");
  const button = form.querySelector("button:not([type=button])");
  fault.hidden = true;
  button.disabled = true;
  try {
    const answer = await fetch(form.dataset.upload, { method: "POST", body: new FormData(form) });
    const said = answer.headers.get("content-type")?.includes("json") ? await answer.json() : {};
    if (answer.ok) {
      const [one] = said.versions;
      location.assign(`/registry/${one.kind}/${encodeURIComponent(one.name)}/${one.version}`);
      return;
    }
    if (said.code === "not_signed_in" || said.code === "password_expired") toSignIn();
    fault.textContent = said.detail || t("base.failed");
    fault.hidden = false;
  } catch {
    fault.textContent = t("base.no_connection");
    fault.hidden = false;
  } finally {
    button.disabled = false;
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.upload) return;
  event.preventDefault();
  upload(event.target);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || typing(event) || !at("search")) return;
  event.preventDefault();
  at("search").focus();
});

const plots = at("plots") && JSON.parse(at("plots").textContent);
let drawn = [];

function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const axis = (label, more = {}) => ({ label, stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") }, font: "12px system-ui", labelFont: "12px system-ui", labelSize: 20, ...more });
const share = (u, splits) => splits.map((value) => `${Math.round(100 * value)} %`);

function drawRoc() {
  const width = at("roc").clientWidth;
  const xs = plots.roc.map(([x]) => x);
  const options = {
    width, height: 260, legend: { show: false }, cursor: { y: false },
    scales: { x: { time: false, range: [0, 1] }, y: { range: [0, 1.02] } },
    axes: [axis(t("registry.roc_x"), { values: share }), axis(t("registry.roc_y"), { values: share, size: 55 })],
    series: [{}, { label: t("registry.roc_y"), stroke: colour("text"), width: 2, points: { show: false } }],
  };
  return new uPlot(options, [xs, plots.roc.map(([, y]) => y)], at("roc"));
}

function drawScores() {
  const { edges, good, defective } = plots.histogram;
  const limits = [["review_limit", "review"], ["reject_limit", "reject"]];
  const options = {
    width: at("scores").clientWidth, height: 260, cursor: { y: false },
    scales: { x: { time: false }, y: { distr: 4, asinh: 1, range: (u, low, high) => [0, 1.3 * Math.max(1, high)] } },
    axes: [axis(t("registry.score")), axis(t("registry.images"), { size: 55, splits: (u) => [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000].filter((one) => one <= u.scales.y.max) })],
    series: [{ label: t("registry.score"), value: (u, value) => (value === null ? "–" : value.toFixed(2)) },
      { label: t("registry.good"), stroke: colour("calm"), fill: colour("calm"), paths: uPlot.paths.bars({ size: [0.9, 100], align: 1 }), points: { show: false } },
      { label: t("registry.defective"), stroke: colour("text"), width: 2, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } }],
    hooks: { draw: [(u) => {
      for (const [key, name] of limits) {
        const limit = plots.limits[key];
        if (limit === null) continue;
        const x = Math.round(u.valToPos(limit, "x", true));
        u.ctx.save();
        u.ctx.strokeStyle = u.ctx.fillStyle = colour(name);
        u.ctx.lineWidth = 2;
        u.ctx.beginPath();
        u.ctx.moveTo(x, u.bbox.top);
        u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
        u.ctx.stroke();
        u.ctx.font = `${12 * devicePixelRatio}px system-ui`;
        u.ctx.textAlign = name === "review" ? "right" : "left";
        u.ctx.fillText(t(`registry.${key}`), x + (name === "review" ? -4 : 4), u.bbox.top + 12 * devicePixelRatio);
        u.ctx.restore();
      }
    }] },
  };
  return new uPlot(options, [edges.slice(0, -1), good, defective], at("scores"));
}

function draw() {
  for (const one of drawn) one.destroy();
  drawn = [...(plots.roc.length ? [drawRoc()] : []), drawScores()];
}

if (plots && plots.histogram.edges.length && window.uPlot) {
  draw();
  document.addEventListener("theme", draw);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
}

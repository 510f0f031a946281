// The editor of the region of interest: shapes over a frame, by mouse and by keyboard, and what they would change.
import { at, keep, latest, made, number, range, saving, showChanges, showFault, values } from "./editor.js";
import { call } from "./calls.js";
import { typing } from "./page.js";
import { t } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000, HEIGHT = Math.round(1000 / values.aspect);
const NEAR = 0.005, FAR = 0.05;
const EVERYWHERE = "";
const svg = at("drawn");
const copy = (value) => JSON.parse(JSON.stringify(value));
const points = (shape) => shape.polygon || corners(shape.rectangle);
const corners = ([left, top, right, bottom]) => [[left, top], [right, top], [right, bottom], [left, bottom]];

// Shapes by camera; "" is every camera that has none of its own. What is drawn is always polygons.
let drawn = {}, past = [], chosen = 0, drawing = null, focused = null;
for (const [camera, shapes] of [[EVERYWHERE, values.region?.everywhere], ...Object.entries(values.region?.cameras || {})]) {
  if (shapes) drawn[camera] = shapes.map((shape) => points(shape).map((one) => [...one]));
}
const first = copy(drawn);
const camera = () => at("camera").value;
const shapes = () => drawn[camera()] || [];

function region() {
  const plain = (listed) => listed.map((polygon) => ({ polygon }));
  const cameras = Object.fromEntries(Object.entries(drawn).filter(([name, listed]) => name !== EVERYWHERE && listed.length).map(([name, listed]) => [name, plain(listed)]));
  const found = {};
  if (drawn[EVERYWHERE]?.length) found.everywhere = plain(drawn[EVERYWHERE]);
  if (Object.keys(cameras).length) found.cameras = cameras;
  return Object.keys(found).length ? found : null;
}

function element(name, attributes, parent = svg) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  parent.append(one);
  return one;
}

const path = (listed) => listed.map(([x, y], index) => `${index ? "L" : "M"}${x * WIDTH} ${y * HEIGHT}`).join("") + "Z";
const percent = (value) => `${number(100 * value, 1)} %`;

function show() {
  const kept = focused;
  const px = WIDTH / (svg.clientWidth || WIDTH);  // a pixel of the screen
  svg.replaceChildren();
  const all = shapes();
  if (all.length && !drawing) element("path", { class: "outside", d: `M0 0H${WIDTH}V${HEIGHT}H0Z${all.map(path).join("")}` });
  all.forEach((shape, number_) => {
    element("path", { class: "under", d: path(shape) });
    element("path", { class: `shape${number_ === chosen ? " chosen" : ""}`, d: path(shape), "data-shape": number_ });
  });
  if (drawing) {
    element("path", { class: "under", d: path(drawing).replace("Z", "") });
    element("path", { class: "shape", d: path(drawing).replace("Z", "") });
    for (const [x, y] of drawing) element("circle", { class: "dot", cx: x * WIDTH, cy: y * HEIGHT, r: 6 * px });
  } else {
    const shape = all[chosen];
    if (shape) {
      shape.forEach(([x, y], index) => {
        const [nextX, nextY] = shape[(index + 1) % shape.length];
        const middle = { cx: (x + nextX) / 2 * WIDTH, cy: (y + nextY) / 2 * HEIGHT };
        element("circle", { class: "hit between", ...middle, r: 12 * px, "data-between": index });
        element("circle", { class: "dot small", ...middle, r: 4 * px });
      });
      shape.forEach(([x, y], index) => {
        const label = t("editor.corner", { number: index + 1, count: shape.length, x: percent(x), y: percent(y) });
        const place = { cx: x * WIDTH, cy: y * HEIGHT };
        element("circle", { class: "hit corner", ...place, r: 13 * px, tabindex: 0, role: "button", "aria-label": label, "data-corner": index });
        element("circle", { class: "dot", ...place, r: 7 * px });
      });
    }
  }
  svg.classList.toggle("drawing", Boolean(drawing));
  at("add-polygon").setAttribute("aria-pressed", String(Boolean(drawing)));
  at("undo").disabled = !past.length && !drawing;
  at("delete-shape").disabled = !all.length;
  const said = drawing ? (drawing.length < 3 ? "editor.drawing" : "editor.drawing_close") : all.length ? "editor.shapes" : "editor.whole_frame";
  at("drawing").textContent = t(said, { count: all.length, corners: all.reduce((sum, shape) => sum + shape.length, 0) });
  if (kept !== null) svg.querySelector(`[data-corner="${kept}"]`)?.focus();
}

function changed(do_) {
  past.push(copy(drawn));
  if (past.length > 200) past.shift();
  do_();
  for (const [name, listed] of Object.entries(drawn)) if (!listed.length) delete drawn[name];
  chosen = Math.max(0, Math.min(chosen, shapes().length - 1));
  show();
  ask();
}

function undo() {
  if (drawing) {
    drawing.pop();
    if (!drawing.length) drawing = null;
  } else if (past.length) {
    drawn = past.pop();
    chosen = Math.max(0, Math.min(chosen, shapes().length - 1));
    ask();
  }
  show();
}

const within = (value) => Math.min(1, Math.max(0, Math.round(value * 10000) / 10000));

function where(event) {
  const box = svg.getBoundingClientRect();
  return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
}

function closeDrawing() {
  const done = drawing;
  drawing = null;
  if (!done || done.length < 3) { show(); return; }
  changed(() => {
    drawn[camera()] = [...shapes(), done];
    chosen = shapes().length - 1;
    focused = 0;
  });
}

function insert(index) {
  const shape = shapes()[chosen], [x, y] = shape[index], [nextX, nextY] = shape[(index + 1) % shape.length];
  if (shape.length >= 64) return;
  changed(() => { shape.splice(index + 1, 0, [within((x + nextX) / 2), within((y + nextY) / 2)]); focused = index + 1; });
}

function remove(index) {
  const shape = shapes()[chosen];
  if (shape.length <= 3) return;
  changed(() => { shape.splice(index, 1); focused = Math.min(index, shape.length - 1); });
}

let dragged = null;
svg.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  const target = event.target, [x, y] = where(event);
  if (drawing) {
    const [firstX, firstY] = drawing[0] || [9, 9];
    if (drawing.length >= 3 && Math.hypot(x - firstX, y - firstY) < 0.02) closeDrawing();
    else { drawing.push([x, y]); show(); }
    return;
  }
  if (target.dataset.between !== undefined) {
    insert(Number(target.dataset.between));
    dragged = { corner: focused, before: null };
  } else if (target.dataset.corner !== undefined) {
    focused = Number(target.dataset.corner);
    dragged = { corner: focused, before: copy(drawn) };
  } else if (target.dataset.shape !== undefined) {
    chosen = Number(target.dataset.shape);
    focused = null;
    dragged = { from: [x, y], shape: copy(shapes()[chosen]), before: copy(drawn) };
    show();
  } else return;
  event.preventDefault();
  svg.setPointerCapture(event.pointerId);
  if (focused !== null) svg.querySelector(`[data-corner="${focused}"]`)?.focus();
});
svg.addEventListener("pointermove", (event) => {
  if (!dragged || !svg.hasPointerCapture(event.pointerId)) return;
  const [x, y] = where(event);
  if (dragged.before) { past.push(dragged.before); dragged.before = null; }
  if (dragged.corner !== undefined) shapes()[chosen][dragged.corner] = [x, y];
  else {
    const xs = dragged.shape.map(([one]) => one), ys = dragged.shape.map(([, one]) => one);
    const byX = Math.max(-Math.min(...xs), Math.min(1 - Math.max(...xs), x - dragged.from[0]));
    const byY = Math.max(-Math.min(...ys), Math.min(1 - Math.max(...ys), y - dragged.from[1]));
    shapes()[chosen] = dragged.shape.map(([oneX, oneY]) => [within(oneX + byX), within(oneY + byY)]);
  }
  show();
  ask();
});
svg.addEventListener("pointerup", () => { dragged = null; });
svg.addEventListener("dblclick", (event) => { if (drawing) { event.preventDefault(); closeDrawing(); } });
svg.addEventListener("focusin", (event) => { if (event.target.dataset.corner !== undefined) focused = Number(event.target.dataset.corner); });
svg.addEventListener("keydown", (event) => {
  const index = event.target.dataset?.corner;
  if (index === undefined) return;
  const corner = Number(index), step = event.shiftKey ? FAR : NEAR;
  const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
  if (by) {
    const shape = shapes()[chosen], [x, y] = shape[corner];
    focused = corner;
    changed(() => { shape[corner] = [within(x + by[0]), within(y + by[1])]; });
  } else if (event.key === "Delete" || event.key === "Backspace") remove(corner);
  else if (event.key === "Insert" || event.key === "+") insert(corner);
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.closest("input, textarea, dialog[open]")) {
    event.preventDefault();
    undo();
  } else if (drawing && !typing(event) && event.key === "Enter") { event.preventDefault(); closeDrawing(); }
  else if (drawing && event.key === "Escape") { drawing = null; show(); }
});

at("add-polygon").addEventListener("click", () => { drawing = drawing ? null : []; focused = null; show(); });
at("add-rectangle").addEventListener("click", () => {
  drawing = null;
  changed(() => {
    drawn[camera()] = [...shapes(), corners([0.1, 0.1, 0.9, 0.9])];
    chosen = shapes().length - 1;
    focused = 0;
  });
});
at("delete-shape").addEventListener("click", () => { focused = null; changed(() => { shapes().splice(chosen, 1); }); });
at("undo").addEventListener("click", () => { focused = null; undo(); });
at("reset").addEventListener("click", () => { focused = null; drawing = null; changed(() => { drawn = copy(first); }); });
at("camera").append(made("option", { value: EVERYWHERE }, t("editor.everywhere")), ...values.cameras.map((name) => made("option", { value: name }, name)));
at("camera").addEventListener("change", () => { chosen = 0; focused = null; drawing = null; show(); });
at("show-heatmap").addEventListener("change", () => {
  const image = at("image");
  if (image) image.src = at("show-heatmap").checked ? image.dataset.heatmap : image.dataset.image;
});
at("range").addEventListener("change", () => { keep({ batch: null, days: null, ...range() }); ask(); });

const ask = latest(async () => {
  const asked = { package: values.package, region: region(), ...values.limits, ...range() };
  const answer = await call("/api/registry/what-if/region", "POST", asked);
  return () => {
    const told = answer.changed === 0 ? "editor.none_change_sample" : answer.changed === 1 ? "editor.one_changes_sample" : "editor.some_change_sample";
    const asked_ = answer.stopped + answer.passed - answer.untold;
    showChanges(answer, t(told, { changed: number(answer.changed, 0), asked: number(asked_, 0) }));
    at("apart").textContent = t("editor.sampled", { stopped: answer.stopped, passed: answer.passed, sample: answer.sample, untold: answer.untold });
    const cells = Object.entries(answer.cells).map(([name, count]) => t("editor.cells", { camera: name === "everywhere" ? t("editor.everywhere") : name, count, inspected: answer.inspected }));
    at("cells").textContent = cells.join(" ") || t("editor.cells_all", { inspected: answer.inspected });
  };
}, 150);

svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
svg.setAttribute("preserveAspectRatio", "none");
at("canvas").style.aspectRatio = `${WIDTH} / ${HEIGHT}`;
at("canvas").style.maxWidth = `min(100%, ${Math.round(620 * values.aspect)}px)`;
saving(() => ({ region: region() }), () => {
  const found = region();
  const all = Object.values(drawn).flat();
  return [[t("editor.region"), found ? t("editor.shapes", { count: all.length, corners: all.reduce((sum, shape) => sum + shape.length, 0) }) : t("editor.whole_frame")]];
});
addEventListener("resize", show);
keep({});
showFault("");
show();
ask();

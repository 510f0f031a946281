// A frame with its heatmap and outlines over it and, beside it, what it should look like; both zoom and pan as one.
import { call } from "./calls.js";
import { typing } from "./page.js";
import { t } from "./texts.js";

const MOST_ZOOM = 24;
const FULL_FROM = 1.3; // zoomed in so far, the picture in full resolution is fetched
const SVG = "http://www.w3.org/2000/svg";

// A decoded picture; null for one that cannot be shown.
async function picture(address, alt = "") {
  const image = Object.assign(new Image(), { alt, src: address });
  try {
    await image.decode();
    return image;
  } catch {
    return null;
  }
}

// All that is needed to show a frame at once: asked for ahead, and decoded.
export function prepare(frame) {
  if (!frame) return { ready: Promise.resolve({}), normal: Promise.resolve(null) };
  const own = frame.image ? picture(frame.image, t("viewer.own")) : null;
  const layer = frame.layer ? picture(frame.layer) : null;
  return {
    frame,
    ready: Promise.all([own, layer]).then(([image, over]) => ({ image, over })),
    normal: frame.normal ? example(frame.normal) : Promise.resolve(null),
  };
}

async function example(address) {
  try {
    const found = await call(address);
    if (!found.image) return { found };
    const width = found.kind === "passed" ? "&width=960" : "";
    return { found, image: await picture(found.image + width, t("viewer.normal")) };
  } catch {
    return null;
  }
}

function drawn(outlines) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 1 1");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const limit of ["review", "reject"]) {
    for (const points of outlines[limit] || []) {
      const polygon = document.createElementNS(SVG, "polygon");
      polygon.setAttribute("points", points.map((point) => point.join(",")).join(" "));
      polygon.setAttribute("class", limit);
      svg.append(polygon);
    }
  }
  return svg;
}

// A place for a picture: a frame as large as fits, in a pane that is zoomed and moved.
class Stage {
  constructor(root, moved) {
    this.root = root;
    this.pane = document.createElement("div");
    this.pane.className = "pane";
    this.held = document.createElement("div");
    this.held.className = "held";
    this.pane.append(this.held);
    root.append(this.pane);
    this.zoom = window.Panzoom(this.pane, { maxScale: MOST_ZOOM, minScale: 1, cursor: "grab", animate: false, step: 0.25 });
    root.addEventListener("wheel", (event) => this.zoom.zoomWithWheel(event), { passive: false });
    this.pane.addEventListener("panzoomchange", (event) => moved(this, event.detail));
    new ResizeObserver(() => this.fit()).observe(root);
  }

  put(parts, shape = null, empty = "") {
    this.root.dataset.empty = empty;
    this.root.classList.toggle("bare", !parts.length);
    this.shape = shape;
    this.held.replaceChildren(...parts);
    this.fit();
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.root;
    const ratio = this.shape || 1;
    const wide = Math.min(width, height * ratio);
    this.held.style.setProperty("width", `${wide}px`);
    this.held.style.setProperty("height", `${wide / ratio}px`);
  }

  follow({ scale, x, y }) {
    this.zoom.zoom(scale, { animate: false, silent: true, force: true });
    this.zoom.pan(x, y, { animate: false, silent: true, force: true });
  }
}

export class Viewer {
  constructor(root, { framesChanged = () => {} } = {}) {
    this.root = root;
    this.framesChanged = framesChanged;
    const moved = (from, detail) => this.moved(from, detail);
    this.own = new Stage(root.querySelector("[data-stage=own]"), moved);
    this.normal = new Stage(root.querySelector("[data-stage=normal]"), moved);
    this.opacity = root.querySelector("[data-does-view=opacity]");
    this.opacity.addEventListener("input", () => this.see());
    this.lines = root.querySelector("[data-does-view=outlines]");
    this.lines.addEventListener("change", () => this.see());
    root.addEventListener("click", (event) => {
      const done = event.target.closest("[data-does-view]");
      if (done?.tagName === "BUTTON") this.does(done.dataset.doesView);
    });
    document.addEventListener("keydown", (event) => this.key(event));
    this.see();
  }

  says(what, text) {
    this.root.querySelector(`[data-says=${what}]`).textContent = text;
  }

  // Show a unit's frame, the worst one first. What `prepared` has been asked for ahead is there at once.
  async show(unit, at = unit.worst, prepared = prepare(unit.frames[at])) {
    this.unit = unit;
    this.at = at;
    const { image, over } = await prepared.ready;
    if (this.unit !== unit || this.at !== at) return;
    const frame = unit.frames[at];
    this.own.put(
      image ? [image, ...(over ? [over] : []), drawn(frame.outlines)] : [],
      image && image.naturalWidth / image.naturalHeight,
      frame?.image ? t("viewer.broken") : t("viewer.no_image"),
    );
    if (over) over.className = "over";
    this.says("own", frame ? [frame.camera, unit.frames.length > 1 ? t("viewer.frame_of", { at: at + 1, of: unit.frames.length }) : "", frame.full ? "" : t("viewer.thumbnail")].filter(Boolean).join(" · ") : "");
    this.full = frame?.full || null;
    this.does("fit");
    this.thumbs();
    this.normal.put([], null, t("viewer.loading"));
    this.says("normal", "");
    prepared.normal.then((example) => { if (this.unit === unit && this.at === at) this.showNormal(example); });
  }

  // Nothing: the unit cannot be shown.
  clear() {
    this.unit = null;
    for (const [stage, of] of [[this.own, "own"], [this.normal, "normal"]]) {
      stage.put([], null, t("viewer.broken"));
      this.says(of, "");
    }
  }

  showNormal(example) {
    const { found, image } = example || { found: { kind: "none" } };
    this.normal.put(image ? [image] : [], image && image.naturalWidth / image.naturalHeight, t("viewer.no_normal"));
    const why = found.kind === "passed"
      ? t(found.same_batch ? "viewer.normal_same" : "viewer.normal_other", { unit: found.unit, compared: found.compared })
      : t(`viewer.normal_${found.kind}`);
    this.says("normal", why);
  }

  thumbs() {
    const place = this.root.querySelector(".thumbs");
    place.hidden = this.unit.frames.length < 2;
    if (place.hidden || place.dataset.unit === this.unit.record) {
      for (const [at, one] of [...place.children].entries()) one.setAttribute("aria-pressed", at === this.at);
      return;
    }
    place.dataset.unit = this.unit.record;
    place.replaceChildren(...this.unit.frames.map((frame, at) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.setAttribute("aria-pressed", at === this.at);
      button.setAttribute("aria-label", t("viewer.frame", { at: at + 1, camera: frame.camera }));
      if (frame.thumb) button.append(Object.assign(new Image(), { src: frame.thumb, alt: "" }));
      else button.textContent = at + 1;
      button.addEventListener("click", () => this.turn(at));
      return button;
    }));
  }

  turn(at) {
    if (!this.unit || at === this.at || !this.unit.frames[at]) return;
    this.show(this.unit, at);
    this.framesChanged(at);
  }

  see() {
    const share = Number(this.opacity.value);
    this.root.style.setProperty("--opacity", share / 100);
    this.opacity.nextElementSibling.textContent = `${share} %`;
    this.root.classList.toggle("without-lines", !this.lines.checked);
  }

  moved(from, detail) {
    (from === this.own ? this.normal : this.own).follow(detail);
    this.says("zoom", `${detail.scale.toFixed(1)} ×`);
    this.root.style.setProperty("--zoom", detail.scale);
    this.root.classList.toggle("near", detail.scale > 6);
    if (detail.scale >= FULL_FROM) this.sharpen();
  }

  // The picture in full resolution takes the place of the smaller one.
  async sharpen() {
    const address = this.full;
    this.full = null;
    if (!address) return;
    const { unit, at } = this;
    const image = await picture(address, t("viewer.own"));
    const shown = this.own.held.querySelector("img:not(.over)");
    if (image && shown && this.unit === unit && this.at === at) {
      image.dataset.full = "";
      shown.replaceWith(image);
    }
  }

  does(what) {
    if (what === "in") this.own.zoom.zoomIn();
    if (what === "out") this.own.zoom.zoomOut();
    if (what === "fit") this.own.zoom.reset({ animate: false });
    if (what === "heatmap") {
      if (Number(this.opacity.value)) [this.before, this.opacity.value] = [this.opacity.value, 0];
      else this.opacity.value = this.before || 60;
      this.see();
    }
    if (what === "outlines") {
      this.lines.checked = !this.lines.checked;
      this.see();
    }
  }

  key(event) {
    if (typing(event)) return;
    const done = { "+": "in", "=": "in", "-": "out", "−": "out", 0: "fit", h: "heatmap", o: "outlines" }[event.key];
    if (done) this.does(done);
    else if (event.key === "[") this.turn(this.at - 1);
    else if (event.key === "]") this.turn(this.at + 1);
    else return;
    event.preventDefault();
  }
}

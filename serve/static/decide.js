// The form to decide on a unit by, with its keys; and the decisions on their way to the record, none of which is lost.
import { call } from "./calls.js";
import { typing } from "./page.js";

const KEYS = { r: "confirm_reject", f: "false_reject", t: "cannot_tell" };

export class DecisionForm {
  // `decided(values)` is called with what was decided.
  constructor(form, decided) {
    this.form = form;
    this.decided = decided;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("click", (event) => {
      const button = event.target.closest("[data-decision]");
      if (button) this.decide(button.dataset.decision);
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape" || event.key === "Enter") {
        event.preventDefault();
        document.activeElement.blur();
      }
    });
    document.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (typing(event) || event.repeat) return;
    const box = /^[1-9]$/.test(event.key) && this.form.querySelector(`[data-number="${event.key}"]`);
    if (box) box.checked = !box.checked;
    else if (KEYS[event.key]) this.decide(KEYS[event.key]);
    else if (event.key === "c") this.form.elements.comment.focus();
    else return;
    event.preventDefault();
  }

  decide(decision) {
    if (this.form.querySelector("[data-decision]").disabled) return;
    const { other, comment } = this.form.elements;
    const labels = [...this.form.querySelectorAll("[name=labels]:checked")].map((box) => box.value);
    if (other.value.trim()) labels.push(other.value.trim());
    this.fault("");
    this.decided({ decision, labels: decision === "confirm_reject" ? labels : [], comment: comment.value.trim() });
  }

  // Empty, or as somebody decided before.
  fill(values = { labels: [], comment: "" }) {
    const boxes = [...this.form.querySelectorAll("[name=labels]")];
    for (const box of boxes) box.checked = values.labels.includes(box.value);
    this.form.elements.other.value = values.labels.filter((label) => !boxes.some((box) => box.value === label)).join(" ");
    this.form.elements.comment.value = values.comment || "";
    for (const button of this.form.querySelectorAll("[data-decision]")) {
      button.setAttribute("aria-pressed", button.dataset.decision === values.decision);
    }
    this.fault("");
  }

  enable(may) {
    for (const button of this.form.querySelectorAll("[data-decision]")) button.disabled = !may;
  }

  fault(text) {
    const place = this.form.querySelector(".fault");
    place.textContent = text;
    place.hidden = !text;
  }
}

// Decisions are posted one after the other, in the order in which they were made. At the first that cannot be recorded
// all wait, until it is tried again or decided anew.
export class Outbox {
  constructor({ recorded, failed, changed }) {
    Object.assign(this, { recorded, failed, changed, waiting: [], stuck: null, busy: false });
    addEventListener("beforeunload", (event) => { if (this.waiting.length) event.preventDefault(); });
  }

  // `unit` has station, sequence and the last decision that was seen on it.
  put(unit, values) {
    const again = this.stuck && this.stuck.unit === unit;
    if (again) this.stuck.values = values;
    else this.waiting.push({ unit, values });
    if (again || !this.stuck) this.again();
    this.changed(this.waiting.length);
  }

  again() {
    this.stuck = null;
    this.send();
  }

  async send() {
    if (this.busy || this.stuck || !this.waiting.length) return;
    this.busy = true;
    const one = this.waiting[0];
    try {
      const { station, sequence, last } = one.unit;
      const address = `/api/records/${encodeURIComponent(station)}/${sequence}/review`;
      const made = await call(address, "POST", { ...one.values, ...(last === undefined ? {} : { after: last }) });
      this.waiting.shift();
      one.unit.last = made.review;
      this.recorded(one.unit, one.values, made);
    } catch (error) {
      this.stuck = one;
      this.failed(one.unit, one.values, error);
    }
    this.busy = false;
    this.changed(this.waiting.length);
    this.send();
  }
}

// What both editors share: which archived units are asked, what would change, keeping a draft.
import { call } from "./calls.js";
import { code, t } from "./texts.js";

export const at = (id) => document.getElementById(id);
export const values = JSON.parse(at("values").textContent);
export const number = (value, digits = 3) => value.toLocaleString("en", { maximumFractionDigits: digits }).replaceAll(",", "\u202f").replace("-", "−");

// Parts of an element, made at once.
export function made(name, attributes = {}, ...parts) {
  const one = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  one.append(...parts);
  return one;
}

export function range() {
  const [kind, ...rest] = at("range").value.split(":");
  return { [kind]: kind === "days" ? Number(rest[0]) : rest.join(":") };
}

// What matters stands in the address, so that it can be sent to somebody.
export function keep(changed) {
  const address = new URL(location.href);
  for (const [key, value] of Object.entries(changed)) {
    if (value === null) address.searchParams.delete(key);
    else address.searchParams.set(key, value);
  }
  history.replaceState(null, "", address);
  for (const link of document.querySelectorAll("[data-frame]")) {
    const to = new URL(address);
    to.searchParams.set("frame", link.dataset.frame);
    link.href = to.search;
  }
}

export const query = (given) => new URLSearchParams(Object.entries(given).filter(([, value]) => value !== undefined)).toString();

// Asks once what is asked last: while an answer is under way, or `wait` ms have not passed, later questions wait.
export function latest(ask, wait = 80) {
  let timer = 0, round = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      round += 1;
      const mine = round;
      try {
        const answer = await ask();
        if (mine === round) answer();
      } catch (error) {
        if (mine === round) showFault(error.message);
      }
    }, wait);
  };
}

export function showFault(text) {
  at("answer-fault").textContent = text;
  at("answer-fault").hidden = !text;
  if (text) at("summary").textContent = t("editor.no_answer");
}

const change = (old, new_) => `${code(old)} → ${code(new_)}`;
const RANK = { PASS: 0, REVIEW: 1, REJECT: 2 };

export function showChanges(answer, summary) {
  showFault("");
  at("summary").textContent = summary;
  const counts = (listed = []) => Object.fromEntries(listed.map((one) => [`${one.old} ${one.new}`, one.units]));
  const good = counts(answer.good), defective = counts(answer.defective);
  const rows = answer.changes.filter((one) => one.old !== one.new);
  at("changes").hidden = !rows.length;
  for (const head of at("changes").querySelectorAll("[data-reviewed]")) head.hidden = !answer.good;
  at("changes").tBodies[0].replaceChildren(...rows.map((one) => {
    const key = `${one.old} ${one.new}`;
    const row = made("tr", {}, made("th", { scope: "row" }, change(one.old, one.new)), made("td", { class: "num" }, number(one.units, 0)));
    if (answer.good) {
      row.append(made("td", { class: "num" }, number(good[key] || 0, 0)), made("td", { class: "num" }, number(defective[key] || 0, 0)));
    }
    // What would be let through is what needs a look: units known to be defective or, where nobody reviewed, any.
    if (RANK[one.new] < RANK[one.old] && (answer.good ? defective[key] : one.new === "PASS")) row.dataset.worse = "";
    return row;
  }));
  at("examples-title").hidden = !answer.examples.length;
  at("examples").replaceChildren(...answer.examples.map((one) => made("li", {}, made("a", { href: `/records/${one.station}/${one.sequence}` },
    made("img", { src: `/api/records/${one.station}/${one.sequence}/image?width=160`, alt: "", loading: "lazy" }),
    made("strong", {}, one.unit), made("span", {}, change(one.old, one.new)), made("small", {}, t("editor.score_is", { score: number(one.score) }))))));
  for (const image of at("examples").querySelectorAll("img")) image.addEventListener("error", () => { image.hidden = true; });
}

// The form that keeps a draft. `changed()` gives what is new of the recipe, `told()` rows of a name and a text.
export function saving(changed, told) {
  const form = at("save-form");
  if (!form) return;
  at("open-save").addEventListener("click", () => {
    at("save-what").replaceChildren(...told().flatMap(([name, text]) => [made("dt", {}, name), made("dd", {}, text)]));
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fault = form.querySelector(".fault"), button = form.querySelector("button:not([type=button])");
    fault.hidden = true;
    button.disabled = true;
    try {
      const given = Object.fromEntries(new FormData(form));
      const address = `/api/registry/recipe/${encodeURIComponent(values.name)}/${values.version}/draft`;
      await call(address, "POST", { ...given, ...changed() });
      location.assign(`/registry/recipe/${encodeURIComponent(values.name)}/${given.new_version}`);
    } catch (error) {
      fault.textContent = error.message;
      fault.hidden = false;
    } finally {
      button.disabled = false;
    }
  });
}

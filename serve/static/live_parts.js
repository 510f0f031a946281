// What the parts of the live page share.
import { t } from "./texts.js";
import { timeOfDay } from "./times.js";

export const at = (id) => document.getElementById(id);
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
export const count = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");
export const percent = (share, digits = 1) => t("live.percent", { value: (100 * share).toFixed(digits) });
export const milliseconds = (ms) => t("live.milliseconds", { value: count(Math.round(ms)) });
export const shortTime = (seconds) => timeOfDay(seconds * 1000).slice(0, 5);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function sign() {
  const made = element("span", { className: "sign" });
  made.setAttribute("aria-hidden", "true");
  return made;
}

// A list's children are left as they are where they say the same: what has the focus keeps it.
export function setList(list, items) {
  const said = items.map((item) => item.textContent).join("\n");
  if (list.dataset.said === said) return;
  list.dataset.said = said;
  list.replaceChildren(...items);
}

// A picture that is ready to be shown, or null.
export async function picture(address) {
  if (!address) return null;
  const image = element("img", { alt: "", src: address });
  try { await image.decode(); return image; } catch { return null; }
}

// Rules of accounts: what differs from what is in force is sent, with one reason. And whether the clocks agree.
import { call } from "./calls.js";
import { t } from "./texts.js";

const form = document.getElementById("rules");
const button = form.querySelector("button");
const fields = [...form.querySelectorAll("[data-now]")];
const value = (field) => (field.type === "checkbox" ? field.checked : Number(field.value));
const differs = (field) => String(value(field)) !== field.dataset.now;

function pending() {
  const changed = fields.filter(differs);
  for (const field of fields) field.classList.toggle("changed", differs(field));
  button.disabled = !changed.length;
  document.getElementById("pending").textContent = changed.length ? t("settings.to_save", { count: changed.length }) : t("settings.nothing_changed");
}

if (button) {
  form.addEventListener("input", pending);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fault = form.querySelector(".fault");
    fault.hidden = true;
    button.disabled = true;
    try {
      const rules = Object.fromEntries(fields.filter(differs).map((field) => [field.name, value(field)]));
      await call("/api/policy", "PATCH", { rules, why: form.elements.why.value });
      location.reload();
    } catch (error) {
      fault.textContent = error.message;
      fault.hidden = false;
      button.disabled = false;
    }
  });
  pending();
}

// The page is some tenths of a second old when this runs: only what is more than that is said.
const off = (Date.now() - new Date(document.getElementById("clock").dateTime).getTime()) / 1000 - performance.now() / 1000;
if (Math.abs(off) > 5) document.getElementById("clock-differs").textContent = t("settings.clock_differs", { seconds: Math.round(off) });

// One's own account: another password, and how pages are shown. The menu's buttons know how to change that; they are
// pressed here until what was chosen is so.
import { call } from "./calls.js";
import { t } from "./texts.js";
import { utcShown } from "./times.js";

const form = document.getElementById("password");
const fault = form.querySelector(".fault");
const changed = document.getElementById("changed");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { old, again, new: wanted } = form.elements;
  fault.hidden = true;
  changed.textContent = "";
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    if (wanted.value !== again.value) throw new Error(t("account.differ"));
    await call("/api/session/password", "POST", { old: old.value, new: wanted.value });
    form.reset();
    changed.textContent = t("account.changed");
  } catch (error) {
    fault.textContent = error.message;
    fault.hidden = false;
  } finally {
    button.disabled = false;
  }
});

function choose(id, now, button) {
  const box = document.getElementById(id);
  const show = () => {
    for (const one of box.querySelectorAll("input")) one.checked = one.value === now();
  };
  box.addEventListener("change", (event) => {
    for (let tries = 0; tries < 3 && now() !== event.target.value; tries += 1) {
      document.querySelector(`.menu [data-does=${button}]`).click();
    }
    show();
  });
  document.addEventListener("click", (event) => { if (event.target.closest(".menu")) show(); });
  show();
}

choose("theme", () => localStorage.getItem("theme") || "light dark", "theme");
choose("times", () => (utcShown() ? "UTC" : "local"), "zone");
document.getElementById("local-zone").textContent = `(${new Intl.DateTimeFormat().resolvedOptions().timeZone})`;

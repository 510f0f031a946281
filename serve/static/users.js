// Accounts and tokens: one dialog for each deed, filled for the account that it is about.
import { t } from "./texts.js";

const at = (id) => document.getElementById(id);
const LETTERS = "abcdefghjkmnpqrstuvwxyz23456789";

// 80 random bits, as inspection.accounts.passwords.new_password gives them: easy to read out, changed at once.
function newPassword() {
  const letters = [];
  while (letters.length < 16) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < 8 * LETTERS.length) letters.push(LETTERS[byte % LETTERS.length]);
  }
  return [0, 4, 8, 12].map((start) => letters.slice(start, start + 4).join("")).join("-");
}

function open(act, about) {
  const dialog = at(act);
  const form = dialog.querySelector("form");
  form.reset();
  form.querySelector(".fault").hidden = true;
  form.elements.name.value = about.name;
  dialog.querySelector("[data-shows]").textContent = about.name;
  if (act === "change") {
    form.elements.full_name.value = about.full;
    form.elements.oidc_subject.value = about.oidc;
    const roles = about.roles.split(",");
    for (const box of form.elements.roles) box.checked = roles.includes(box.value);
  }
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const act = event.target.closest("[data-act]");
  if (act) open(act.dataset.act, act.dataset);
  const generates = event.target.closest("[data-generates]");
  if (generates) generates.closest("form").elements.password.value = newPassword();
});

// A token's text is in this answer and nowhere else: the page forgets it when the dialog is closed.
at("token-form").addEventListener("done", (event) => {
  at("token").close();
  at("token-made").querySelector("[data-shows]").textContent = event.detail.name;
  at("token-text").value = event.detail.token;
  at("token-made").showModal();
  at("token-text").select();
});

at("copy").addEventListener("click", async () => {
  at("token-text").select();
  try {
    await navigator.clipboard.writeText(at("token-text").value);
    at("copied").textContent = t("users.copied");
  } catch { // no permission, or no TLS
    at("copied").textContent = t("users.copy_by_hand");
  }
});

at("token-made").addEventListener("close", () => {
  at("token-text").value = "";
  location.reload();
});

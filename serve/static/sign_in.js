// Signing in, the first account, and a new password: each form is one call; its answer decides what is shown next.
import { t } from "./texts.js";

const form = (id) => document.getElementById(id);

function show(id) {
  for (const one of document.querySelectorAll("form")) one.hidden = one.id !== id;
  form(id).querySelector("input:not([hidden])").focus();
}

// Only a page of this station may be gone on to.
function goOn() {
  const wanted = new URLSearchParams(location.search).get("next") || "/";
  const there = new URL(wanted, location.origin);
  location.replace(there.origin === location.origin ? there.pathname + there.search : "/");
}

function fault(where, text) {
  const said = where.querySelector(".fault");
  said.textContent = text;
  said.hidden = !text;
}

async function call(where, values) {
  fault(where, "");
  const button = where.querySelector("button");
  button.disabled = true;
  try {
    const answer = await fetch(where.dataset.call, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values),
    });
    const said = answer.status === 204 ? {} : await answer.json();
    if (answer.ok) return said;
    fault(where, said.detail || t("base.failed"));
  } catch {
    fault(where, t("sign_in.no_connection"));
  } finally {
    button.disabled = false;
  }
  return null;
}

const values = (where) => Object.fromEntries(new FormData(where));

form("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = values(event.target);
  const session = await call(event.target, given);
  if (!session) return;
  if (!session.must_change_password) { goOn(); return; }
  form("change").elements.name.value = given.name;
  form("change").elements.old.value = given.password;
  show("change");
});

form("change").addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = values(event.target);
  if (given.new !== given.again) { fault(event.target, t("sign_in.passwords_differ")); return; }
  if (await call(event.target, { old: given.old, new: given.new })) goOn();
});

form("setup")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = values(event.target);
  if (!await call(event.target, given)) return;
  form("sign-in").elements.name.value = given.name;
  document.getElementById("account-made").hidden = false;
  show("sign-in");
});

// A password that is typed in capitals is the commonest wrong one.
const caps = document.querySelector(".caps");
form("sign-in").elements.password.addEventListener("keyup", (event) => {
  caps.hidden = !event.getModifierState?.("CapsLock");
});

// Somebody who is signed in and was sent here must change their password.
if (document.body.dataset.change) show("change");

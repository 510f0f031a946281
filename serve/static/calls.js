// Calls of the API. An answer that says who asks is not known (any more) leads to the page to sign in on.
import { t } from "./texts.js";

export function toSignIn() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

// The answer's JSON (null for none). Throws an Error whose message is a sentence for people. With `stay`, an answer that
// says who asks is not known leads nowhere.
export async function call(address, method = "GET", values = undefined, { stay = false } = {}) {
  let answer;
  try {
    answer = await fetch(address, {
      method, headers: values === undefined ? {} : { "Content-Type": "application/json" },
      body: values === undefined ? undefined : JSON.stringify(values),
    });
  } catch {
    throw new Error(t("base.no_connection"));
  }
  const said = answer.status !== 204 && answer.headers.get("content-type")?.includes("json") ? await answer.json() : null;
  if (answer.ok) return said;
  if (!stay && (said?.code === "not_signed_in" || said?.code === "password_expired")) toSignIn();
  throw Object.assign(new Error(said?.detail || t("base.failed")), { code: said?.code });
}

// A field's value as JSON: data-as="number", "boolean", "list" (with commas between) or a text; an empty optional one is left out.
function value(field) {
  const as = field.dataset.as;
  if (as === "boolean") return field.type === "checkbox" ? field.checked : field.value === "true";
  if (as === "number") return field.value === "" ? undefined : Number(field.value);
  if (as === "list") return field.value.split(",").map((part) => part.trim()).filter(Boolean);
  return field.value === "" && !field.required ? undefined : field.value;
}

function values(form) {
  const found = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled) continue;
    if (field.type === "checkbox" && field.dataset.as !== "boolean") {
      found[field.name] = [...(found[field.name] || []), ...(field.checked ? [field.value] : [])];
    } else if (field.type !== "radio" || field.checked) found[field.name] = value(field);
  }
  return found;
}

// A form with data-call is one call; data-method is POST unless it says another; data-then is "reload", an address, or
// left out: then the event `done` has the answer. A name in braces in the address is a field's value.
export async function submit(form) {
  const fault = form.querySelector(".fault[role=alert]");
  const button = form.querySelector("button:not([type=button])");
  if (fault) fault.hidden = true;
  if (button) button.disabled = true;
  try {
    const given = values(form);
    const method = form.dataset.method || "POST";
    const address = form.dataset.call.replace(/\{(\w+)\}/g, (_, name) => {
      const part = encodeURIComponent(given[name]);
      delete given[name];
      return part;
    });
    const said = await call(address, method, method === "DELETE" && !Object.keys(given).length ? undefined : given);
    form.dispatchEvent(new CustomEvent("done", { bubbles: true, detail: said }));
    const then = form.dataset.then;
    if (then === "reload") location.reload();
    else if (then) location.assign(then);
  } catch (error) {
    if (fault) {
      fault.textContent = error.message;
      fault.hidden = false;
    } else throw error;
  } finally {
    if (button) button.disabled = false;
  }
}

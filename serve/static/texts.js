// The page's texts, from one place on the server.
const texts = JSON.parse(document.getElementById("texts").textContent);

export function t(key, values = {}) {
  if (!(key in texts)) throw new Error(`no text ${key}`);
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export const hasText = (key) => key in texts;

// What people call a code; its own words where nobody named it.
export const code = (value) => texts[`codes.${value}`] || (value || "").replaceAll("_", " ");

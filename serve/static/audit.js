// The audit trail's filters: what is empty is not in the address; `/` goes to the text.
const form = document.getElementById("filters");

document.addEventListener("htmx:configRequest", (event) => {
  if (event.target !== form) return;
  for (const [name, value] of [...event.detail.formData]) if (value === "") event.detail.formData.delete(name);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog[open]")) return;
  event.preventDefault();
  document.getElementById("text").focus();
});

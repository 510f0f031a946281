// The audit trail's filters: what is empty is not in the address, and nothing is asked for again that is shown; `/` goes
// to the text.
const form = document.getElementById("filters");

document.addEventListener("htmx:configRequest", (event) => {
  if (event.target !== form) return;
  for (const [name, value] of [...event.detail.formData]) if (value === "") event.detail.formData.delete(name);
  const wanted = new URLSearchParams(event.detail.formData).toString();
  if (wanted === new URLSearchParams(location.search).toString()) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog[open]")) return;
  event.preventDefault();
  document.getElementById("text").focus();
});

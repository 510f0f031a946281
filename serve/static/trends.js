// Trends: charts as they come, filters in the address, keys.
import { drawCharts } from "./charts.js";
import { typing } from "./page.js";

const filters = document.getElementById("filters");

function come(target) {
  drawCharts(target);
  const named = location.hash && document.getElementById(location.hash.slice(1));
  if (named) named.scrollIntoView();
}

document.addEventListener("htmx:afterSwap", (event) => come(event.target));

// The address says what was chosen, and nothing else.
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  const usual = { subgroup: "auto", counted: "reject", baseline: "auto", rules: "western_electric", weight: "0.2", width: "2.7" };
  const asked = [...new FormData(filters)].filter(([key, value]) => value !== "" && value !== usual[key]);
  location.href = `/trends?${new URLSearchParams(asked)}`;
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-png]");
  if (button) button.closest("section").querySelector("figure.chart")?.dispatchEvent(new CustomEvent("save"));
});

document.addEventListener("keydown", (event) => {
  if (typing(event) || event.key !== "f") return;
  event.preventDefault();
  filters.querySelector("input").focus();
});

// What would be exported of a selection, before anybody decides to.
import { t } from "./texts.js";

const number = new Intl.NumberFormat("en").format;

function element(tag, text, parts = []) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...parts);
  return made;
}

function table(said) {
  const head = [t("records.export_folder"), t("records.export_count")].map((text, column) => {
    const cell = element("th", text);
    cell.scope = "col";
    if (column) cell.className = "num";
    return cell;
  });
  const rows = Object.entries(said.folders).map(([name, count]) => {
    const cells = [element("td", name === "unnamed" ? `${name} (${t("records.label_unnamed")})` : name), element("td", number(count))];
    cells[1].className = "num";
    return element("tr", "", cells);
  });
  return element("table", "", [element("thead", "", [element("tr", "", head)]), element("tbody", "", rows)]);
}

function plan(said) {
  if (!said.images) return [element("p", t("records.export_none"))];
  const from = said.labels_from;
  const parts = [
    element("p", "", [element("strong", t("records.export_images", { images: number(said.images), units: number(said.units) }))]),
    table(said),
    element("p", t("records.export_by_review", { count: number(from.review || 0), verdict: number(from.verdict || 0) })),
  ];
  if (!said.folders.good) parts.push(element("p", t("records.export_no_good")));
  return parts;
}

function leftOut(said) {
  const left = Object.entries(said.left_out);
  if (!left.length) return [];
  const items = left.map(([why, count]) => element("li", `${number(count)}: ${t(`records.left_${why}`)}`));
  return [element("h3", t("records.export_left_out")), element("ul", "", items)];
}

// Open the dialog for the records named, or for all that fit a search.
export async function openExport(records, search) {
  const dialog = document.getElementById("export");
  const form = dialog.querySelector("form");
  const [place, fault, button] = [".plan", ".fault", "button"].map((one) => dialog.querySelector(one));
  form.elements.records.value = records.join("\n");
  form.elements.search.value = search;
  fault.hidden = true;
  button.disabled = true;
  place.replaceChildren(element("p", t("records.export_looking")));
  dialog.showModal();
  try {
    const answer = await fetch("/api/selections/preview", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.detail || t("base.failed"));
    place.replaceChildren(...plan(said), ...leftOut(said));
    button.disabled = !said.images;
  } catch (error) {
    place.replaceChildren();
    fault.textContent = error instanceof TypeError ? t("base.no_connection") : error.message;
    fault.hidden = false;
  }
}

// What an operator does: which of it is possible now, what a dialog shows before, and what is said afterwards. Who may
// not operate has none of it on the page.
import { call } from "./calls.js";
import { at, count, element } from "./live_parts.js";
import { told } from "./live_status.js";
import { t } from "./texts.js";

const form = (id) => at(id).querySelector("form");

function offer(status) {
  const stopped = status.alarms.find((alarm) => alarm.code === "station_stopped");
  at("does-start").hidden = Boolean(status.batch);
  at("does-stop").hidden = !status.batch || status.batch_of_recipe;
  at("does-resume").hidden = !stopped;
  at("does-changeover").disabled = status.line === "changeover";
  at("resume-why").textContent = stopped ? stopped.message : "";
}

function counted(list, counts) {
  list.replaceChildren(...Object.entries(counts).flatMap(([name, number]) => [
    element("dt", { textContent: t(`live.${name}`) }), element("dd", { textContent: count(number) }),
  ]));
}

async function showStopCounts() {
  at("stop-means").textContent = t("live.stop_means", { batch: told.batch });
  at("stop-counts").replaceChildren();
  const triggered = told.batch_came_by;
  let outcomes = {};
  try {
    outcomes = (await call(`/api/batches/${encodeURIComponent(told.batch)}`)).totals.outcomes;
  } catch (error) {
    if (error.code !== "batch_missing") { at("stop-means").textContent = error.message; return; }
  }
  const [passed, rejected, undecided] = ["PASS", "REJECT", "REVIEW"].map((name) => outcomes[name] || 0);
  const rest = Math.max(0, triggered - passed - rejected - undecided);
  counted(at("stop-counts"), { triggered, passed, rejected, undecided, on_the_way: rest });
}

async function listRecipes() {
  const select = form("changeover").elements.recipe;
  const fault = form("changeover").querySelector(".fault");
  try {
    select.replaceChildren(...(await call("/api/recipes")).map((name) => new Option(name)));
    fault.hidden = true;
  } catch (error) {
    fault.textContent = error.message;
    fault.hidden = false;
  }
}

function showEnded({ batch, details }) {
  const { triggered, passed, rejected, undecided } = details.counts;
  at("batch-ended-title").textContent = t("live.batch_ended", { batch });
  counted(at("ended-counts"), { triggered, passed, rejected, undecided });
  at("ended-fits").dataset.fits = details.reconciled;
  at("ended-fits").querySelector("strong").textContent = details.reconciled ? t("live.fits")
    : t("live.fits_not", { triggered: count(triggered), recorded: count(passed + rejected + undecided) });
  at("ended-link").href = `/batches/${encodeURIComponent(batch)}`;
  at("batch-ended").showModal();
}

const said = {
  "start-batch": (answer) => t("live.batch_started", { batch: answer.batch }),
  "stop-batch": (answer) => { showEnded(answer); return t("live.batch_ended", { batch: answer.batch }); },
  resume: () => t("live.resumed"),
  changeover: (answer) => t("live.changed_over", { recipe: answer.recipe }),
};

export function watchActions() {
  if (!at("done")) return;
  offer(told);
  document.addEventListener("told", (event) => offer(event.detail));
  at("does-stop").addEventListener("click", showStopCounts);
  at("does-changeover").addEventListener("click", listRecipes);
  for (const id of Object.keys(said)) {
    const working = form(id).querySelector(".working");
    form(id).addEventListener("submit", () => { working.textContent = t("live.working"); });
    form(id).addEventListener("done", (event) => {
      at(id).close();
      at("done").textContent = said[id](event.detail);
    });
    new MutationObserver(() => { if (!form(id).querySelector("button:not([type])").disabled) working.textContent = ""; })
      .observe(form(id), { attributes: true, subtree: true, attributeFilter: ["disabled"] });
    at(id).addEventListener("close", () => {
      form(id).reset();
      form(id).querySelector(".fault").hidden = true;
    });
  }
}

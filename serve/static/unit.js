// The page of one record: its pictures, the way to the ones beside it, and a decision on it.
import { call } from "./calls.js";
import { DecisionForm } from "./decide.js";
import { typing } from "./page.js";
import { Viewer } from "./viewer.js";

const root = document.getElementById("viewer");
if (root) {
  const picture = JSON.parse(document.querySelector(".panel").dataset.picture);
  new Viewer(root).show(picture);
  const deciding = document.getElementById("decide");
  if (deciding) decideOn(deciding, picture);
}

function decideOn(place, picture) {
  const settles = document.querySelector("[data-settles]") !== null;
  const form = new DecisionForm(place, async (values) => {
    form.enable(false);
    try {
      const more = settles ? { settles } : { after: picture.last };
      await call(document.querySelector(".desk").dataset.decides, "POST", { ...values, ...more });
      location.reload();
    } catch (error) {
      form.fault(error.message);
      form.enable(true);
    }
  });
  form.fill(settles ? undefined : picture.mine[0]);
}

document.addEventListener("keydown", (event) => {
  if (typing(event)) return;
  const way = { n: "next", ArrowRight: "next", p: "prev", ArrowLeft: "prev" }[event.key];
  const link = way && document.querySelector(`.beside [rel=${way}]`);
  if (link) link.click();
});

// From now on keys are heard.
document.body.dataset.ready = "";

// Pictures of the units in view: a bounded number is asked for at once, those that came into view last first, and what has
// left the view is not asked for any more.
const AT_ONCE = 6;
const AHEAD = "300px 0px";

const waiting = new Set();
let under_way = 0;

function show(place) {
  const picture = new Image();
  const ended = () => { under_way -= 1; next(); };
  picture.alt = "";
  picture.decoding = "async";
  picture.addEventListener("load", ended);
  picture.addEventListener("error", () => {
    place.replaceChildren();
    place.dataset.empty = place.dataset.failed;
    ended();
  });
  under_way += 1;
  picture.src = place.dataset.src;
  delete place.dataset.src;
  place.append(picture);
}

function next() {
  while (under_way < AT_ONCE && waiting.size) {
    const place = [...waiting].pop();
    waiting.delete(place);
    seen.unobserve(place);
    show(place);
  }
}

const seen = new IntersectionObserver((changes) => {
  // From the last to the first: of those that come together the first one is shown first.
  for (const { target, isIntersecting } of changes.reverse()) {
    waiting.delete(target);
    if (isIntersecting) waiting.add(target);
  }
  next();
}, { rootMargin: AHEAD });

export function watchPictures(within) {
  for (const place of within.querySelectorAll(".picture[data-src]")) seen.observe(place);
}

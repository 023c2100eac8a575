// Parts of pages that look for what is new, by themselves. The next look comes the later the longer the last one took:
// a service that is slow is asked less. In a hidden tab nobody looks, and where nothing can change any more, neither.
const SOONEST = 2000, LATEST = 30000, TIMES_AS_LONG = 10;

// What is no answer of ours is not put into the page.
function takeOursAlone(part) {
  part.addEventListener("htmx:before:swap", (event) => {
    const response = event.detail.ctx && event.detail.ctx.response;
    if (!response || !response.headers || !response.headers.get("X-Live")) event.preventDefault();
  });
}

function keepLooking(part) {
  let asked = 0, pause = SOONEST, timer = null, isOver = false;
  const note = document.querySelector(".old-news");

  const plan = () => {
    clearTimeout(timer);
    if (!isOver && !document.hidden) timer = setTimeout(look, pause);
  };
  const look = () => {
    asked = performance.now();
    htmx.trigger(part, "look");
  };
  part.addEventListener("htmx:finally:request", (event) => {
    if (event.target !== part) return;
    const response = event.detail.ctx && event.detail.ctx.response;
    const headers = response && response.headers;
    const isNew = Boolean(headers && headers.get("X-Live"));
    if (headers && headers.get("X-Signed-Out")) location.reload();
    isOver = Boolean(headers && headers.get("X-Live") === "over");
    if ("rest" in part.dataset && (isOver || document.querySelector("[data-none-yet]"))) showTheRest();
    if (note) note.hidden = isNew;
    const took = performance.now() - asked;
    pause = isNew ? Math.min(LATEST, Math.max(SOONEST, took * TIMES_AS_LONG)) : Math.min(LATEST, pause * 2);
    plan();
  });
  takeOursAlone(part);
  document.addEventListener("visibilitychange", () => { document.hidden ? clearTimeout(timer) : look(); });
  plan();
}

// Once nothing can change any more, what stands beside such numbers (data-rest) is made anew as well: messages, and what
// can be done; and while none of the messages is there yet that are about to come (data-none-yet). The page is morphed, so that a focus and a selection stay.
function showTheRest() {
  htmx.ajax("GET", location.pathname + location.search, { target: "main", select: "main", swap: "outerMorph" });
}

// The server shows moments as the reader's clock does, once it knows the zone; the first page is loaded again for that.
function tellZone() {
  const zone = `zone=${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  if (document.cookie.split("; ").includes(zone)) return;
  const root = location.pathname.split("/console/")[0] + "/console/";
  document.cookie = `${zone}; path=${root}; max-age=31536000; samesite=lax`;
  const isKept = document.cookie.split("; ").includes(zone);
  const isAbout = document.querySelector("main time") && document.documentElement.dataset.repeats === "yes";
  if (isKept && isAbout) location.reload();
}

tellZone();
document.querySelectorAll("[data-live]").forEach(keepLooking);
document.querySelectorAll("[data-asks]").forEach(takeOursAlone);

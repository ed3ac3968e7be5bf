// The feed as it grows: one stream for a visible page says that there is something new, and the rows come from the
// server as HTML. What one reads never moves: then new rows wait behind a button.
import { load, visit } from "./page.js";
import { follow } from "./stream.js";

/** Looks for rows in a second, and milliseconds between two; those between two while rows wait. */
const LOOKS = 4;
const BETWEEN = 60;
const BETWEEN_WAITING = 1000;
/** Rows a second from which on only the newest are shown, and how many. */
const FAST = 20;
/** Rows that wait, and that stand on the page, at most. */
const WAITING_MAX = 200;
const ROWS_MAX = 500;
/** Milliseconds between two announcements. */
const ANNOUNCE_EVERY = 10_000;
let paused = false;
/** Where this page has read to; empty: it is not live. */
let place = "";
/** @type {HTMLElement[]} newest first */
let waiting = [];
/** Whether more came than waits. */
let lost = false;
/** @type {{at: number, number: number}[]} heads of the last seconds */
let heads = [];
let rate = 0;
let pulling = false;
let again = false;
/** When the last looks were. */
let pulled = new Array(LOOKS).fill(-Infinity);
let unsaid = 0;
let said = -Infinity;
/** Counts the pages, so that an answer for another one is let go. */
let page = 0;

const find = (/** @type {string} */ selector) => /** @type {HTMLElement | null} */ (document.querySelector(selector));
const noun = (/** @type {number} */ n) => (new URLSearchParams(location.search).get("show") === "deliveries" ? (n === 1 ? "delivery" : "deliveries") : n === 1 ? "event" : "events");
const sleep = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));

/** Whether rows would move under someone's eyes, hands or focus. */
function isReading() {
  const list = find("[data-feed]");
  const selection = getSelection();
  const marks = selection && !selection.isCollapsed && list?.contains(selection.anchorNode);
  return paused || marks || scrollY > 40 || Boolean(list?.matches(":focus-within") || list?.querySelector("[data-picked]"));
}

/** Attaches to the page that is there now. */
function begin() {
  page += 1;
  waiting = [];
  lost = false;
  const at = find("[data-rows][data-place], [data-wait]");
  place = find("[data-live]") && at ? (at.dataset.place ?? "") : "";
  show();
  follow(place ? head : undefined);
}

/** @param {{seq: number, kept: number}} news */
function head({ seq, kept }) {
  const [at, number] = [performance.now(), seq + kept];
  heads.push({ at, number });
  while (heads.length > 2 && (heads[0]?.at ?? at) < at - 2000) heads.shift();
  measure();
  pull();
}

function measure() {
  const [first, last] = [heads[0], heads.at(-1)];
  if (!first || !last) return;
  const seconds = Math.max(1, (performance.now() - first.at) / 1000);
  rate = (last.number - first.number) / seconds;
}

/** The rows' address for this page's search. @param {string} after */
function address(after) {
  const asked = new URLSearchParams(location.search);
  asked.delete("after");
  if (after) asked.set("after", after);
  return `/ui/rows?${asked}`;
}

/** Fetches what is new: at once, and then not more often than `LOOKS` a second. */
async function pull() {
  again = true;
  if (pulling) return;
  pulling = true;
  while (again && place && !document.hidden) {
    const between = isReading() ? BETWEEN_WAITING : BETWEEN;
    const rest = Math.max((pulled.at(-1) ?? 0) + between, (pulled[0] ?? 0) + 1000) - performance.now();
    if (rest > 0) await sleep(rest);
    again = false;
    pulled = [...pulled.slice(1), performance.now()];
    const mine = page;
    try {
      const list = (await load(address(place))).querySelector("ol[data-place]");
      if (mine === page && list instanceof HTMLElement) take(list);
    } catch {
      // The stream says what is wrong; what was missed comes with the next head.
    }
  }
  pulling = false;
}

/** @param {HTMLElement} list */
function take(list) {
  place = list.dataset.place ?? place;
  again ||= "again" in list.dataset;
  const rows = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(".row")]);
  const gone = Number(list.dataset.gone ?? 0);
  if (gone > 0) rows.push(gap(`${gone.toLocaleString("en")} deliveries were removed by retention before they could be shown.`));
  if (!rows.length) return;
  unsaid += rows.length;
  announce();
  if (find("[data-wait]")) {
    visit(location.href, "stay");
    return;
  }
  lost ||= "more" in list.dataset;
  waiting = rows.concat(waiting);
  if (waiting.length > WAITING_MAX) {
    waiting.length = WAITING_MAX;
    lost = true;
  }
  if (isReading()) show();
  else insert(list.dataset.older);
  freshen();
}

/** A row that says what is not there. @param {string} words */
function gap(words) {
  return Object.assign(document.createElement("li"), { className: "gap-row", textContent: words });
}

/** Puts what waits on the page. @param {string} [older] where the page goes on if these are its newest rows */
async function insert(older) {
  const list = find("[data-feed]");
  if (!list) return;
  measure();
  const fast = rate > FAST;
  if (lost && older === undefined) {
    const newest = (await load(address("")).catch(() => undefined))?.querySelector("ol[data-place]");
    if (!(newest instanceof HTMLElement)) return;
    place = newest.dataset.place ?? place;
    older = newest.dataset.older;
    waiting = /** @type {HTMLElement[]} */ ([...newest.querySelectorAll(".row")]);
  }
  const known = new Set([...list.querySelectorAll(".what > a")].map((link) => link.getAttribute("href")));
  const all = lost || (fast && waiting.length >= FAST);
  let rows = all ? waiting : waiting.filter((row) => !known.has(row.querySelector(".what > a")?.getAttribute("href") ?? ""));
  if (fast) rows = rows.slice(0, FAST);
  for (const row of rows) {
    row.classList.add("new");
  }
  if (all) list.replaceChildren(...rows);
  else list.prepend(...rows);
  document.dispatchEvent(new CustomEvent("hookgate:rows"));
  while (list.children.length > ROWS_MAX) list.lastElementChild?.remove();
  goesOn(list);
  waiting = [];
  lost = false;
  show();
}

/** The next page begins behind the last row that stands here. @param {HTMLElement} list */
function goesOn(list) {
  const link = find("[data-older]");
  const last = [...list.querySelectorAll(".row")].at(-1);
  if (!(link instanceof HTMLAnchorElement) || !(last instanceof HTMLElement) || !last.dataset.place) return;
  const to = new URL(link.href);
  to.searchParams.set("after", last.dataset.place);
  link.href = to.pathname + to.search;
}

/** What the page says about being live. */
function show() {
  const toggle = find("[data-live]");
  if (!toggle) return;
  toggle.setAttribute("aria-pressed", String(!paused));
  const word = toggle.querySelector(".state");
  if (word instanceof HTMLElement) {
    word.dataset.state = paused ? "parked" : "live";
    word.textContent = paused ? "Paused" : "Live";
  }
  let button = find("[data-fresh]");
  if (!button && waiting.length) {
    button = Object.assign(document.createElement("button"), { type: "button", className: "fresh" });
    button.dataset.fresh = "";
    find("[data-rows]")?.prepend(button);
  }
  if (button) {
    button.hidden = waiting.length === 0;
    button.textContent = `${lost ? "More than " : ""}${waiting.length} new`;
  }
  const speed = find("[data-rate]");
  if (speed) speed.textContent = rate > FAST && !paused ? `· rate ${Math.round(rate)}/s, showing the newest; pause to read` : "";
}

/** Says how many came, at most every ten seconds. */
function announce() {
  const rest = said + ANNOUNCE_EVERY - performance.now();
  if (rest > 0) {
    if (unsaid) setTimeout(announce, rest + 10);
    return;
  }
  const line = find("[data-announce]");
  if (!line || !unsaid) return;
  line.textContent = `${unsaid} new ${noun(unsaid)}`;
  said = performance.now();
  unsaid = 0;
}

/** @type {number | undefined} */
let soon;
/** Asks a few times how far sinks are with the rows that wait for them. */
function freshen(turn = 0) {
  clearTimeout(soon);
  soon = window.setTimeout(async () => {
    const pending = document.querySelectorAll("[data-feed] .row:has(.sinks [data-state=pending])");
    if (!pending.length || turn > 3 || document.hidden || !place) return;
    const newest = await load(address("")).catch(() => undefined);
    for (const row of pending) {
      const link = row.querySelector(".what > a")?.getAttribute("href") ?? "";
      const sinks = newest?.querySelector(`.row .what > a[href="${CSS.escape(link)}"]`)?.closest(".row")?.querySelector(".sinks");
      if (sinks) row.querySelector(".sinks")?.replaceWith(sinks);
    }
    freshen(turn + 1);
  }, 700 * 3 ** turn);
}

document.addEventListener("click", (event) => {
  const at = event.target instanceof Element ? event.target : undefined;
  if (at?.closest("[data-live]")) {
    paused = !paused;
    if (!paused && !isReading() && waiting.length) insert();
    show();
  } else if (at?.closest("[data-fresh]")) {
    paused = false;
    const here = document.activeElement;
    const row = here?.closest("[data-feed]");
    insert().then(() => {
      scrollTo({ top: 0 });
      // Focus goes where one reads on; it never falls off the page with the button.
      const target = find(row ? "[data-feed] .what > a" : "main h1");
      if (target && (row || here?.matches("[data-fresh]"))) {
        if (!row) target.tabIndex = -1;
        target.focus({ preventScroll: true });
      }
    });
  }
});
addEventListener("scroll", () => {
  if (waiting.length && scrollY <= 40 && !isReading()) insert();
}, { passive: true });
document.addEventListener("hookgate:page", begin);
setInterval(() => {
  if (rate <= FAST) return;
  measure();
  show();
}, 1000);
begin();

// Another search without loading the whole page: fetches it, takes its `main`, keeps the address and what has focus.
// Pages come from the server alone; without this script every link and form does the same by itself.

/** @type {AbortController | undefined} */
let asking;

/** What is shown; a place within it is no other page. */
let shown = location.pathname + location.search;

/** Whether this page is the feed: the only one that is exchanged in place. */
export function isFeed() {
  return location.pathname === "/";
}

/**
 * The page at an address of ours, as a document. Scripts in it do not run.
 * @param {string} url
 * @param {AbortSignal} [signal]
 */
export async function load(url, signal) {
  const reply = await fetch(url, { headers: { accept: "text/html" }, signal });
  if (reply.redirected || !(reply.headers.get("content-type") ?? "").startsWith("text/html")) throw new Error("no page");
  return new DOMParser().parseFromString(await reply.text(), "text/html");
}

/** Finds what has focus again in a new page. @returns {string} a selector; empty: nothing worth it */
function focused() {
  const at = document.activeElement;
  if (!(at instanceof HTMLElement)) return "";
  const { facet, value } = at.dataset;
  if (facet) return `[data-facet="${CSS.escape(facet)}"][data-value="${CSS.escape(value ?? "")}"]`;
  if (at.matches("[data-chart]")) return "[data-chart]";
  if (at.matches(".query select")) return ".query select";
  if (at.matches("main .row a")) return `main .row a[href="${CSS.escape(at.getAttribute("href") ?? "")}"]`;
  if (at.matches("main .switch a")) return "main .switch [aria-current]";
  return at.matches("main *") ? "main h1" : "";
}

/** Puts a fetched page in the place of this one. @param {Document} fresh */
function exchange(fresh) {
  const back = focused();
  const facets = document.querySelector("#facets:popover-open");
  document.title = fresh.title;
  for (const selector of ["main", ".notices", ".nav ul"]) {
    const [old, next] = [document.querySelector(selector), fresh.querySelector(selector)];
    if (old && next) old.replaceWith(next);
  }
  const [form, other] = [document.querySelector("form.query"), fresh.querySelector("form.query")];
  const field = form?.querySelector("input[name=q]");
  const text = other?.querySelector("input[name=q]");
  if (form && other) {
    // What one is typing into stays; what the page adds is the new page's.
    for (const part of [...form.children]) if (!part.matches(".field")) part.remove();
    for (const part of [...other.children]) if (!part.matches(".field")) form.append(part);
  }
  if (field instanceof HTMLInputElement && text instanceof HTMLInputElement) field.value = text.value;
  shown = location.pathname + location.search;
  document.dispatchEvent(new CustomEvent("hookgate:page"));
  const narrow = document.getElementById("facets");
  if (facets && narrow?.isConnected && getComputedStyle(narrow).display === "none") narrow.showPopover();
  const target = back ? document.querySelector(back) : null;
  if (target instanceof HTMLElement) {
    if (target.matches("h1")) target.tabIndex = -1;
    target.focus({ preventScroll: true });
  }
}

/**
 * Shows another address of the feed; the browser goes there itself where that fails.
 * @param {string} url
 * @param {"push" | "replace" | "stay"} [history_] what becomes of the address of now
 */
export async function visit(url, history_ = "push") {
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  document.querySelector("main")?.setAttribute("aria-busy", "true");
  try {
    const fresh = await load(url, mine.signal);
    if (history_ === "push" && new URL(url, location.href).href !== location.href) history.pushState(null, "", url);
    else if (history_ === "replace") history.replaceState(history.state, "", url);
    exchange(fresh);
  } catch {
    if (!mine.signal.aborted) location.assign(url);
  }
}

if (isFeed()) {
  addEventListener("popstate", () => {
    if (isFeed() && shown !== location.pathname + location.search) visit(location.href, "stay");
  });
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (!(link instanceof HTMLAnchorElement) || event.defaultPrevented || event.button !== 0) return;
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link.matches("[data-older], [download], [target]")) return;
    const to = new URL(link.href);
    if (to.origin !== location.origin || to.pathname !== "/" || link.matches(".skip")) return;
    event.preventDefault();
    visit(link.href);
  });
}

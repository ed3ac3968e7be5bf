// Chart, facets and badges of a page that grows: asked for again now and then, never under one's hands.
import { load } from "./page.js";

const EVERY = 10_000;
let asked = performance.now();
/** @type {number | undefined} */
let soon;

/** Puts the new page's content into a part of this one. @param {Document} fresh @param {string} selector */
function renew(fresh, selector) {
  const [old, next] = [document.querySelector(selector), fresh.querySelector(selector)];
  if (!old || !next || old.matches(":hover, :focus-within, :popover-open")) return;
  for (const name of ["aria-label", "data-end"]) {
    const value = next.getAttribute(name);
    if (value !== null) old.setAttribute(name, value);
  }
  old.replaceChildren(...next.childNodes);
}

async function ask() {
  asked = performance.now();
  const address = location.href;
  const fresh = await load(address).catch(() => undefined);
  if (!fresh || address !== location.href || document.querySelector(".chosen")) return;
  for (const part of ["svg[data-histogram]", "[data-marks]", ".facets", "[data-count]", ".nav ul"]) renew(fresh, part);
  // Its times are the reader's, as those of rows.
  document.dispatchEvent(new CustomEvent("hookgate:times"));
}

document.addEventListener("hookgate:rows", () => {
  clearTimeout(soon);
  soon = window.setTimeout(() => document.hidden || ask(), Math.max(1000, asked + EVERY - performance.now()));
});

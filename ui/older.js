// "Older" adds the next page below what is there, and moves nothing.
import { load } from "./page.js";

/** The next page, below what is there. @param {HTMLAnchorElement} link */
async function older(link) {
  const next = await load(link.href).catch(() => undefined);
  const [list, rows] = [document.querySelector("[data-feed]"), next?.querySelectorAll("[data-feed] > li")];
  if (!list || !rows) return location.assign(link.href);
  const first = /** @type {HTMLElement | undefined} */ (rows[0]);
  list.append(...rows);
  document.dispatchEvent(new CustomEvent("hookgate:rows"));
  const held = document.activeElement === link || document.activeElement === document.body;
  const [acts, more] = [link.closest("p"), next?.querySelector("[data-older]")?.closest("p")];
  if (acts && more) acts.replaceWith(more);
  else acts?.remove();
  const target = first?.querySelector(".what > a");
  if (held && target instanceof HTMLElement) target.focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("[data-older]") : null;
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  older(link);
});

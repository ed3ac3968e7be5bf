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

/** A search that found nothing in its time goes on by itself, and says how far it is. */
async function searchOn() {
  for (;;) {
    const box = document.querySelector("[data-searching]");
    const link = box?.querySelector("a");
    if (!box || !link) return;
    const next = await load(link.href).catch(() => undefined);
    if (!next || !box.isConnected) return;
    const going = next.querySelector("[data-searching]");
    const rows = next.querySelectorAll("[data-feed] > li");
    document.querySelector("[data-feed]")?.append(...rows);
    document.dispatchEvent(new CustomEvent("hookgate:rows"));
    const more = going ?? next.querySelector("[data-older]")?.closest("p") ?? next.querySelector(".rows .empty");
    if (more) box.replaceWith(more);
    else box.remove();
  }
}

document.addEventListener("hookgate:page", searchOn);
searchOn();
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("[data-older]") : null;
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  older(link);
});

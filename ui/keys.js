// Single keys. Never inside of fields, never with Ctrl, Alt or Meta; a switch in the list of keys turns them off.
import { copy } from "./copy.js";

/** Where `g` goes. */
const GOES = { f: "/", w: "/webhooks", d: "/dead-letters", s: "/sinks", c: "/catalogue" };
const SWITCH = "hookgate-keys";

/** Until when the key after `g` is awaited. */
let going = 0;

const find = (/** @type {string} */ selector) => /** @type {HTMLElement | null} */ (document.querySelector(selector));
const links = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll("main [data-feed] .what > a")]);
const row = () => /** @type {HTMLElement | null} */ (document.activeElement?.closest(".row") ?? null);

function isOff() {
  return localStorage.getItem(SWITCH) === "off";
}

/** Moves focus by rows. @param {number} step */
function move(step) {
  const all = links();
  const here = row();
  const at = here ? all.findIndex((link) => here.contains(link)) : step > 0 ? -1 : all.length;
  const to = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  to?.focus();
  to?.closest(".row")?.scrollIntoView({ block: "nearest" });
  return Boolean(to);
}

/** What a control of the page does whose `kbd` is this key. @param {string} key */
function press(key) {
  for (const hint of document.querySelectorAll("main kbd[data-script]")) {
    const control = hint.closest("a, button");
    if (hint.textContent === key && control instanceof HTMLElement && control.checkVisibility()) {
      control.click();
      return true;
    }
  }
  return false;
}

/** What a key does to the row that has focus. @param {string} key @param {HTMLElement} at */
function onRow(key, at) {
  const link = at.querySelector(".what > a");
  const href = link?.getAttribute("href") ?? "";
  const delivery = `/deliveries/${at.dataset.delivery}`;
  if (key === "c") copy(location.origin + href);
  else if (key === "e") location.assign(`/api/v1${href}`);
  else if (key === "p") location.assign(at.dataset.playground ?? delivery);
  else if (key === "r") location.assign(`${delivery}#replay`);
  else if (key === "x") document.dispatchEvent(new CustomEvent("hookgate:pick", { detail: at }));
  else return false;
  return true;
}

/** Esc: close what is open, else go back. */
function leave() {
  const here = document.activeElement;
  if (find(":popover-open, dialog[open]")) return false;
  if (here instanceof HTMLElement && here !== document.body && !here.matches("a, button, summary")) {
    here.blur();
  } else if (document.querySelector("[data-picked]")) {
    document.dispatchEvent(new CustomEvent("hookgate:pick"));
  } else if (row()) {
    /** @type {HTMLElement} */ (here).blur();
  } else if (location.pathname !== "/") {
    if (document.referrer.startsWith(location.origin + "/") && history.length > 1) history.back();
    else location.assign("/");
  } else {
    return false;
  }
  return true;
}

/** @param {KeyboardEvent} event @returns {boolean} whether it was for us */
function handle(event) {
  const { key } = event;
  const at = row();
  if (performance.now() < going && key in GOES) {
    going = 0;
    const to = GOES[/** @type {keyof typeof GOES} */ (key)];
    const entry = find(`nav a[href="${to}"]`);
    entry?.click();
    return Boolean(entry);
  }
  switch (key) {
    case "/":
      find("[data-query]")?.focus();
      return true;
    case "?":
      find("#keys")?.togglePopover();
      return true;
    case "g":
      going = performance.now() + 1500;
      return true;
    case "j":
    case "k":
      return links().length ? move(key === "j" ? 1 : -1) : press(key);
    case "ArrowDown":
    case "ArrowUp":
      return at ? move(key === "ArrowDown" ? 1 : -1) : false;
    case " ": {
      const live = find("[data-live]");
      if (!live || document.activeElement?.matches("button, summary, [role=group]")) return false;
      live.click();
      return true;
    }
    case "n": {
      const fresh = find("[data-fresh]:not([hidden])");
      fresh?.click();
      return Boolean(fresh);
    }
    case "Escape":
      return leave();
    default:
      return (at && onRow(key, at)) || (/^[A-Za-z]$/.test(key) && press(key));
  }
}

document.addEventListener("keydown", (event) => {
  const { target } = event;
  const typing = target instanceof Element && target.closest("input, textarea, select, [contenteditable]");
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing && (event.key !== "Escape" || target.matches("[aria-expanded=true]"))) return;
  // Esc and arrows are no characters: they need no switch.
  if (isOff() && event.key.length === 1) return;
  if (handle(event)) event.preventDefault();
});

/** The row one left comes back into focus. */
addEventListener("pagehide", () => {
  const href = row()?.querySelector(".what > a")?.getAttribute("href");
  if (href) history.replaceState({ ...history.state, row: href }, "");
});
function comeBack() {
  const href = history.state?.row;
  const link = href && find(`main [data-feed] a[href="${CSS.escape(href)}"]`);
  if (link && document.activeElement === document.body) link.focus();
}
addEventListener("pageshow", comeBack);

const dialog = find("#keys");
if (dialog) {
  const label = Object.assign(document.createElement("label"), { className: "check" });
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: !isOff() });
  box.addEventListener("change", () => (box.checked ? localStorage.removeItem(SWITCH) : localStorage.setItem(SWITCH, "off")));
  label.append(box, "Single keys are on");
  dialog.querySelector("dl")?.after(label);
}

// A selection of rows (`x`), and what can be done with all of them at once.
import { copy } from "./copy.js";

const ROWS_MAX = 200;

/** @returns {HTMLElement[]} */
const picked = () => [...document.querySelectorAll("[data-feed] [data-picked]")].filter((row) => row instanceof HTMLElement);

/** @param {HTMLElement} row @param {boolean} on */
function mark(row, on) {
  row.toggleAttribute("data-picked", on);
  row.querySelector("[data-picked-word]")?.remove();
  if (!on) return;
  const word = document.createElement("span");
  word.className = "vh";
  word.dataset.pickedWord = "";
  word.textContent = ", selected";
  row.querySelector(".what > a")?.append(word);
}

/** @param {string} textContent @param {() => void} onclick */
const button = (textContent, onclick) => Object.assign(document.createElement("button"), { type: "button", textContent, onclick });
/** @param {string} textContent @param {string} href */
const link = (textContent, href) => Object.assign(document.createElement("a"), { className: "button", textContent, href });

function clear() {
  for (const row of picked()) mark(row, false);
  show();
}

function show() {
  const rows = picked();
  let bar = document.querySelector("[data-picks]");
  if (!rows.length) return bar?.remove();
  if (!bar) {
    bar = Object.assign(document.createElement("section"), { className: "pick-bar", ariaLabel: "Selection" });
    bar.setAttribute("data-picks", "");
    document.querySelector("[data-rows]")?.append(bar);
  }
  const ids = rows.map((row) => row.querySelector(".what > a")?.getAttribute("href")?.split("/").at(-1) ?? "");
  const deliveries = [...new Set(rows.map((row) => row.dataset.delivery ?? ""))];
  const query = `delivery:(${deliveries.join(",")})`;
  const words = Object.assign(document.createElement("p"), { role: "status", textContent: `${rows.length} selected` });
  const asked = new URLSearchParams({ q: query, show: "deliveries" });
  bar.replaceChildren(
    words,
    button("Copy ids", () => copy(ids.join("\n"))),
    link("Show only these", `/?${asked}`),
    link("Export", `/api/v1/deliveries?${new URLSearchParams({ q: query, limit: String(ROWS_MAX) })}`),
    button("Copy replay command", () => copy(`hookgate replay '${query}'`)),
    button("Clear", clear),
  );
}

document.addEventListener("hookgate:pick", (event) => {
  const row = event instanceof CustomEvent ? event.detail : null;
  if (!(row instanceof HTMLElement)) return clear();
  const on = !row.hasAttribute("data-picked");
  if (on && picked().length >= ROWS_MAX) return undefined;
  mark(row, on);
  return show();
});

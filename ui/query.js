// The search field: completion (a combobox), what is wrong while one types, and searches without loading the page.
import { isFeed, visit } from "./page.js";

/** @typedef {{text: string, about: string | null, count: number | null}} Suggestion */
/** @typedef {{from: number, to: number, data: Suggestion[], wrong: {column: number, message: string, help: string | null} | null}} Completion */

const field = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-query]"));
const list = Object.assign(document.createElement("ul"), { className: "suggest", id: "suggestions", hidden: true, role: "listbox", ariaLabel: "Suggestions" });
const wrong = Object.assign(document.createElement("p"), { className: "wrong", id: "query-wrong", hidden: true, role: "status" });
/** @type {Completion | undefined} */
let completion;
let active = -1;
/** @type {AbortController | undefined} */
let asking;
/** @type {number | undefined} */
let soon;

/** Characters as the server counts them. @param {string} text */
const chars = (text) => Array.from(text);

function close() {
  list.hidden = true;
  active = -1;
  field?.setAttribute("aria-expanded", "false");
  field?.removeAttribute("aria-activedescendant");
}

/** @param {number} to */
function choose(to) {
  const options = [...list.children];
  active = options.length ? (to + options.length) % options.length : -1;
  for (const [n, option] of options.entries()) option.setAttribute("aria-selected", String(n === active));
  const option = options[active];
  option?.scrollIntoView({ block: "nearest" });
  if (option) field?.setAttribute("aria-activedescendant", option.id);
}

/** @param {Suggestion[]} data */
function open(data) {
  list.replaceChildren();
  for (const [n, { text, about, count }] of data.entries()) {
    const option = Object.assign(document.createElement("li"), { id: `suggestion-${n}`, role: "option", ariaSelected: "false" });
    const [name, aside] = [document.createElement("code"), document.createElement("small")];
    name.textContent = text;
    aside.textContent = about ?? (count === null ? "" : count.toLocaleString("en"));
    option.append(name, aside);
    list.append(option);
  }
  list.hidden = data.length === 0;
  active = -1;
  field?.setAttribute("aria-expanded", String(data.length > 0));
  field?.removeAttribute("aria-activedescendant");
}

/** Puts a suggestion in its place. @param {number} n */
function take(n) {
  const suggestion = completion?.data[n];
  if (!field || !completion || !suggestion) return;
  const text = chars(field.value);
  const goesOn = /[:.]$/.test(suggestion.text);
  const before = text.slice(0, completion.from).join("") + suggestion.text + (goesOn ? "" : " ");
  const after = text.slice(completion.to).join("");
  field.value = before + (goesOn ? after : after.trimStart());
  field.setSelectionRange(before.length, before.length);
  close();
  if (goesOn) ask();
  else explain(null);
}

/** @param {Completion["wrong"]} problem */
function explain(problem) {
  if (!field) return;
  const words = problem ? `Column ${problem.column}: ${problem.message}${problem.help ? `; ${problem.help}` : ""}` : "";
  wrong.textContent = words.replaceAll("`", "");
  wrong.hidden = !problem;
  if (problem) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

/** Asks the server what may stand at the cursor. */
async function ask() {
  if (!field) return;
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  const text = field.value;
  const cursor = chars(text.slice(0, field.selectionStart ?? text.length)).length;
  const what = new URLSearchParams(location.search).get("show") === "deliveries" ? "deliveries" : "events";
  try {
    const asked = new URLSearchParams({ q: text, cursor: String(cursor), what });
    const reply = await fetch(`/api/v1/complete?${asked}`, { signal: mine.signal });
    if (!reply.ok || document.activeElement !== field || field.value !== text) return;
    completion = await reply.json();
    if (mine.signal.aborted || !completion) return;
    const typed = chars(text).slice(completion.from, completion.to).join("");
    open(completion.data.filter((suggestion) => suggestion.text !== typed).slice(0, 10));
    completion.data = completion.data.filter((suggestion) => suggestion.text !== typed);
    clearTimeout(soon);
    const { wrong: problem } = completion;
    // What is not finished yet is no mistake while one goes on typing.
    if (problem) soon = window.setTimeout(() => explain(problem), 700);
    else explain(null);
  } catch {
    // Given up for a newer one, or the server is not there: typing goes on.
  }
}

function search() {
  if (!field?.form) return;
  close();
  const asked = new URLSearchParams();
  for (const [name, value] of new FormData(field.form)) if (value) asked.set(name, String(value));
  const text = asked.toString();
  visit(text ? `/?${text}` : "/");
}

/** @param {KeyboardEvent} event */
function key(event) {
  const shown = !list.hidden;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (!shown) ask();
    else choose(active < 0 && event.key === "ArrowUp" ? list.children.length - 1 : active + (event.key === "ArrowDown" ? 1 : -1));
  } else if (shown && (event.key === "Enter" || event.key === "Tab") && active >= 0) {
    take(active);
  } else if (shown && event.key === "Escape") {
    close();
  } else {
    return;
  }
  event.preventDefault();
}

if (field) {
  field.after(list, wrong);
  Object.assign(field, { role: "combobox", ariaAutoComplete: "list", ariaExpanded: "false" });
  field.setAttribute("aria-controls", list.id);
  field.setAttribute("aria-describedby", wrong.id);
  field.addEventListener("input", ask);
  field.addEventListener("keydown", key);
  field.addEventListener("click", () => list.hidden && ask());
  field.addEventListener("blur", () => setTimeout(close, 100));
  list.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const option = event.target instanceof Element ? event.target.closest("[role=option]") : null;
    if (option) take([...list.children].indexOf(option));
  });
}

if (isFeed()) {
  document.addEventListener("submit", (event) => {
    if (!(event.target instanceof HTMLFormElement) || !event.target.matches(".query")) return;
    event.preventDefault();
    search();
  });
  document.addEventListener("change", (event) => {
    if (event.target instanceof Element && event.target.matches(".query select")) search();
  });
  /** Leaves a value out. @param {MouseEvent | KeyboardEvent} event */
  const leaveOut = (event) => {
    const link = event.target instanceof Element ? event.target.closest("[data-not]") : null;
    if (!event.altKey || !link || (event instanceof KeyboardEvent && event.key !== "Enter")) return;
    event.preventDefault();
    visit(link.getAttribute("data-not") ?? "/");
  };
  document.addEventListener("click", leaveOut);
  document.addEventListener("keydown", leaveOut);
}

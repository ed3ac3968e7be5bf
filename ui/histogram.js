// A stretch of the histogram as the range of the search: drag, or arrow keys and Enter; a double click, or Backspace,
// takes the range away. The range is a term of the search like any other.
import { visit } from "./page.js";

/** The stretch that is chosen, by its first and last bar. @type {{from: number, to: number} | undefined} */
let chosen;
let dragging = false;

const hits = (/** @type {Element} */ chart) => /** @type {SVGRectElement[]} */ ([...chart.querySelectorAll(".hit")]);

/** The search without a range. @param {string} q */
export function withoutRange(q) {
  return q.replace(/("(?:\\.|[^"\\])*")|(^|[\s])received:[^\s()]+/g, (all, quoted) => quoted ?? "").replace(/\s+/g, " ").trim();
}

/** Goes to another range; none: all. @param {string} [range] */
function go(range) {
  const asked = new URLSearchParams(location.search);
  const rest = withoutRange(asked.get("q") ?? "");
  const joined = / OR /i.test(rest) && range ? `(${rest})` : rest;
  const q = range ? `${joined} received:${range}`.trim() : joined;
  for (const name of ["range", "after", "q"]) asked.delete(name);
  if (q) asked.set("q", q);
  const text = asked.toString();
  visit(text ? `/?${text}` : "/");
}

/** Draws the stretch and says it. @param {SVGSVGElement} chart @param {Element | null} [line] */
function draw(chart, line) {
  let mark = chart.querySelector(".chosen");
  if (!chosen) return mark?.remove();
  const all = hits(chart);
  const [from, to] = [Math.min(chosen.from, chosen.to), Math.max(chosen.from, chosen.to)];
  const [first, last] = [all[from], all[to]];
  if (!first || !last) return undefined;
  if (!mark) {
    mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    mark.setAttribute("class", "chosen");
    mark.setAttribute("height", "100");
    chart.append(mark);
  }
  const x = Number(first.getAttribute("x"));
  mark.setAttribute("x", String(x));
  mark.setAttribute("width", String(Number(last.getAttribute("x")) + Number(last.getAttribute("width")) - x));
  if (line) line.textContent = from === to ? (first.textContent ?? "") : `From ${first.textContent} to ${last.textContent}`;
  return undefined;
}

/** Takes the chosen stretch. @param {SVGSVGElement} chart */
function take(chart) {
  if (!chosen) return;
  const all = hits(chart);
  const [from, to] = [Math.min(chosen.from, chosen.to), Math.max(chosen.from, chosen.to)];
  const start = all[from]?.dataset.from;
  const end = all[to + 1]?.dataset.from ?? chart.dataset.end;
  chosen = undefined;
  if (!start || !end) return;
  // The last moment belongs to a range, and the next bar begins with its own.
  const last = new Date(Date.parse(end) - 1).toISOString();
  go(`${start}..${last}`);
}

/** The bar at a place. @param {SVGSVGElement} chart @param {number} x */
function at(chart, x) {
  const box = chart.getBoundingClientRect();
  const all = hits(chart);
  const share = ((x - box.left) / box.width) * chart.viewBox.baseVal.width;
  const found = all.findIndex((hit) => share < Number(hit.getAttribute("x")) + Number(hit.getAttribute("width")));
  return found < 0 ? all.length - 1 : found;
}

/** @param {KeyboardEvent} event @param {SVGSVGElement} chart @param {Element} line */
function key(event, chart, line) {
  const last = hits(chart).length - 1;
  const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -last, End: last, PageUp: -6, PageDown: 6 };
  if (event.key in steps) {
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    const to = chosen ? Math.min(Math.max(chosen.to + step, 0), last) : last;
    chosen = { from: event.shiftKey && chosen ? chosen.from : to, to };
    draw(chart, line);
  } else if (event.key === "Enter" && chosen) {
    take(chart);
  } else if (event.key === "Escape" && chosen) {
    chosen = undefined;
    draw(chart);
  } else if (event.key === "Backspace") {
    go();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

function begin() {
  const chart = document.querySelector("svg[data-histogram]");
  chosen = undefined;
  if (!(chart instanceof SVGSVGElement) || chart.closest("[data-chart]")) return;
  const box = document.createElement("div");
  box.tabIndex = 0;
  box.dataset.chart = "";
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Histogram. Arrow keys choose a bar, with Shift a range, Enter searches in it, Backspace in all time");
  const line = Object.assign(document.createElement("p"), { className: "vh", role: "status" });
  chart.replaceWith(box);
  box.append(chart, line);
  box.addEventListener("keydown", (event) => key(event, chart, line));
  chart.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragging = true;
    chart.setPointerCapture(event.pointerId);
    chosen = { from: at(chart, event.clientX), to: at(chart, event.clientX) };
  });
  chart.addEventListener("pointermove", (event) => {
    if (!dragging || !chosen) return;
    chosen.to = at(chart, event.clientX);
    draw(chart, line);
  });
  chart.addEventListener("pointerup", () => {
    dragging = false;
    // A click alone chooses nothing: a double click has another meaning.
    if (chosen && chosen.from !== chosen.to) take(chart);
  });
  chart.addEventListener("pointercancel", () => {
    dragging = false;
    chosen = undefined;
    draw(chart);
  });
  chart.addEventListener("dblclick", () => go());
}

document.addEventListener("hookgate:page", begin);
begin();

// @ts-check
/**
 * A text area over a coloured, numbered copy of its text: `[data-editor]` holds both, with the same font and padding.
 * The copy is drawn again with every change; what is typed never waits for it.
 */

/** Lines beyond this are not coloured: the text area alone shows them. */
const LINES_MAX = 4000;

/** What is coloured: comments, expressions and statements, then the keys of JSON. */
const TOKENS = /(\{#[\s\S]*?#\})|(\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\})|("(?:[^"\\\n{]|\\.)*"(?=\s*:))/g;
const CLASSES = ["w", "n", "k"];

/**
 * @typedef {{line: number, column: number, end: number}} Fault Place in the text, from 1.
 */

/**
 * The text in pieces, each with the class of its colour.
 * @param {string} text
 * @returns {[string, string][]}
 */
export function pieces(text) {
  /** @type {[string, string][]} */
  const found = [];
  let from = 0;
  for (const match of text.matchAll(TOKENS)) {
    const kind = match.slice(1).findIndex((group) => group !== undefined);
    found.push([text.slice(from, match.index), ""], [match[0], CLASSES[kind] ?? ""]);
    from = match.index + match[0].length;
  }
  found.push([text.slice(from), ""]);
  return found.filter(([piece]) => piece !== "");
}

/**
 * One line of the copy; characters are counted as the server counts them, not in UTF-16.
 * @param {[string, string][]} parts
 * @param {Fault | undefined} fault
 */
function line(parts, fault) {
  const row = document.createElement("span");
  let at = 1;
  for (const [text, kind] of parts) {
    const characters = [...text];
    const from = fault ? Math.min(Math.max(fault.column - at, 0), characters.length) : characters.length;
    const to = fault ? Math.min(Math.max(fault.end - at, from), characters.length) : characters.length;
    const into = kind ? row.appendChild(document.createElement("span")) : row;
    into.classList.add(...(kind ? [kind] : []));
    into.append(characters.slice(0, from).join(""));
    if (to > from) {
      into.appendChild(document.createElement("mark")).append(characters.slice(from, to).join(""));
    }
    into.append(characters.slice(to).join(""));
    at += characters.length;
  }
  if (!row.textContent) {
    row.append("\u200b");
  }
  row.classList.toggle("here", fault !== undefined);
  return row;
}

/**
 * @param {Element} editor
 * @param {Fault | undefined} fault
 */
export function draw(editor, fault) {
  const area = editor.querySelector("textarea");
  const copy = editor.querySelector(".code");
  if (!area || !copy) {
    return;
  }
  const many = area.value.split("\n").length > LINES_MAX;
  editor.toggleAttribute("data-on", !many);
  if (many) {
    copy.replaceChildren();
    return;
  }
  /** @type {[string, string][][]} */
  const rows = [[]];
  for (const [text, kind] of pieces(area.value)) {
    text.split("\n").forEach((part, n) => {
      if (n > 0) {
        rows.push([]);
      }
      rows.at(-1)?.push([part, kind]);
    });
  }
  copy.replaceChildren(...rows.map((row, n) => line(row, fault?.line === n + 1 ? fault : undefined)));
  area.toggleAttribute("aria-invalid", false);
  if (fault) {
    area.setAttribute("aria-invalid", "true");
  }
}

/**
 * Puts the caret to a place.
 * @param {HTMLTextAreaElement} area
 * @param {Fault} fault
 */
export function go(area, fault) {
  const lines = area.value.split("\n");
  const before = lines.slice(0, fault.line - 1).join("\n").length + (fault.line > 1 ? 1 : 0);
  const units = (/** @type {number} */ column) => [...(lines[fault.line - 1] ?? "")].slice(0, column - 1).join("").length;
  area.focus();
  area.setSelectionRange(before + units(fault.column), before + units(fault.end));
  const row = area.closest("[data-editor]")?.querySelector(".here");
  row?.scrollIntoView({ block: "center" });
}

for (const editor of document.querySelectorAll("[data-editor]")) {
  draw(editor, undefined);
  editor.addEventListener("input", () => draw(editor, undefined));
}

// Buttons that copy a text, paths of a payload, and the search in a payload. Says that it has copied, and falls back
// where the browser keeps the clipboard for pages over HTTPS.

/** @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    const back = document.activeElement;
    area.value = text;
    area.className = "vh";
    document.body.append(area);
    area.select();
    // What replaces it works over HTTPS and on localhost alone.
    const done = document.execCommand("copy");
    area.remove();
    if (back instanceof HTMLElement) back.focus();
    if (!done) return say(`Cannot copy. The text is: ${text.slice(0, 200)}`);
  }
  say(text.length > 60 || text.includes("\n") ? "Copied" : `Copied: ${text}`);
}

/** @type {number | undefined} */
let hide;
/** Says something for a while, to everyone. @param {string} words */
export function say(words) {
  let line = document.querySelector("[data-said]");
  if (!line) {
    line = Object.assign(document.createElement("p"), { role: "status", className: "said" });
    line.setAttribute("data-said", "");
    document.querySelector("main")?.append(line);
  }
  line.textContent = words;
  clearTimeout(hide);
  hide = window.setTimeout(() => line.remove(), 4000);
}

/** What a template calls a path. @param {string} path */
const asTemplate = (path) => `{{ ${path.startsWith("body") ? path : "body." + path.replace(/^payload\.?/, "")} }}`;

/** The fields above a tree of values. @param {Element} tree */
function search(tree) {
  const box = Object.assign(document.createElement("div"), { className: "finder" });
  const field = Object.assign(document.createElement("input"), { type: "search", placeholder: "Find a key or value", ariaLabel: "Find in the values" });
  const found = Object.assign(document.createElement("ul"), { ariaLabel: "Found" });
  const count = Object.assign(document.createElement("p"), { role: "status" });
  box.append(field, count, found);
  tree.before(box);
  field.addEventListener("input", () => {
    const word = field.value.trim().toLowerCase();
    found.replaceChildren();
    if (!word) return (count.textContent = "");
    const leaves = [...tree.querySelectorAll("li[data-path]")].filter((node) => !node.querySelector("details"));
    const hits = leaves.filter((node) => `${node.getAttribute("data-path")} ${node.textContent}`.toLowerCase().includes(word));
    count.textContent = hits.length > 20 ? `${hits.length} found, the first 20 are shown` : `${hits.length} found`;
    for (const node of hits.slice(0, 20)) found.append(hit(node));
    return "";
  });
}

/** @param {Element} node */
function hit(node) {
  const path = node.getAttribute("data-path") ?? "";
  const item = document.createElement("li");
  const value = document.createElement("span");
  value.textContent = (node.textContent ?? "").trim().slice(0, 120);
  for (const [text, words] of [[path, path], [asTemplate(path), "for a template"]]) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet id", textContent: words ?? "" });
    button.dataset.copy = text;
    item.append(button);
  }
  item.append(value);
  return item;
}

function begin() {
  for (const tree of document.querySelectorAll("[data-tree]")) {
    if (tree.querySelectorAll("li[data-path]").length > 8) search(tree);
    for (const key of tree.querySelectorAll(".k")) key.setAttribute("data-path-key", "");
  }
}

document.addEventListener("click", (event) => {
  const at = event.target instanceof Element ? event.target : undefined;
  const button = at?.closest("[data-copy]");
  if (button instanceof HTMLElement) {
    event.preventDefault();
    const text = button.dataset.copy ?? "";
    copy("copyAddress" in button.dataset ? location.origin + text : text);
    return;
  }
  const path = at?.closest("li > [data-path-key]")?.closest("li")?.getAttribute("data-path");
  if (path) copy(path);
});
document.addEventListener("hookgate:page", begin);
begin();

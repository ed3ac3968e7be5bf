// @ts-check
/**
 * The playground: renders on the server while one types. `[data-playground]` is its form and names the address of the
 * parts; the server makes all HTML. Text that is not saved is kept for this tab.
 */
import { draw, go } from "./editor.js";

/** How long after the last key, in milliseconds. */
const DELAY = 150;

/** @typedef {import("./editor.js").Fault} Fault */

class Playground {
  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.form = form;
    this.address = form.dataset["playground"] ?? "";
    this.editor = /** @type {Element} */ (form.querySelector("[data-editor]"));
    this.template = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem("template"));
    this.request = /** @type {HTMLTextAreaElement | null} */ (form.elements.namedItem("request"));
    this.base = /** @type {HTMLInputElement} */ (form.elements.namedItem("base"));
    this.saved = { template: this.template.defaultValue, request: this.request?.defaultValue ?? "" };
    /** @type {AbortController | undefined} */
    this.running = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.listen();
    this.mark();
    if (this.restore()) {
      this.ask("render");
    }
  }

  listen() {
    this.form.addEventListener("input", (event) => {
      const field = event.target;
      if (field === this.template || field === this.request) {
        this.keep();
        this.soon();
      }
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
      this.ask(button?.name === "do" ? button.value : "render");
    });
    this.form.querySelector("[data-next]")?.addEventListener("click", () => this.next());
    this.form.addEventListener("click", (event) => this.insert(event));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const command = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (command && event.key === "Enter") {
      event.preventDefault();
      this.ask("render");
    } else if (command && event.key === "s") {
      event.preventDefault();
      this.ask("save");
    } else if (event.key === "F8" && this.fault()) {
      event.preventDefault();
      this.next();
    }
  }

  /** Renders when nothing was typed for a while; what is shown until then is said to be old. */
  soon() {
    this.part("result")?.classList.add("stale");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask("render"), DELAY);
  }

  /**
   * Asks the server for the parts; a newer question ends an older one.
   * @param {string} action
   */
  async ask(action) {
    clearTimeout(this.timer);
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    const body = new URLSearchParams();
    for (const [name, value] of new FormData(this.form)) {
      body.append(name, String(value));
    }
    body.set("do", action);
    try {
      const answer = await fetch(this.address, {
        method: "POST",
        body,
        headers: { accept: "text/html" },
        signal: running.signal,
      });
      const html = await answer.text();
      if (!running.signal.aborted) {
        this.show(answer.ok, html, action);
      }
    } catch {
      if (!running.signal.aborted) {
        this.say("The server does not answer; what you wrote is kept in this tab.");
      }
    }
  }

  /**
   * @param {boolean} ok
   * @param {string} html
   * @param {string} action
   */
  show(ok, html, action) {
    const came = new DOMParser().parseFromString(html, "text/html");
    if (!ok) {
      const why = came.querySelector("main .lead, main p")?.textContent ?? "";
      this.say(`It was refused. ${why.trim()} What you wrote is kept in this tab: reload the page.`);
      return;
    }
    const good = this.part("result")?.querySelector("[data-good]");
    for (const fresh of came.querySelectorAll("[data-part]")) {
      const name = fresh.getAttribute("data-part") ?? "";
      // What was not asked for stays.
      const asked = { against: "against", saved: "save" }[name] ?? action;
      if (asked !== action) {
        continue;
      }
      this.part(name)?.replaceWith(document.adoptNode(fresh));
    }
    this.remember(good);
    this.mark();
    if (action === "save") {
      this.afterSave();
    }
    const words = this.part("result")?.querySelector("[data-words]")?.textContent ?? "";
    const fault = this.part("fault")?.querySelector(".fault")?.textContent ?? "";
    this.say(`${words} ${fault}`);
  }

  /**
   * Where nothing came out, the last good result stays below, dimmed.
   * @param {Element | null | undefined} good
   */
  remember(good) {
    const result = this.part("result");
    if (!good || !result || result.querySelector("[data-good]")) {
      return;
    }
    if (result.querySelector("[data-state=failed]")) {
      good.classList.add("stale");
      if (!good.querySelector("[data-last]")) {
        const title = document.createElement("h3");
        title.dataset["last"] = "";
        title.append("Last good result");
        good.prepend(title);
      }
      result.querySelector("p")?.after(good);
    }
  }

  afterSave() {
    const saved = this.part("saved");
    const base = saved?.getAttribute("data-base");
    if (base) {
      this.base.value = base;
      this.saved.template = this.template.value;
      this.keep();
    }
    saved?.scrollIntoView({ block: "nearest" });
  }

  /** @returns {Fault | undefined} */
  fault() {
    const place = this.part("fault")?.querySelector("[data-line]");
    if (!place) {
      return undefined;
    }
    const number = (/** @type {string} */ name) => Number(place.getAttribute(name));
    return { line: number("data-line"), column: number("data-column"), end: number("data-end") };
  }

  mark() {
    const fault = this.fault();
    draw(this.editor, fault);
    const count = this.form.querySelector("[data-count]");
    const state = document.createElement("span");
    state.className = "state";
    state.dataset["state"] = "failed";
    state.append("1 error");
    count?.replaceChildren(...(fault ? [state] : []));
  }

  next() {
    const fault = this.fault();
    if (fault) {
      go(this.template, fault);
    } else {
      this.say("There is no error in the template.");
    }
  }

  /**
   * A name of the request's tree is put into the template where the caret is.
   * @param {Event} event
   */
  insert(event) {
    const name = /** @type {Element} */ (event.target).closest?.("[data-insert] .k");
    const path = name?.closest("[data-path]")?.getAttribute("data-path");
    if (!path || name?.closest("summary")) {
      return;
    }
    this.template.setRangeText(`{{ ${path} }}`, this.template.selectionStart, this.template.selectionEnd, "end");
    this.template.dispatchEvent(new Event("input", { bubbles: true }));
    this.template.focus();
  }

  /** @param {string} name */
  part(name) {
    return this.form.querySelector(`[data-part="${name}"]`);
  }

  /** @param {string} words */
  say(words) {
    this.form.querySelector("[data-said]")?.replaceChildren(words);
  }

  /** The place of what is not saved: the template's is the webhook's, the request's is the sample's. */
  places() {
    const name = this.form.dataset["name"] ?? "";
    const sample = [...new FormData(this.form)].find(([field]) => ["delivery", "sample", "test"].includes(field));
    return { template: `hookgate ${name}`, request: `hookgate ${name} ${sample?.[0]} ${sample?.[1]}` };
  }

  /** Keeps what is not saved for this tab. */
  keep() {
    const places = this.places();
    const changed = this.template.value !== this.saved.template;
    this.form.querySelector("[data-unsaved]")?.toggleAttribute("hidden", !changed);
    put(places.template, changed ? this.template.value : undefined);
    if (this.request) {
      put(places.request, this.request.value !== this.saved.request ? this.request.value : undefined);
    }
  }

  /** Puts back what was kept; whether that is another text than the server's. */
  restore() {
    const places = this.places();
    const template = take(places.template);
    const request = this.request ? take(places.request) : undefined;
    if (template !== undefined) {
      this.template.value = template;
    }
    if (request !== undefined && this.request) {
      this.request.value = request;
      this.request.closest("details")?.setAttribute("open", "");
    }
    this.keep();
    if (template !== undefined) {
      draw(this.editor, undefined);
    }
    return template !== undefined || request !== undefined;
  }
}

/**
 * @param {string} place
 * @param {string | undefined} text
 */
function put(place, text) {
  try {
    if (text === undefined) {
      sessionStorage.removeItem(place);
    } else {
      sessionStorage.setItem(place, text);
    }
  } catch {
    // Where nothing may be stored, a reload forgets it.
  }
}

/** @param {string} place */
function take(place) {
  try {
    return sessionStorage.getItem(place) ?? undefined;
  } catch {
    return undefined;
  }
}

for (const form of document.querySelectorAll("form[data-playground]")) {
  new Playground(/** @type {HTMLFormElement} */ (form));
}

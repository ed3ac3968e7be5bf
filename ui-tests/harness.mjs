// Starts the real binary in a temporary folder and a real Chromium, and leaves nothing behind.
//
// HOOKGATE: the binary, else target/release/hookgate, else target/debug/hookgate of the project.
// HOOKGATE_TEST_CHROMIUM: the browser, else the distribution's.
// HOOKGATE_TEST_SHOTS: a folder that takes a screenshot of every page that `audit` looks at.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const PROJECT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** How long anything may take before a test gives up on it, in milliseconds. */
export const PATIENCE = 30_000;

function binary() {
  const named = process.env.HOOKGATE;
  if (named) return named;
  for (const profile of ["release", "debug"]) {
    const path = join(PROJECT, "target", profile, "hookgate");
    if (existsSync(path)) return path;
  }
  throw new Error("no hookgate binary: build it, or name it in HOOKGATE");
}

/** A slug of the length that hookgate makes; visibly a test's. */
export function slug(/** @type {string} */ name) {
  return `test-${name}-`.padEnd(22, "x");
}

/** A running gateway with its folder. */
export class Gateway {
  /**
   * @param {string} folder of its own, removed at the end
   * @param {string[]} command what the binary is called with
   * @param {Record<string, string>} env
   */
  constructor(folder, command, env) {
    this.folder = folder;
    this.command = command;
    this.env = env;
    /** Where the listeners are, without a slash at the end. */
    this.public = "";
    this.admin = "";
    this.errors = "";
    /** @type {import("node:child_process").ChildProcess | undefined} */
    this.child = undefined;
  }

  /**
   * Starts one and waits until both listeners are bound.
   * @param {string} toml the webhooks and sinks; server and store are added
   * @param {{files?: Record<string, string>, env?: Record<string, string>, server?: string, command?: string[]}} [options]
   *   `command`: in place of `serve -c webhooks.toml`; then no file is written
   */
  static async start(toml, options = {}) {
    const folder = mkdtempSync(join(tmpdir(), "hookgate-ui-"));
    const gateway = new Gateway(folder, options.command ?? ["serve", "-c", "webhooks.toml"], options.env ?? {});
    for (const [path, text] of Object.entries(options.files ?? {})) {
      mkdirSync(dirname(join(gateway.folder, path)), { recursive: true });
      writeFileSync(join(gateway.folder, path), text);
    }
    if (!options.command) {
      gateway.write(toml, options.server);
    }
    await gateway.run();
    return gateway;
  }

  /** Writes `webhooks.toml`; a running gateway takes it up. */
  write(/** @type {string} */ toml, server = "") {
    const head = `[server]\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n${server}\n[store]\npath = "data"\n`;
    writeFileSync(join(this.folder, "webhooks.toml"), head + toml);
  }

  async run() {
    this.errors = "";
    const child = spawn(binary(), this.command, {
      cwd: this.folder,
      env: { ...process.env, HOOKGATE_LOG: "warn", ...this.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    child.stderr.on("data", (text) => (this.errors += text));
    /** @type {{public?: string, admin?: string}} */
    const bound = {};
    let seen = "";
    await new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`does not start: ${seen}${this.errors}`)), PATIENCE);
      child.once("exit", () => fail(new Error(`stopped at once: ${seen}${this.errors}`)));
      child.stdout.on("data", (text) => {
        seen += text;
        for (const [, name, url] of seen.matchAll(/^\s*(public|admin)\s+(https?:\/\/\S+)$/gm)) {
          bound[/** @type {"public" | "admin"} */ (name)] = url;
        }
        if (bound.public && bound.admin) {
          clearTimeout(timer);
          done(undefined);
        }
      });
    });
    this.public = bound.public ?? "";
    this.admin = bound.admin ?? "";
  }

  /**
   * Calls a webhook.
   * @param {string} name as given to `slug`
   * @param {RequestInit} [init]
   */
  async post(name, init = {}) {
    return fetch(`${this.public}/hooks/${slug(name)}`, { method: "POST", ...init });
  }

  /** Calls a webhook with a JSON body. */
  async json(/** @type {string} */ name, /** @type {unknown} */ body, headers = {}) {
    return this.post(name, { headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
  }

  /** Asks the API. */
  async api(/** @type {string} */ path) {
    const reply = await fetch(this.admin + path);
    return reply.json();
  }

  async stop() {
    const child = this.child;
    if (child && child.exitCode === null) {
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A browser for a file of tests. */
export class Browser {
  constructor(/** @type {import("playwright-core").Browser} */ chromium) {
    this.chromium = chromium;
  }

  static async start() {
    const executablePath = process.env.HOOKGATE_TEST_CHROMIUM ?? "/usr/bin/chromium";
    return new Browser(await chromium.launch({ executablePath, args: ["--no-sandbox"] }));
  }

  /**
   * A page in a context of its own. What it asks of another host, and errors of its scripts, fail the test when it ends.
   * @param {import("node:test").TestContext} t
   * @param {import("playwright-core").BrowserContextOptions} [options]
   */
  async page(t, options = {}) {
    const context = await this.chromium.newContext({ reducedMotion: "reduce", timezoneId: "UTC", ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    /** @type {string[]} */
    const wrong = [];
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol !== "data:" && url.hostname !== "127.0.0.1") wrong.push(`asks ${url}`);
    });
    page.on("pageerror", (error) => wrong.push(`script: ${error.message}`));
    page.on("console", (message) => {
      // A page that is not there is said by its test, not here.
      if (message.type() === "error" && !/Failed to load resource/.test(message.text())) wrong.push(`console: ${message.text()}`);
    });
    t.after(async () => {
      await context.close();
      assert.deepEqual(wrong, [], "external requests and script errors");
    });
    return page;
  }

  async stop() {
    await this.chromium.close();
  }
}

/**
 * What axe-core finds on the page as it stands (WCAG 2.2 A, AA, best practice), and whether it scrolls sideways.
 * @param {import("playwright-core").Page} page
 */
export async function findings(page) {
  // Evaluated by the debugger, which the page's policy does not bind.
  await page.evaluate(AXE);
  /** @type {string[]} */
  const found = await page.evaluate(async () => {
    // @ts-expect-error axe is put there by the line above
    const { violations } = await axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations.map((/** @type {any} */ v) => `${v.id}: ${v.help}: ${v.nodes.map((/** @type {any} */ n) => n.target.join(" ")).join(", ")}`);
  });
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (over > 0) found.push(`scrolls sideways by ${over} px`);
  return found;
}

/** The widths and themes that every page is looked at in. */
export const LOOKS = [
  { width: 1440, height: 900, colorScheme: "light" },
  { width: 1440, height: 900, colorScheme: "dark" },
  { width: 390, height: 844, colorScheme: "dark" },
  { width: 320, height: 640, colorScheme: "light" },
];

/**
 * Looks at one page in every width and theme; a screenshot each where a folder for them is named.
 * @param {Browser} browser
 * @param {import("node:test").TestContext} t
 * @param {string} url
 * @param {string} name of the screenshots
 */
export async function audit(browser, t, url, name) {
  const shots = process.env.HOOKGATE_TEST_SHOTS;
  /** @type {string[]} */
  const found = [];
  for (const { width, height, colorScheme } of LOOKS) {
    const page = await browser.page(t, { viewport: { width, height }, colorScheme: /** @type {"light" | "dark"} */ (colorScheme) });
    const reply = await page.goto(url);
    assert.ok(reply && reply.status() < 500, `${url} answers ${reply?.status()}`);
    found.push(...(await findings(page)).map((line) => `${name} ${width} ${colorScheme}: ${line}`));
    if (shots) {
      mkdirSync(shots, { recursive: true });
      await page.screenshot({ path: join(shots, `${name}-${colorScheme}-${width}.png`), fullPage: true });
    }
  }
  assert.deepEqual(found, [], `findings on ${url}`);
}

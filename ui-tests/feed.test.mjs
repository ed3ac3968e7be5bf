// The feed as one lives with it: it grows without moving, the address is the state, and the keyboard does it all.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Browser, findings, Gateway, PATIENCE, slug } from "./harness.mjs";

const WEBHOOKS = `
[[webhook]]
name = "orders"
slug = "${slug("orders")}"
event = { event = "shop.{{ body.type }}", resource = { "prefect.resource.id" = "order.{{ body.id }}" }, payload = "{{ body }}" }

[[webhook]]
name = "tickets"
slug = "${slug("tickets")}"
undefined = "error"
event = { event = "desk.{{ body.type }}", resource = { "prefect.resource.id" = "ticket.{{ body.id }}" }, payload = "{{ body }}" }

[[view]]
name = "parked tickets"
query = "webhook:tickets outcome:parked"
`;

/** @type {Gateway} */
let gateway;
/** @type {Browser} */
let browser;
let number = 0;

/** Sends one order, and gives its number once it was answered. */
async function order(type = "created") {
  number += 1;
  const reply = await gateway.json("orders", { type, id: number });
  assert.equal(reply.status, 204);
  return number;
}

/** A screenshot, where a folder for them is named. @param {import("playwright-core").Page} page @param {string} name */
async function shot(page, name) {
  const folder = process.env.HOOKGATE_TEST_SHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

/** The feed, with its stream open. @param {import("node:test").TestContext} t */
async function feed(t, path = "/", options = {}) {
  const page = await browser.page(t, options);
  const stream = page.waitForResponse((reply) => reply.url().includes("/stream"));
  await page.goto(gateway.admin + path);
  await stream;
  return page;
}

const row = (/** @type {number} */ n) => `[data-feed] .row:has(code:text-is("order.${n}"))`;

before(async () => {
  gateway = await Gateway.start(WEBHOOKS);
  browser = await Browser.start();
  for (let n = 0; n < 60; n += 1) await order(n % 3 ? "created" : "paid");
  assert.equal((await gateway.json("tickets", { type: "opened", id: 1 })).status, 204);
  assert.equal((await gateway.json("tickets", { id: 2 })).status, 400);
});
after(async () => {
  await browser?.stop();
  await gateway?.stop();
});

test("first run: an empty folder, a curl line, a row, its delivery", async (t) => {
  const dev = await Gateway.start("", {
    command: ["dev", "--no-open", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
  });
  t.after(() => dev.stop());
  const page = await browser.page(t);
  const stream = page.waitForResponse((reply) => reply.url().includes("/stream"));
  await page.goto(dev.admin);
  await stream;
  const curl = await page.locator("code", { hasText: "curl" }).first().innerText();
  const url = /'(http[^']+)'/.exec(curl)?.[1] ?? "";
  const reply = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: '{"hello": "world"}' });
  assert.equal(reply.status, 204);
  await page.locator("[data-feed] .row").first().waitFor();
  await page.locator("[data-feed] .row .what > a").first().click();
  await page.waitForURL(/\/(events|deliveries)\//);
  assert.match(await page.locator("main").innerText(), /hello/);
});

test("a row is there right after the sender's answer", async (t) => {
  const page = await feed(t);
  const times = [];
  // Fewer than the page looks for in a second, so that none waits for its turn.
  for (let n = 0; n < 3; n += 1) {
    const id = await order();
    const answered = performance.now();
    await page.locator(row(id)).waitFor();
    times.push(Math.round(performance.now() - answered));
  }
  t.diagnostic(`from the answer to the row, ms: ${times.join(", ")}`);
  assert.ok(Math.min(...times) < 5_000, `${times}`);
  await page.waitForFunction(() => /\d+ new event/.test(document.querySelector("[data-announce]")?.textContent ?? ""));
});

test("new rows never move what one reads", async (t) => {
  const page = await feed(t);
  const link = page.locator("[data-feed] .row .what > a").nth(3);
  await link.focus();
  const before_ = await link.evaluate((at) => at.getBoundingClientRect().top);
  const id = await order();
  await page.locator("[data-fresh]", { hasText: "1 new" }).waitFor();
  const next = await order();
  await page.locator("[data-fresh]", { hasText: "2 new" }).waitFor();
  assert.equal(await link.evaluate((at) => at.getBoundingClientRect().top), before_);
  assert.equal(await page.locator(row(id)).count(), 0);
  await shot(page, "feed-new");
  assert.deepEqual(await findings(page), []);
  await page.keyboard.press("n");
  await page.locator(row(id)).waitFor();
  await page.locator(row(next)).waitFor();
  await page.locator("[data-fresh]").waitFor({ state: "hidden" });
  assert.equal(await page.evaluate(() => document.activeElement?.closest(".row") === document.querySelector("[data-feed] .row")), true);
});

test("a scrolled page waits too, and shows what is new at the top", async (t) => {
  const page = await feed(t);
  await page.mouse.wheel(0, 700);
  await page.waitForFunction(() => scrollY > 300);
  const id = await order();
  await page.locator("[data-fresh]").click();
  await page.locator(row(id)).waitFor();
  assert.equal(await page.evaluate(() => scrollY), 0);
});

test("Space pauses, and goes on", async (t) => {
  const page = await feed(t);
  await page.keyboard.press("Space");
  await page.locator("[data-live][aria-pressed=false]", { hasText: "Paused" }).waitFor();
  const id = await order();
  await page.locator("[data-fresh]", { hasText: "1 new" }).waitFor();
  assert.equal(await page.locator(row(id)).count(), 0);
  await page.keyboard.press("Space");
  await page.locator(row(id)).waitFor();
});

test("a burst is told as a rate, and ends with the newest", async (t) => {
  const page = await feed(t);
  const rate = page.locator("[data-rate]", { hasText: /rate \d+\/s/ }).waitFor();
  let last = 0;
  let told = false;
  rate.then(() => (told = true));
  const end = Date.now() + PATIENCE;
  while (!told && Date.now() < end) {
    await Promise.all(Array.from({ length: 16 }, async () => (last = Math.max(last, await order()))));
  }
  await rate;
  await shot(page, "feed-rate");
  last = await order();
  await page.locator(row(last)).waitFor();
  const links = await page.locator("[data-feed] .what > a").evaluateAll((all) => all.map((at) => at.getAttribute("href")));
  assert.equal(new Set(links).size, links.length, "no row twice");
});

test("a hidden page closes its stream and catches up", async (t) => {
  const page = await feed(t);
  const hide = (/** @type {boolean} */ hidden) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  await hide(true);
  const id = await order();
  await hide(false);
  await page.locator(row(id)).waitFor();
});

test("a lost stream is said, and comes back", async (t) => {
  const own = await Gateway.start(WEBHOOKS);
  t.after(() => own.stop());
  await own.json("orders", { type: "created", id: 1 });
  const page = await browser.page(t);
  const stream = page.waitForResponse((reply) => reply.url().includes("/stream"));
  await page.goto(own.admin);
  await stream;
  await page.context().setOffline(true);
  await page.route("**/stream*", (route) => route.abort());
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
    Object.defineProperty(document, "hidden", { configurable: true, get: () => false });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.locator("[data-lost]").waitFor();
  await own.json("orders", { type: "created", id: 2 });
  await page.unroute("**/stream*");
  await page.context().setOffline(false);
  await page.locator("[data-lost] button").click();
  await page.locator(row(2)).waitFor();
  await page.locator("[data-lost]").waitFor({ state: "detached" });
});

test("filters are in the address, and Back works", async (t) => {
  const page = await feed(t);
  await page.evaluate(() => (document.body.dataset.same = "yes"));
  await page.locator('[data-facet=webhook][data-value="tickets"]').click();
  await page.waitForURL((url) => url.searchParams.get("q") === "webhook:tickets");
  await page.locator("[data-feed] .row").nth(1).waitFor();
  await page.waitForFunction(() => document.querySelectorAll("[data-feed] .row").length === 2);
  assert.equal(await page.locator("[data-query]").inputValue(), "webhook:tickets");
  await page.locator('[data-facet=outcome][data-value="parked"]').click({ modifiers: ["Alt"] });
  await page.waitForURL((url) => url.searchParams.get("q") === "webhook:tickets -outcome:parked");
  await page.waitForFunction(() => document.querySelectorAll("[data-feed] .row").length === 1);
  await page.goBack();
  await page.waitForFunction(() => document.querySelectorAll("[data-feed] .row").length === 2);
  await page.goBack();
  await page.waitForFunction(() => document.querySelectorAll("[data-feed] .row").length > 10);
  assert.equal(await page.locator("[data-query]").inputValue(), "");
  assert.equal(await page.evaluate(() => document.body.dataset.same), "yes", "the page was not loaded again");
  // Saved views are links like any other.
  await page.locator(".facets a", { hasText: "parked tickets" }).click();
  await page.waitForFunction(() => document.querySelectorAll("[data-feed] .row").length === 1);
  const deep = await feed(t, "/?q=webhook:tickets&show=deliveries");
  assert.equal(await deep.locator("[data-feed] .row").count(), 2);
});

test("older rows are added below, and nothing moves", async (t) => {
  const page = await feed(t);
  const many = await page.locator("[data-feed] .row").count();
  await page.locator("[data-feed] .row").nth(many - 1).scrollIntoViewIfNeeded();
  const top = await page.locator("[data-feed] .row").nth(many - 1).evaluate((at) => at.getBoundingClientRect().top);
  await page.keyboard.press("J");
  await page.locator("[data-feed] .row").nth(many).waitFor();
  assert.equal(await page.locator("[data-feed] .row").nth(many - 1).evaluate((at) => at.getBoundingClientRect().top), top);
  const links = await page.locator("[data-feed] .what > a").evaluateAll((all) => all.map((at) => at.getAttribute("href")));
  assert.equal(new Set(links).size, links.length);
});

test("a range of the histogram by keyboard", async (t) => {
  const page = await feed(t);
  await page.locator("[data-chart]").focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Shift+ArrowLeft");
  await page.locator(".chart .chosen").waitFor({ state: "attached" });
  await page.keyboard.press("Shift+Home");
  assert.deepEqual(await findings(page), []);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => /^received:\S+\.\.\S+$/.test(url.searchParams.get("q") ?? ""));
  await page.waitForFunction(() => !document.querySelector("main[aria-busy]"));
  await page.locator("main h1").waitFor();
  assert.equal(await page.locator(".code[role=alert]").count(), 0, "the range is a search that can be read");
  await page.goBack();
  await page.locator("[data-chart]").focus();
  await page.locator("[data-chart] svg").dblclick();
  await page.waitForURL((url) => !url.searchParams.has("q"));
});

test("completion by keyboard, and what is wrong while one types", async (t) => {
  const page = await feed(t);
  await page.keyboard.press("/");
  await page.keyboard.type("webh");
  await page.locator(".suggest [role=option]").first().waitFor();
  await shot(page, "feed-completion");
  assert.deepEqual(await findings(page), []);
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.locator("[data-query]").getAttribute("aria-activedescendant"), "suggestion-0");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("[data-query]").inputValue(), "webhook:");
  const tickets = page.locator(".suggest [role=option]", { hasText: "tickets" });
  await tickets.waitFor();
  while ((await tickets.getAttribute("aria-selected")) !== "true") await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("[data-query]").inputValue(), "webhook:tickets ");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.searchParams.get("q")?.trim() === "webhook:tickets");
  await page.locator("[data-query]").fill("resouce:x");
  await page.locator(".wrong", { hasText: /Column 1: .*resource/ }).waitFor({ state: "attached" });
  assert.equal(await page.locator("[data-query]").getAttribute("aria-invalid"), "true");
});

test("from the feed to a delivery and back without a mouse", async (t) => {
  const page = await feed(t, "/?show=deliveries");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  const href = await page.evaluate(() => document.activeElement?.getAttribute("href"));
  assert.match(href ?? "", /^\/deliveries\//);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname === href);
  await page.keyboard.press("Escape");
  await page.waitForURL((url) => url.pathname === "/");
  await page.waitForFunction((href) => document.activeElement?.getAttribute("href") === href, href);
  await page.keyboard.press("x");
  await page.locator("[data-picks]", { hasText: "1 selected" }).waitFor();
  await shot(page, "feed-selection");
  assert.deepEqual(await findings(page), []);
  await page.keyboard.press("Escape");
  await page.locator("[data-picks]").waitFor({ state: "detached" });
  await page.keyboard.press("?");
  await page.locator("#keys:popover-open").waitFor();
  await shot(page, "feed-keys");
  assert.deepEqual(await findings(page), []);
  // Switched off, they do nothing any more.
  await page.locator("#keys input[type=checkbox]").uncheck();
  await page.keyboard.press("Escape");
  await page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement)?.blur());
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement?.matches("[data-query]")), false);
});

test("without scripts: search, paging, a delivery", async (t) => {
  const page = await browser.page(t, { javaScriptEnabled: false });
  await page.goto(gateway.admin);
  assert.equal(await page.locator("[data-script]:visible, [data-copy]:visible").count(), 0);
  await page.locator("[data-older]").click();
  await page.waitForURL((url) => url.searchParams.has("after"));
  assert.ok((await page.locator("[data-feed] .row").count()) > 0);
  await page.locator("[data-query]").fill("webhook:tickets outcome:parked");
  await page.locator("[data-query]").press("Enter");
  await page.waitForURL((url) => url.searchParams.has("q"));
  await page.locator("[data-feed] .row .what > a").first().click();
  await page.waitForURL(/\/deliveries\//);
  assert.match(await page.locator("h1").innerText(), /Parked/);
});

test("times are the reader's, with UTC beside them", async (t) => {
  const page = await feed(t, "/", { timezoneId: "Asia/Kolkata" });
  const time = page.locator("[data-feed] .row time").first();
  const at = new Date((await time.getAttribute("datetime")) ?? "");
  const shown = new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Kolkata", hour: "2-digit", minute: "2-digit" }).format(at);
  assert.ok((await time.innerText()).includes(shown), `${await time.innerText()} is not ${shown}`);
  assert.match((await time.getAttribute("title")) ?? "", /UTC$/);
});

test("a theme is chosen in place and kept", async (t) => {
  const page = await feed(t);
  await page.locator(".theme button", { hasText: "Dark" }).click();
  await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
  assert.deepEqual(await findings(page), []);
  await page.reload();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
});

test("paths of a payload can be found and copied", async (t) => {
  const page = await browser.page(t, { permissions: ["clipboard-read", "clipboard-write"] });
  const reply = await gateway.json("orders", { type: "wide", id: "tree", a: { b: [1, 2, { deep: "<i>x</i>" }] }, c: 1, d: 2, e: 3, f: 4, g: 5 });
  await page.goto(`${gateway.admin}/deliveries/${reply.headers.get("hookgate-delivery")}`);
  await page.locator(".finder input").first().fill("deep");
  await page.locator(".finder li button").first().click();
  await page.locator("[data-said]", { hasText: "deep" }).waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /a\.b\.2\.deep$/);
  assert.deepEqual(await findings(page), []);
});

test("reduced motion moves nothing", async (t) => {
  const page = await feed(t);
  const id = await order();
  await page.locator(row(id)).waitFor();
  assert.equal(await page.locator(row(id)).evaluate((at) => getComputedStyle(at).animationName), "none");
});

// Webhooks, the playground and the catalogue: looked at in every theme and width, used with and without a script.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { audit, Browser, Gateway, slug } from "./harness.mjs";

const TEMPLATE = `{
  "event": "shop.order.{{ body.type }}",
  "resource": { "prefect.resource.id": "order.{{ body.order.id }}" },
  "payload": { "total": {{ body.order.total }} }
}
`;
const WEBHOOKS = `
[[webhook]]
name = "orders"
slug = "${slug("orders")}"
undefined = "error"
template = "orders.json.j2"

[[webhook.test]]
name = "an order"
request = "requests/order.http"
expect = [{ event = "shop.order.created" }]

[[webhook.test]]
name = "one that fails"
request = "requests/order.http"
expect = [{ event = "shop.order.deleted" }]

[[webhook]]
name = "github"
slug = "${slug("github")}"
provider = "github"
secret = [{ env = "TEST_SECRET" }, { env = "TEST_SECRET_OLD", until = 2099-01-01T00:00:00Z }]

[[webhook]]
name = "silent"
slug = "${slug("silent")}"
event = { event = "silent.came", resource = { "prefect.resource.id" = "silent" } }
`;
const HOSTILE = `<script>document.title="owned"</script><img src=x onerror=alert(1)>\u202eabc\u202c\u001b[31m`;
const ORDER = { type: "created", order: { id: 8812, total: 12.5 }, note: HOSTILE };

/** @type {Gateway} */
let gateway;
/** @type {Browser} */
let browser;
/** @type {string} */
let parked;
const PLAYGROUND = "/webhooks/orders/playground";

before(async () => {
  gateway = await Gateway.start(WEBHOOKS, {
    env: { TEST_SECRET: "fake-secret-for-tests-0001", TEST_SECRET_OLD: "fake-secret-for-tests-0002" },
    files: {
      "templates/orders.json.j2": TEMPLATE,
      "requests/order.http": `POST /hooks/x HTTP/1.1\ncontent-type: application/json\n\n${JSON.stringify(ORDER)}`,
    },
  });
  browser = await Browser.start();
  const replies = [
    await gateway.json("orders", { order: { total: "none" } }),
    await gateway.json("orders", { ...ORDER, type: HOSTILE }, { "x-note": "<b>bold</b>" }),
    await gateway.json("orders", ORDER),
    await gateway.json("github", { a: HOSTILE }, { "x-github-event": "push", "x-hub-signature-256": "sha256=00" }),
  ];
  assert.deepEqual(replies.map((reply) => reply.status), [400, 204, 204, 401]);
  parked = replies[0]?.headers.get("hookgate-delivery") ?? "";
});
after(async () => {
  await browser?.stop();
  await gateway?.stop();
});

/** @type {[string, () => string][]} */
const PAGES = [
  ["webhooks", () => "/webhooks"],
  ["webhook", () => "/webhooks/orders"],
  ["webhook-signed", () => "/webhooks/github"],
  ["webhook-silent", () => "/webhooks/silent"],
  ["playground", () => PLAYGROUND],
  ["playground-parked", () => `${PLAYGROUND}?delivery=${parked}`],
  ["playground-signed", () => "/webhooks/github/playground?sample=push"],
  ["playground-definition", () => "/webhooks/silent/playground"],
  ["catalogue", () => "/catalogue"],
  ["catalogue-none", () => "/catalogue?q=nobody-of-this-name"],
  ["provider", () => "/catalogue/github?sample=push"],
];
for (const [name, path] of PAGES) {
  test(`the page ${name} has no finding`, async (t) => {
    await audit(browser, t, gateway.admin + path(), name);
  });
}

test("what a sender sent is shown as text", async (t) => {
  const page = await browser.page(t);
  for (const path of ["/webhooks", "/webhooks/orders", "/webhooks/github", PLAYGROUND]) {
    await page.goto(gateway.admin + path);
    assert.notEqual(await page.title(), "owned");
    assert.equal(await page.locator("main script, main img").count(), 0, path);
  }
  assert.match(await page.locator("main").innerText(), /<script>document\.title/);
});

/**
 * Opens the playground and waits until its script runs.
 * @param {import("node:test").TestContext} t
 */
async function open(t, path = PLAYGROUND) {
  const page = await browser.page(t);
  await page.goto(gateway.admin + path);
  await page.locator("[data-editor][data-on]").waitFor();
  return page;
}

test("a key gives a new event, and what is wrong has its place", async (t) => {
  const page = await open(t);
  const template = page.getByRole("textbox", { name: "Template" });
  const result = page.locator("[data-part=result]");
  assert.match(await result.innerText(), /1 event, valid[\s\S]*shop\.order\.created/);
  await template.fill(TEMPLATE.replace("shop.order.{{ body.type }}", "shop.{{ body.type }}.order"));
  await page.getByText("shop.created.order").first().waitFor();
  assert.ok(await page.getByText("unsaved changes").isVisible());
  await template.fill(TEMPLATE.replace("body.order.total }}", "body.order.total | no_such }}"));
  const fault = page.locator("p.fault");
  await fault.waitFor();
  assert.equal(await fault.getAttribute("data-line"), "4");
  // The last good result stays, and the line is marked in the copy below the text.
  assert.ok(await page.getByText("Last good result").isVisible());
  assert.match(await page.locator(".editor .here mark").innerText(), /no_such/);
  assert.equal(await template.getAttribute("aria-invalid"), "true");
  await page.getByRole("button", { name: "Next error" }).focus();
  await page.keyboard.press("F8");
  const chosen = await template.evaluate((area) => {
    const { value, selectionStart, selectionEnd } = /** @type {HTMLTextAreaElement} */ (area);
    return value.slice(selectionStart, selectionEnd);
  });
  assert.match(chosen, /no_such/);
  await page.keyboard.type("length");
  await page.getByText("1 event, valid").or(page.locator("p.fault")).first().waitFor();
});

test("the coloured copy lies exactly below the text", async (t) => {
  const page = await open(t);
  const template = page.getByRole("textbox", { name: "Template" });
  await template.fill(`${"a long line that has to be broken somewhere ".repeat(8)}\n\n{{ body.x }} "k": 1\n`.repeat(6));
  const heights = await page.evaluate(() => {
    const area = /** @type {HTMLTextAreaElement} */ (document.querySelector(".editor textarea"));
    const rows = [...document.querySelectorAll(".editor .code > *")].map((row) => row.getBoundingClientRect().height);
    return [area.scrollHeight, rows.reduce((sum, height) => sum + height, 0), document.querySelector(".editor")?.clientHeight ?? 0];
  });
  const [text = 0, copy = 0, box = 0] = heights;
  assert.ok(Math.abs(Math.max(text, box) - Math.max(copy + 16, box)) < 24, `${heights}`);
  assert.ok(text <= box + 24, `nothing of the text is out of sight: ${heights}`);
});

test("what is not saved survives a reload, and Ctrl-S gives a patch", async (t) => {
  const page = await open(t);
  const template = page.getByRole("textbox", { name: "Template" });
  await template.fill(TEMPLATE.replace("shop.order", "store.order"));
  await page.getByText("store.order.created").first().waitFor();
  await page.reload();
  await page.getByText("store.order.created").first().waitFor();
  assert.match(await template.inputValue(), /store\.order/);
  await page.keyboard.press("Control+s");
  await page.locator("[data-part=saved] pre").first().waitFor();
  const saved = await page.locator("[data-part=saved]").innerText();
  assert.match(saved, /--- a\/templates\/orders\.json\.j2[\s\S]*\+ {2}"event": "store\.order/);
  assert.match(saved, /\[\[webhook\.test\]\]/);
});

test("the last deliveries are tried with what was written", async (t) => {
  const page = await open(t);
  await page.getByRole("textbox", { name: "Template" }).fill(TEMPLATE.replace("shop.order", "store.order"));
  await page.getByRole("button", { name: "Run" }).click();
  const against = page.locator("[data-part=against]");
  await against.locator(".picks").waitFor();
  assert.match((await against.innerText()).replaceAll(/\s+/g, " "), /same 0 changed 2 fails 1/);
  await against.locator(".picks a").last().click();
  await page.waitForURL(/delivery=/);
});

test("an edited request and a curl line are translated; names of the body go into the template", async (t) => {
  const page = await open(t);
  await page.getByText("Edit it, or paste a curl line").click();
  const request = page.getByRole("textbox", { name: "Request:" });
  await request.fill(`curl -H 'content-type: application/json' -d '{"type":"pasted","order":{"id":1,"total":2}}' http://x/hooks/y`);
  await page.keyboard.press("Control+Enter");
  await page.getByText("shop.order.pasted").first().waitFor();
  await request.fill("nonsense");
  await page.locator("p.fault", { hasText: "Request" }).waitFor();
  const template = page.getByRole("textbox", { name: "Template" });
  await template.fill("");
  await page.locator("[data-insert] [data-path='body.type'] .k").click();
  assert.equal(await template.inputValue(), "{{ body.type }}");
});

test("without a script the form does the same", async (t) => {
  const page = await browser.page(t, { javaScriptEnabled: false });
  await page.goto(gateway.admin + PLAYGROUND);
  assert.ok(await page.getByRole("button", { name: "Next error" }).isHidden());
  const template = page.getByRole("textbox", { name: "Template" });
  await template.fill(TEMPLATE.replace("body.order.total }}", "body.order.total | no_such }}"));
  await page.getByRole("button", { name: "Render" }).click();
  assert.match(await page.locator("p.fault").innerText(), /4:/);
  assert.match(await page.locator("[data-part=fault] mark").innerText(), /no_such/);
  await template.fill(TEMPLATE.replace("shop.order", "store.order"));
  await page.getByRole("button", { name: "Save patch" }).click();
  assert.match(await page.locator("[data-part=saved]").innerText(), /\+ {2}"event": "store\.order/);
  await page.getByRole("button", { name: "Run" }).click();
  assert.match(await page.locator("[data-part=against]").innerText(), /changed/);
  await page.goto(`${gateway.admin}/catalogue`);
  await page.getByRole("searchbox", { name: "Search senders" }).fill("x-hub-signature-256");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "GitHub", exact: true }).click();
  assert.match(await page.locator("h1").innerText(), /GitHub/);
});

test("a key answers within the time that one notices", async (t) => {
  const page = await open(t);
  const template = page.getByRole("textbox", { name: "Template" });
  const times = [];
  for (let n = 0; n < 5; n += 1) {
    const answered = page.waitForResponse((response) => response.url().includes("/ui/playground/"));
    await template.fill(TEMPLATE.replace("shop.order", `n${n}.order`));
    const timing = (await (await answered).request().response())?.request().timing();
    times.push(timing?.responseStart ?? 0);
    await page.getByText(`n${n}.order.created`).first().waitFor();
  }
  // What the server takes is in the page; the whole way is shown for who measures.
  t.diagnostic(`render by key: ${times.map((time) => `${time.toFixed(0)} ms`).join(", ")}`);
});
